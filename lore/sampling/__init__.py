"""A sample of each source, read as the pipeline reads it: the screens of `lore check-data`."""
