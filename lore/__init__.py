"""The `lore` command: the tasks that git, dvc and mlflow lack. It imports stages, never the reverse."""
