"""Units of fields: every spelling that running text knows, pint's names, UCUM codes, currencies, and
the user's own spellings.

A field names the unit that it wants, and only readings of its dimension count: `C` is a temperature
where one is wanted. A spelling with two such readings that differ is refused.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from stages.clean.tables import read_mapping
from stages.clean.values import currencies, ucum
from stages.clean.values.measures import FACTORS, LATIN, canonical, measure
from stages.clean.values.numbers import SUPERSCRIPTS, widths_folded
from stages.clean.values.units import UNITS, unit_of

SPELLINGS = read_mapping(Path(__file__).parent / "data" / "field_units.csv", "spelling", "unit")
"""Spellings that mean a unit in a field alone, and the unit as pint reads it."""
Own = tuple[tuple[str, str], ...]
"""The user's own spellings (`unit_spellings`), each with its unit."""
DIFFERENCE = re.compile(r"(?:delta[ _]|[Δ∆] ?)(?P<unit>\S.*)")
"""A difference of temperatures: delta °C, Δ°C, delta_degC."""
DIFFERENCES = {
    "degree_Celsius": "delta_degree_Celsius",
    "degree_Fahrenheit": "delta_degree_Fahrenheit",
}
"""Pint's scales with a zero point of their own, and the units of their differences."""
STEPS = DIFFERENCES | {
    "kelvin": "delta_degree_Celsius",
    "degree_Rankine": "delta_degree_Fahrenheit",
}
"""All scales of temperature, and the differences that are as large as one degree of each. A setting
`delta K` wants a difference, to which a temperature in °F does not convert."""
STOP = re.compile(r"(?<=[A-Za-z])\.(?=$| |/|\))")
"""The full stop of an abbreviation: in., sq. ft."""
TIMES_TEN = re.compile(
    r"[x×*]? ?10(?:(?:\^|\*\*?|[eE])(?P<plain>-?[0-9]{1,2})|(?P<raised>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2}))"
    r" ?[·*. ]?(?=[/A-Za-zµ%])"
)
"""A power of ten that belongs to a unit: 10^9/L, x10³/µL."""
SMALL_LITRE = str.maketrans({"ℓ": "l", "・": "·", "⋅": "·", "∙": "·", "•": "·"})
HYPHEN = re.compile(r"(?<=[A-Za-z])-(?=[A-Za-z])")
"""Between two units that are multiplied: A-h, kgf-m."""


TWO_MEANINGS = re.compile(
    r"(?<![A-Za-z\[])(?:gr|grs|[cC]alories?|Cal|Cals|CAL|M[lL]|MIU|MU"
    r"|(?<!short )(?<!long )(?<!metric )(?:[tT]ons?|TONS?))(?![A-Za-z\]])"
    r"|(?<![A-Za-z\[])N[mM](?:\^|\*\*?)?[3³]"
)
"""A gram or a grain; a calorie of physics, or one of food, which is a thousand times larger; a
megalitre or a millilitre in capitals; a million or a thousandth of an international unit; a short,
long or metric ton; a cubic nanometre, or a cubic metre of gas at its normal state (Nm3)."""
IN_CAPITALS = {
    "MG": "mg",
    "MCG": "µg",
    "UG": "µg",
    "NG": "ng",
    "PG": "pg",
    "ML": "mL",
    "DL": "dL",
    "UL": "µL",
    "MMOL": "mmol",
    "UMOL": "µmol",
    "NMOL": "nmol",
    "MIN": "min",
    "HR": "h",
}
"""Parts of a unit all in capitals, as registers of drugs and laboratories write them: MG/ML."""
CAPITAL_PART = re.compile(r"[A-Z]+")
TONNES = ("Mg", "tonne", "metric_ton", "kilogram")
"""Units in which MG may be a megagram in capitals."""


class FieldUnit(NamedTuple):
    """A unit of a field."""

    unit: Any
    """As pint has it."""
    factor: Decimal = Decimal(1)
    """What the number before it is multiplied with: 1000 for 10*3/uL."""


SIGNS = {"G": "gauss", "S": "siemens", "H": "henry", "T": "tesla", "D": "debye"}
"""Capitals that people write for gram, second, hour, tonne and day, and that are signs of other units."""


class AmbiguousUnitError(ValueError):
    """A spelling with two readings."""


