"""Executors run a function over batches: on this machine, or on a Ray cluster."""
