"""Answering over HTTP: an OpenAI-style API whose answers name version, fact and sources."""
