"""One date of a field, as ISO 8601.

Nothing is guessed. A value that two conventions read differently is refused: a year of two digits,
a count of days or seconds (Excel's 45358, Unix's 1709769600), or a range of days.
"""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

from stages.clean.tables import read_table
from stages.clean.values import chinese, months
from stages.clean.values.unusable import Unusable

_TABLE = Path(__file__).parent / "data" / "eras.csv"
ERAS = {
    row["name"]: (
        date.fromisoformat(row["first"]),
        date.fromisoformat(row["last"]) if row["last"] else date.max,
    )
    for row in read_table(_TABLE, ("name", "first", "last"), may_be_empty=("last",))
}
"""First and last day of each era that years are counted by: 平成30年 is 2018."""
ERA_YEAR = re.compile(rf"({'|'.join(ERAS)}) ?(元|[0-9]{{1,3}})年")
"""A year of an era: 民国92年, 令和元年."""

# The time of day, wherever it stands.
_ZONE = (
    r"(?: ?(?:Z|UTC|GMT|[A-Z]{2,4}T)(?![A-Za-z]))?"  # Z, UTC, CEST
    r"(?: ?[+-][01][0-9](?::?[0-5][0-9])?(?![0-9]))?"  # +08:00, -0500
    r"(?: ?\([A-Z]{3,4}\)| ?\[[A-Za-z_]+(?:/[A-Za-z_]+)*\])?"  # (CET), [Europe/Berlin]
)
_OCLOCK = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"  # 10:30
    r"(?::(?P<second>[0-9]{2})(?:[.,][0-9]{1,9})?)?"  # :05.000
    r"(?: ?(?P<half>[AaPp]\.?[Mm]\.?)(?![A-Za-z]))?"  # PM
)
TIME = re.compile(
    r"(?:(?<=[0-9])[Tt]"  # 2024-03-07T10:30
    r"|(?<=[a-z]/[0-9]{4}):"  # 07/Mar/2024:10:30, as web servers log it
    r"|(?:,| -)? +(?:at )?"
    rf"|^){_OCLOCK}{_ZONE}(?=$|[ ,，])"
)
"""A time of day with its zone: T22:25Z, 10:30 PM, 22:25:00 +0000."""
HOUR = re.compile(r"(?<=[0-9])[Tt](?:[01][0-9]|2[0-4])(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?$")
"""The hour alone, as ISO 8601 allows it: 2024-03-07T22, 2024-03-07T22+08:00."""
CHINESE_TIME = re.compile(
    r" ?(?:凌晨|清晨|早上|上午|中午|下午|傍晚|晚上|晚)? ?"
    r"(?P<hour>[0-9]{1,2})(?:[时時点點]|:)"
    r"(?:(?P<minute>[0-9]{1,2})分?)?(?:[:：]?(?P<second>[0-9]{1,2})秒?)?$"
)
"""A time of day in Chinese, behind a day: 10时30分, 下午3:20."""
CHINESE_CLOCK = re.compile("[日时時点點午晨晚早]")
"""Stands where `CHINESE_TIME` may be a time of day."""

# The day of the week. It must be that of the date.
_ENGLISH_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CHINESE_WEEKDAYS = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6}
WEEKDAY = re.compile(
    r"\(?\b(Mon(?:day)?|Tue(?:s(?:day)?)?|Wed(?:nesday)?|Thu(?:rs?(?:day)?)?|Fri(?:day)?"
    r"|Sat(?:urday)?|Sun(?:day)?)\b\.?\)?,?",
    re.IGNORECASE,
)
"""A day of the week in English: Thu, (Thursday)."""
CHINESE_WEEKDAY = re.compile(r"[(（]?(?:星期|礼拜|禮拜|周|週)([一二三四五六日天])[)）]?")
"""A day of the week in Chinese: 星期三, （周三）."""

