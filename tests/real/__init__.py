"""A proof on real pretrained checkpoints: `make real`. Not part of `make test`."""
