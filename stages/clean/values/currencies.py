"""Currencies: each is a dimension of its own, so that no amount is converted into another currency.

Codes are those of ISO 4217. Signs that several currencies share ($, £, ¥) are no unit until
`unit_spellings` says which one they are.
"""

import re
from functools import lru_cache
from pathlib import Path

from stages.clean.tables import read_table

_TABLE = read_table(
    Path(__file__).parent / "data" / "currencies.csv", ("code", "other"), may_be_empty=("other",)
)
CODES = frozenset(row["code"] for row in _TABLE)


def _names() -> dict[str, str]:
    """Every code, sign and name, and the name of pint's unit."""
    names: dict[str, str] = {}
    for row in _TABLE:
        unit = f"currency_{row['code']}"
        names[row["code"]] = unit
        for other in row["other"].split(";"):
            if other:
                names[other] = unit
    return names


NAMES = _names()
DEFINITIONS = [f"currency_{code} = [currency_{code}]" for code in sorted(CODES)]
"""For pint."""
_LONGEST_FIRST = sorted(NAMES, key=lambda name: (-len(name), name))
_NAME = "|".join(re.escape(name) for name in _LONGEST_FIRST)
BEFORE = re.compile(rf"(?P<currency>{_NAME}) ?(?=[-+<>≤≥~≈±]? ?[0-9.])")
"""A currency before its number: EUR 5, €5."""
SHARED_SIGN = re.compile(r"[-+]?[$£¥]|kr\.? ?[0-9]")
"""At the beginning of an amount of money: a sign that several currencies share."""
PART = re.compile(rf"(?<![A-Za-z$])(?:{_NAME})(?![A-Za-z$])")
"""A currency in a unit: the EUR of EUR/kWh."""


@lru_cache(maxsize=64)
def before(own: tuple[str, ...]) -> re.Pattern[str]:
    """The pattern of a currency before its number. `own` are the user's spellings: $."""
    if not own:
        return BEFORE
    longest_first = sorted(own, key=lambda name: (-len(name), name))
    names = "|".join(re.escape(name) for name in longest_first)
    return re.compile(rf"(?P<currency>{names}|{_NAME}) ?(?=[-+<>≤≥~≈±]? ?[0-9.])")


def replaced(unit: str) -> str:
    """The unit with currencies as pint names them: EUR/kWh is currency_EUR/kWh."""
    return PART.sub(lambda part: NAMES[part.group()], unit)
