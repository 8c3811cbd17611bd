"""Whether two values say the same: as numbers where both are numbers, and as words otherwise.

1000, 1000.0, 1e3, 1,000 and 1 000 are one number. A number with a leading zero is a code, such as a
postcode: 01234 is not 1234. Nothing is rounded, and no exponent makes a huge number: values are
compared as `decimal.Decimal`, and one beyond `LARGEST` as words.
"""

import re
from decimal import Decimal
from math import inf, isnan

from stages.core.records.record import Names, compared_name, fold

LARGEST = 300
"""Largest power of ten of a value that is read as a number, upwards and downwards. A double holds
numbers up to 308."""
MINUS = str.maketrans({"−": "-", "–": "-", "﹣": "-"})
"""Signs that are written for a minus."""
# 7, -7.5, .5, 1e3, and not 007. In groups of three digits with one sign between them: 1,000.5,
# 1 000, 1'000.
PLAIN = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,9})?", re.ASCII)
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}([, '’])\d{3}(?:\1\d{3})*(?:\.\d+)?", re.ASCII)
# Any number that Python would read, without its underscores and words (inf, nan): 1e999.
WRITTEN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)


def number_of(value: str) -> Decimal | None:
    """Return the number that a value is, or None where it is none, or none that can be compared."""
    text = fold(value).translate(MINUS)
    grouped = GROUPED.fullmatch(text)
    if grouped:
        text = text.replace(grouped[1], "")
    elif not PLAIN.fullmatch(text):
        return None
    number = Decimal(text)
    if number and abs(number.adjusted()) > LARGEST:
        return None
    return number


def same(value: str, other: str, names: Names = "fold") -> bool:
    """Whether two values say the same, as numbers or as words. With `exact`, case counts in words."""
    number, other_number = number_of(value), number_of(other)
    if number is not None and other_number is not None:
        return number == other_number
    if names == "exact":
        return compared_name(value, names) == compared_name(other, names)
    return fold(value) == fold(other)


def within(value: str, other: str, absolute: float, relative: float) -> bool | None:
    """Whether two numbers lie no farther apart than the larger of two limits.

    `relative` is a share of `value`. None: one of the values is no number.
    """
    number, other_number = number_of(value), number_of(other)
    if number is None or other_number is None:
        return None
    limit = max(absolute, relative * abs(float(number)))
    return abs(float(number) - float(other_number)) <= limit


def as_float(value: object) -> float | None:
    """Return a value as the number that rules see, or None where it is none.

    A number too large for a double is infinite, so it breaks every upper limit. The words `inf` and
    `nan` are no numbers.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        number = float(value)
        return None if isnan(number) else number
    if not isinstance(value, str) or not WRITTEN.fullmatch(value.strip()):
        return None
    return float(value)


def for_json(number: float, written: str) -> float | str:
    """Return a number as strict JSON can hold it: an infinite one as it was written."""
    return written if number in (inf, -inf) else number
