"""Whether a sentence states a value."""

import re

from stages.core.records.record import fold


def states(sentence: str, value: str) -> bool:
    """Return whether the value stands in the sentence as a whole, in any case, width or spacing.

    A part of another number or word does not count. `It melts at 1538 °C.` states `1538 °C`. It does
    not state `538 °C` or `1538 °`. `It is -1538 °C.` does not state `1538 °C`. An empty value is never
    stated.
    """
    folded = fold(value)
    if not folded:
        return False
    whole = re.compile(
        r"(?<![-.\dA-Za-z])"  # no sign, point, digit or letter right before it: not 21538, not -1538
        + re.escape(folded)
        + r"(?!\.?[\dA-Za-z])"  # no digit or letter right behind it: not 15380, not 1538.4
    )
    return whole.search(fold(sentence)) is not None
