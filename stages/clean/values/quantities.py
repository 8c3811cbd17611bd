"""Quantities: one number with its unit, in a field or found in running text, in one form and
converted.

In a field nothing is guessed: a number that two conventions read differently and a unit of another
dimension are refused. In running text what is doubtful is left alone.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

import pint

from stages.clean.span import Span
from stages.clean.values import chinese
from stages.clean.values.amounts import Amount, amounts
from stages.clean.values.numbers import NO_GAPS, widths_folded
from stages.clean.values.units import UNITS, unit_of
from stages.clean.values.unusable import Unusable

NUMBER = re.compile(
    "[+-]?"
    r"(?:\d{1,3}(?:,\d{3})+"  # 12,345
    r"|\d{1,3}(?: \d{3})+"  # 12 345
    r"|\d+)"
    r"(?:\.\d+)?"
    r"(?:[eE][+-]?\d+)?"
)
EXPONENT = re.compile(r"\s*[x×·]\s*10\^?\s*([+-]?\d+)")
"""× 10^3 and x 103 behind a number."""
BELOW_ZERO = re.compile(r"^(零下|负)\s*(?=\d)")
"""零下5 and 负5 are -5."""
GOES_ON = re.compile(r"[\d.,]|\s\d")
"""Behind a number: 12,3,4 and 1 53 are two numbers, or one in an unknown convention."""
MINUS_AND_NARROW_BLANKS = str.maketrans({"−": "-", "\u2009": " ", "\u202f": " "})
DIGITS_KEPT = 15
"""Significant digits of a number in text: as many as a double holds."""
PLUS_MINUS = " ± "
NORMAL = re.compile(
    "(-?[0-9.]+)"
    "(?:(–| ± )(-?[0-9.]+))?"  # 5–10, 120 ± 15
    r" (\S.*)"
)
"""A quantity as `find_quantities` writes it: 5 mg, 5–10 mg, 120 ± 15 mmHg."""
UNSPACED = ("%", "‰", "°")
"""Units that stand directly behind their number: 5%."""


def quantity(value: str, unit: str | None, wanted: str, digits: int) -> str:
    """The number of `value` (which may carry its unit) in the unit `wanted`, as plain decimal text.

    Raises Unusable: `bad_quantity` where there is no unambiguous number, `unknown_unit` where the
    unit is missing, unknown, or of another dimension.
    """
    number, written = split_quantity(value)
    written = written or (unit or "").strip()
    if not written:
        raise Unusable("unknown_unit", f"{value!r} has no unit; {wanted} is wanted")
    try:
        converted = _converted(number, unit_of(written, wanted), unit_of(wanted, wanted))
    except Exception:  # pint's parser meets dirty text with errors of every kind
        raise Unusable(
            "unknown_unit", f"{value!r}: {written!r} is not a unit that converts to {wanted}"
        ) from None
    return plain(converted, digits)


def split_quantity(value: str) -> tuple[Decimal, str]:
    """The number of a field and the text behind it. Raises Unusable (`bad_quantity`)."""
    text = unicodedata.normalize("NFC", value).translate(MINUS_AND_NARROW_BLANKS).strip()
    text = BELOW_ZERO.sub("-", text).replace("，", ",")
    match = NUMBER.match(text)
    if not match:
        raise Unusable("bad_quantity", f"{value!r} is not one unambiguous number")
    rest = text[match.end() :]
    if GOES_ON.match(rest):
        raise Unusable("bad_quantity", f"{value!r} is not one unambiguous number")
    number = Decimal(match.group().translate(NO_GAPS))
    if power := EXPONENT.match(rest):
        number = number.scaleb(int(power[1]))
        rest = rest[power.end() :]
    power_of_ten, rest = chinese.myriads(rest)
    return number.scaleb(power_of_ten), rest.strip()


def plain(number: Decimal, digits: int) -> str:
    """The number rounded to significant digits, without exponent or trailing zeros: 1538, 0.08988,
    -38.83.
    """
    rounded = Context(prec=digits).plus(number)
    text = format(rounded, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def convert_to_one(normal: str, units: tuple[str, ...], digits: int) -> str | None:
    """The quantity in the first of `units` that has its dimension, as `convert` writes it.

    None where none has.
    """
    wanted = _first_of_dimension(normal.rpartition(" ")[2], units)
    return convert(normal, wanted, digits) if wanted else None


@lru_cache(maxsize=4096)
def _first_of_dimension(written: str, units: tuple[str, ...]) -> str | None:
    for unit in units:
        if _convertible(written, unit):
            return unit
    return None


@lru_cache(maxsize=8192)
def convert(normal: str, wanted: str, digits: int) -> str | None:
    """A quantity as `find_quantities` writes it, in the unit `wanted`, which is spelt like that in
    the result.

    `digits`: significant digits kept. None where the dimension is another. Of units without a
    dimension (%, degree) only the same one is accepted: 5 % is no angle. Raises pint's errors for
    an unknown unit.
    """
    match = NORMAL.fullmatch(normal)
    if not match:
        raise ValueError(f"{normal!r} is not a quantity as find_quantities writes it")
    first, sign, second, unit = match.groups()
    units = _convertible(unit, wanted)
    if not units:
        return None
    source, target = units
    numbers = [Decimal(first)]
    if second:
        numbers.append(Decimal(second))
    if sign == PLUS_MINUS:
        # A tolerance is converted as the distance of two numbers, because the zero point of a
        # temperature must not count.
        numbers[1] += numbers[0]
    try:
        converted = [_converted(number, source, target) for number in numbers]
    except pint.DimensionalityError:  # a difference of temperatures, as in °C per metre
        return None
    if sign == PLUS_MINUS:
        converted[1] -= converted[0]
    written = (sign or "").join(plain(number, digits) for number in converted)
    blank = "" if wanted in UNSPACED else " "
    return written + blank + wanted


@lru_cache(maxsize=8192)
def _convertible(written: str, wanted: str) -> tuple[Any, Any] | None:
    """pint's units of both, None where the first does not convert to the second."""
    source = unit_of(written, wanted)
    target = unit_of(wanted, wanted)
    if source.dimensionality != target.dimensionality:
        return None
    if source.dimensionless and source != target:
        return None
    return source, target


