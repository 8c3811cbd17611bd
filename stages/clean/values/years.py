"""Years by themselves in running text: which numbers of four digits are clearly a year of the
calendar.

A number is a year if a word before it says so (in, since, early), if it is one of a range of two,
or if it is cited in parentheses. It also is a year if the words on both sides leave no count: "of
2003 and" and "the 2003 season", but not "of 2003 patients".
"""

import re
from collections.abc import Iterator
from pathlib import Path

from stages.clean.tables import read_table

_TABLE = read_table(Path(__file__).parent / "data" / "year_words.csv", ("use", "pattern"))


def _any_of(use: str) -> str:
    """The pattern of any word of the table that has this use."""
    return "|".join(row["pattern"] for row in _TABLE if row["use"] == use)


_NUMERAL = "[0-9〇零一二三四五六七八九十]"

# Digits come first in these two patterns, and what stands before them is looked at afterwards: a
# pattern that begins with a digit is searched for much faster than one that begins with a look
# back. `.{4}` skips the digits on the way back.
LONE = re.compile(
    "([12][0-9]{3})"
    "(?<![A-Za-z0-9_.,:/$€£#=].{4})"  # no part of a name, number or amount of money: $2003, =2003
    "(?<![0-9]-.{4})"  # not the second part of 555-2003
    "(?![A-Z0-9_%-]|[a-z][A-Za-z0-9]"  # no name behind it: 2003A, 2003abc
    "|[.,:/–][0-9]"  # no number that goes on: 2003.5
    r"|['’]?s\b"  # no decade: 1990s, 1950's
    f"| ?年 ?{_NUMERAL}{{1,3}}(?:[、至到~～—–-]|{_NUMERAL}| ){{0,8}}月)"  # no part of 2003年3-5月
)
"""A number that may be a year: 1000 to 2999."""
_YEAR_OF_RANGE = "(1[4-9][0-9]{2}|20[0-9]{2})"
RANGE = re.compile(
    f"{_YEAR_OF_RANGE}"
    "(?<![A-Za-z0-9_.,:/$#=-].{4})"
    " ?[-–—~] ?"
    f"{_YEAR_OF_RANGE}"
    "(?![A-Za-z0-9_%]|[.,:/–-][0-9])"
)
"""Two years with a dash: 1990-2003."""
LONGEST_RANGE = 300
"""Years between the two of a range, exclusive.

Two numbers further apart are rather pages or counts.
"""

