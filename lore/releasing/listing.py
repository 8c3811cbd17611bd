"""Long lists in messages."""

from collections.abc import Sequence


def first_names(names: Sequence[str], most: int) -> str:
    """Join at most `most` names, and say how many more there are: `a, b and 3 more`."""
    listed = ", ".join(names[:most])
    if len(names) > most:
        listed += f" and {len(names) - most} more"
    return listed
