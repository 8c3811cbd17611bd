"""Loading, training and asking language models."""
