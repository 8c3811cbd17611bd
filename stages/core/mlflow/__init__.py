"""MLflow: runs, model versions, and the model as it is served."""