@lru_cache(maxsize=1024)
def wanted_unit(written: str, own: Own = ()) -> FieldUnit:
    """The unit that a setting wants. Raises ValueError for an unknown one."""
    difference = DIFFERENCE.fullmatch(written)
    if difference:
        named = wanted_unit(difference["unit"], own)
        step = STEPS.get(str(named.unit))
        return named._replace(unit=UNITS.Unit(step)) if step else named
    own_unit = _own(written, own)
    if own_unit is not None:
        return own_unit
    if written in currencies.NAMES:
        return FieldUnit(UNITS.parse_units(currencies.NAMES[written]))
    by_pint = _pint_unit(written, written)
    if by_pint is not None:
        return FieldUnit(by_pint)
    for readings in (
        _readings(written, written),
        _pint_readings(written, written),
        _further_readings(written, written),
    ):
        first = next(readings, None)
        if first is not None:
            return first
    raise ValueError(f"{written!r} is no known unit")


def shown(wanted: str) -> str:
    """The wanted unit as records show it: a difference in °C is written as °C."""
    difference = DIFFERENCE.fullmatch(wanted)
    return difference["unit"].removeprefix("deg") if difference else wanted


@lru_cache(maxsize=4096)
def field_unit(written: str, wanted: str, own: Own = ()) -> FieldUnit:
    """The unit of a field that is wanted in another one.

    Raises ValueError for an unknown spelling and for one of another dimension, AmbiguousUnitError where two
    readings fit.
    """
    target = wanted_unit(wanted, own)
    own_unit = _own(written, own)
    if own_unit is not None:
        if _is_difference(target.unit):
            own_unit = own_unit._replace(unit=as_difference(own_unit.unit))
        if not converts(own_unit.unit, target.unit):
            raise ValueError(f"{written!r} is not a unit that converts to {wanted}")
        return own_unit
    written = _small_parts(written, target)
    if TWO_MEANINGS.search(written) and written != wanted:
        raise AmbiguousUnitError(f"{written!r} has two meanings")
    is_difference = DIFFERENCE.fullmatch(written)
    if is_difference:
        written = is_difference["unit"]
    for readings in (
        _readings(written, wanted),
        _pint_readings(written, wanted),
        _further_readings(written, wanted),
    ):
        some = list(readings)
        if is_difference or _is_difference(target.unit):
            some = [reading._replace(unit=as_difference(reading.unit)) for reading in some]
        fitting = [reading for reading in some if converts(reading.unit, target.unit)]
        if fitting:
            sign_of = SIGNS.get(written, str(fitting[0].unit))
            if sign_of != str(fitting[0].unit):
                raise AmbiguousUnitError(
                    f"{written!r} is the sign of {sign_of}, and may be {fitting[0].unit}"
                )
            return _fitting(fitting, target, written, wanted)
    raise ValueError(f"{written!r} is not a unit that converts to {wanted}")


def _small_parts(written: str, target: FieldUnit) -> str:
    """The spelling with small letters, where it is all in capitals and can mean one thing only.

    MG/ML is mg/mL. MG alone is mg where a mass up to a gram is wanted. ML alone stays.
    """
    if not written.isupper():
        return written
    if "/" in written and not written.endswith("/D"):  # ML/D may be megalitres a day
        return CAPITAL_PART.sub(lambda part: IN_CAPITALS.get(part[0], part[0]), written)
    if written in ("MG", "MCG") and str(target.unit) not in TONNES:
        return IN_CAPITALS[written]
    return written


def own_currencies(own: Own) -> tuple[str, ...]:
    """The user's own spellings that are currencies, such as $. They may stand before a number."""
    spellings = []
    for spelling, unit in own:
        if unit in currencies.NAMES:
            spellings.append(spelling)
    return tuple(spellings)


def converts(source: Any, target: Any) -> bool:
    """Whether a number in one unit has a value in the other.

    An angle and a share are both without dimension, and yet no value of each other.
    """
    if source.dimensionality != target.dimensionality:
        return False
    return bool(_root(source) == _root(target))


@lru_cache(maxsize=1024)
def _root(unit: Any) -> Any:
    """The unit in base units, among which radian and bit are kept, and counts are not."""
    if unit.dimensionality == {"[temperature]": 1}:
        return "kelvin"
    if not UNITS.Quantity(1.0, unit)._is_multiplicative:
        return str(unit)  # a logarithm, such as a decibel
    base = UNITS.get_base_units(unit)[1]
    counts = base._units.get("count", 0)
    return base / UNITS.count**counts


