"""Updates: the facts that changed since the model was trained, and whether to train it."""
