"""Quantities: one number with its unit, in a field or found in running text, in one form and converted.

In a field nothing is guessed: a number that two conventions read differently and a unit of another dimension are refused. In
running text what is doubtful is left alone.
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
from stages.clean.values.numbers import widths_folded
from stages.clean.values.units import UNITS, unit_of
from stages.clean.values.unusable import Unusable

NUMBER = re.compile(
    r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?"
)
EXPONENT = re.compile(r"\s*[x×·]\s*10\^?\s*([+-]?\d+)")
DIGITS_KEPT = 15
"""Of a number in text: as many as a double holds."""
NORMAL = re.compile(r"(-?[0-9.]+)(?:(–| ± )(-?[0-9.]+))? (\S.*)")


def quantity(value: str, unit: str | None, wanted: str, digits: int) -> str:
    """The number of `value` (which may carry its unit) in the unit `wanted`, as plain decimal text.

    Raises Unusable: `bad_quantity` where there is no unambiguous number, `unknown_unit` where the unit is missing,
    unknown, or of another dimension.
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
    """Number and what stands behind it. Raises Unusable (`bad_quantity`)."""
    text = (
        unicodedata.normalize("NFC", value)
        .replace("−", "-")
        .replace("\u2009", " ")
        .replace("\u202f", " ")
        .strip()
    )
    text = re.sub(r"^(零下|负)\s*(?=\d)", "-", text).replace("，", ",")
    match = NUMBER.match(text)
    rest = text[match.end() :] if match else ""
    if not match or re.match(
        r"[\d.,]|\s\d", rest
    ):  # 12,3,4 or 1 53: two numbers, or a convention we do not know
        raise Unusable("bad_quantity", f"{value!r} is not one unambiguous number")
    number = Decimal(match.group().replace(",", "").replace(" ", ""))
    if power := EXPONENT.match(rest):
        number, rest = number.scaleb(int(power.group(1))), rest[power.end() :]
    power_of_ten, rest = chinese.myriads(rest)
    return number.scaleb(power_of_ten), rest.strip()


def plain(number: Decimal, digits: int) -> str:
    """Rounded to significant digits, without exponent or trailing zeros: 1538, 0.08988, -38.83."""
    rounded = Context(prec=digits).plus(number)
    text = format(rounded, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def convert_to_one(normal: str, units: tuple[str, ...], digits: int) -> str | None:
    """As `convert`, in the first of `units` that has its dimension."""
    wanted = _first(normal.rpartition(" ")[2], units)
    return convert(normal, wanted, digits) if wanted else None


@lru_cache(maxsize=4096)
def _first(written: str, units: tuple[str, ...]) -> str | None:
    return next((unit for unit in units if _units(written, unit)), None)


@lru_cache(maxsize=8192)
def convert(normal: str, wanted: str, digits: int) -> str | None:
    """A quantity as `find_quantities` writes it, in the unit `wanted`, spelt like that; None where the dimension is another.

    `digits`: significant digits kept. Of what has no dimension (%, degree) only the same unit is taken: 5 % is no angle.
    Raises pint's errors for an unknown unit.
    """
    first, sign, second, unit = _parts(normal)
    if not (units := _units(unit, wanted)):
        return None
    source, target = units
    written = [
        Decimal(first),
        *([Decimal(second) + (Decimal(first) if sign == " ± " else 0)] if second else []),
    ]
    try:
        numbers = [_converted(number, source, target) for number in written]
    except pint.DimensionalityError:  # a difference of temperatures, as in °C per metre
        return None
    if sign == " ± ":
        numbers[1] -= numbers[0]
    blank = "" if wanted in ("%", "‰", "°") else " "
    return (sign or "").join(plain(number, digits) for number in numbers) + blank + wanted


@lru_cache(maxsize=8192)
def _units(written: str, wanted: str) -> tuple[Any, Any] | None:
    """pint's units of both, None where the first does not convert."""
    source, target = unit_of(written, wanted), unit_of(wanted, wanted)
    if source.dimensionality != target.dimensionality or (
        source.dimensionless and source != target
    ):
        return None
    return source, target


def _parts(normal: str) -> tuple[str, str | None, str | None, str]:
    found = NORMAL.fullmatch(normal)
    if not found:
        raise ValueError(f"{normal!r} is not a quantity as find_quantities writes it")
    return found[1], found[2], found[3], found[4]


def _converted(number: Decimal, source: Any, target: Any) -> Decimal:
    if source == target:
        return number
    factor = _factor(source, target)
    value = (
        UNITS.Quantity(float(number), source).m_as(target)
        if factor is None
        else float(number) * factor
    )
    return Decimal(repr(value))


@lru_cache(maxsize=1024)
def _factor(source: Any, target: Any) -> float | None:
    """What pint multiplies a number with, which it takes 30 µs to find out; None where a zero point moves (°F to °C)."""
    one = UNITS.Quantity(1.0, source)
    return (
        one.m_as(target)
        if one._is_multiplicative and UNITS.Quantity(1.0, target)._is_multiplicative
        else None
    )


def find_quantities(text: str, lang: str) -> list[Span]:
    """Quantities of a text in their order: numbers with units, ranges (5–10 mg) and tolerances (120 ± 15 mmHg).

    `lang` is an ISO 639-1 code; number words are read in English, and for `zh` in Chinese. `normal` is the number as a plain
    decimal, a blank and the unit as `measures.canonical` writes it.
    """
    folded = widths_folded(text)
    return [*quantities_in(folded, lang, [(0, len(folded))])]


def quantities_in(folded: str, lang: str, parts: Iterable[tuple[int, int]]) -> Iterator[Span]:
    """Those of some parts (start, end) of a text, widths folded; what says what they are may stand outside."""
    for start, end in parts:
        for found in amounts(folded, lang, start, end):
            yield Span(found.start, found.end, "quantity", _normal(found))


def _normal(found: Amount) -> str:
    assert found.measure
    high = (
        ""
        if found.high is None
        else {"–": "–", "±": " ± "}[found.sign] + plain(found.high, DIGITS_KEPT)
    )
    return f"{plain(found.low, DIGITS_KEPT)}{high} {found.measure.unit}"
