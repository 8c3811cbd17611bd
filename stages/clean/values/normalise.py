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
from stages.clean.values.field_units import Own, shown, wanted_unit
from stages.clean.values.quantities import quantity
from stages.clean.values.rewriting import Params as Text
from stages.clean.values.rewriting import rewritten
from stages.clean.values.source_forms import NO_FORMS, PLAIN, Forms, SourceForm
from stages.clean.values.units import unit_of
from stages.clean.values.unusable import Unusable
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
LINE_BREAK = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
INDENT = re.compile(r"[ \t]+")
ONE_NUMBER = re.compile(r"-?[0-9.]+")
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
    `{melting point: °C, density: g/cm³}`. Pint converts other units, also from their Chinese names.
    `{temperature rise: delta °C}` names a difference of temperatures: 10 °F is then 5.556 °C. A
    currency is named by its code (`{price: EUR}`), and no other currency is converted into it."""
    meta_units: dict[str, str] = field(default_factory=dict)
    """The same for further fields (`map.meta` of a source), such as the conditions of a measurement.
    Rules compare these numbers."""
    significant_digits: int = 4
    """Digits kept of a quantity that was converted. Further ones are rounded, half to even. More digits
    are harder to learn. A quantity that has the wanted unit already keeps its digits."""
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
    unit_spellings: dict[str, str] = field(default_factory=dict)
    """Your own spellings of units in fields, and the units that they mean, such as
    `{lb ft: ft*lbf, $: USD}`. They count before all others."""


def check_units(params: Params) -> None:
    """Raise ParamsError naming every unknown unit, and those of text that have the same dimension."""
    own = own_spellings(params)
    problems = []
    for spelling, unit in params.unit_spellings.items():
        if not spelling.strip():
            problems.append("  clean.normalise.unit_spellings: an empty spelling; remove it")
        try:
            wanted_unit(unit)
        except Exception:  # pint's parser raises errors of every kind
            problems.append(
                f"  clean.normalise.unit_spellings.{spelling}: unknown unit {unit!r}; "
                "write one that pint knows, such as ft*lbf or EUR"
            )
    named = [(f"units.{name}", unit) for name, unit in params.units.items()]
    named += [(f"meta_units.{name}", unit) for name, unit in params.meta_units.items()]
    for key, unit in named:
        try:
            wanted_unit(unit, own)
        except Exception:  # pint's parser raises errors of every kind
            problems.append(
                f"  clean.normalise.{key}: unknown unit {unit!r}; write it as pint does"
            )
    first_of_dimension: dict[Any, str] = {}
    for index, unit in enumerate(params.text.units):
        key = f"text.units.{index}"
        try:
            parsed = unit_of(unit, "dimensionless")
        except Exception:  # pint's parser raises errors of every kind
            problems.append(
                f"  clean.normalise.{key}: unknown unit {unit!r}; write it as pint does"
            )
            continue
        other = first_of_dimension.setdefault(parsed.dimensionality, unit)
        if other != unit:
            problems.append(
                f"  clean.normalise.{key}: {unit!r} is of the same dimension as {other!r}; name one of them"
            )
    if problems:
        raise ParamsError("params.yaml:\n" + "\n".join(problems))


def own_spellings(params: Params) -> Own:
    """The user's spellings of units, as the readers take them."""
    spellings = []
    for spelling, unit in params.unit_spellings.items():
        spellings.append((clean_text(spelling), unit))
    return tuple(spellings)


def normalise_row(row: Row, params: Params, forms: Forms = NO_FORMS) -> Row:
    """The row with every part in its one form. `forms` is how the sources write.

    Raises Unusable.
    """
    row = dict(row)
    form = forms.get(row["source"], PLAIN)
    for name in (*TEXTS, "subject", "attribute", "value"):
        if row[name] is None:
            continue
        if form.lines and name in TEXTS:
            row[name] = clean_lines(row[name])
        else:
            row[name] = clean_text(row[name])
    meta = json.loads(row["meta"])
    row["meta"] = to_meta(_normalised_meta(meta, row["lang"], params, form))
    if row["fact"]:
        row["value"], row["unit"] = normalise_value(row, params, form)
        row["text"] = fact_text(row["subject"], row["attribute"], row["value"], row["unit"])
    elif params.text.dates or params.text.units:
        for name in TEXTS:
            if row[name]:
                row[name], _ = rewritten(
                    row[name],
                    row["lang"],
                    params.text,
                    params.significant_digits,
                    params.day_first,
                    form.numbers,
                )
    return row


def _normalised_meta(meta: Row, lang: str, params: Params, form: SourceForm) -> Row:
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
            number = quantity(
                str(value),
                None,
                params.meta_units[name],
                params.significant_digits,
                form.numbers,
                lang,
                own_spellings(params),
            )
            if not ONE_NUMBER.fullmatch(number):  # rules compare it with numbers
                raise Unusable("bad_quantity", f"{value!r} is not one number")
            normalised[name] = number
    return normalised


def normalise_value(row: Row, params: Params, form: SourceForm = PLAIN) -> tuple[str, str | None]:
    """Value and unit of a fact. Raises Unusable."""
    attribute, value = row["attribute"], row["value"]
    wanted = params.units.get(attribute)
    unit = clean_text(row["unit"]) if row["unit"] else None
    if wanted:
        number = quantity(
            value,
            unit,
            wanted,
            params.significant_digits,
            form.numbers,
            row["lang"],
            own_spellings(params),
            attribute,
        )
        return number, shown(wanted)
    if attribute in params.years:
        return iso_date(value, params.day_first)[:4], None
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


def clean_lines(text: str) -> str:
    """The text with each of its lines as `clean_text` makes it. The line breaks stay.

    So does the indentation of a line, which code and lists need. `columns.cleaned_lines` does the
    same to many texts at once.
    """
    lines = []
    for line in LINE_BREAK.split(text):
        cleaned = clean_text(line)
        indent = INDENT.match(line)
        lines.append(indent.group() + cleaned if indent and cleaned else cleaned)
    return "\n".join(lines).strip(" \t\n")


def folded(character: str) -> str:
    """The plain form of one character. That of ㎡ is m², as people write it."""
    plain = unicodedata.normalize("NFKC", character)
    return LAST_POWER.sub(lambda power: SUPERSCRIPTS[power.group()], plain)
