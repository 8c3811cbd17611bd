"""Rows of a live database as a file that is versioned."""
