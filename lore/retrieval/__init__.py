"""Answers from the records: the fact that a question names, or the nearest record of the index."""
