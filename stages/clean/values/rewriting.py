"""Free text in one form: its quantities in the units that the settings name, its dates as ISO 8601.

What is found is decided in `quantities.py` and `dates.py`. Left as written: a number that shares its unit with one before it (24
and 36 months), and a date whose year the text does not say, as nobody writes --03-05.
"""

import re
from collections import Counter
from typing import Any

import polars as pl
from pydantic.dataclasses import dataclass

from stages.clean.filters.terms import changed
from stages.clean.span import Span, apart, rewrite
from stages.clean.values import hints
from stages.clean.values.dates import dates_in
from stages.clean.values.hints import around
from stages.clean.values.numbers import WIDTHS, widths_folded
from stages.clean.values.quantities import convert_to_one, quantities_in
from stages.core.project.params import STRICT

SHARED = re.compile(r"[0-9]-?,? ?(?:and|or|vs\.?|versus|to|,|/|[x×*]|和|与|或|及|、|，)? ?$")
"""Before a quantity: a number that has no unit but that one's."""


HYPHENED = re.compile(r"[0-9A-Za-z]-[A-Za-z]+$")
LETTERS = re.compile(r"(?<=[0-9]) ([A-Za-z]+)$")
"""A 2-week trial stays hyphened."""
NARROW = {
    chr(wide): str(plain) if isinstance(plain, str) else chr(plain)
    for wide, plain in WIDTHS.items()
}
ANY_WIDTH = "[" + "".join(map(re.escape, NARROW)) + "]"
AROUND_DATES, AROUND_QUANTITIES = (16, 8), (32, 12)
"""Characters before and behind a hint in which what belongs to it may stand: the 5th of May 2003; from 5 to 10 mg, 5 mg ± 2."""
NEVER = "[^\\s\\S]"
YEARS = re.compile("[0-9]+年")
TOUCHING = re.compile("[A-Za-z0-9]|[./][0-9]")


@dataclass(frozen=True, config=STRICT)
class Params:
    """What of a free text is rewritten."""

    dates: bool
    """Whether dates become ISO 8601."""
    units: list[str]
    """Quantities of these units' dimensions are written in them; of one dimension there is one unit at most."""


def rewritten(
    text: str, lang: str, params: Params, digits: int, day_first: bool | None
) -> tuple[str, list[Span]]:
    """The text in its one form, and the spans of it as it was that are now written otherwise, with what stands there now.

    `lang`, `day_first` and `digits` are those of `find_dates` and `convert`. Rewriting twice is rewriting once.
    """
    folded = widths_folded(text)
    dates, quantities = (
        [match.group() for match in re.finditer(pattern, folded)]
        for pattern in _hints(lang, params)
    )
    return _rewritten(
        (text, folded, dates, quantities), lang, tuple(params.units), digits, day_first
    )


def rewritten_texts(
    texts: pl.Series, lang: str, params: Params, digits: int, day_first: bool | None
) -> pl.Series:
    """Texts of one language as `rewritten` makes each of them; those without a hint cost next to nothing."""
    folded = changed(
        texts, texts.str.contains(ANY_WIDTH), lambda some: some.str.replace_many(NARROW)
    )
    dates, quantities = _hints(lang, params)
    where = folded.str.contains(dates) | folded.str.contains(quantities)
    found = pl.DataFrame({"text": texts, "folded": folded}).filter(where)
    found = found.with_columns(
        found["folded"].str.extract_all(dates).alias("dates"),
        found["folded"].str.extract_all(quantities).alias("quantities"),
    )
    units = tuple(params.units)
    new = [_rewritten(row, lang, units, digits, day_first)[0] for row in found.iter_rows()]
    return changed(texts, where, lambda some: pl.Series(new, dtype=pl.String))


def _hints(lang: str, params: Params) -> tuple[str, str]:
    """The patterns of dates and of quantities to be rewritten."""
    known = "zh" if lang == "zh" else "en"
    return (
        hints.DATES[known] if params.dates else NEVER,
        hints.quantities(known, tuple(params.units)) if params.units else NEVER,
    )


def _rewritten(
    looked_at: tuple[Any, ...],
    lang: str,
    units: tuple[str, ...],
    digits: int,
    day_first: bool | None,
) -> tuple[str, list[Span]]:
    """`rewritten`, of a text that has been looked at: itself, its widths folded, hints at dates, hints at quantities."""
    text, folded, dates, quantities = looked_at
    spans = [
        Span(found.start, found.end, found.kind, _iso(text, found))
        for found in dates_in(folded, lang, day_first, around(folded, dates, *AROUND_DATES))
    ]
    for found in quantities_in(folded, lang, around(folded, quantities, *AROUND_QUANTITIES)):
        new = convert_to_one(found.normal, units, digits)
        if new and not SHARED.search(text, max(0, found.start - 12), found.start):
            hyphened = HYPHENED.search(text, found.start, found.end)
            spans.append(
                Span(
                    found.start,
                    found.end,
                    found.kind,
                    LETTERS.sub(r"-\1", new) if hyphened else new,
                )
            )
    if not spans:
        return text, []
    spans = [
        span for span in _alone(text, apart(spans)) if span.normal != text[span.start : span.end]
    ]
    return rewrite(text, spans), spans


def _alone(text: str, spans: list[Span]) -> list[Span]:
    """Spans that neither a letter, a digit nor another span touches, with which the new form would grow together: 1年s."""
    edges = Counter(place for span in spans for place in (span.start, span.end))
    return [
        span
        for span in spans
        if edges[span.start] == edges[span.end] == 1
        and not TOUCHING.match(text, span.end)
        and not (span.start and TOUCHING.match(text, span.start - 1))
    ]


def _iso(text: str, found: Span) -> str:
    """A date without a year keeps its words; so does a year in digits before 年 (475年 is not 0475年)."""
    written = text[found.start : found.end]
    if found.normal.startswith("--") or YEARS.fullmatch(written):
        return written
    return (
        found.normal + "年" if len(found.normal) == 4 and written.endswith("年") else found.normal
    )
