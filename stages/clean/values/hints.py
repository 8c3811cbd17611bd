"""Hints: what a text has that holds a date or a quantity to be rewritten; one without is left alone, and most are.

Patterns that Python and polars both read and that look neither back nor ahead, so that a million texts cost seconds. They may be
too broad, never too narrow: tests hold them against what the recognisers find in real texts.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from stages.clean.values import chinese
from stages.clean.values.measures import CUES, MEANT, PHRASES, SPELLINGS, canonical
from stages.clean.values.numbers import SCALES, WORDS
from stages.clean.values.quantities import DIGITS_KEPT, convert

INSIDE = frozenset("0123456789.,'’" + "abcdefghijklmnopqrstuvwxyz" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
EDGE = re.compile(r"[^0-9.,'’A-Za-z]|$")
"""What words and numbers are made of, and where they end."""
_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|"
    "Dec(?:ember)?)"
)
_YEAR = "(?:[12][0-9]{3}|['’][0-9]{2}|-[0-9]{2})"
_NUMERIC = "[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2}|[0-9]{4}/[01][0-9]|[0-9]/[12][0-9]{3}"
_HAN = "〇零○一二三四五六七八九十"
DATES = {
    "en": rf"(?i:{_MONTH}[.,]?(?:[ -](?:the |of |in )?[0-9]{{1,2}}(?:st|nd|rd|th)?)?[ ,-]*(?:of )?{_YEAR}|"
    rf"{_MONTH}[a-z ,-]{{0,34}}two thousand)|{_NUMERIC}",
    "zh": rf"[0-9{_HAN}] ?年 ?[0-9{_HAN}]{{1,3}} ?月|[0-9] 年|[{_HAN}] ?年|{_NUMERIC}",
}
"""By language. A date without a year has none: it stays as it is written."""
PARTS = re.compile("[/·⋅*²³⁴⁻^ ]|[A-Za-z][1-4]")
"""Of a unit that is made of several."""
_WRITTEN = "[0-9½¼¾⁰-⁹¹²³)]"
_WORDS = f"(?i:(?:{'|'.join(sorted(WORDS | SCALES, key=len, reverse=True))}|half an?)[ -])"
_COUNTS = "[一二两三四五六七八九十百千万亿半]"
_INCH = r"in(?:\. [a-z(]|[²³^]| ?(?:long|wide|tall|thick|by [0-9]|x ?[0-9])| in (?:diameter|length|width|height|size))"
_LINE = r"(?: ?[/·⋅*²³⁴⁻^(1-4-]| per | an? |每| [A-Z]| [A-Za-zµ]{1,5}[-⁻(])"
"""What follows the first part of a unit of several, or is its power."""
_AREA = r"(?:square |cubic |sq\.? |cu\.? )"


@lru_cache(maxsize=64)
def quantities(lang: str, units: tuple[str, ...]) -> str:
    """The pattern of what converts to one of the units: the end of a number, and the beginning of a unit of their dimensions.

    Units of several parts (mg/L, m²) are hinted at only where one of `units` has several parts.
    """
    names = {name for name, unit in SPELLINGS.items() if _converts(unit, units)}
    names |= {name for name in (*CUES, "s", "second") if _converts(MEANT.get(name, name), units)}
    phrases = [form for form, unit in PHRASES.items() if _converts(unit, units)]
    phrases += [_INCH] if "inch" in names else []
    han = {name for name in names if name > "\u3400"}
    latin, number = _named(names - han, phrases), rf"(?:{_WRITTEN}[ -]?|{_WORDS})"
    forms = [rf"{number}{latin}(?:$|[^A-Za-z0-9_/]|[A-Z])"]
    if several := any(PARTS.search(unit) for unit in units):
        forms.append(rf"{number}(?:{_AREA}|[A-Za-zµÅΩ%°]+{_LINE})")
    if "foot" in names:
        forms.append("(?:ft|feet|foot) [0-9]+ in")
    if lang == "zh":
        han |= set(chinese.UNITS) if several else set()
        halves = {"个半" + name.removeprefix("个") for name in ("月", *han)}
        forms.append(rf"(?:{_WRITTEN}|{_COUNTS})个?[ -]?{_named(han | halves, [latin])}")
        forms += ["百分之"] if _converts("percent", units) else []
    return "|".join(forms)


def _converts(unit: str, units: tuple[str, ...]) -> bool:
    return any(convert(f"1 {canonical(unit)}", wanted, DIGITS_KEPT) for wanted in units)


def _named(names: set[str], forms: list[str]) -> str:
    """The pattern of these names, longer ones in any case, and of these forms."""
    short, long = (
        sorted(
            (re.escape(name) for name in names if (len(name) > 3) == longer),
            key=lambda name: (-len(name), name),
        )
        for longer in (False, True)
    )
    long = [f"(?i:{'|'.join(long)})"] if long else []
    return f"(?:{'|'.join([*forms, *short, *long])})"


def around(text: str, hints: Iterable[str], before: int, behind: int) -> Iterator[tuple[int, int]]:
    """Start and end of the parts of a text, which lie apart, that hold the hints, which are in their order.

    A part reaches at least so many characters before and behind its hints, and cuts no word or number.
    """
    start = end = place = 0
    for hint in hints:
        place = text.index(hint, place)
        if place - before > end:
            if end:
                yield start, end
            start = place - before
            while start > end and text[start - 1] in INSIDE:
                start -= 1
        place += len(hint)
        edge = EDGE.search(text, place + behind)
        end = edge.start() if edge else len(text)
    if end:
        yield start, end
