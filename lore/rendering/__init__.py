"""Sections and tables as text, Markdown and HTML."""
