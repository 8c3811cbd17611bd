"""Rules, contradictions between sources, and answers that differ."""
