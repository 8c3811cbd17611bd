"""Normalise one record: one form for every date, quantity and text, or a reason why there is none.

Nothing is guessed. A number that two conventions read differently, a date with a missing part, or a
unit of another dimension sets the record aside. Units are those of pint (`units.py`). Dates become
ISO 8601 (`dates.py`).
"""

import json
import re
import unicodedata
from dataclasses import field
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.clean.values.date_fields import is_date, iso_date
from stages.clean.values.quantities import quantity
from stages.clean.values.rewriting import Params as Text
from stages.clean.values.rewriting import rewritten
from stages.clean.values.units import unit_of
from stages.core.project.errors import ParamsError
from stages.core.project.params import STRICT
from stages.core.records.record import fact_text, to_meta

Row = dict[str, Any]
FOLDABLE_RANGES = (
    (0xFF01, 0xFF5E),  # full-width letters, digits and signs: Ａ１（
    (0xFFE0, 0xFFE2),  # full-width ￠￡￢
    (0xFFE4, 0xFFE6),  # full-width ￤￥￦
    (0x2103, 0x2103),  # ℃
    (0x2109, 0x2109),  # ℉
    (0x3371, 0x337A),  # units in one character: ㍱ to ㍺
    (0x3380, 0x33DF),  # ㎀ to ㏟, among them ㎏, ㎡ and ㏄
)
"""First and last code point of characters that have a plain form."""


def _foldable() -> list[str]:
    characters = []
    for first, last in FOLDABLE_RANGES:
        for code in range(first, last + 1):
            characters.append(chr(code))
    return characters


FOLDABLE = _foldable()
"""Full-width forms, and whole units in one character (℃, ㎏, ㎡)."""
FOLDED = re.compile(f"[{''.join(FOLDABLE)}]")
SPACE = re.compile(r"\s+")
PUNCTUATION = "，：；？！（）"
"""Punctuation of Chinese prose. There it is no other width of something else, and stays."""
CHINESE = re.compile(r"[\u3400-\u9fff]")
LAST_POWER = re.compile(r"(?<=.)[23]$")
"""The 2 of m2, into which ㎡ is folded."""
SUPERSCRIPTS = {"2": "²", "3": "³"}
INVISIBLE = ("Cc", "Cf", "Co")
"""Categories of Unicode: control, format and private use."""
TEXTS = ("text", "question", "answer")


@dataclass(frozen=True, config=STRICT)
class Params:
    """What the attributes and fields of the records hold, and how they are to be written."""

    units: dict[str, str] = field(default_factory=dict)
    """Unit of every attribute that is a quantity, as it is to be written, such as
    `{melting point: °C, density: g/cm³}`. Pint converts other units, also from their Chinese names."""
    meta_units: dict[str, str] = field(default_factory=dict)
    """The same for further fields (`map.meta` of a source), such as the conditions of a measurement.
    Rules compare these numbers."""
    significant_digits: int = 4
    """Digits kept of a quantity. Further ones are rounded, half to even. More digits are harder to
    learn."""
    years: list[str] = field(default_factory=list)
    """Attributes that keep only the year of a date, such as `[discovery year]`."""
    dates: list[str] = field(default_factory=list)
    """Further fields that hold a date. They become YYYY-MM-DD, or YYYY-MM or YYYY where no more is
    known."""
    day_first: bool = True
    """Whether 07/03/2019 is 7 March (true) or July 3 (false)."""
    text: Text = field(default_factory=Text)
    """Free texts, questions and answers. By default they stay as they are written."""
    unreadable_dates: Literal["reject", "keep"] = "reject"
    """What becomes of a record where one of `dates` is no date that can be read in one way. `reject`
    sets the record aside (`bad_date`). `keep` leaves the field as it is written, and
    `metrics/clean.json` counts it under `unreadable_dates`."""


