"""Quantities: numbers with their unit, in a field or found in running text, in one form and
converted.

In a field nothing is guessed: a number that two conventions read differently and a unit of another
dimension are refused. In running text what is doubtful is left alone.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

import pint

from stages.clean.span import Span
from stages.clean.values import fields
from stages.clean.values.amounts import Amount, amounts
from stages.clean.values.differences import is_difference
from stages.clean.values.field_units import (
    AmbiguousUnitError,
    FieldUnit,
    Own,
    as_difference,
    field_unit,
    own_currencies,
    wanted_unit,
)
from stages.clean.values.fields import Reading
from stages.clean.values.numbers import (
    LARGEST_EXPONENT,
    LONGEST_NUMERAL,
    UNDECLARED,
    NumberForm,
    widths_folded,
)
from stages.clean.values.units import UNITS, unit_of
from stages.clean.values.unusable import Unusable

DIGITS_KEPT = 15
"""Significant digits of a number in text: as many as a double holds."""
DIGITS_WRITTEN = 2 * LONGEST_NUMERAL
"""Digits before and behind the point of the longest number that a field may have."""
PLUS_MINUS = " ± "
NORMAL = re.compile(
    "(-?[0-9.]+)"
    "(?:(–| ± )(-?[0-9.]+))?"  # 5–10, 120 ± 15
    r" (\S.*)"
)
"""A quantity as `find_quantities` writes it: 5 mg, 5–10 mg, 120 ± 15 mmHg."""
INTERVAL = re.compile(
    "(?P<bound>[<≤>≥~±]?)"
    "(?P<low>-?[0-9.]+)"
    "(?:(?P<joint>–| ± )(?P<high>-?[0-9.]+))?"  # 5–10, 120 ± 15
)
"""The number of a field as `quantity` writes it."""
DIFFERENCE = re.compile(
    r"\b(?:rise|drop|increase|decrease|difference|differential|deviation|tolerance|gradient|delta"
    r"|uncertainty|hysteresis|error|accuracy|precision|swing|span|spread|variation|fluctuation"
    r"|dead ?band|superheat|subcooling|depression|elevation|offset|excursion)s?\b"
    r"|\bchange (?:in|of)\b|\b(?:temperature|temp) change\b|\bapproach temperature\b|[ΔδΔ∆]"
    r"|\b(?:d|delta) ?(?:t|temp|temperature)\b"  # dT
    "|温差|温升|升温|降温|温降|误差|偏差|公差|变化量|温度(?:变化|波动|精度)|[升降][幅高低]值",
    re.IGNORECASE,
)
"""In the name of an attribute, between whose words stand blanks: its values are differences."""
BETWEEN_WORDS = re.compile(
    r"_+"  # temperature_rise
    r"|(?<=[a-z])(?=[A-Z][a-z])"  # temperatureRise
    r"|(?<=delta)(?=T)"  # deltaT
)
"""Where a name of an attribute has two words and no blank."""
SMALLEST_MOVED = 1e-10
"""A temperature on another scale that is nearer to zero than this is zero."""
SCALES_OF_TEXT = {"degC": "delta_degC", "degF": "delta_degF"}
"""Scales of temperature in texts, and the units of their differences."""
UNSPACED = ("%", "‰", "°")
"""Units that stand directly behind their number: 5%."""


def quantity(
    value: str,
    unit: str | None,
    wanted: str,
    digits: int,
    form: NumberForm = UNDECLARED,
    lang: str = "en",
    own: Own = (),
    attribute: str = "",
) -> str:
    """The number of `value` (which may carry its unit) in the unit `wanted`, as plain decimal text.

    A range is `5–10`, a tolerance `5 ± 0.5`, a bound `<5`, `≥5` or `~5`. `form` is how the source
    writes numbers, `own` are the user's spellings of units. An `attribute` that is called a rise or
    a difference takes no temperature of another scale, unless `wanted` is a difference.

    Raises Unusable: `bad_quantity` where there is no unambiguous number, `unknown_unit` where the
    unit is missing, unknown, or of another dimension.
    """
    try:
        reading = fields.read(value, lang, form, own_currencies(own))
        source = _source_unit(value, reading, unit, wanted, own)
    except Unusable:
        as_text = fields.read_as_text(value, lang, form)
        if as_text is None:
            raise
        reading = as_text
        source = _source_unit(value, reading, unit, wanted, own)
    target = wanted_unit(wanted, own)
    in_words = BETWEEN_WORDS.sub(" ", attribute)
    if moves_zero(source.unit, target.unit) and DIFFERENCE.search(in_words):
        raise Unusable(
            "unknown_unit",
            f"{value!r}: {attribute} is a difference of temperatures by its name; write "
            f"`delta {wanted}` in clean.normalise.units",
        )
    if source.unit == target.unit and source.factor == target.factor:
        digits = DIGITS_WRITTEN  # nothing is rounded without a conversion
    low = _in_field(value, reading.low, source, target, reading.bound == "±")
    if reading.high is None:
        return reading.bound + plain(low, digits)
    is_tolerance = reading.joint == PLUS_MINUS
    high = _in_field(value, reading.high, source, target, is_tolerance)
    written_low, written_high = plain(low, digits), plain(high, digits)
    if written_low == written_high and not is_tolerance:  # 10.001–10.002 in four digits
        written_low, written_high = plain(low, DIGITS_KEPT), plain(high, DIGITS_KEPT)
    return written_low + reading.joint + written_high


def moves_zero(source: Any, target: Any) -> bool:
    """Whether the zero point moves from one unit to the other: °F to °C, but not °F to °F."""
    return source != target and _factor(source, target) is None


def bounds(value: str) -> tuple[Decimal | None, Decimal | None] | None:
    """The least and the largest number that a value may be, as `quantity` writes it.

    None at an end that is open. None for what is no number, and for ~5, which has no known ends.
    """
    match = INTERVAL.fullmatch(value)
    if not match or match["bound"] == "~":
        return None
    low = Decimal(match["low"])
    if match["bound"] in ("<", "≤"):
        return None, low
    if match["bound"] in (">", "≥"):
        return low, None
    if match["bound"] == "±":
        return -low, low
    if not match["high"]:
        return low, low
    high = Decimal(match["high"])
    if match["joint"] == PLUS_MINUS:
        return low - high, low + high
    return low, high


def _source_unit(
    value: str, reading: Reading, column: str | None, wanted: str, own: Own
) -> FieldUnit:
    """The unit of a field: the one behind its number, or that of its column.

    Raises Unusable (`unknown_unit`), also where the two are not the same.
    """
    of_column = (column or "").strip()
    written = reading.unit or of_column
    if not written:
        raise Unusable("unknown_unit", f"{value!r} has no unit; {wanted} is wanted")
    source = _known(value, written, wanted, own)
    if reading.unit and of_column and reading.unit != of_column:
        try:
            other = field_unit(of_column, wanted, own)
        except Exception:  # the column holds no unit
            return source
        if other != source:
            raise Unusable(
                "unknown_unit", f"{value!r} has the unit {reading.unit}, its column {of_column}"
            )
    return source


def _known(value: str, written: str, wanted: str, own: Own) -> FieldUnit:
    """The unit that is written. Raises Unusable (`unknown_unit`)."""
    try:
        return field_unit(written, wanted, own)
    except AmbiguousUnitError as problem:
        evidence = f"{value!r}: {problem}; say which in clean.normalise.unit_spellings"
    except Exception:  # pint's parser meets dirty text with errors of every kind
        evidence = f"{value!r}: {written!r} is not a unit that converts to {wanted}"
    raise Unusable("unknown_unit", evidence)


def _in_field(
    value: str, number: Decimal, source: FieldUnit, target: FieldUnit, difference: bool
) -> Decimal:
    """A number of a field in the wanted unit.

    `difference`: it is a tolerance, so that the zero point of a temperature does not count. Raises
    Unusable (`bad_quantity`) for a number that is too large or too small.
    """
    if source == target:
        return number
    one, other = source.unit, target.unit
    if difference:
        one, other = as_difference(one), as_difference(other)
    try:
        converted = _converted(number * source.factor, one, other) / target.factor
    except (ArithmeticError, ValueError):
        converted = Decimal("NaN")
    if not is_sane(converted):
        raise Unusable(
            "bad_quantity",
            f"{value!r} is out of range: numbers from 1e-{LARGEST_EXPONENT} to "
            f"1e{LARGEST_EXPONENT} are read",
        )
    return converted


def is_sane(number: Decimal) -> bool:
    """Whether a number is finite, and neither too large nor too small to be a quantity."""
    if not number.is_finite():
        return False
    return number == 0 or abs(number.adjusted()) <= LARGEST_EXPONENT


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
    if not all(is_sane(number) for number in converted):
        return None
    if sign == PLUS_MINUS:
        converted[1] -= converted[0]
    kept = DIGITS_KEPT if source == target else digits  # nothing is rounded without a conversion
    written = (sign or "").join(plain(number, kept) for number in converted)
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
    moved: float = UNITS.Quantity(float(number), source).m_as(target)
    # In floats 32 °F is 0.00000000000005684 °C: the rest of two large numbers that are nearly equal.
    return Decimal(repr(moved)) if abs(moved) > SMALLEST_MOVED else Decimal(0)


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


def find_quantities(text: str, lang: str, form: NumberForm = UNDECLARED) -> list[Span]:
    """Quantities of a text in their order: numbers with units, ranges (5–10 mg) and tolerances (120
    ± 15 mmHg).

    `lang` is an ISO 639-1 code; number words are read in English, and for `zh` in Chinese. `normal`
    is the number as a plain decimal, a blank and the unit as `measures.canonical` writes it. A
    difference of temperatures is in delta_degC or delta_degF. `form` is how the source of the text
    writes numbers.
    """
    folded = widths_folded(text)
    found = []
    for span in quantities_in(folded, lang, [(0, len(folded))], form):
        number, _, unit = span.normal.rpartition(" ")
        step = SCALES_OF_TEXT.get(unit)
        if step and is_difference(folded, span.start, span.end, "–" in number):
            found.append(span._replace(normal=f"{number} {step}"))
        else:
            found.append(span)
    return found


def quantities_in(
    folded: str, lang: str, parts: Iterable[tuple[int, int]], form: NumberForm = UNDECLARED
) -> Iterator[Span]:
    """The quantities of some parts (start, end) of a text. The words that say what they are may
    stand outside the parts.

    The widths of the text must be folded.
    """
    for start, end in parts:
        for amount in amounts(folded, lang, start, end, form):
            yield Span(amount.start, amount.end, "quantity", _normal(amount))


def _normal(amount: Amount) -> str:
    """The one form of an amount: 5 mg, 5–10 mg, 120 ± 15 mmHg."""
    assert amount.measure
    written = plain(amount.low, DIGITS_KEPT)
    if amount.high is not None:
        between = PLUS_MINUS if amount.sign == "±" else "–"
        written += between + plain(amount.high, DIGITS_KEPT)
    return f"{written} {amount.measure.unit}"
