"""The `lore` command: what git, dvc and mlflow lack. It imports stages, never the reverse."""
