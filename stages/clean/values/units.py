"""Units: pint's parser for what a field says, and what of running text is a unit at all.

Units are pint's (pint.readthedocs.io). Pint knows hundreds of symbols under two dozen prefixes, so that almost any letters are
some unit (PD is a petadebye); in prose only the spellings below are read as units, and pint says what they are. Letters that
mostly mean something else (`CUES`) need a word near by that says what is measured.
"""

import re
from functools import lru_cache
from typing import Any

import pint

from stages.clean.values import chinese

UNITS: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
ALIASES = {
    "°C": "degC", "℃": "degC", "°F": "degF", "℉": "degF", "°K": "K", "摄氏度": "degC", "华氏度": "degF", "开": "K",
    "deg C": "degC", "deg F": "degF", "mm[Hg]": "mmHg", "kb": "kbp", "Mb": "Mbp",
}  # fmt: skip
"""Spellings that pint does not know."""
COUNTED = ("pair", "person", "patient", "animal", "cell", "tablet", "capsule", "dose", "serving")
"""What doses are counted by, below a line: mg/tablet."""
DEFINITIONS = (
    "international_unit = [international_unit] = IU", "base_pair = [base_pair] = bp", "equivalent = [equivalent] = Eq",
    "osmole = [osmole] = Osm", "centimorgan = [morgan] = cM",
    *(f"{name} = [{name}]" for name in COUNTED),
)  # fmt: skip
"""What medicine and genetics measure in and pint lacks."""
for definition in (*chinese.DEFINITIONS, *DEFINITIONS):
    UNITS.define(definition)
TEMPERATURES = {"C": "degC", "F": "degF"}
"""Coulomb and farad, unless a temperature is wanted."""
_NAME = r"(?:[^\W\d_]|[°%]|(?<=[^\W\d_])_(?=[^\W\d_]))+"
_EXPONENT = r"(?:(?:\^|\*\*)?-?\d(?!\d)|[⁻¹²³⁴⁵⁶⁷⁸⁹]+)"
UNIT = re.compile(
    rf"(?:1/)?[/*·⋅ ]?{_NAME}(?:{_EXPONENT}[/*·⋅ ]?{_NAME}|[/*·⋅ ]{_NAME})*{_EXPONENT}?"
)
"""What may go to pint's parser, which evaluates expressions: names with one-digit exponents, so no 9**9**9.

Read in one way only, so that long ones take no longer. Possessive repeats would see to that too, but Python before 3.11.5 gets
them wrong (CPython issue 106052).
"""
LONGEST_UNIT = 40
POWER = re.compile(r"(?<=[^\W\d_])(-?\d)(?=[/*·⋅ ]|$)")
"""The exponent in cm3, which pint wants as cm**3."""


@lru_cache(maxsize=1024)
def unit_of(written: str, wanted: str) -> Any:
    """pint's unit. `C` and `F` are temperatures where one is wanted. Raises pint's errors."""
    written, target = (chinese.pint_unit(ALIASES.get(name, name)) for name in (written, wanted))
    if len(written) > LONGEST_UNIT or not UNIT.fullmatch(written):
        raise ValueError(f"{written!r} does not look like a unit")
    if written in TEMPERATURES and UNITS.parse_units(target).dimensionality == {"[temperature]": 1}:
        written = TEMPERATURES[written]
    return UNITS.parse_units(POWER.sub(r"**\1", written))
