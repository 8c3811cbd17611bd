"""Codes of the Unified Code for Units of Measure (ucum.org) as pint reads them: mg/dL, mm[Hg], Cel,
10*3/uL, {beats}/min.

Laboratories and HL7 documents write units so. Codes without case (MG/DL) are not read.
"""

import re
from functools import lru_cache
from pathlib import Path

from stages.clean.tables import is_yes, read_table

_TABLE = read_table(Path(__file__).parent / "data" / "ucum.csv", ("code", "unit", "metric"))
UNITS = {row["code"]: row["unit"] for row in _TABLE}
METRIC = {row["code"]: row["unit"] for row in _TABLE if is_yes(row, "metric")}
"""Units that may have a prefix."""
PREFIXES = {
    "da": "deca",
    "T": "tera",
    "G": "giga",
    "M": "mega",
    "k": "kilo",
    "h": "hecto",
    "d": "deci",
    "c": "centi",
    "m": "milli",
    "u": "micro",
    "µ": "micro",
    "n": "nano",
    "p": "pico",
    "f": "femto",
}
LONGEST_CODE = 60
"""Characters of the longest code that is read."""
TERM = re.compile(
    r"(?:10[*^](?P<ten>-?[0-9]{1,2})"  # 10*3
    r"|(?P<number>1)(?![0-9])"  # the 1 of 1/min
    r"|(?P<unit>[A-Za-zµ%]*\[[A-Za-z0-9_']+\]|[A-Za-zµ%_]+)"  # mm[Hg], [iU], mg
    r"(?P<power>[+-]?[1-9])?)?"  # m2, s-1
    r"(?P<note>\{[^{}]*\})?"  # {beats}, which has no value
)


@lru_cache(maxsize=1024)
def parsed(code: str) -> tuple[int, str] | None:
    """The power of ten and the unit, as pint reads it, of a code: (3, "1/(microliter)") of 10*3/uL.

    None for what is no code.
    """
    if len(code) > LONGEST_CODE:
        return None
    exponent = 0
    expression = "1"
    at, sign = 0, 1
    if code.startswith("/"):
        at, sign = 1, -1
    while True:
        term = TERM.match(code, at)
        if not term or not term.group():
            return None
        if term["ten"]:
            exponent += sign * int(term["ten"])
        elif term["unit"]:
            name = _name(term["unit"])
            if name is None:
                return None
            power = sign * int(term["power"] or 1)
            expression += f"*({name})**({power})"
        at = term.end()
        if at == len(code):
            return exponent, expression
        if code[at] not in "./":
            return None
        sign = 1 if code[at] == "." else -1
        at += 1


def _name(written: str) -> str | None:
    """Pint's name of a unit with its prefix. None for an unknown code."""
    if written in UNITS:
        return UNITS[written]
    for prefix, name in PREFIXES.items():
        rest = written.removeprefix(prefix)
        if rest != written and rest in METRIC:
            return f"{name}{METRIC[rest]}" if METRIC[rest].isidentifier() else None
    return None
