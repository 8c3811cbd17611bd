"""Kinds of sources: one module each."""