def _converted(number: Decimal, source: Any, target: Any) -> Decimal:
    if source == target:
        return number
    factor = _factor(source, target)
    if factor is not None:
        return Decimal(repr(float(number) * factor))
    return Decimal(repr(UNITS.Quantity(float(number), source).m_as(target)))


@lru_cache(maxsize=1024)
def _factor(source: Any, target: Any) -> float | None:
    """The factor from one unit to another, which pint takes 30 µs to find out.

    None where a zero point moves (°F to °C).
    """
    one = UNITS.Quantity(1.0, source)
    if not one._is_multiplicative or not UNITS.Quantity(1.0, target)._is_multiplicative:
        return None
    factor: float = one.m_as(target)
    return factor


def find_quantities(text: str, lang: str) -> list[Span]:
    """Quantities of a text in their order: numbers with units, ranges (5–10 mg) and tolerances (120
    ± 15 mmHg).

    `lang` is an ISO 639-1 code; number words are read in English, and for `zh` in Chinese. `normal`
    is the number as a plain decimal, a blank and the unit as `measures.canonical` writes it.
    """
    folded = widths_folded(text)
    return list(quantities_in(folded, lang, [(0, len(folded))]))


def quantities_in(folded: str, lang: str, parts: Iterable[tuple[int, int]]) -> Iterator[Span]:
    """The quantities of some parts (start, end) of a text. The words that say what they are may
    stand outside the parts.

    The widths of the text must be folded.
    """
    for start, end in parts:
        for amount in amounts(folded, lang, start, end):
            yield Span(amount.start, amount.end, "quantity", _normal(amount))


def _normal(amount: Amount) -> str:
    """The one form of an amount: 5 mg, 5–10 mg, 120 ± 15 mmHg."""
    assert amount.measure
    written = plain(amount.low, DIGITS_KEPT)
    if amount.high is not None:
        between = PLUS_MINUS if amount.sign == "±" else "–"
        written += between + plain(amount.high, DIGITS_KEPT)
    return f"{written} {amount.measure.unit}"
