"""From an answer back to its source, and from a source forward to its answers."""
