"""What keeps a project whole: dvc.yaml, params.yaml, the stages' code and the data name the same things."""
