"""Postal addresses: what names a house, with flat, town and postcode behind it.

English and other European forms: a number and a name that ends as streets do (USPS Publication 28,
appendix C1, and the words of larger European languages), a street's word with a number behind it,
military mail, and what `address:` or `address is` introduces. Chinese forms: a road or village with
a number (号), with what stands before it from the province on.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from stages.clean.personal import things
from stages.clean.span import Span
from stages.clean.tables import read_words
from stages.core.records.record import fold

SUFFIXES = read_words(Path(__file__).parent / "data" / "street_suffixes.txt")
"""Last words of English street names: Street, Avenue, Ave …"""

# Words. Most patterns below ignore case; (?-i:…) does not.
UPPER = r"(?-i:[A-Z\u00c0-\u00de\u0100-\u017d\u0370-\u03ff])"
SMALL = (
    "(?:de|del|della|des|der|den|du|la|le|of|and|dei|di|van|am|im|do|dos|da|el|al|y|na)"
    r"(?=\s)"
)
CAPITAL = (
    r"(?:(?!(?:The|This|Per|In|On|Of)\b)"
    rf"(?:{UPPER}"
    r"(?:\w{0,3}\.(?= )"  # St. before a blank
    r"|[\w'’-]{0,30})"  # Oak
    rf"|{SMALL}))"  # de
)
"""A word of a street's name: Oak, St., de."""
TOWN = (
    r"(?:(?!(?:The|It|He|She|We|I|My|His|Her|They|You|This|That|Please|Our|And|But|If|In)\b)"
    rf"{UPPER}[\w'’-]{{0,30}}"
    rf"|{SMALL})"
)
"""A word of a town's name. The words that are none mostly begin the next sentence."""
PLACE = (
    rf"(?:{TOWN}(?: {TOWN}){{0,4}}"  # New York City
    r"|(?-i:[A-Z]{2}|\d{2})(?!\w))"  # MA, 75
)

# What stands around a street's name.
NUMBER = (
    r"\d(?<!\w\d)(?<!\d[.,]\d)"  # the first digit, in no word and no longer number
    r"\d{0,5}[A-Za-z]?"  # 221B
    r"(?:-\d{1,5})?"  # 12-14
    r"(?: \d{1,5})?"
)
FLAT = (
    r"(?:[\s,]{1,3}"
    r"(?:Apt|Apartment|Suite|Ste|Unit|Room|Rm|Floor|Flat)\.? ?#?"
    r"(?-i:\d[\w-]{0,8}|[A-Z]\b))"
)
"""Apt 5, Suite #2, Flat B."""
POSTCODE = (
    r"(?:\d{5}-\d{4}"  # United States: 02139-1234
    r"|\d{2}-\d{3}"  # Poland
    r"|\d{3} \d{2}"  # Sweden, Czechia
    r"|\d{4,6}"  # most countries
    r"|(?-i:[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}"  # United Kingdom: SW1A 1AA
    r"|[A-Z]\d[A-Z] ?\d[A-Z]\d))"  # Canada: K1A 0B1
    r"(?!\w)"
)
AFTER = rf"(?:[\s,]{{1,12}}{PLACE}){{0,5}}(?:[\s,]{{1,12}}{POSTCODE})?"
"""Towns and a postcode: , Boston, MA 02139."""
TAIL = (
    rf"(?:\.?{FLAT}{{1,2}}{AFTER}"  # , Apt 5, Boston
    r"|\.?\s{0,3}[,\n]\s{0,8}"  # , Boston MA, or a new line
    rf"{PLACE}(?=\s{{0,8}}[,.\n]|\s{{0,8}}\d|\s{{0,3}}$)"
    f"{AFTER}"
    rf"|[\s,]{{1,3}}{POSTCODE})?"  # 02139
)
"""What may stand behind a street with a number."""

