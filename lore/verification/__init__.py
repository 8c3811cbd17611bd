"""Make a revision anew elsewhere and compare it with what dvc.lock says."""
