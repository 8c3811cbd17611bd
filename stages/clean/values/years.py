"""Years by themselves in running text: which numbers of four digits are clearly one of the calendar.

A number is a year if a word before it says so (in, since, early), if it is one of a range of two or cited in parentheses, or if
the words on both sides leave no count: of 2003 and, the 2003 season; not: of 2003 patients.
"""

import re
from collections.abc import Iterator

LONE = re.compile(
    r"([12][0-9]{3})(?<![A-Za-z0-9_.,:/$€£#=].{4})(?<![0-9]-.{4})(?![A-Z0-9_%-]|[a-z][A-Za-z0-9]|[.,:/–][0-9]|['’]?s\b)"
)
RANGE = re.compile(
    r"(1[4-9][0-9]{2}|20[0-9]{2})(?<![A-Za-z0-9_.,:/$#=-].{4}) ?[-–—~] ?"
    r"(1[4-9][0-9]{2}|20[0-9]{2})(?![A-Za-z0-9_%]|[.,:/–-][0-9])"
)
"""What stands before is looked at after the digits: a pattern that begins with a digit is searched for much faster."""
PAGES = re.compile(r"(?:\bpp?\.?|\bpages?|[0-9)]:|\bNo\.?|[=<>+]) ?$", re.IGNORECASE)
SURE = re.compile(
    r"(?:\b(?:in|since|until|till|circa|years?|early|late|mid|spring|summer|autumn|fall|winter|season|born|dated|copyright|"
    r"et al\.?,?|during|throughout|as of|class of|end of|start of|"
    r"beginning of|since at least|since about|A\.?D\.?)|©|公元|西元|于|於) ?(?:the )?$|\b(?:mid|early|late|pre|post)-$",
    re.IGNORECASE,
)
"""What stands before a year."""
LIKELY = re.compile(
    r"\b(?:by|of|from|to|for|before|after|and|or|through|between|than|around|about|on|at|until) $",
    re.IGNORECASE,
)
"""What may stand before a year or a count; what follows decides (`CLOSED`)."""
CLOSED = re.compile(
    r"$|\n|[.,;:)\]!?—–\"”’」]|['’]s\b| ?[-–] ?| (?:and|or|to|the|an?|as|by|is|was|were|are|with|when|while|at|on|of|for|that|"
    r"this|it|he|she|we|they|in|but|until|through|after|before|had|has|have|did|using|from|due)\b| [(A-Z]"
)
NAMED = re.compile(
    r"\b(?:the|an?|its|his|her|their|our|this|[A-Za-z]+['’]s) $|(?:^|\n) ?$", re.IGNORECASE
)
"""Behind these a year is part of a name, as in the 2003 season, unless a plural follows, which would be counted."""
NAME = re.compile(r" (?![a-z-]+s\b)[A-Za-z-]+(?! ?(?:of|and) (?:them|these))")
COUNTED = re.compile(
    r" (?:(?!(?:by|the|of|and|to|in|for|with|an?|from|on|at|as|or) )[A-Za-z-]+ ){0,2}(?:patients|people|persons|participants|"
    r"individuals|subjects|women|men|children|cases|controls|adults|infants|births|deaths|samples|genes|families|students|households|"
    r"words|calories|steps|members|species|kcal|km|m|mg|g|ml|feet|miles)\b"
)
CITED = re.compile(
    r"[(（\[][^()（）\[\]]{0,90}?[A-Za-z.,;] ?$|[(（\[] ?$|[(（\[][^()（）\[\]]{0,90}[0-9][a-z]?[,;] $"
)
ENDED = re.compile(r"[a-z]?(?:[)）\];,；，]| ?[-–] ?[0-9]{4}[)）\]])")
ALONE, ENDS = re.compile(r"(?:^|[.;\n] ?)$"), re.compile(r"\.?\s*(?:$|\n)")
"""Before and after a year that is all that stands there."""
LISTED = re.compile("(?:,|,? (?:and|or|to)|、|和|及) ?")
NEAR = 100
MODERN = range(1700, 2051)
"""Years that a doubtful place may name."""


def years(text: str) -> Iterator[tuple[int, int, int]]:
    """Start, end and number of every year by itself. Those within other dates are among them."""
    for match in RANGE.finditer(text):
        first, second = int(match[1]), int(match[2])
        if (
            first < second < first + 300
            and second in MODERN
            and not PAGES.search(text, max(0, match.start() - 8), match.start())
        ):
            yield match.start(1), match.end(1), first
            yield match.start(2), match.end(2), second
    for row in _rows(text):
        if any(
            _is_year(
                text[max(0, one.start() - NEAR) : one.start()],
                text[one.end() : one.end() + NEAR],
                int(one[1]),
            )
            for one in row
        ):
            yield from ((one.start(), one.end(), int(one[1])) for one in row)


def _rows(text: str) -> Iterator[list[re.Match[str]]]:
    """Numbers that may be years, those of one list together: 2001, 2003 and 2006."""
    row: list[re.Match[str]] = []
    for match in LONE.finditer(text):
        if int(match[1]) >= 2100:
            continue
        if row and not (
            LISTED.fullmatch(text, row[-1].end(), match.start()) and int(match[1]) in MODERN
        ):
            yield row
            row = []
        row.append(match)
    if row:
        yield row


def _is_year(before: str, after: str, number: int) -> bool:
    if COUNTED.match(after) or PAGES.search(before[-8:]):
        return False
    if SURE.search(before[-25:]):
        return number >= 1400 or bool(CLOSED.match(after))
    if number not in MODERN:
        return False
    pairs = [(CITED.search(before), ENDED), (LIKELY.search(before[-12:]), CLOSED)]
    if number >= 1900:
        pairs += [(ALONE.search(before[-4:]), ENDS), (NAMED.search(before[-25:]), NAME)]
    return any(stands and follows.match(after) for stands, follows in pairs)