_MONTH = rf"(?P<name>{months.ANY})(?![A-Za-z])\.?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th|\.)?"
_YEAR = r"(?P<year>[0-9]{4})"
FORMS = [
    re.compile(form, re.IGNORECASE)
    for form in (
        # 2019-03-07, 2019/3/7, 2019.3.7; 2019:03:07, as cameras write it
        rf"{_YEAR}(?P<sign>[-/.:])(?P<month>[0-9]{{1,2}})(?P=sign)(?P<day>[0-9]{{1,2}})",
        # 07/03/2019, 7.3.2019, 07-03-2019
        rf"(?P<a>[0-9]{{1,2}})(?P<sign>[-/.])(?P<b>[0-9]{{1,2}})(?P=sign){_YEAR}",
        # 7 March 2019, 7th of Mar. 2019, 7-Mar-2019, 07/Mar/2019, 07MAR2019
        rf"{_DAY}(?: of |[ /-]?){_MONTH}(?:, ?|[ /-]?){_YEAR}",
        # March 7, 2019; Sept. 7 2019; Mar-07-2019
        rf"{_MONTH}(?: the |[ -]){_DAY}(?:, ?|[ -]){_YEAR}",
        # 2019 March 7, 2019-Mar-07
        rf"{_YEAR}[ -]{_MONTH}[ -]{_DAY}",
        # March 2019, Mar-2019, March of 2019
        rf"{_MONTH}(?: of |, ?|[ -]){_YEAR}",
        # 2019-03, 2019/3
        rf"{_YEAR}[-/](?P<month>[0-9]{{1,2}})",
        # 03/2019, 03-2019, 03.2019
        rf"(?P<month>[0-9]{{1,2}})[/-]{_YEAR}",
        rf"(?P<month>[0-9]{{2}})\.{_YEAR}",
        # 2019年3月7日, 2019年3月, 2019年
        rf"{_YEAR}年(?:(?P<month>[0-9]{{1,2}})月(?:(?P<day>[0-9]{{1,2}})日)?)?",
        _YEAR,
    )
]
"""The forms of a date without its time of day."""
COMPACT = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?:T?(?P<hour>[0-9]{2})"
    r"(?:(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:\.[0-9]{1,9})?)?)?)?"
    r"(?P<zone>Z|[+-][0-9]{2}(?:[0-9]{2})?)?"
)
"""Digits one after the other, as HL7 and ISO 8601 write them: 20190307, 20190307111514.000-0500."""
COMPACT_YEARS = range(1500, 2200)
"""Years of `COMPACT`. Other digits are rather a number."""
SIX_DIGITS = re.compile("([0-9]{2})([0-9]{2})([0-9]{2})")
LONGEST = 100
"""Characters of the longest date of a field, with its time and its zone."""
HYPHENS = str.maketrans({"‐": "-", "‑": "-", "−": "-"})
"""Other hyphens than that of the keyboard. Not the dash, which joins two years: 2003–04."""
COUNT = re.compile(r"-?[0-9]{9,}(?:\.[0-9]+)?")
"""A number that may count the seconds, milliseconds … since 1970."""


class Parts(NamedTuple):
    """The parts of a date that are known."""

    year: int
    month: int | None = None
    day: int | None = None

    def written(self) -> str:
        """YYYY-MM-DD, YYYY-MM or YYYY. Raises ValueError where the calendar has no such day."""
        month = 1 if self.month is None else self.month
        day = 1 if self.day is None else self.day
        whole = date(self.year, month, day).isoformat()
        if self.month is None:
            return whole[: len("YYYY")]
        if self.day is None:
            return whole[: len("YYYY-MM")]
        return whole


def iso_date(text: str, day_first: bool) -> str:
    """The date of a field as YYYY-MM-DD, or as YYYY-MM or YYYY where no more is known.

    A time of day is left out. The day is the one that is written, whatever the time zone. Raises
    Unusable (`bad_date`).
    """
    try:
        return _read(text, day_first)
    except ValueError:
        pass
    if COUNT.fullmatch(text.strip()):
        raise Unusable(
            "bad_date",
            f"{text!r} may be a count of seconds since 1970, or something else; "
            "write it as a date in the source",
        )
    raise Unusable("bad_date", f"{text!r} is not a date that can be read in one way only")


def is_date(text: str, day_first: bool) -> bool:
    """Whether `iso_date` reads the text."""
    try:
        iso_date(text, day_first)
    except Unusable:
        return False
    return True


def _read(text: str, day_first: bool) -> str:
    """The date of a field. Raises ValueError where it has none, or more than one."""
    if len(text) > LONGEST:
        raise ValueError("too long")
    rest = " ".join(text.translate(HYPHENS).split()).rstrip(".,; ")
    compact = COMPACT.fullmatch(rest)
    if compact:
        return _of_digits(compact)
    if SIX_DIGITS.fullmatch(rest):
        return _of_six_digits(rest)

    rest, weekday = _without_weekday(rest)
    rest = chinese.plain_date(rest)
    rest, era = _without_era(rest)
    rest = _without_time(rest)

    compact = COMPACT.fullmatch(rest)
    if compact and not compact["hour"]:  # 20190307 11:15
        written = _of_digits(compact)
    else:
        written = _parts(rest, day_first).written()
    if weekday is not None:
        if len(written) != len("YYYY-MM-DD") or date.fromisoformat(written).weekday() != weekday:
            raise ValueError("another day of the week")
    if era:
        _check_era(era, written)
    return written


