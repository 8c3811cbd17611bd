"""Free text in one form: its quantities in the units that the settings name, its dates as ISO 8601.

What is found is decided in `quantities.py` and `dates.py`. Left as written: a number that shares its unit with one before it (24
and 36 months), and a date whose year the text does not say, as nobody writes --03-05.
"""

import re
from collections import Counter

from pydantic.dataclasses import dataclass

from stages.clean import dates, numbers
from stages.clean.dates import find_dates
from stages.clean.quantities import convert, find_quantities
from stages.clean.span import Span, apart, rewrite
from stages.core.params import STRICT

CANDIDATE = {lang: re.compile(f"{numbers.CANDIDATE[lang].pattern}|{dates.CANDIDATE[lang].pattern}") for lang in ("en", "zh")}
"""What a text with neither mostly lacks, in one look."""
SHARED = re.compile(r"[0-9]-?,? ?(?:and|or|vs\.?|versus|to|,|/|[x×*]|和|与|或|及|、|，)? ?$")
"""Before a quantity: a number that has no unit but that one's."""


HYPHENED = re.compile(r"[0-9A-Za-z]-[A-Za-z]+$")
LETTERS = re.compile(r"(?<=[0-9]) ([A-Za-z]+)$")
"""A 2-week trial stays hyphened."""
TOUCHING = re.compile("[A-Za-z0-9]|[.][0-9]")


@dataclass(frozen=True, config=STRICT)
class Params:
    """What of a free text is rewritten."""

    dates: bool
    """Whether dates become ISO 8601."""
    units: list[str]
    """Quantities of these units' dimensions are written in them; of one dimension there is one unit at most."""


def rewritten(text: str, lang: str, params: Params, digits: int, day_first: bool | None) -> tuple[str, list[Span]]:
    """The text in its one form, and the spans of it as it was that are now written otherwise, with what stands there now.

    `lang`, `day_first` and `digits` are those of `find_dates` and `convert`. Rewriting twice is rewriting once.
    """
    if not CANDIDATE.get(lang, CANDIDATE["en"]).search(" " + text):
        return text, []
    spans: list[Span] = []
    if params.dates:
        spans += (Span(found.start, found.end, found.kind, _iso(text, found)) for found in find_dates(text, lang, day_first))
    if params.units:
        for found in find_quantities(text, lang):
            new = next(filter(None, (convert(found.normal, unit, digits) for unit in params.units)), None)
            if new and not SHARED.search(text, max(0, found.start - 12), found.start):
                new = LETTERS.sub(r"-\1", new) if HYPHENED.search(text, found.start, found.end) else new
                spans.append(Span(found.start, found.end, found.kind, new))
    spans = [span for span in _alone(text, apart(spans)) if span.normal != text[span.start : span.end]]
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
    """A year keeps its 年, and a date without a year its words."""
    written = text[found.start : found.end]
    if found.normal.startswith("--"):
        return written
    return found.normal + "年" if len(found.normal) == 4 and written.endswith("年") else found.normal
