"""Forgetting: where a target is kept, how it is removed, and the check that it is gone."""
