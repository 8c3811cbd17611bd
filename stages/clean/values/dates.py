"""Dates of running text, as ISO 8601.

Nothing is guessed. What has two readings is left alone, and so is a range that leaves a part out
(3月5日至8日, March 5-8, 2003): a form of one end alone would break it. `date_fields.py` reads the date
of a field.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from stages.clean.span import Span, apart
from stages.clean.values import chinese, months
from stages.clean.values.measures import measure
from stages.clean.values.numbers import (
    ONE_TO_NINE,
    ONE_TO_NINETEEN,
    ORDINALS,
    WORDS,
    widths_folded,
)
from stages.clean.values.years import years

# Dates of running text: pieces of the patterns.
_MONTH = rf"(?P<month>{months.ANY})(?![A-Za-z])\.?"
_DAY = r"(?P<day>[0-3]?[0-9])(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>1[0-9]{3}|20[0-9]{2})"
_SHORT_YEAR = r"['’](?P<short>[0-9]{2})"  # '04
_LEFT = (
    r"(?<![A-Za-z0-9_#$€£])"  # no name and no amount of money: not $2003
    r"(?<![0-9][.,:/–-])"  # no number that goes on: not the 2003 of 1.2003
    r"(?<!-)"
)
_LEFT_OF_WORD = r"(?<![A-Za-z0-9_])"
_RIGHT = r"(?![A-Za-z0-9_%]|[.,:/–-][0-9])"  # no name, share or longer number

WORDED = (
    # 5 March 2024, the 5th of May 2003, 5-Mar-24, 14 July
    rf"{_LEFT}{_DAY}"
    r"(?: of | ?[ -])"
    rf"{_MONTH}"
    rf"(?:(?:,? |-|,? of ){_YEAR}|[ -]{_SHORT_YEAR}|-(?P<short2>[0-9]{{2}}))?"
    rf"{_RIGHT}",
    # March 5, 2024; Sep-16-2014; July 4
    rf"{_LEFT_OF_WORD}{_MONTH}"
    rf"[ -](?:the )?{_DAY}"
    rf"(?:(?:, ?|[ -]|,? of ){_YEAR}|,? {_SHORT_YEAR})?"
    rf"{_RIGHT}",
    # March 2024, May of 2003
    rf"{_LEFT_OF_WORD}{_MONTH}(?:,? | of |-){_YEAR}{_RIGHT}",
    # April '04
    rf"{_LEFT_OF_WORD}{_MONTH} {_SHORT_YEAR}{_RIGHT}",
)
"""Dates with the name of a month. The first form begins with the day, the others with the month."""

_TWO_THOUSAND = (
    r"two thousand(?: and)? "
    rf"(?P<thousand>twenty(?:[ -](?:{ONE_TO_NINE}))?|{ONE_TO_NINETEEN})"
    r"(?![A-Za-z])"
)
_TO_NINETEENTH = "|".join(word for word, value in ORDINALS.items() if value < 20)
_ORDINAL = (
    rf"(?P<nth>(?:(?:twenty|thirty)[ -])?(?:{_TO_NINETEENTH})"  # fifth, twenty-fourth
    r"|twentieth|thirtieth)"
)
SPOKEN = (
    # October twenty fourth, May the fifth of two thousand eight
    rf"{_LEFT_OF_WORD}{_MONTH} "
    rf"(?:the )?{_ORDINAL}"
    r"(?![A-Za-z])"
    rf"(?:,? (?:of |in )?{_TWO_THOUSAND})?",
    # March of two thousand eight
    rf"{_LEFT_OF_WORD}{_MONTH},? (?:of |in )?{_TWO_THOUSAND}",
)
"""Dates in words, as a transcript of speech has them."""

NUMERIC = (
    # 2024-03-05, 2024/3/5, 2014-09-10T11:15
    rf"{_LEFT}{_YEAR}(?P<sign>[-/.])"
    r"(?P<month>[01]?[0-9])(?P=sign)"
    r"(?P<day>[0-3]?[0-9])"
    r"(?=T[0-9]|(?![A-Za-z0-9_%]|[.,/–-][0-9]|-))",
    # 25/12/2003, 05.05.2003: day or month first
    rf"{_LEFT}(?P<a>[0-3]?[0-9])(?P<sign>[-/.])"
    r"(?P<b>[0-3]?[0-9])(?P=sign)"
    rf"{_YEAR}(?!-){_RIGHT}",
    # 07/20/07
    rf"{_LEFT}(?P<a>[0-3]?[0-9])/(?P<b>[0-3]?[0-9])/(?P<short>[0-9]{{2}}){_RIGHT}(?!/)",
    # 2019-03, 2019/12
    rf"{_LEFT}{_YEAR}(?P<sign>[-/])(?P<month>0[1-9]|1[0-2])(?!-){_RIGHT}",
    # 03/2019
    rf"{_LEFT}(?P<month>0?[1-9]|1[0-2])/{_YEAR}{_RIGHT}",
)

_DIGIT = "〇零○一二三四五六七八九"
_CHINESE_MONTH = rf"(?P<month>[01]?[0-9]|十[一二]?|[{_DIGIT}]) ?月"
_CHINESE_DAY = rf"(?P<day>[0-3]?[0-9]|[二三]?十[{_DIGIT}]?|[{_DIGIT}]) ?[日号號]"
CHINESE = (
    # 2024年3月5日, 二〇二四年三月, 08年5月12日, 2003年
    rf"(?<![0-9{_DIGIT}十百千前第])"
    r"(?<![0-9][.])"
    rf"(?P<year>[0-9]{{2,4}}|[{_DIGIT}]{{4}}"
    rf"|[{_DIGIT}]{{2}}(?=年[{_DIGIT}十]{{1,2}}月)) ?年"
    rf"(?: ?{_CHINESE_MONTH}(?: ?{_CHINESE_DAY})?)?",
    # 3月5日, 十二月二十五日
    rf"(?<![0-9{_DIGIT}十百年/.-]){_CHINESE_MONTH} ?{_CHINESE_DAY}",
    # the 1979 of 1979至1997年
    rf"(?<![0-9.]){_YEAR}"
    r"(?= ?[-–—~至到、和及與与/] ?[12][0-9]{3} ?年)",
)
# Ranges and lists that leave a part out: the date at their other end completes both.
_SHORT_DAY = r"[0-3]?[0-9](?:st|nd|rd|th)?"
_NAME = rf"(?:{months.ANY})\.?"
_TO = r"(?: ?[-–—~] ?| (?:to|through|thru|until|till) )"
_TO_OR_AND = r"(?:,? ?(?:and|or|to|through|thru|until|till|&|-|–|—|~) ?)"
PARTS_BEFORE = re.compile(
    rf"(?<![0-9/.-]){_SHORT_DAY}{_TO_OR_AND}$"  # the 3 and of 3 and 5 May 2003
    r"|(?<![0-9])[0-9]{1,2}(?:st|nd|rd|th)?[ -]$"  # the 5 of 5 May 12
)
"""Before a date that begins with its day, or a month with its year."""
MONTH_BEFORE = re.compile(
    rf"(?<![A-Za-z])(?:{_NAME}[ -]{_SHORT_DAY}|{_SHORT_DAY}(?: of |[ -]){_NAME}){_TO}$"
    rf"|(?<![A-Za-z]){_NAME}(?:{_TO}| ?[/&] ?| and | or )$"
)
"""Before a date with the name of a month, the other end without its year: 28 Feb to 3 March 2020,
Oct. 30-Nov. 2, 2019, March to May 2003.
"""
NAME_BEFORE = re.compile(rf"(?<![A-Za-z]){_NAME} $")
"""Before a day that belongs to another month: the Oct. of Oct. 30-Nov. 2."""
YEAR_SIGN_BEFORE = re.compile("[0-9]{4}-$")
"""Before a month and a day: the 2003- of 2003-Mar-05."""
DAY_BEHIND = re.compile(rf"{_TO}{_SHORT_DAY}(?![0-9:])")
"""Behind a month and a day without a year: the - 8 of March 5 - 8, 2003."""
MONTH_BEHIND = re.compile(
    rf"{_TO}(?:{_NAME} {_SHORT_DAY}|{_SHORT_DAY} {_NAME})(?:,? ?| of )[12][0-9]{{3}}"
)
"""Behind a month and a day without a year: the to April 2, 2003 of March 30 to April 2, 2003."""
NUMBER_BEFORE = re.compile(
    r"(?<![0-9A-Za-z./-])[0-3]?[0-9](?:[./][01]?[0-9])?[./]?(?: ?[-–—~] ?| to )$"
)
"""Before a day first or month first date in digits: the 5.- of 5.-8.3.2003, the 5/3 - of 5/3 - 8/3/2003."""
NUMBER_BEHIND = re.compile(
    r" ?[-–—~至到] ?(?:[01]?[0-9][-/.])?[0-3]?[0-9](?![0-9:/.-]*[0-9:])"  # 2003/3/5-8, 2003.3.5—3.8
    r"| to [0-3]?[0-9](?=$|[.,;:)])"
)
"""Behind a date in digits that begins with the year."""
_CHINESE_TO = r" ?(?:[-–—―~～至到]|--|——) ?"
_CHINESE_AND = r" ?(?:[-–—―~～至到、和及與与或/&]|--|——) ?"
_SMALL = rf"(?:[0-9]{{1,2}}|[{_DIGIT}十廿]{{1,3}})"
_TIME_OF_DAY = (
    r"(?:[（(][^（）()]{1,6}[）)])?"  # （周五）
    r"(?:上午|下午|中午|晚上?|早上?|凌晨|夜间?)?"
    r"(?: ?[0-9]{1,2}(?:[时点](?:[0-9]{1,2}分)?|:[0-9]{2}))?"  # 14时, 8:00
    r"(?:起|开始)?"
)
DAYS_BEHIND = re.compile(
    rf"{_TIME_OF_DAY}(?:{_CHINESE_AND}{_SMALL})+ ?[日号號](?![后後前内內间間])"  # 3月5日-8日
    rf"|{_SMALL}(?:{_CHINESE_AND}{_SMALL})+ ?[日号號月]"  # the 5-8日 of 3月5-8日
)
"""Behind a Chinese date: days or months that take their year and month from it."""
MONTH_AND_DAY_BEHIND = re.compile(
    rf"{_TIME_OF_DAY}{_CHINESE_TO}{_SMALL} ?月(?: ?{_SMALL} ?[日号號])?"
)
"""Behind a Chinese date with its year: an end of a range that takes its year from it (至10月7日)."""
MONTHS_BEHIND = re.compile(rf"{_CHINESE_AND}{_SMALL} ?月(?! ?{_SMALL} ?[日号號])")
"""Behind a Chinese month with its year: further months of that year (2020年1月、2月和3月)."""
YEAR_BEFORE = re.compile(rf"年 ?{_SMALL} ?月(?: ?{_SMALL} ?[日号號])?{_TIME_OF_DAY}{_CHINESE_TO}$")
"""Before a Chinese date without its year: the other end of such a range."""

# The forms look back at their beginning, which makes a search for them slow: every place of the
# text is a candidate. These patterns find the few places where a date may be much faster, and the
# forms are matched there alone.
MONTH = re.compile(rf"(?:{months.ANY})(?![A-Za-z])")
DIGITS = re.compile("[0-9]{1,4}[-/.][0-9]{1,4}")
DAY_BEFORE = re.compile("[0-3]?[0-9](?:st|nd|rd|th)?(?: of | ?[ -])$")
"""The day before the name of a month: 5, 5th of."""
DAY_FIRST_FORM = re.compile(WORDED[0])
MONTH_FIRST_FORMS = [re.compile(form) for form in (*WORDED[1:], *SPOKEN)]
NUMERIC_FORMS = [re.compile(form) for form in NUMERIC]
CHINESE_FORMS = [re.compile(form) for form in CHINESE]

VERSION = re.compile(
    r"(?:\b(?:v(?:er(?:sion|\.)?)?|release|build|firmware|software|ip)"
    r"|版本号?|软件|固件) ?$",
    re.IGNORECASE,
)
"""Before a number with dots that is no date: version 2019.3.7."""
NUMBERED = re.compile(
    r"(?:\b(?:part|parts|model|serial|lot|batch|chapter|section|sect\.|tel|phone|fax|isbn)"
    r"|型号|编号|批号|单号|号码|电话|传真|章|节)"
    r"\.?(?: (?:no\.?|nr\.?|number|#))?[:：]? ?$",
    re.IGNORECASE,
)
"""Before a number that names something: part no. 12-03-2004, 电话03-04-2003."""
EDITION = re.compile("[版号]")
"""Behind such a number: 1.2.2003版."""
ERA = re.compile("民国|[国和成治正绪熙隆宗帝]$")
"""Before a year of two digits that is counted from the start of an era: 民国98年5月."""
AT = re.compile(r"(?:^|[（(于於在至到自、，。,－–—-])$")
"""Before a year below 1000 that is one of the calendar: 于461年."""
LASTING = re.compile(r" ?(?:的?历史|来(?!自)|之久|多|[级代])")
"""Behind 年 in a span of time or a decade: 300年历史, 2000年来, 90年代."""
LEAP_YEAR = 2000
"""Stands for the year of a date without one, so that 29 February is a date."""


class Found(NamedTuple):
    """A date of a text, before the calendar was asked whether it exists."""

    start: int
    end: int
    year: int | None
    month: int | None
    day: int | None


def find_dates(text: str, lang: str, day_first: bool | None) -> list[Span]:
    """The dates of a text in their order, apart from each other.

    `normal` of a span is YYYY-MM-DD, YYYY-MM, YYYY, or --MM-DD where the text does not say the
    year. `lang` is an ISO 639-1 code. `day_first` says how to read 07/03/2019. With None, what has
    two readings is left alone.
    """
    folded = widths_folded(text)
    spans = list(dates_in(folded, lang, day_first, [(0, len(folded))]))
    for start, end, year in years(folded):
        spans.append(Span(start, end, "date", f"{year:04}"))
    return apart(spans)


def dates_in(
    folded: str, lang: str, day_first: bool | None, parts: Iterable[tuple[int, int]]
) -> Iterator[Span]:
    """The dates of some parts (start, end) of a text, without years by themselves. They may
    overlap.

    The widths of the text must be folded.
    """
    for start, end in parts:
        candidates = list(_numeric(folded, start, end, day_first))
        if lang == "zh":
            candidates += _chinese(folded, start, end)
        else:
            candidates += _worded(folded, start, end)
        for candidate in candidates:
            if span := _span(candidate):
                yield span


def _span(found: Found) -> Span | None:
    """The span of a date. None where the calendar has no such day, as 30 February."""
    if not _exists(found.year, found.month, found.day):
        return None
    parts = [f"{found.year:04}" if found.year else "-"]
    if found.month:
        parts.append(f"{found.month:02}")
    if found.day:
        parts.append(f"{found.day:02}")
    return Span(found.start, found.end, "date", "-".join(parts))


def _exists(year: int | None, month: int | None, day: int | None) -> bool:
    """Whether the calendar has such a day. Unknown parts are no obstacle."""
    try:
        date(
            year or LEAP_YEAR,
            1 if month is None else month,
            1 if day is None else day,
        )
    except ValueError:
        return False
    return True


def _worded(text: str, start: int, end: int) -> Iterator[Found]:
    """Dates with the name of a month."""
    for name in MONTH.finditer(text, start, end):
        at = name.start()
        matches = [form.match(text, at) for form in MONTH_FIRST_FORMS]
        if day := DAY_BEFORE.search(text, max(0, at - 9), at):
            matches.append(DAY_FIRST_FORM.match(text, day.start()))
        for match in matches:
            if match and (found := _with_month(text, match)):
                yield found


def _with_month(text: str, match: re.Match[str]) -> Found | None:
    """The date of a match with the name of a month.

    None where the words around it say that it is none.
    """
    parts = match.groupdict()
    start, end = match.span()
    if written := parts.get("day"):
        day: int | None = int(written)
    else:
        day = _sum_of_words(parts.get("nth"), _ORDINAL_PARTS)
    year = _year(parts)
    if not year and (spoken := _sum_of_words(parts.get("thousand"), WORDS)):
        year = 2000 + spoken
    month_and_day = day is not None and text[start].isalpha()
    if not month_and_day and PARTS_BEFORE.search(text, max(0, start - 12), start):
        return None
    if year and MONTH_BEFORE.search(text, max(0, start - 32), start):
        return None
    if year is None:
        before = YEAR_SIGN_BEFORE if month_and_day else NAME_BEFORE
        if before.search(text, max(0, start - 12), start):
            return None
        if DAY_BEHIND.match(text, end) or MONTH_BEHIND.match(text, end):
            return None
        if text[max(0, start - 3) : start].lower() == "in ":
            return None  # In May 12 patients
        if measure(text, start, end):
            return None  # March 5 mg
    month = months.NUMBERS[match["month"][:3].lower()]
    return Found(start, end, year, month, day)


_ORDINAL_PARTS = ORDINALS | {"twenty": 20, "thirty": 30}


def _sum_of_words(words: str | None, values: dict[str, int]) -> int | None:
    """24 for twenty fourth. None without words."""
    if not words:
        return None
    return sum(values[word] for word in re.split("[ -]", words))


def _year(parts: dict[str, str | None]) -> int | None:
    """The year in digits. One of two digits is read as POSIX does: 69 to 99 lie before 2000."""
    if short := parts.get("short") or parts.get("short2"):
        return _full_year(int(short))
    return int(parts.get("year") or 0) or None


def _full_year(two_digits: int) -> int:
    century = 1900 if two_digits >= 69 else 2000
    return century + two_digits


def _numeric(text: str, start: int, end: int, day_first: bool | None) -> Iterator[Found]:
    """Dates in digits."""
    for digits in DIGITS.finditer(text, start, end):
        for form in NUMERIC_FORMS:
            match = form.match(text, digits.start())
            if match and (found := _in_digits(text, match, day_first)):
                yield found


def _in_digits(text: str, match: re.Match[str], day_first: bool | None) -> Found | None:
    """The date of a match in digits. None where it has two readings, or is no date."""
    parts = match.groupdict()
    start, end = match.span()
    sign = parts.get("sign")
    year = _year(parts)
    assert year
    if sign == "." and VERSION.search(text, max(0, start - 9), start):
        return None
    if NUMBERED.search(text, max(0, start - 20), start) or EDITION.match(text, end):
        return None
    if "a" in parts:
        if NUMBER_BEFORE.search(text, max(0, start - 12), start):
            return None
        # With dots the day comes first wherever an order is declared, as `iso_date` reads it.
        order = True if day_first is not None and sign == "." else day_first
        day_and_month = _ordered(year, int(parts["a"]), int(parts["b"]), order)
        if not day_and_month:
            return None
        day, month = day_and_month
        return Found(start, end, year, month, day)
    month = int(parts["month"])
    if "day" in parts:
        if NUMBER_BEHIND.match(text, end):
            return None
        return Found(start, end, year, month, int(parts["day"]))
    if sign and month > year % 100:
        return None  # 2003-04 may be the years 2003 to 2004
    return Found(start, end, year, month, None)


def _ordered(year: int, one: int, two: int, day_first: bool | None) -> tuple[int, int] | None:
    """The day and the month of two numbers.

    Where both readings exist and differ, the declared order decides, and without one there is no
    date (None).
    """
    readings = []
    for day, month in ((one, two), (two, one)):
        if _exists(year, month, day):
            readings.append((day, month))
    if not readings:
        return None
    if len(set(readings)) == 1:
        return readings[0]
    if day_first is None:
        return None
    return readings[0] if day_first else readings[1]


def _chinese(text: str, start: int, end: int) -> Iterator[Found]:
    """Dates with 年, 月 and 日."""
    for form in CHINESE_FORMS:
        for match in form.finditer(text, start, end):
            parts = match.groupdict()
            month = _count(parts.get("month"))
            day = _count(parts.get("day"))
            first, last = match.span()
            if DAYS_BEHIND.match(text, last):
                continue
            if not parts.get("year"):
                if YEAR_BEFORE.search(text, max(0, first - 32), first):
                    continue
                yield Found(first, last, None, month, day)
                continue
            written = _count(parts["year"])
            assert written is not None
            if month and MONTH_AND_DAY_BEHIND.match(text, last):
                continue
            if month and not day and MONTHS_BEHIND.match(text, last):
                continue
            if year := _chinese_year(text, match, written, month):
                yield Found(first, last, year, month, day)


def _count(written: str | None) -> int | None:
    """The value of Western digits, of numerals one by one (二〇〇三), or of a count (二十三).

    None without any.
    """
    if not written:
        return None
    if written.isdigit():
        return int(written)
    if "十" in written:
        return int(chinese.number(written) or 0)
    digits = [chinese.DIGITS[sign] for sign in written]
    return int("".join(digits))


def _chinese_year(text: str, match: re.Match[str], year: int, month: int | None) -> int | None:
    """The year before 年. None where the number counts years, or belongs to an era."""
    before = text[max(0, match.start() - 2) : match.start()]
    after = text[match.end() : match.end() + 6]
    if len(match["year"]) == 2:
        if month is None or ERA.search(before):
            return None
        return _full_year(year)
    if month is not None:
        return year
    if year > 2200 or LASTING.match(after):
        return None
    if year >= 1000:
        return year
    if before.endswith("元"):  # 公元461年
        return year
    stands_alone = AT.search(before) and not after.startswith("前")
    return year if stands_alone and year % 100 else None
