"""What has the form of personal data and is none: numbers of products and sections, large numbers,
products that sound like streets, and substances that sound like persons.

Only the words around a candidate tell. Where they say nothing, the candidate counts as personal.
"""

import re
from pathlib import Path

from stages.clean.tables import read_words

DATA = Path(__file__).parent / "data"
COUNTED = frozenset(read_words(DATA / "counted_things.txt"))
NAMED = frozenset(read_words(DATA / "named_things.txt"))
ENDINGS = read_words(DATA / "substance_endings.txt")
BEFORE = 60
"""Characters before a number among which words are looked for."""

_PRODUCTS = "|".join(read_words(DATA / "product_numbers.txt"))
_SECTIONS = "|".join(read_words(DATA / "sections.txt"))
# What may stand between such a word and its number: ` number: `, ` no. `, ` # `.
_NUMBER = r"[\s.:#№-]{0,4}(?:(?:numbers?|nummer|codes?|num|nos?|nr|id)\b[\s.:#-]{0,4})?(?:is\s)?"
PRODUCT = re.compile(
    rf"(?:\b(?:{_PRODUCTS}){_NUMBER}"
    "|(?:批号|批次|货号|型号|条码|条形码|序列号|产品编号|版本|固件)[为是：:#\\s]{0,3})$",
    re.IGNORECASE,
)
"""Before the number of a product: lot no., 批号：."""
SECTION = re.compile(
    rf"(?:\b(?:{_SECTIONS}|v)[\s.:#]{{1,4}}|§{{1,2}}\s?|(?:第|图|表|式|附录)\s?)"
    # more numbers of sections: 10.2.3.4, 10.2.3.5 and
    r"(?:\d{1,3}(?:\.\d{1,3}){1,5}\s?(?:,|;|and|or|to|through|–|-|和|、|至)\s?){0,5}$",
    re.IGNORECASE,
)
"""Before the number of a section."""
OF_DOCUMENT = re.compile(
    r"\s?[节章条款]|\s(?:of|in) (?:the |this |that )?"
    r"(?:standard|specification|document|regulation|manual|guide|handbook|report|code|ISO|IEC|EN|DIN)\b"
)
"""Behind the number of a section: of the standard, 节."""
GROUPED = re.compile(r"[1-9]\d{0,2}(?:([ .'’])\d{3})(?:\1\d{3})*")
"""A number in groups of three digits: 10 000 000."""
PAGES = re.compile(r"(\d{4,6})[-–](\d{4,6})")
"""The pages of an article: 22068-22074."""
YEAR = re.compile(r"(?:19|20)\d\d")
BETWEEN = re.compile(r"\s{0,3}[-/–]\s{0,3}|\s{2,}")
"""Between two numbers of a range: 1 000 000 - 2 000 000."""
BETWEEN_YEARS = re.compile(r"[ /.–-]{1,3}")
NINE_DIGITS = re.compile(r"\d{3} \d{3} \d{3}")
"""612 345 678: a telephone number in Spain, a large number elsewhere."""
IN_THREES = ("es", "it")
"""Languages in whose countries telephone numbers are written in groups of three."""

DETERMINER = re.compile(
    r"(?:^|[\s(])(?:an?|each|every|per|this|these|those|any|some|one|another|no) $", re.IGNORECASE
)
"""Before a number that counts: each 3 Phase Motor Drive."""
STREETS = frozenset(
    "street st str avenue ave av road rd lane ln boulevard blvd parkway pkwy highway hwy freeway "
    "motorway expressway turnpike terrace crescent mews stravenue skyway causeway throughway "
    "trafficway alley rue".split()
)
"""Last words of streets that are no other thing. A drive, a well and a bridge may be one."""
GLUED = re.compile(r"[\s,]{1,3}[A-Z]{2,10}\d")
"""A gene or part that looks like a flat: APT1."""
LONG_NUMBER = re.compile(r"\d{3}")
"""The beginning of a number that is more often that of a house than a number of things."""
NOUNS = frozenset(
    "unit system module controller assembly kit board machine plate set motor".split()
)
"""Words that go on after what looks like a street: 250 Watt Motor Drive Unit."""
NEXT_WORD = re.compile(r" ([^\W\d_][\w-]*)")
FUNCTION_WORDS = frozenset(
    "and or but in is was are were near for with to which where who that since on at from as until "
    "please by the a an my our his her your i he she we they it has have had will would can could "
    "if when while because so not now today anytime after before between during apartment apt suite unit floor flat".split()
)
"""Words that may follow an address without a comma."""
SENTENCE_WORDS = frozenset(
    "in on from the with at are were is was per to for needs has have had an each every".split()
)
"""Words that stand in a sentence and in no address."""
TECHNICAL_ADDRESS = re.compile(
    r"\b(?:ip|mac|e-?mail|web|url|memory|bus|i2c|base|port|register|network|start|physical|virtual"
    r"|hardware|wallet|bitcoin|modbus|node|device|slave|host|gateway|subnet|broadcast|loopback)"
    r"[\s-]$",
    re.IGNORECASE,
)
"""Before the word address, where it is one of machines: MAC address."""
QUALIFIER = re.compile(r"([^\W\d_]+)[\s_-]{1,2}$")
"""The word before another one: the generic of `generic name`."""
SUBSTANCE = re.compile(rf"(?:{'|'.join(ENDINGS)})s?$")


