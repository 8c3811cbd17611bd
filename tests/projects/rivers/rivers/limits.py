"""Which lengths count as long."""


def is_long(value: str, at_least: float) -> bool:
    """Tell whether a length in km, as clean writes it, is at least `at_least`."""
    return float(value) >= at_least