# Streets.
_SUFFIX = "|".join(sorted(SUFFIXES, reverse=True))
ENGLISH = rf"(?:{CAPITAL} ){{1,4}}(?-i:{_SUFFIX})\b\.?"
"""Oak Street, Martin Luther King Blvd."""
LOWER = (
    r"(?:(?!(?:the|a|an|in|on|of|or|and|per|to|from|have|has|this|that|each|by|at|is|are|was"
    r"|for|with|mile|miles|feet|km)\b)"
    r"(?-i:[a-z0-9][a-z0-9'’-]{1,20}) ){1,3}"
    r"(?:street|avenue|road|boulevard|lane|terrace|highway|parkway)\b"
)
"""oak street. Not: 5 miles of road."""
STREET = (
    "(?-i:Via|Viale|Rua|Rue|Calle|Carrera|Strada|Avenida|Avenue|Piazza|Plaza|Paseo|Chemin|Corso"
    r"|Av|ul|ulica)\b"
)
"""Words that stand before the name of a street in Romance and Slavic languages."""
STREET_FIRST = rf"{STREET}\.?(?: {CAPITAL}){{1,5}} \d{{1,5}}\b"
"""Rue de Rivoli 5."""
ENDINGS = (
    "strasse|straße|straat|gasse|platz|laan|weg|gatan|gata|vägen|veien|vegen|vej|gade|katu|tie"
    "|braut|allee|utca"
)
END_WORDS = "Straße|Strasse|Allee|Platz|Weg|Gasse|Straat|Laan"
ENDED = (
    rf"(?:{UPPER}[\w'’-]{{0,30}} ){{0,2}}"
    rf"{UPPER}(?:\w{{1,30}}(?-i:{ENDINGS})"  # Hauptstraße
    rf"|[\w'’-]{{1,30}} (?-i:{END_WORDS}))"  # Berliner Allee
    r"\.? \d{1,5}[a-z]?\b"
)
"""Germanic streets with a number: Hauptstraße 5a, Berliner Allee 17."""
BEHIND = rf"{CAPITAL}(?: {CAPITAL})? (?-i:u|utca|út|str|ulice)\.? \d{{1,5}}\b"
"""Hungarian and others: Kossuth Lajos utca 5."""
FLATTED = rf"(?: [\w'’.-]{{1,30}}){{1,6}}(?={FLAT})"
"""Any words before a flat."""

