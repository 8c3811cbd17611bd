"""The stages of the rivers project."""
