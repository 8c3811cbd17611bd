"""Three-way merges of dvc.lock."""
