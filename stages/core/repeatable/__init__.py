"""Seeds, fingerprints and remembered results."""
