"""Dates: one date of a field, or those of running text, as ISO 8601.

Nothing is guessed: a date with two readings is refused in a field and left alone in a text.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime

from stages.clean.span import Span, apart
from stages.clean.values import chinese
from stages.clean.values.measures import measure
from stages.clean.values.numbers import ONES, WORDS, widths_folded
from stages.clean.values.unusable import Unusable
from stages.clean.values.years import years

DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%B %d, %Y", "%b %d, %Y",
    "%B %d %Y", "%b %d %Y", "%Y年%m月%d日",
)  # fmt: skip
MONTHS = ("%Y-%m", "%Y/%m", "%B %Y", "%b %Y", "%m/%Y", "%Y年%m月")
YEARS = ("%Y", "%Y年")
TIMED = re.compile(r"(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d\S*|(\d{8})\d{4,6}(?:[+-]\d{4})?")
"""A date with the time of day, of ISO 8601 or HL7: the day counts, as it is written."""
_CAPITAL = (
    "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|"
    "Dec(?:ember)?"
)
_LOWER = "january|february|april|june|july|august|september|october|november|december"
NUMBERS = {
    name: number
    for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}
_MONTH = rf"(?P<month>{_CAPITAL}|{_CAPITAL.upper()}|{_LOWER})(?![A-Za-z])\.?"
"""In small letters only what is no other word: not march, may."""
_DAY, _YEAR = r"(?P<day>[0-3]?[0-9])(?:st|nd|rd|th)?", r"(?P<year>1[0-9]{3}|20[0-9]{2})"
_SHORT = r"['’](?P<short>[0-9]{2})"
_LEFT, _RIGHT = r"(?<![A-Za-z0-9_#$€£])(?<![0-9][.,:/–-])(?<!-)", r"(?![A-Za-z0-9_%]|[.,:/–-][0-9])"
WORDED = (
    rf"{_LEFT}{_DAY}(?: of | ?[ -]){_MONTH}(?:(?:,? |-|,? of ){_YEAR}|[ -]{_SHORT}|-(?P<short2>[0-9]{{2}}))?{_RIGHT}",
    rf"(?<![A-Za-z0-9_]){_MONTH}[ -](?:the )?{_DAY}(?:(?:, ?|[ -]|,? of ){_YEAR}|,? {_SHORT})?{_RIGHT}",
    rf"(?<![A-Za-z0-9_]){_MONTH}(?:,? | of |-){_YEAR}{_RIGHT}",
    rf"(?<![A-Za-z0-9_]){_MONTH} {_SHORT}{_RIGHT}",
)
_THOUSAND = rf"two thousand(?: and)? (?P<thousand>twenty(?:[ -](?:{'|'.join(ONES.split()[:9])}))?|{ONES.replace(' ', '|')})(?![A-Za-z])"
_NTH = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth"
)
SPOKEN = (
    rf"(?<![A-Za-z0-9_]){_MONTH} (?:the )?(?P<nth>(?:(?:twenty|thirty)[ -])?(?:{_NTH.replace(' ', '|')})|twentieth|thirtieth)"
    r"(?![A-Za-z])"
    rf"(?:,? (?:of |in )?{_THOUSAND})?",
    rf"(?<![A-Za-z0-9_]){_MONTH},? (?:of |in )?{_THOUSAND}",
)
"""As a transcript of speech has them: October twenty fourth, March of two thousand eight."""
NUMERIC = (
    rf"{_LEFT}{_YEAR}(?P<sign>[-/.])(?P<month>[01]?[0-9])(?P=sign)(?P<day>[0-3]?[0-9])(?=T[0-9]|(?![A-Za-z0-9_%]|[.,/–-][0-9]|-))",
    rf"{_LEFT}(?P<a>[0-3]?[0-9])(?P<sign>[-/.])(?P<b>[0-3]?[0-9])(?P=sign){_YEAR}(?!-){_RIGHT}",
    rf"{_LEFT}(?P<a>[0-3]?[0-9])/(?P<b>[0-3]?[0-9])/(?P<short>[0-9]{{2}}){_RIGHT}(?!/)",
    rf"{_LEFT}{_YEAR}(?P<sign>[-/])(?P<month>0[1-9]|1[0-2])(?!-){_RIGHT}",
    rf"{_LEFT}(?P<month>0?[1-9]|1[0-2])/{_YEAR}{_RIGHT}",
)
_DIGIT = "〇零○一二三四五六七八九"
_HAN_MONTH = rf"(?P<month>[01]?[0-9]|十[一二]?|[{_DIGIT}]) ?月"
_HAN_DAY = rf"(?P<day>[0-3]?[0-9]|[二三]?十[{_DIGIT}]?|[{_DIGIT}]) ?[日号號]"
CHINESE = (
    rf"(?<![0-9{_DIGIT}十百千前第])(?<![0-9][.])"
    rf"(?P<year>[0-9]{{2,4}}|[{_DIGIT}]{{4}}|[{_DIGIT}]{{2}}(?=年[{_DIGIT}十]{{1,2}}月)) ?年"
    rf"(?: ?{_HAN_MONTH}(?: ?{_HAN_DAY})?)?",
    rf"(?<![0-9{_DIGIT}十百年/.-]){_HAN_MONTH} ?{_HAN_DAY}",
    rf"(?<![0-9.]){_YEAR}(?= ?[-–—~至到、和及與与/] ?[12][0-9]{{3}} ?年)",
)
PARTS_BEFORE = re.compile(
    r"(?<![0-9/.-])[0-9]{1,2}(?:st|nd|rd|th)?(?:,? ?(?:and|or|to|through|&|-|–|—) ?)$|[0-9](?:st|nd|rd|th)?[ -]$"
)
"""A range or list that leaves a part out to the date behind it: 3 and 5 May 2003."""
MONTH = re.compile(rf"(?:{_CAPITAL}|{_CAPITAL.upper()}|{_LOWER})(?![A-Za-z])")
DIGITS = re.compile("[0-9]{1,4}[-/.][0-9]{1,4}")
DAY_BEFORE = re.compile("[0-3]?[0-9](?:st|nd|rd|th)?(?: of | ?[ -])$")
"""Where dates may be; found much faster than the forms, which look back."""
WORDED_FORMS, NUMERIC_FORMS, CHINESE_FORMS = (
    tuple(map(re.compile, forms)) for forms in ((*WORDED, *SPOKEN), NUMERIC, CHINESE)
)
VERSION = re.compile(r"(?:\b[vV]er(?:sion|\.)?|[rR]elease|[bB]uild|版本) ?$")
ERA = re.compile("民国|[国和成治正绪熙隆宗帝]$")
AT = re.compile(r"(?:^|[（(于於在至到自、，。,－–—-])$")
ORDINALS = {word: number for number, word in enumerate(_NTH.split(), 1)} | {
    "twenty": 20,
    "thirty": 30,
    "twentieth": 20,
    "thirtieth": 30,
}
LEAP = 2000
"""A year with a 29 February, for dates without one."""
LASTING = re.compile(r" ?(?:的?历史|来(?!自)|之久|多|[级代])")
"""Behind 年: a span of time, or a decade."""
Found = tuple[int, int, int | None, int | None, int | None]
"""Start, end, year, month, day."""


def iso_date(text: str, day_first: bool) -> str:
    """YYYY-MM-DD, or YYYY-MM or YYYY where no more is known. Raises Unusable (`bad_date`)."""
    text = chinese.plain_date(re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", text.strip()))
    if timed := TIMED.fullmatch(text):
        text = timed[1] or timed[2]
    slashed = ("%d/%m/%Y",) if day_first else ("%m/%d/%Y",)
    compact = ("%Y%m%d",) if re.fullmatch(r"\d{8}", text) else ()
    for formats, shape in (
        ((*DAYS, *slashed, *compact), "YYYY-MM-DD"),
        (MONTHS, "YYYY-MM"),
        (YEARS, "YYYY"),
    ):
        for form in formats:
            try:
                found = datetime.strptime(text, form)
            except ValueError:
                continue
            return found.date().isoformat()[: len(shape)]
    raise Unusable("bad_date", f"{text!r} is not a date that can be read in one way only")


def find_dates(text: str, lang: str, day_first: bool | None) -> list[Span]:
    """Dates of a text in their order; `normal` is YYYY-MM-DD, YYYY-MM, YYYY, or --MM-DD where the year is not said.

    `lang` is an ISO 639-1 code. `day_first` says how to read 07/03/2019; None leaves alone what has two readings.
    """
    folded = widths_folded(text)
    alone = (Span(start, end, "date", f"{year:04}") for start, end, year in years(folded))
    return apart([*dates_in(folded, lang, day_first, [(0, len(folded))]), *alone])


def dates_in(
    folded: str, lang: str, day_first: bool | None, parts: Iterable[tuple[int, int]]
) -> Iterator[Span]:
    """Those of some parts (start, end) of a text, widths folded, that are more than a year by itself; they may overlap."""
    worded = _chinese if lang == "zh" else _worded
    for start, end in parts:
        found = (*_numeric(folded, start, end, day_first), *worded(folded, start, end))
        yield from (span for date in found if (span := _span(*date)))


def _span(
    start: int, end: int, year: int | None, month: int | None, day: int | None
) -> Span | None:
    """The date of these parts, None where the calendar has none: 30 February, month 13."""
    try:
        date(year or LEAP, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return None
    parts = [f"{year:04}" if year else "-", *(f"{part:02}" for part in (month, day) if part)]
    return Span(start, end, "date", "-".join(parts))


def _worded(text: str, start: int, end: int) -> Iterator[Found]:
    for name in MONTH.finditer(text, start, end):
        place = name.start()
        matches = [form.match(text, place) for form in WORDED_FORMS[1:]]
        if day := DAY_BEFORE.search(text, max(0, place - 9), place):
            matches.append(WORDED_FORMS[0].match(text, day.start()))
        for match in filter(None, matches):
            yield from _with_month(text, match)


def _with_month(text: str, match: re.Match[str]) -> Iterator[Found]:
    parts = match.groupdict()
    start, end = match.span()
    day, year = (
        parts.get("day") or _spoken(parts.get("nth"), ORDINALS),
        _year(parts) or _spoken(parts.get("thousand"), WORDS, 2000),
    )
    if not (day and text[start].isalpha()) and PARTS_BEFORE.search(text, max(0, start - 12), start):
        return
    if year is None and (
        text[max(0, start - 3) : start].lower() == "in " or measure(text, start, end)
    ):
        return  # In May 12 patients; March 5 mg
    yield start, end, year, NUMBERS[match["month"][:3].lower()], int(day) if day else None


def _spoken(words: str | None, values: dict[str, int], more: int = 0) -> int | None:
    return more + sum(values[word] for word in re.split("[ -]", words)) if words else None


def _year(parts: dict[str, str | None]) -> int | None:
    """Of two digits as POSIX has it: 69 to 99 lie before 2000."""
    if short := parts.get("short") or parts.get("short2"):
        return int(short) + (1900 if int(short) >= 69 else 2000)
    return int(parts.get("year") or 0) or None


def _numeric(text: str, start: int, end: int, day_first: bool | None) -> Iterator[Found]:
    for digits in DIGITS.finditer(text, start, end):
        for match in filter(None, (form.match(text, digits.start()) for form in NUMERIC_FORMS)):
            parts = match.groupdict()
            year = _year(parts)
            assert year
            if parts.get("sign") == "." and VERSION.search(
                text, max(0, match.start() - 9), match.start()
            ):
                continue
            if "a" in parts:
                day_first_here = day_first or (
                    day_first is not None and parts.get("sign") == "."
                )  # as `iso_date` reads dots
                day_month = _ordered(
                    year,
                    int(parts["a"]),
                    int(parts["b"]),
                    None if day_first is None else day_first_here,
                )
                if day_month:
                    yield *match.span(), year, day_month[1], day_month[0]
            elif "day" in parts:
                yield *match.span(), year, int(parts["month"]), int(parts["day"])
            elif (
                "sign" not in parts or int(parts["month"]) <= year % 100
            ):  # 2003-04 may be 2003 to 2004
                yield *match.span(), year, int(parts["month"]), None


def _ordered(year: int, one: int, two: int, day_first: bool | None) -> tuple[int, int] | None:
    """Day and month of two numbers: as declared, or as the calendar leaves no choice; None where it does."""
    readings = [
        (day, month) for day, month in ((one, two), (two, one)) if _span(0, 0, year, month, day)
    ]
    if len(set(readings)) == 2:
        return None if day_first is None else readings[0 if day_first else 1]
    return readings[0] if readings else None


def _chinese(text: str, start: int, end: int) -> Iterator[Found]:
    for form in CHINESE_FORMS:
        for match in form.finditer(text, start, end):
            parts = match.groupdict()
            year, month, day = (_count(parts.get(name)) for name in ("year", "month", "day"))
            if not parts.get("year"):
                yield *match.span(), None, month, day
            elif year is not None and (year := _chinese_year(text, match, year, month)):
                yield *match.span(), year, month, day


def _count(written: str | None) -> int | None:
    """Western digits, numerals one by one (二〇〇三) or as a count (二十三)."""
    if not written or written.isdigit():
        return int(written) if written else None
    if "十" in written:
        return int(chinese.number(written) or 0)
    return int("".join(chinese.DIGITS[sign] for sign in written))


def _chinese_year(text: str, match: re.Match[str], year: int, month: int | None) -> int | None:
    """The year before 年, None where it counts years, or is one of an era."""
    before, after = text[max(0, match.start() - 2) : match.start()], text[match.end() :][:6]
    if len(match["year"]) == 2:
        return (
            None if month is None or ERA.search(before) else year + (1900 if year >= 69 else 2000)
        )
    if month is None and (LASTING.match(after) or year > 2200):
        return None
    if year < 1000 and month is None:
        return (
            year
            if before.endswith("元")
            or (year % 100 and AT.search(before) and not after.startswith("前"))
            else None
        )
    return year
