"""The page for people: its files, and the paths that it asks beside those of the API."""