def is_of_product(text: str, start: int) -> bool:
    """Whether the words before a number say that it is the number of a product."""
    return PRODUCT.search(text[max(0, start - BEFORE) : start]) is not None


def is_section(text: str, start: int, end: int) -> bool:
    """Whether the words around a number with dots say that it is a section or a version."""
    before = text[max(0, start - BEFORE) : start]
    if SECTION.search(before) or PRODUCT.search(before):
        return True
    return OF_DOCUMENT.match(text, end) is not None


def is_large_number(
    text: str, start: int, end: int, lang: str, is_called_phone: bool = False
) -> bool:
    """Whether digits with gaps are numbers that count, or years: 10 000 000, 2019 2020 2021.

    `is_called_phone`: words before say that it is a telephone number, such as `reach`.
    """
    written = text[start:end].strip()
    years = BETWEEN_YEARS.split(written)
    if len(years) > 1 and not is_called_phone and all(YEAR.fullmatch(year) for year in years):
        return True
    pages = PAGES.fullmatch(written)
    if pages and len(pages[1]) == len(pages[2]) and pages[1] < pages[2] and not is_called_phone:
        return True
    if not all(GROUPED.fullmatch(number) for number in BETWEEN.split(written)):
        return False
    if next_word(text, end):
        return True
    may_be_phone = lang in IN_THREES and NINE_DIGITS.fullmatch(written)
    return not is_called_phone and not may_be_phone


def next_word(text: str, end: int) -> str:
    """Return the word behind a place, which goes on what stands before: 10 000 000 people.

    Empty where there is none, or a word such as `and` or `now`.
    """
    follows = NEXT_WORD.match(text, end)
    if not follows or follows[1].lower() in FUNCTION_WORDS:
        return ""
    return follows[1]


def is_no_street(text: str, match: re.Match[str]) -> bool:
    """Whether a number with words is a thing and no address. The groups are those of `NUMBERED`."""
    start = match.start()
    counted = DETERMINER.search(text[max(0, start - 12) : start]) is not None
    if match["flatted"]:
        words = match["flatted"].lower().split()
        if GLUED.match(text, match.start("tail")):
            return True
        return counted or words[0] in COUNTED or not SENTENCE_WORDS.isdisjoint(words)
    tail = match["tail"] or ""
    has_postcode_or_flat = any(sign.isdigit() for sign in tail)
    if not match["english"] or has_postcode_or_flat:
        return False
    words = [word.strip(".").lower() for word in match["english"].split()]
    if counted or words[0] in COUNTED:
        return True
    follows = next_word(text, match.end())
    if words[-1] in STREETS or not follows:
        return False
    # A town may follow without a comma: 1200 Oak Drive Springfield. A number of things is small.
    is_short = LONG_NUMBER.match(match.group()) is None
    return is_short or follows.islower() or follows.lower() in NOUNS


def is_technical(text: str, start: int) -> bool:
    """Whether the address that is introduced at `start` is one of machines."""
    return TECHNICAL_ADDRESS.search(text[max(0, start - 20) : start]) is not None


def is_name_of_thing(text: str, cue: re.Match[str]) -> bool:
    """Whether a cue that begins with `name` is about the name of a thing: generic name."""
    if not cue.group().lower().startswith("name"):
        return False
    before = text[max(0, cue.start() - 30) : cue.start()]
    qualifier = QUALIFIER.search(before)
    return qualifier is not None and qualifier[1].lower() in NAMED


def is_substance(word: str) -> bool:
    """Whether a word ends as the names of drugs and chemicals do: Lisinopril, Chloride."""
    return SUBSTANCE.search(word.lower()) is not None
