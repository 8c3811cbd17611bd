"""Units of fields: what pint reads, and the spellings and units that it lacks.

Units are those of pint (pint.readthedocs.io). Units of running text, where most letters are no
unit, are in `measures.py`.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pint

from stages.clean.tables import read_lines, read_mapping, read_words
from stages.clean.values import chinese, currencies

DATA = Path(__file__).parent / "data"
ALIASES = read_mapping(DATA / "unit_aliases.csv", "spelling", "unit")
"""Spellings that pint does not know, and what they are called there."""
COUNTED = read_words(DATA / "counted.txt")
"""Things that doses are counted by, below a line: mg/tablet."""

UNITS: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
for definition in (*chinese.DEFINITIONS, *read_lines(DATA / "pint_definitions.txt")):
    UNITS.define(definition)
for definition in currencies.DEFINITIONS:
    UNITS.define(definition)
for thing in COUNTED:
    UNITS.define(f"{thing} = [{thing}]")  # a dimension of its own: a tablet is no capsule

TEMPERATURES = {"C": "degC", "F": "degF"}
"""Pint reads C as coulomb and F as farad. Where a temperature is wanted they are these."""

_NAME = (
    r"(?:[^\W\d_]"  # a letter: kg, 克
    r"|[°%]"
    r"|(?<=[^\W\d_])_(?=[^\W\d_]))+"  # an underscore between letters: base_pair
)
_EXPONENT = (
    r"(?:(?:\^|\*\*)?-?\d(?!\d)"  # one digit: m^3, m**3, m3, s-1
    r"|[⁻¹²³⁴⁵⁶⁷⁸⁹]+)"  # or superscripts: m³, s⁻¹
)
UNIT = re.compile(
    r"(?:1/)?[/*·⋅ ]?"
    rf"{_NAME}"
    rf"(?:{_EXPONENT}[/*·⋅ ]?{_NAME}|[/*·⋅ ]{_NAME})*"
    rf"{_EXPONENT}?"
)
"""A unit that may go to pint's parser: kg/m³, 1/min, mmol/L, kg m-3. Not: 9**9**9,
__import__('os').

Pint's parser evaluates expressions, so only names with exponents of one digit go there. The pattern
can read a text in one way only, so a long text takes no longer than its length. Possessive repeats
would ensure that too, but Python before 3.11.5 gets them wrong (CPython issue 106052).
"""
LONGEST_UNIT = 40
"""Characters."""
POWER = re.compile(r"(?<=[^\W\d_])(-?\d)(?=[/*·⋅ ]|$)")
"""The exponent in cm3 or s-1, which pint wants as cm**3 and s**-1."""


@lru_cache(maxsize=1024)
def unit_of(written: str, wanted: str) -> Any:
    """The unit of pint for what is written.

    `C` and `F` are temperatures where `wanted` is one. Raises ValueError for what has not the form
    of a unit, and the errors of pint for an unknown name.
    """
    written = chinese.pint_unit(ALIASES.get(written, written))
    wanted = chinese.pint_unit(ALIASES.get(wanted, wanted))
    if len(written) > LONGEST_UNIT or not UNIT.fullmatch(written):
        raise ValueError(f"{written!r} does not look like a unit")
    if written in TEMPERATURES:
        wanted_dimension = UNITS.parse_units(wanted).dimensionality
        if wanted_dimension == {"[temperature]": 1}:
            written = TEMPERATURES[written]
    return UNITS.parse_units(POWER.sub(r"**\1", written))