def check_units(params: Params) -> None:
    """Raise ParamsError naming every unknown unit, and those of text that have the same dimension."""
    named = [(f"units.{name}", unit) for name, unit in params.units.items()]
    named += [(f"meta_units.{name}", unit) for name, unit in params.meta_units.items()]
    named += [(f"text.units.{index}", unit) for index, unit in enumerate(params.text.units)]
    problems = []
    first_of_dimension: dict[Any, str] = {}
    for key, unit in named:
        try:
            parsed = unit_of(unit, "dimensionless")
        except Exception:  # pint's parser raises errors of every kind
            problems.append(
                f"  clean.normalise.{key}: unknown unit {unit!r}; write it as pint does"
            )
            continue
        if not key.startswith("text."):
            continue
        other = first_of_dimension.setdefault(parsed.dimensionality, unit)
        if other != unit:
            problems.append(
                f"  clean.normalise.{key}: {unit!r} is of the same dimension as {other!r}; name one of them"
            )
    if problems:
        raise ParamsError("params.yaml:\n" + "\n".join(problems))


def normalise_row(row: Row, params: Params) -> Row:
    """The row with every part in its one form. Raises Unusable."""
    row = dict(row)
    for name in (*TEXTS, "subject", "attribute", "value"):
        if row[name] is not None:
            row[name] = clean_text(row[name])
    row["meta"] = to_meta(_normalised_meta(json.loads(row["meta"]), params))
    if row["fact"]:
        row["value"], row["unit"] = normalise_value(row, params)
        row["text"] = fact_text(row["subject"], row["attribute"], row["value"], row["unit"])
    elif params.text.dates or params.text.units:
        for name in TEXTS:
            if row[name]:
                row[name], _ = rewritten(
                    row[name], row["lang"], params.text, params.significant_digits, params.day_first
                )
    return row


def _normalised_meta(meta: Row, params: Params) -> Row:
    """Further fields of a record with every part in its one form. Raises Unusable."""
    normalised = {}
    for name, value in meta.items():
        normalised[name] = clean_text(value) if isinstance(value, str) else value
    for name, value in normalised.items():
        if not value:
            continue
        if name in params.dates:
            if params.unreadable_dates == "reject" or is_date(value, params.day_first):
                normalised[name] = iso_date(value, params.day_first)
        elif name in params.meta_units:
            unit = params.meta_units[name]
            normalised[name] = quantity(value, None, unit, params.significant_digits)
    return normalised


def normalise_value(row: Row, params: Params) -> tuple[str, str | None]:
    """Value and unit of a fact. Raises Unusable."""
    attribute, value = row["attribute"], row["value"]
    wanted = params.units.get(attribute)
    if wanted:
        return quantity(value, row["unit"], wanted, params.significant_digits), wanted
    if attribute in params.years:
        return iso_date(value, params.day_first)[:4], None
    unit = clean_text(row["unit"]) if row["unit"] else None
    return value, unit


def clean_text(text: str) -> str:
    """NFC with full-width forms folded, white space single, control and invisible characters gone.

    NFKC as a whole would turn g/cm³ into g/cm3. Only what `FOLDED` names and spaces are folded, and
    a Chinese text keeps its `PUNCTUATION`. `columns.cleaned` does the same to many texts at once.
    """
    kept = PUNCTUATION if CHINESE.search(text) else ""

    def plain_form(match: re.Match[str]) -> str:
        character = match.group()
        return character if character in kept else folded(character)

    text = FOLDED.sub(plain_form, text)
    text = unicodedata.normalize("NFC", text)
    if not text.isprintable():  # most texts are, and need no look at every character
        visible = []
        for character in text:
            if character.isspace() or unicodedata.category(character) not in INVISIBLE:
                visible.append(character)
        text = "".join(visible)
    return SPACE.sub(" ", text).strip(" ")


def folded(character: str) -> str:
    """The plain form of one character. That of ㎡ is m², as people write it."""
    plain = unicodedata.normalize("NFKC", character)
    return LAST_POWER.sub(lambda power: SUPERSCRIPTS[power.group()], plain)
