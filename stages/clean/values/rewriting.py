"""Free text in one form: its quantities in the units that the settings name, its dates as ISO 8601.

`quantities.py` and `dates.py` decide what is a quantity or a date. Two things are left as written:
a number that shares its unit with one before it (24 and 36 months), and a date whose year the text
does not say, as nobody writes --03-05.
"""

import re
from collections import Counter
from dataclasses import field
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import polars as pl
from pydantic.dataclasses import dataclass

from stages.clean.span import Span, apart, rewrite
from stages.clean.terms import changed
from stages.clean.values import hints
from stages.clean.values.dates import dates_in
from stages.clean.values.differences import is_difference
from stages.clean.values.hints import around
from stages.clean.values.numbers import UNDECLARED, WIDTHS, NumberForm, widths_folded
from stages.clean.values.quantities import convert_to_one, quantities_in
from stages.core.project.params import STRICT

SHARED = re.compile(
    "[0-9]-?,? ?"
    r"(?:and|or|vs\.?|versus|to|,|/|[x×*]|和|与|或|及|、|，"
    "|und|oder|bis|et|ou|à|y|o|e|a|en|of|tot|och|eller|til|do|i|lub|и|или|до)?"
    " ?$"
)
"""Before a quantity: a number without a unit, which shares that of the quantity: the 24 and of 24
and 36 months.
"""
PLAIN_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?![0-9,.'’])")
"""A number that needs no other form."""
CALORIE = (" cal", "cal/day")
FOOD = re.compile("(?<![a-z])calories?$|(?<![a-z])calories? ", re.IGNORECASE)
"""A calorie in words may be one of food, which is a thousand times larger."""
TEMPERATURES = (" degC", " degF", " K")
TON = " ton"
"""A short, long or metric ton, which differ by a tenth."""
STOPPED = re.compile(
    r"(?<![A-Za-z])(?:in|ft|yds?|mi|lbs?|oz|gal|pt|qt|tsp|tbsp|hrs?|mins?|secs?|yrs?|mos?|wks?|sq|cu|approx)$"
)
"""The end of an abbreviation that may have a full stop."""
STOP = re.compile(r"\.(?= [a-z]|[,;:)])")
"""A full stop that ends no sentence: the one of 3 in. long."""
HYPHENED = re.compile(r"[0-9A-Za-z]-[A-Za-z]+$")
"""The 2-week of a 2-week trial, which stays hyphened."""
LETTERS = re.compile(r"(?<=[0-9]) ([A-Za-z]+)$")
"""The unit in 14 day, which becomes 14-day."""
YEARS = re.compile("[0-9]+年")
TOUCHING = re.compile("[A-Za-z0-9]|[./][0-9]")
"""A letter or digit that a new form would grow together with: the s of 1年s."""
NARROW = {chr(wide): form if isinstance(form, str) else chr(form) for wide, form in WIDTHS.items()}
"""`WIDTHS` as polars wants them."""
ANY_WIDTH = f"[{''.join(re.escape(character) for character in NARROW)}]"
AROUND_DATES = (16, 8)
AROUND_QUANTITIES = (32, 12)
"""Characters before and behind a hint in which what belongs to it may stand: the 5th of May 2003;
from 5 to 10 mg, 5 mg ± 2.
"""
NEVER = "[^\\s\\S]"
"""A pattern that matches nothing."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """What of a free text is rewritten."""

    dates: bool = False
    """Whether dates in texts become YYYY-MM-DD or YYYY-MM (ISO 8601)."""
    units: list[str] = field(default_factory=list)
    """Units in which quantities of their dimensions are written, such as `[mg, °C, cm]`, with
    `significant_digits`. Two units of one dimension are refused, because the second would never be
    used. Compound units (mg/L, m²) are recognised only if the list has one: with `[Pa]`, 5 N/m² stays.
    """


class Hinted(NamedTuple):
    """A text with the hints that stand in it. `rewritten_texts` makes it of the rows of a frame."""

    text: str
    folded: str
    """The same with its widths folded."""
    dates: list[str]
    """Hints at dates, in their order."""
    quantities: list[str]
    """Hints at quantities, in their order."""


def rewritten(
    text: str,
    lang: str,
    params: Params,
    digits: int,
    day_first: bool | None,
    form: NumberForm = UNDECLARED,
) -> tuple[str, list[Span]]:
    """The text in its one form, and the spans of the old text that are now written otherwise, with
    their new forms.

    `lang`, `day_first` and `digits` are those of `find_dates` and `convert`. Rewriting twice is
    rewriting once, unless `form` declares a decimal comma: numbers are written with a point.
    """
    folded = widths_folded(text)
    date_hint, quantity_hint = _hint_patterns(lang, params)
    dates = [match.group() for match in re.finditer(date_hint, folded)]
    quantities = [match.group() for match in re.finditer(quantity_hint, folded)]
    hinted = Hinted(text, folded, dates, quantities)
    return _rewritten(hinted, lang, tuple(params.units), digits, day_first, form)


def rewritten_texts(
    texts: pl.Series,
    lang: str,
    params: Params,
    digits: int,
    day_first: bool | None,
    form: NumberForm = UNDECLARED,
) -> pl.Series:
    """Texts of one language as `rewritten` makes each of them.

    Polars looks for hints in all texts at once. Only a text with a hint is read in Python, so the
    others cost next to nothing.
    """
    folded = changed(
        texts, texts.str.contains(ANY_WIDTH), lambda some: some.str.replace_many(NARROW)
    )
    date_hint, quantity_hint = _hint_patterns(lang, params)
    where = folded.str.contains(date_hint) | folded.str.contains(quantity_hint)
    hinted = pl.DataFrame({"text": texts, "folded": folded}).filter(where)
    hinted = hinted.with_columns(
        hinted["folded"].str.extract_all(date_hint).alias("dates"),
        hinted["folded"].str.extract_all(quantity_hint).alias("quantities"),
    )
    units = tuple(params.units)
    new = []
    for row in hinted.iter_rows():
        new_text, _ = _rewritten(Hinted(*row), lang, units, digits, day_first, form)
        new.append(new_text)
    return changed(texts, where, lambda some: pl.Series(new, dtype=pl.String))


def _hint_patterns(lang: str, params: Params) -> tuple[str, str]:
    """The patterns of dates and of quantities to be rewritten."""
    known = "zh" if lang == "zh" else "en"
    dates = hints.DATES[known] if params.dates else NEVER
    quantities = hints.quantities(known, tuple(params.units)) if params.units else NEVER
    return dates, quantities


def _rewritten(
    hinted: Hinted,
    lang: str,
    units: tuple[str, ...],
    digits: int,
    day_first: bool | None,
    form: NumberForm = UNDECLARED,
) -> tuple[str, list[Span]]:
    """`rewritten`, of a text whose hints are known."""
    text, folded, date_hints, quantity_hints = hinted
    spans = []
    for found in dates_in(folded, lang, day_first, around(folded, date_hints, *AROUND_DATES)):
        spans.append(found._replace(normal=_written_date(text, found)))
    parts = around(folded, quantity_hints, *AROUND_QUANTITIES)
    for found in quantities_in(folded, lang, parts, form):
        new = convert_to_one(found.normal, units, digits)
        if not new or SHARED.search(text, max(0, found.start - 12), found.start):
            continue
        if found.normal.endswith(CALORIE) and FOOD.search(folded, found.start, found.end):
            continue
        if found.normal.endswith(TON):
            continue
        if found.normal.endswith(TEMPERATURES) and _is_other_difference(folded, found, new):
            continue
        new = _with_its_digits(folded, found, new)
        end = found.end
        if STOP.match(folded, end) and STOPPED.search(folded, found.start, end):
            end += 1
        if HYPHENED.search(text, found.start, found.end):
            new = LETTERS.sub(r"-\1", new)
        spans.append(found._replace(end=end, normal=new))
    if not spans:
        return text, []
    changes = []
    for span in _untouched(text, apart(spans)):
        if span.normal != text[span.start : span.end]:
            changes.append(span)
    return rewrite(text, changes), changes


def _is_other_difference(folded: str, found: Span, new: str) -> bool:
    """Whether a temperature that changes its scale is a difference, as far as the words around it
    say. It is left alone, because a difference has no zero point.
    """
    number = found.normal.rpartition(" ")[0]
    scale_stays = new.startswith(f"{number} ")
    return not scale_stays and is_difference(folded, found.start, found.end, "–" in number)


def _with_its_digits(folded: str, found: Span, new: str) -> str:
    """The new form with the digits that the text has, where the number stays: 5.00 mg."""
    number = found.normal.rpartition(" ")[0]
    if not new.startswith(number) or new[len(number) : len(number) + 1] in tuple("0123456789."):
        return new
    written = PLAIN_NUMBER.match(folded, found.start)
    if written and Decimal(written.group()) == _value_of(number):
        return written.group() + new[len(number) :]
    return new


def _value_of(number: str) -> Decimal | None:
    """The value of a plain decimal. None for a range or a tolerance."""
    try:
        return Decimal(number)
    except InvalidOperation:
        return None


def _untouched(text: str, spans: list[Span]) -> list[Span]:
    """The spans that no letter, digit or other span touches, as the new form would grow together
    with it: 1年s.
    """
    edges: Counter[int] = Counter()
    for span in spans:
        edges[span.start] += 1
        edges[span.end] += 1
    untouched = []
    for span in spans:
        touches_span = edges[span.start] > 1 or edges[span.end] > 1
        touches_behind = TOUCHING.match(text, span.end)
        touches_before = span.start > 0 and TOUCHING.match(text, span.start - 1)
        if not (touches_span or touches_behind or touches_before):
            untouched.append(span)
    return untouched


def _written_date(text: str, date: Span) -> str:
    """The new form of a date.

    A date without a year keeps its words. So does a year in digits before 年, as 475年 is not 0475年.
    """
    written = text[date.start : date.end]
    if date.normal.startswith("--") or YEARS.fullmatch(written):
        return written
    is_year = len(date.normal) == 4
    if is_year and written.endswith("年"):
        return date.normal + "年"
    return date.normal
