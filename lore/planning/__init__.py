"""Which stages will run, what they cost, and whether a model fits this machine."""