def _fitting(readings: list[FieldUnit], target: FieldUnit, written: str, wanted: str) -> FieldUnit:
    """The one reading that fits the target. Raises ValueError, or AmbiguousUnitError."""
    first = readings[0]
    if not converts(first.unit, target.unit):
        raise ValueError(f"{written!r} is not a unit that converts to {wanted}")
    if _is_difference(first.unit) and not _is_difference(target.unit):
        raise ValueError(f"{written!r} is a difference of temperatures, and {wanted} is none")
    for other in readings[1:]:
        if not _same(first, other):
            raise AmbiguousUnitError(f"{written!r} may be {first.unit} or {other.unit}")
    # Mg where mg is wanted is rather a slip than a megagram.
    if written != wanted and written.casefold() == wanted.casefold():
        if not _same(first, target):
            raise AmbiguousUnitError(f"{written!r} may be {wanted}, or {first.unit}")
    return first


def _same(one: FieldUnit, other: FieldUnit) -> bool:
    """Whether two units are the same or differ only in name."""
    if one.factor != other.factor:
        return False
    if one.unit == other.unit:
        return True
    try:
        return bool(abs(UNITS.Quantity(1.0, one.unit).m_as(other.unit) - 1) < 1e-9)
    except Exception:  # scales with another zero point, or logarithms
        return False


def _is_difference(unit: Any) -> bool:
    return str(unit) in DIFFERENCES.values()


def as_difference(unit: Any) -> Any:
    """The unit of a difference on a scale. Other units stay: a kelvin is one already."""
    name = DIFFERENCES.get(str(unit))
    return UNITS.Unit(name) if name else unit


def _own(written: str, own: Own) -> FieldUnit | None:
    """The unit of one of the user's own spellings."""
    for spelling, unit in own:
        if written == spelling:
            return wanted_unit(unit)
    return None


def _readings(written: str, wanted: str) -> Iterator[FieldUnit]:
    """What the spelling means in running text and in fields."""
    text = tidied(written)
    for form in dict.fromkeys((text, STOP.sub("", text))):
        found = measure(f"1 {form}", 0, 1)
        if found and found.end == len(form) + 2 and found.word not in FACTORS:
            yield FieldUnit(unit_of(found.unit, wanted))
        elif (
            form in LATIN and form.isascii() and form not in FACTORS
        ):  # beats, of which no text has a number alone
            yield FieldUnit(unit_of(canonical(LATIN[form]), wanted))
        if form in SPELLINGS:
            yield FieldUnit(unit_of(SPELLINGS[form], wanted))


def _pint_readings(written: str, wanted: str) -> Iterator[FieldUnit]:
    """What the spelling means to pint, and as a currency.

    Pint puts a prefix before every unit (kmph is a thousand miles per hour), so that it is asked
    only about what no table has.
    """
    text = tidied(written)
    for form in dict.fromkeys((text, STOP.sub("", text))):
        by_pint = _pint_unit(currencies.replaced(form), wanted)
        if by_pint is not None:
            yield FieldUnit(by_pint)


def _pint_unit(written: str, wanted: str) -> Any:
    """The unit that pint reads, or None. Its parser meets dirty text with errors of every kind."""
    try:
        return unit_of(written, wanted)
    except Exception:
        return None


def _further_readings(written: str, wanted: str) -> Iterator[FieldUnit]:
    """What the spelling means as a code of UCUM, with a power of ten, or with hyphens."""
    text = tidied(written)
    code = ucum.parsed(text.replace("^", "*"))
    if code:
        exponent, expression = code
        yield FieldUnit(UNITS.parse_units(expression), Decimal(1).scaleb(exponent))
    times_ten = TIMES_TEN.match(text)
    if times_ten:
        digits = times_ten["plain"] or times_ten["raised"].translate(SUPERSCRIPTS)
        rest = text[times_ten.end() :]
        rest = f"1{rest}" if rest.startswith("/") else rest
        of_rest = (*_readings(rest, wanted), *_pint_readings(rest, wanted), *_ucum_readings(rest))
        for reading in of_rest:
            yield reading._replace(factor=Decimal(1).scaleb(int(digits)))
    if HYPHEN.search(text):
        product = HYPHEN.sub("*", text)
        yield from _readings(product, wanted)
        yield from _pint_readings(product, wanted)
    folded = text.lower()
    if folded != text and text[0] not in "MmPp":  # MG may be mg or a megagauss
        yield from _readings(folded, wanted)
        yield from _pint_readings(folded, wanted)


def _ucum_readings(text: str) -> Iterator[FieldUnit]:
    code = ucum.parsed(text.removeprefix("1"))
    if code:
        exponent, expression = code
        yield FieldUnit(UNITS.parse_units(expression), Decimal(1).scaleb(exponent))


def tidied(written: str) -> str:
    """The spelling with widths and look-alikes folded, and without a hidden blank."""
    text = widths_folded(written).translate(SMALL_LITRE)
    return " ".join(text.split())
