"""Gaps of the knowledge: what the model fails, what the records lack, and what people asked in vain."""
