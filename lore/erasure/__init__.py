"""Forgetting: what contains a target, how it is excluded, and the check that it is gone."""
