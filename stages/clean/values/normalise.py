"""Normalise: one form for every date, quantity and text, or a reason why there is none.

Nothing is guessed: a number that two conventions read differently, a date with a missing part, a unit of another
dimension set the record aside. Units are pint's (`units.py`); dates come out as ISO 8601 (`dates.py`).
"""

import json
import re
import unicodedata
from typing import Any

from pydantic.dataclasses import dataclass

from stages.clean.values.dates import iso_date
from stages.clean.values.quantities import quantity
from stages.clean.values.rewriting import Params as Text
from stages.clean.values.rewriting import rewritten
from stages.clean.values.units import unit_of
from stages.core.project.errors import ParamsError
from stages.core.project.params import STRICT
from stages.core.records.record import fact_text, to_meta

Row = dict[str, Any]
FOLDABLE = [
    chr(code)
    for first, last in (
        (0xFF01, 0xFF5E),
        (0xFFE0, 0xFFE2),
        (0xFFE4, 0xFFE6),
        (0x2103, 0x2103),
        (0x2109, 0x2109),
        (0x3371, 0x337A),
        (0x3380, 0x33DF),
    )
    for code in range(first, last + 1)
]
"""Full-width forms, and whole units in one character (℃, ㎏, ㎡)."""
FOLDED = re.compile("[" + "".join(FOLDABLE) + "]")
SPACE = re.compile(r"\s+")
PUNCTUATION = "，：；？！（）"
"""Of these, what Chinese prose is punctuated with: there it is no other width of something else."""
CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, config=STRICT)
class Params:
    """Which attributes and fields are what."""

    units: dict[str, str]
    """Unit of every attribute that is a quantity, as it is to be written (°C, g/cm³ …)."""
    meta_units: dict[str, str]
    """The same for further fields of a record, such as the conditions of a measurement."""
    significant_digits: int
    """Digits kept of a quantity; further ones are rounded, half to even."""
    years: list[str]
    """Attributes of which the year alone counts."""
    dates: list[str]
    """Further fields that hold a date."""
    day_first: bool
    """Whether 07/03/2019 is 7 March (true) or July 3 (false)."""
    text: Text
    """What of free text is rewritten."""


def check_units(params: Params) -> None:
    """Raise ParamsError naming every unknown unit, and those of text that have one dimension."""
    problems = []
    named = [(f"units.{name}", unit) for name, unit in params.units.items()]
    named += [(f"meta_units.{name}", unit) for name, unit in params.meta_units.items()]
    named += [(f"text.units.{place}", unit) for place, unit in enumerate(params.text.units)]
    dimensions: dict[Any, str] = {}
    for key, unit in named:
        try:
            dimension = unit_of(unit, "dimensionless")
        except Exception:  # see quantity()
            problems.append(
                f"  clean.normalise.{key}: unknown unit {unit!r}; write it as pint does"
            )
            continue
        if (
            key.startswith("text.")
            and (other := dimensions.setdefault(dimension.dimensionality, unit)) != unit
        ):
            problems.append(
                f"  clean.normalise.{key}: {unit!r} is of the same dimension as {other!r}; name one of them"
            )
    if problems:
        raise ParamsError("params.yaml:\n" + "\n".join(problems))


def normalise_row(row: Row, params: Params) -> Row:
    """The row with every part in its one form. Raises Unusable."""
    names = ("text", "question", "answer", "subject", "attribute", "value")
    row = row | {name: clean_text(row[name]) if row[name] is not None else None for name in names}
    meta = {
        name: clean_text(value) if isinstance(value, str) else value
        for name, value in json.loads(row["meta"]).items()
    }
    for name, value in meta.items():
        if name in params.dates and value:
            meta[name] = iso_date(value, params.day_first)
        elif name in params.meta_units and value:
            meta[name] = quantity(value, None, params.meta_units[name], params.significant_digits)
    row["meta"] = to_meta(meta)
    if row["fact"]:
        row["value"], row["unit"] = normalise_value(row, params)
        row["text"] = fact_text(row["subject"], row["attribute"], row["value"], row["unit"])
    elif params.text.dates or params.text.units:
        for name in filter(row.get, ("text", "question", "answer")):
            row[name], _ = rewritten(
                row[name], row["lang"], params.text, params.significant_digits, params.day_first
            )
    return row


def normalise_value(row: Row, params: Params) -> tuple[str, str | None]:
    """Value and unit of a fact. Raises Unusable."""
    attribute, value = row["attribute"], row["value"]
    if unit := params.units.get(attribute):
        return quantity(value, row["unit"], unit, params.significant_digits), unit
    if attribute in params.years:
        return iso_date(value, params.day_first)[:4], None
    return value, clean_text(row["unit"]) if row["unit"] else None


def clean_text(text: str) -> str:
    """NFC with full-width forms folded, white space single, control and invisible characters gone.

    NFKC as a whole would turn g/cm³ into g/cm3; only what `FOLDED` names and spaces are folded, and a Chinese text keeps its
    `PUNCTUATION`.
    """
    kept = PUNCTUATION if CHINESE.search(text) else ""
    text = FOLDED.sub(
        lambda found: found.group() if found.group() in kept else folded(found.group()), text
    )
    text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        text = "".join(
            c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Co")
        )
    return SPACE.sub(" ", text).strip(" ")


def folded(character: str) -> str:
    """The plain form of one character; ㎡ is m², as people write it."""
    return re.sub(
        r"(?<=.)[23]$",
        lambda found: {"2": "²", "3": "³"}[found.group()],
        unicodedata.normalize("NFKC", character),
    )
