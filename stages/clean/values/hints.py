"""Hints: patterns of what a text holds where a date or a quantity is to be rewritten. Most texts
hold none and are left alone.

Python and polars both read the patterns, and they look neither back nor ahead, so that a million
texts cost seconds. They may be too broad, never too narrow: tests compare them with what the
recognisers find in real texts.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from stages.clean.values import chinese, months
from stages.clean.values.measures import CUES, MEANT, PHRASES, SPELLINGS, canonical
from stages.clean.values.numbers import FRACTION_SIGNS, SCALES, WORDS
from stages.clean.values.quantities import DIGITS_KEPT, convert

INSIDE = frozenset("0123456789.,'’" + "abcdefghijklmnopqrstuvwxyz" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""Characters that words and numbers are made of."""
EDGE = re.compile(r"[^0-9.,'’A-Za-z]|$")
"""Where a word or a number ends."""

_MONTH = f"(?:{months.CAPITAL})"
_YEAR = "(?:[12][0-9]{3}|['’][0-9]{2}|-[0-9]{2})"  # 2003, '03, -03
_NUMERIC = (
    "[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]"  # 2024-03-05
    "|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2}"  # 05.03.2024
    "|[0-9]{4}/[01][0-9]"  # 2024/03
    "|[0-9]/[12][0-9]{3}"  # 03/2024
)
_NUMERALS = "〇零○一二三四五六七八九十"
DATES = {
    "en": (
        f"(?i:{_MONTH}"
        "[.,]?"
        "(?:[ -](?:the |of |in )?[0-9]{1,2}(?:st|nd|rd|th)?)?"  # March 5th
        "[ ,-]*(?:of )?"
        f"{_YEAR}"
        f"|{_MONTH}[a-z ,-]{{0,34}}two thousand)"  # March of two thousand eight
        f"|{_NUMERIC}"
    ),
    "zh": (
        f"[0-9{_NUMERALS}] ?年 ?[0-9{_NUMERALS}]{{1,3}} ?月"  # 2024年3月
        "|[0-9] 年"  # 2024 年
        f"|[{_NUMERALS}] ?年"  # 二〇二四年
        f"|{_NUMERIC}"
    ),
}
"""By language. A date without a year has no hint, because it stays as it is written."""

PARTS = re.compile("[/·⋅*²³⁴⁻^ ]|[A-Za-z][1-4]")
"""In a unit that is made of several: mg/L, m², m3."""
_DIGIT = f"[0-9{FRACTION_SIGNS}⁰-⁹¹²³)}}]"
"""The last character of a number in digits."""
_NUMERAL = "[一二两三四五六七八九十百千万亿半]"
_INCH = (
    "in(?:"
    r"\."  # in. wide
    "|[²³^]"
    "| ?(?:long|wide|tall|thick|by [0-9]+|x ?[0-9]+)"
    "| in (?:diameter|length|width|height|size))"
)
_NEXT_PART = (
    "(?: ?[/·⋅*²³⁴⁻^(1-4-]"  # mg/, m², m(, m3
    "| per | an? |每"
    "| [A-Z]"  # the substance of 5 µg PBDE/g
    "| [A-Za-zµ]{1,5}[-⁻(])"  # kg m-3
)
"""What follows the first part of a unit of several, or is its power."""
_AREA = r"(?:square |cubic |sq\.? |cu\.? )"


def _number_words() -> str:
    """The pattern of the last word of a number in English, and of what stands between it and its
    unit.
    """
    words = sorted(WORDS | SCALES, key=len, reverse=True)
    return f"(?i:(?:{'|'.join(words)}|half an?)[ -])"


@lru_cache(maxsize=64)
def quantities(lang: str, units: tuple[str, ...]) -> str:
    """The pattern of what converts to one of the units: the end of a number, and the beginning of a
    unit of their dimensions.

    Units of several parts (mg/L, m²) are recognised only if one of `units` has several parts.
    """
    names = {name for name, unit in SPELLINGS.items() if _converts(unit, units)}
    for name in (*CUES, "s", "second"):
        if _converts(MEANT.get(name, name), units):
            names.add(name)
    phrases = [pattern for pattern, unit in PHRASES.items() if _converts(unit, units)]
    if "inch" in names:
        phrases.append(_INCH)
    chinese_names = {name for name in names if name > "\u3400"}
    latin = _any_of(names - chinese_names, phrases)

    number = f"(?:{_DIGIT}[ -]?|{_number_words()})"
    forms = [f"{number}{latin}(?:$|[^A-Za-z0-9_/]|[A-Z])"]
    has_parts = any(PARTS.search(unit) for unit in units)
    if has_parts:
        forms.append(f"{_DIGIT}/[A-Za-zµ]")  # 10⁹/L
        forms.append(f"{number}(?:{_AREA}|[A-Za-zµÅΩ%°]+{_NEXT_PART})")
    if "foot" in names:
        forms.append(r"(?:ft\.?|feet|foot),? ?[0-9]+ ?in")
    if lang == "zh":
        if has_parts:
            chinese_names |= set(chinese.UNITS)
        halves = {"个半" + name.removeprefix("个") for name in ("月", *chinese_names)}  # 一个半小时
        han = _any_of(chinese_names | halves, [latin])
        forms.append(f"(?:{_DIGIT}|{_NUMERAL})个?[ -]?{han}")
        if _converts("percent", units):
            forms.append("百分之")
    return "|".join(forms)


def _converts(unit: str, units: tuple[str, ...]) -> bool:
    """Whether a unit has the dimension of one of `units`."""
    return any(convert(f"1 {canonical(unit)}", wanted, DIGITS_KEPT) for wanted in units)


def _any_of(names: set[str], patterns: list[str]) -> str:
    """The pattern of any of these patterns and names.

    Names of more than three characters may stand in any case.
    """
    short = [re.escape(name) for name in names if len(name) <= 3]
    long = [re.escape(name) for name in names if len(name) > 3]
    alternatives = [*patterns, *_longest_first(short)]
    if long:
        alternatives.append(f"(?i:{'|'.join(_longest_first(long))})")
    return f"(?:{'|'.join(alternatives)})"


def _longest_first(names: list[str]) -> list[str]:
    """The names in an order that does not depend on that of a set."""
    return sorted(names, key=lambda name: (-len(name), name))


def around(text: str, hints: Iterable[str], before: int, behind: int) -> Iterator[tuple[int, int]]:
    """Start and end of the parts of a text that hold its hints. No two parts overlap.

    `hints` are what the pattern of `quantities` or `DATES` matched, in the order of the text. A
    part reaches at least `before` characters before its first hint and `behind` characters behind
    its last one. It cuts no word and no number.
    """
    start = end = at = 0
    for hint in hints:
        at = text.index(hint, at)
        if at - before > end:  # too far from the hint before to share its part
            if end:
                yield start, end
            start = at - before
            while start > end and text[start - 1] in INSIDE:
                start -= 1
        at += len(hint)
        edge = EDGE.search(text, at + behind)
        end = edge.start() if edge else len(text)
    if end:
        yield start, end
