"""Pages about the records: contradictions between sources, and what each rule found."""
