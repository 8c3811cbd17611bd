"""Asking the teacher: what is missing in its record, what that costs, the endpoint, and the journal of a run."""