def _of_digits(match: re.Match[str]) -> str:
    """The day of digits one after the other.

    Ten digits without a zone are refused: they may be the hour of a day, or a count of seconds.
    """
    if int(match["year"]) not in COMPACT_YEARS:
        raise ValueError("no year")
    if match["hour"] and not match["minute"] and not match["zone"] and "T" not in match.group():
        raise ValueError("hours or seconds")
    _check_time(match)
    return Parts(int(match["year"]), int(match["month"]), int(match["day"])).written()


def _of_six_digits(text: str) -> str:
    """201307 is July 2013. Refused where the digits may also be a day with a year of two digits."""
    match = SIX_DIGITS.fullmatch(text)
    assert match
    one, two, three = (int(part) for part in match.groups())
    for year, month, day in ((one, two, three), (three, two, one), (three, one, two)):
        try:
            date(2000 + year, month, day)
        except ValueError:
            continue
        raise ValueError("a day of a year of two digits")
    if int(text[:4]) not in COMPACT_YEARS:
        raise ValueError("no year")
    return Parts(int(text[:4]), int(text[4:])).written()


def _without_weekday(text: str) -> tuple[str, int | None]:
    """The text without its day of the week, and the number of this day: Monday is 0.

    Raises ValueError for two of them.
    """
    found = []
    for name in WEEKDAY.findall(text):
        found.append(_ENGLISH_WEEKDAYS.index(name[:3].lower()))
    for name in CHINESE_WEEKDAY.findall(text):
        found.append(_CHINESE_WEEKDAYS[name])
    if not found:
        return text, None
    if len(found) > 1:
        raise ValueError("two days of the week")
    rest = WEEKDAY.sub(" ", CHINESE_WEEKDAY.sub(" ", text))
    return " ".join(rest.split()), found[0]


def _without_era(text: str) -> tuple[str, str | None]:
    """The text with the year of its era as a year of the calendar, and the name of the era."""
    match = ERA_YEAR.match(text)
    if not match:
        return text, None
    name, number = match.groups()
    first, _ = ERAS[name]
    year = first.year if number == "元" else first.year + int(number) - 1
    return f"{year:04}年{text[match.end() :]}", name


def _check_era(name: str, written: str) -> None:
    """Raise ValueError where a date lies outside its era: 昭和65年.

    Dates of one length are compared as text, so that a month or a year that an era shares with
    another one is in both.
    """
    first, last = ERAS[name]
    length = len(written)
    if not first.isoformat()[:length] <= written <= last.isoformat()[:length]:
        raise ValueError("outside its era")


def _without_time(text: str) -> str:
    """The text without its time of day. Raises ValueError for a time that no clock shows."""
    match = TIME.search(text)
    if not match and CHINESE_CLOCK.search(text):
        match = CHINESE_TIME.search(text)
    if not match:
        return HOUR.sub("", text)
    _check_time(match)
    rest = text[: match.start()] + " " + text[match.end() :]
    return " ".join(rest.split()).strip(",， ")


def _check_time(match: re.Match[str]) -> None:
    """Raise ValueError for a time that no clock shows: 25:00, 22:61."""
    hour = int(match["hour"] or 0)
    minute = int(match["minute"] or 0)
    second = int(match["second"] or 0)
    if hour > 24 or minute > 59 or second > 60:
        raise ValueError("no time of day")


def _parts(text: str, day_first: bool) -> Parts:
    """The parts of a date without a time of day. Raises ValueError where it has none of `FORMS`."""
    for match in _matches(text):
        parts = match.groupdict()
        year = int(parts["year"])
        if "a" in parts:
            one, two = int(parts["a"]), int(parts["b"])
            # With dots the day comes first everywhere.
            in_order = day_first or parts["sign"] == "."
            return Parts(year, two, one) if in_order else Parts(year, one, two)
        day = int(parts["day"]) if parts.get("day") else None
        if parts.get("name"):
            return Parts(year, months.NUMBERS[parts["name"][:3].lower()], day)
        month = int(parts["month"]) if parts.get("month") else None
        return Parts(year, month, day)
    raise ValueError("no date")


def _matches(text: str) -> Iterator[re.Match[str]]:
    for form in FORMS:
        match = form.fullmatch(text)
        if match:
            yield match
