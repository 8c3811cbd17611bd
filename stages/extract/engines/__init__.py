"""Recognition engines."""
