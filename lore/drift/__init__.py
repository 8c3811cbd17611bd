"""Drift: whether the records are distributed as those of an earlier version, and which rows stand out."""
