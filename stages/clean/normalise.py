"""Normalise: one form for every date, quantity and text, or a reason why there is none.

Nothing is guessed: a number that two conventions read differently, a date with a missing part, a unit of another
dimension set the record aside. Units are pint's (pint.readthedocs.io); dates come out as ISO 8601.
"""

import json
import re
import unicodedata
from datetime import datetime
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

import pint
from pydantic.dataclasses import dataclass

from stages.clean import chinese
from stages.core.errors import ParamsError
from stages.core.params import STRICT
from stages.core.record import fact_text, to_meta

Row = dict[str, Any]
UNITS: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
ALIASES = {
    "°C": "degC", "℃": "degC", "°F": "degF", "℉": "degF", "°K": "K", "摄氏度": "degC", "华氏度": "degF", "开": "K",
    "deg C": "degC", "deg F": "degF", "mm[Hg]": "mmHg",
}  # fmt: skip
"""Spellings that pint does not know."""
for definition in chinese.DEFINITIONS:
    UNITS.define(definition)
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
TEMPERATURES = {"C": "degC", "F": "degF"}
"""Coulomb and farad, unless a temperature is wanted."""
NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?")
EXPONENT = re.compile(r"\s*[x×·]\s*10\^?\s*([+-]?\d+)")
UNIT = re.compile(r"(?:[/*·⋅ ]?(?:[^\W\d_]|[°%])++(?:(?:\^|\*\*)?-?\d(?!\d)|[⁻¹²³⁴⁵⁶⁷⁸⁹]+)?)+")
"""What may go to pint's parser, which evaluates expressions: names with one-digit exponents, so no 9**9**9."""
LONGEST_UNIT = 40
POWER = re.compile(r"(?<=[^\W\d_])(-?\d)(?=[/*·⋅ ]|$)")
"""The exponent in cm3, which pint wants as cm**3."""
DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%B %d, %Y", "%b %d, %Y",
    "%B %d %Y", "%b %d %Y", "%Y年%m月%d日",
)  # fmt: skip
MONTHS = ("%Y-%m", "%Y/%m", "%B %Y", "%b %Y", "%m/%Y", "%Y年%m月")
YEARS = ("%Y", "%Y年")
TIMED = re.compile(r"(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d\S*|(\d{8})\d{4,6}(?:[+-]\d{4})?")
"""A date with the time of day, of ISO 8601 or HL7: the day counts, as it is written."""


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


class Unusable(Exception):  # noqa: N818 - not an error: it carries the reason a record is set aside
    """A value that cannot be normalised: `reason` and evidence."""

    def __init__(self, reason: str, evidence: str) -> None:
        """`reason` as counted, `evidence` as shown."""
        super().__init__(evidence)
        self.reason, self.evidence = reason, evidence


def check_units(params: Params) -> None:
    """Raise ParamsError naming every unknown unit."""
    problems = []
    for section, units in (("units", params.units), ("meta_units", params.meta_units)):
        for name, unit in units.items():
            try:
                unit_of(unit, "dimensionless")
            except Exception:  # see quantity()
                problems.append(f"  clean.normalise.{section}.{name}: unknown unit {unit!r}; write it as pint does")
    if problems:
        raise ParamsError("params.yaml:\n" + "\n".join(problems))


def normalise_row(row: Row, params: Params) -> Row:
    """The row with every part in its one form. Raises Unusable."""
    names = ("text", "question", "answer", "subject", "attribute", "value")
    row = row | {name: clean_text(row[name]) if row[name] is not None else None for name in names}
    meta = {name: clean_text(value) if isinstance(value, str) else value for name, value in json.loads(row["meta"]).items()}
    for name, value in meta.items():
        if name in params.dates and value:
            meta[name] = iso_date(value, params.day_first)
        elif name in params.meta_units and value:
            meta[name] = quantity(value, None, params.meta_units[name], params.significant_digits)
    row["meta"] = to_meta(meta)
    if row["fact"]:
        row["value"], row["unit"] = normalise_value(row, params)
        row["text"] = fact_text(row["subject"], row["attribute"], row["value"], row["unit"])
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
    text = FOLDED.sub(lambda found: found.group() if found.group() in kept else folded(found.group()), text)
    text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Co"))
    return SPACE.sub(" ", text).strip(" ")