# Whole addresses.
NUMBERED = re.compile(
    rf"{NUMBER}"
    rf"(?:,? (?:(?P<english>{ENGLISH})|{STREET_FIRST}|{ENDED}|{BEHIND}|{LOWER})"
    rf"|(?P<flatted>{FLATTED}))"
    f"(?P<tail>{TAIL})",
    re.IGNORECASE,
)
"""12 Oak Street, Apt 5, Boston, MA 02139. Begins with a digit, which is searched for fast."""
WORDED = re.compile(rf"(?<!\w)(?:{STREET_FIRST}|{ENDED}|{BEHIND}){TAIL}", re.IGNORECASE)
"""Berliner Allee 17, 10117 Berlin."""
STREET_WORDS = re.compile(rf"(?:(?i:{ENDINGS})| u| út| utca| str| ulice)\.? \d|{STREET}")
"""Stands in a text in which `WORDED` is worth a try."""
CORNER = re.compile(
    r"(?:the )?corner of "
    rf"(?:\d{{1,6}} )?(?:{CAPITAL}(?: \d{{1,5}})? ){{1,5}}"
    rf"and {CAPITAL}(?: {CAPITAL}){{0,4}}(?: \d{{1,5}})?",
    re.IGNORECASE,
)
"""the corner of Main Street and Broadway."""
MILITARY = re.compile(
    r"(?<!\w)(?:(?:PSC|Unit|USNS|USNV|USS|USCGC) [\w.-]{1,30}"
    r"(?:,? Box \d{1,6})?"
    r"[\s,]{1,3}[AFD]PO A[AEP] \d{5}"
    r"|P\.? ?O\.? Box \d{1,6})",
    re.IGNORECASE,
)
"""PSC 1234, Box 5678, APO AP 96321, and P.O. Box 123."""
LOCATED = re.compile(
    r"\b(?:located|live[sd]?|living|resid(?:es?|ing)|office|offices? (?:is|are)) (?:at|in|on) "
    rf"({NUMBER} {CAPITAL}(?: {CAPITAL}){{0,3}}(?: \d{{1,5}})?{TAIL})",
    re.IGNORECASE,
)
"""lives at 12 Broadway. The group is the address."""
INTRODUCED = re.compile(
    r"\baddress(?:\s+is|\s*[:：])\s*"
    r"((?=[^\n]{0,80}\d|[^\n]{0,80}\n[^\n]{0,80}\d)"  # a digit in this line or the next
    r"\S.{3,160}?)"
    r"(?=\.?\s*$|[.!?]\s+[^\W\d]|\n\s*\n|[;|]"  # up to the end of the sentence or paragraph
    r"|\s(?:E-?mail|Phone|Tel|Fax|Website|Name|Date)\b\s*:)",  # or the next field
    re.IGNORECASE | re.DOTALL,
)
"""my address is 4 Rue X. The group is the address."""
HAN = r"[\u3400-\u9fff]"
CHINESE = re.compile(
    rf"(?:{HAN}{{2,8}}(?:省|自治区|特别行政区))?"
    rf"(?:{HAN}{{2,8}}(?:市|州|盟))?"
    rf"(?:{HAN}{{1,8}}(?:区|县|旗|市))?"
    rf"(?:{HAN}{{1,8}}(?:镇|乡|街道))?"
    rf"{HAN}{{1,10}}?(?:路|街|大道|巷|弄|胡同|村|里|园|小区|社区)"
    rf"[ 东西南北中]{{0,3}}(?:{HAN}{{1,3}}段)?"
    r"\d{1,5}(?:-\d{1,5})?[号弄栋幢座](?:院|楼)?"
    r"(?:[ ,，]?\d{1,4}(?:号楼|栋|幢|座|单元|楼|层|室|号|房)){0,5}"
)
"""北京市海淀区中关村大街27号1101室."""
LED = re.compile(r"位于|[坐座]落|[在于到住自从店]")
"""Words that lead to an address and are no part of it."""
HOUSE = re.compile(r"\d[号弄栋幢座]")
"""Stands in a text in which `CHINESE` is worth a try."""
CHINESE_INTRODUCED = re.compile(
    r"(?:地址|住址|住所|家住|现住|户籍地|居住地)(?:为|是|在|[:：\s]){0,3}"
    rf"({HAN}{{2,10}}[省市区县州旗镇乡村][\u3400-\u9fff\d号-]{{0,60}})"
)
"""住址：湖南省长沙县黄兴镇3组. The group is the address."""
WITH_GROUP = (LOCATED, INTRODUCED, CHINESE_INTRODUCED)
"""Patterns whose first group is the address."""
DIGIT = re.compile(r"\d")
WORDS_BEFORE_LOCATED = ("locat", "live", "living", "resid", "office")
WORDS_BEFORE_CHINESE = ("址", "住", "户籍", "居住")


def find(text: str) -> Iterator[Span]:
    """Every postal address of a text. They may overlap. There is none without a digit."""
    if not DIGIT.search(text):
        return
    for pattern in _worth_a_try(text):
        for match in pattern.finditer(text):
            if pattern is NUMBERED and things.is_no_street(text, match):
                continue
            if pattern is INTRODUCED and things.is_technical(text, match.start()):
                continue
            is_group = pattern in WITH_GROUP
            start, end = match.span(1 if is_group else 0)
            if pattern is CHINESE:
                start += _length_of_lead(match.group())
            yield Span(start, end, "address", fold(text[start:end]))


def _worth_a_try(text: str) -> Iterator[re.Pattern[str]]:
    """The patterns that may match in a text.

    A look for a word costs a hundredth of a search for a pattern.
    """
    low = text.lower()
    yield NUMBERED
    if STREET_WORDS.search(text):
        yield WORDED
    if "corner of" in low:
        yield CORNER
    if "po a" in low or "box" in low:
        yield MILITARY
    if any(word in low for word in WORDS_BEFORE_LOCATED):
        yield LOCATED
    if "address" in low:
        yield INTRODUCED
    if HOUSE.search(text):
        yield CHINESE
    if any(word in text for word in WORDS_BEFORE_CHINESE):
        yield CHINESE_INTRODUCED


def _length_of_lead(address: str) -> int:
    """Characters up to the end of the last word that leads to a Chinese address: 我住在 in
    我住在中关村大街27号.
    """
    length = 0
    for lead in LED.finditer(address):
        length = lead.end()
    return length
