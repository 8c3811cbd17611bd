"""Engines: what writes the tokens of answers."""