def folded(character: str) -> str:
    """The plain form of one character; ㎡ is m², as people write it."""
    return re.sub(r"(?<=.)[23]$", lambda found: {"2": "²", "3": "³"}[found.group()], unicodedata.normalize("NFKC", character))


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
        source, target = unit_of(written, wanted), unit_of(wanted, wanted)
        converted = number if source == target else Decimal(repr(UNITS.Quantity(float(number), source).m_as(target)))
    except Exception:  # pint's parser meets dirty text with errors of every kind
        raise Unusable("unknown_unit", f"{value!r}: {written!r} is not a unit that converts to {wanted}") from None
    return plain(converted, digits)


def split_quantity(value: str) -> tuple[Decimal, str]:
    """Number and what stands behind it. Raises Unusable (`bad_quantity`)."""
    text = unicodedata.normalize("NFC", value).replace("−", "-").replace("\u2009", " ").replace("\u202f", " ").strip()
    text = re.sub(r"^(零下|负)\s*(?=\d)", "-", text).replace("，", ",")
    match = NUMBER.match(text)
    rest = text[match.end() :] if match else ""
    if not match or re.match(r"[\d.,]|\s\d", rest):  # 12,3,4 or 1 53: two numbers, or a convention we do not know
        raise Unusable("bad_quantity", f"{value!r} is not one unambiguous number")
    number = Decimal(match.group().replace(",", "").replace(" ", ""))
    if power := EXPONENT.match(rest):
        number, rest = number.scaleb(int(power.group(1))), rest[power.end() :]
    power_of_ten, rest = chinese.myriads(rest)
    return number.scaleb(power_of_ten), rest.strip()


@lru_cache(maxsize=1024)
def unit_of(written: str, wanted: str) -> Any:
    """pint's unit. `C` and `F` are temperatures where one is wanted. Raises pint's errors."""
    written, target = (chinese.pint_unit(ALIASES.get(name, name)) for name in (written, wanted))
    if len(written) > LONGEST_UNIT or not UNIT.fullmatch(written):
        raise ValueError(f"{written!r} does not look like a unit")
    if written in TEMPERATURES and UNITS.parse_units(target).dimensionality == {"[temperature]": 1}:
        written = TEMPERATURES[written]
    return UNITS.parse_units(POWER.sub(r"**\1", written))


def plain(number: Decimal, digits: int) -> str:
    """Rounded to significant digits, without exponent or trailing zeros: 1538, 0.08988, -38.83."""
    rounded = Context(prec=digits).plus(number)
    text = format(rounded, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def iso_date(text: str, day_first: bool) -> str:
    """YYYY-MM-DD, or YYYY-MM or YYYY where no more is known. Raises Unusable (`bad_date`)."""
    text = chinese.plain_date(re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", text.strip()))
    if timed := TIMED.fullmatch(text):
        text = timed[1] or timed[2]
    slashed = ("%d/%m/%Y",) if day_first else ("%m/%d/%Y",)
    compact = ("%Y%m%d",) if re.fullmatch(r"\d{8}", text) else ()
    for formats, shape in (((*DAYS, *slashed, *compact), "YYYY-MM-DD"), (MONTHS, "YYYY-MM"), (YEARS, "YYYY")):
        for form in formats:
            try:
                found = datetime.strptime(text, form)
            except ValueError:
                continue
            return found.date().isoformat()[: len(shape)]
    raise Unusable("bad_date", f"{text!r} is not a date that can be read in one way only")
