"""Filters: repeated texts, recurring lines, texts with little information."""