PAGES = re.compile(
    r"(?:\bpp?\.?|\bpages?"  # pp. 1200
    "|[0-9)]:"  # 5:1200, as journals cite pages
    r"|\bNo\.?"
    "|[=<>+]"  # n = 2003
    ") ?$",
    re.IGNORECASE,
)
"""Before a number that is no year."""
SURE = re.compile(
    rf"(?:\b(?:{_any_of('sure')})"  # in 2003
    r"|©|\(c\)|公元|西元|于|於"
    ") ?(?:the )?$"
    r"|\b(?:mid|early|late|pre|post)-$",  # mid-1990
    re.IGNORECASE,
)
"""Before a number that is a year."""
LIKELY = re.compile(rf"\b(?:{_any_of('maybe')}) $", re.IGNORECASE)
"""Before a year or a count. What follows decides (`CLOSED`)."""
CLOSED = re.compile(
    r"$|\n|[.,;:)\]!?—–\"”’」]"  # the sentence or a part of it ends
    r"|['’]s\b"  # 2003's
    "| ?[-–] ?"
    rf"| (?:{_any_of('closing')})\b"
    "| [(A-Z]"  # something else begins
)
"""Behind a year that `LIKELY` precedes: of 2003 and. Not: of 2003 new cases."""
NAMED = re.compile(
    r"\b(?:the|an?|its|his|her|their|our|this|[A-Za-z]+['’]s) $|(?:^|\n) ?$", re.IGNORECASE
)
"""Before a year that is part of a name, as in "the 2003 season" or at the beginning of a line."""
NAME = re.compile(r" (?![a-z-]+s\b)[A-Za-z-]+(?! ?(?:of|and) (?:them|these))")
"""Behind a year that `NAMED` precedes: a word that is no plural, as a plural would be counted (the
2003 patients).
"""
_LITTLE_WORD = "(?:by|the|of|and|to|in|for|with|an?|from|on|at|as|or) "
COUNTED = re.compile(
    f" (?:(?!{_LITTLE_WORD})[A-Za-z-]+ ){{0,2}}"  # at most two words between: new breast
    rf"(?:{_any_of('counted')})\b"
)
"""Behind a number that counts: 2003 patients, 2003 new cases."""
CITED = re.compile(
    r"[(（\[][^()（）\[\]]{0,90}?[A-Za-z.,;] ?$"  # (Smith et al.
    r"|[(（\[] ?$"  # (
    r"|[(（\[][^()（）\[\]]{0,90}[0-9][a-z]?[,;] $"  # (Jones 2001,
)
"""Before a year that is cited in parentheses."""
ENDED = re.compile(
    "[a-z]?"  # 2003a
    r"(?:[)）\];,；，]"
    r"| ?[-–] ?[0-9]{4}[)）\]])"  # 2003-2005)
)
"""Behind a year that is cited in parentheses."""
ALONE = re.compile(r"(?:^|[.;\n] ?)$")
ENDS = re.compile(r"\.?\s*(?:$|\n)")
"""Before (`ALONE`) and behind (`ENDS`) a year that is all that stands there."""
LISTED = re.compile("(?:,|,? (?:and|or|to)|、|和|及) ?")
"""Between the numbers of a list: 2001, 2003 and 2006."""
NEAR = 100
"""Characters before and behind a number that tell whether it is a year."""
FIRST_SURE = 1400
"""From this year on, a word of `SURE` is enough.

An earlier number must also be `CLOSED`: in 1200 and, not: in 1200 new.
"""
MODERN = range(1700, 2051)
"""Years that a doubtful context may name."""
FIRST_ALONE = 1900
"""From this year on, a number without any word of evidence may be a year, where nothing else stands
there or a name follows.
"""


def years(text: str) -> Iterator[tuple[int, int, int]]:
    """Start, end and number of every year by itself. Years within other dates are among them."""
    for match in RANGE.finditer(text):
        first, second = int(match[1]), int(match[2])
        if not first < second < first + LONGEST_RANGE or second not in MODERN:
            continue
        if not PAGES.search(text, max(0, match.start() - 8), match.start()):
            yield match.start(1), match.end(1), first
            yield match.start(2), match.end(2), second
    for row in _lists(text):
        # One sure year makes the whole list years.
        if any(_is_year(text, match) for match in row):
            for match in row:
                yield match.start(), match.end(), int(match[1])


def _lists(text: str) -> Iterator[list[re.Match[str]]]:
    """Numbers that may be years, the ones of a list together: 2001, 2003 and 2006.

    Most lists hold one number.
    """
    row: list[re.Match[str]] = []
    for match in LONE.finditer(text):
        number = int(match[1])
        if number >= 2100:
            continue
        if row:
            goes_on = LISTED.fullmatch(text, row[-1].end(), match.start()) and number in MODERN
            if not goes_on:
                yield row
                row = []
        row.append(match)
    if row:
        yield row


def _is_year(text: str, match: re.Match[str]) -> bool:
    """Whether the words before and behind a number say that it is a year."""
    number = int(match[1])
    before = text[max(0, match.start() - NEAR) : match.start()]
    after = text[match.end() : match.end() + NEAR]
    if COUNTED.match(after) or PAGES.search(before[-8:]):
        return False
    if SURE.search(before[-25:]):
        return number >= FIRST_SURE or bool(CLOSED.match(after))
    if number not in MODERN:
        return False
    if CITED.search(before) and ENDED.match(after):
        return True
    if LIKELY.search(before[-12:]) and CLOSED.match(after):
        return True
    if number < FIRST_ALONE:
        return False
    if ALONE.search(before[-4:]) and ENDS.match(after):
        return True
    return bool(NAMED.search(before[-25:]) and NAME.match(after))
