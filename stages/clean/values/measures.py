"""Units in running text: spellings of pint's units in English and Chinese, and the evidence for
doubtful ones.

Pint knows hundreds of symbols under two dozen prefixes, so that almost any letters are some unit
(PD is a petadebye). In prose only `SPELLINGS` are units, and pint says what they are. Letters and
words that mostly mean something else (5 m, 10 C, 2 in) are units only where a word near by says
what is measured (`CUES`), or where a compound does: 5 m/s, 3 m². Others (5 a) never are.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from stages.clean.tables import is_yes, read_mapping, read_table
from stages.clean.values import chinese
from stages.clean.values.numbers import SUPERSCRIPTS
from stages.clean.values.units import ALIASES, COUNTED, UNITS

DATA = Path(__file__).parent / "data"
PREFIXES = ("", "kilo", "centi", "deci", "milli", "micro", "nano", "mega", "giga")


def _read_spellings() -> tuple[dict[str, str], set[str]]:
    """Every spelling of data/units.csv with its unit, and the plurals among them."""
    spellings: dict[str, str] = {}
    plurals: set[str] = set()
    columns = ("spelling", "unit", "with_s", "is_plural", "prefixes")
    for row in read_table(DATA / "units.csv", columns, may_be_empty=columns[2:]):
        prefixes = PREFIXES if is_yes(row, "prefixes") else ("",)
        for prefix in prefixes:
            name = prefix + row["spelling"]
            unit = prefix + row["unit"]
            spellings[name] = unit
            if is_yes(row, "with_s"):
                spellings[name + "s"] = unit
        if is_yes(row, "with_s"):
            plurals.add(row["spelling"] + "s")
        if is_yes(row, "is_plural"):
            plurals.add(row["spelling"])
    return spellings, plurals


LATIN, PLURALS = _read_spellings()
"""LATIN: the spellings of data/units.csv. PLURALS stand below no line: nobody writes mg/hours."""
SPELLINGS = LATIN | chinese.TEXT_UNITS | chinese.GE_UNITS
"""Every spelling that is a unit without further evidence, and the unit as pint reads it."""
PHRASES = read_mapping(DATA / "unit_phrases.csv", "pattern", "unit")
"""Patterns of units of more than one word."""

_COMPOUND_TABLE = read_table(DATA / "compound_units.csv", ("spelling", "below_line"))
COMPOUND = {row["spelling"]: row["spelling"] for row in _COMPOUND_TABLE}
"""Letters that are a unit beside another one or raised to a power (m/s, mg/d, m²), though not
alone.
"""
BELOW = {row["spelling"] for row in _COMPOUND_TABLE if is_yes(row, "below_line")}
"""Those that may stand below a line. 5 N/A is no quantity."""


def _read_cues() -> dict[str, str]:
    """The pattern of the evidence for each doubtful unit: all words of its topics."""
    words: dict[str, list[str]] = {}
    for row in read_table(DATA / "topics.csv", ("topic", "pattern")):
        words.setdefault(row["topic"], []).append(row["pattern"])
    cues: dict[str, str] = {}
    for row in _DOUBTFUL_TABLE:
        patterns: list[str] = []
        for topic in row["topics"].split():
            patterns += words[topic]
        cues[row["spelling"]] = "|".join(patterns)
    return cues


_DOUBTFUL_TABLE = read_table(DATA / "doubtful_units.csv", ("spelling", "unit", "topics"))
CUES = _read_cues()
"""Doubtful units, and patterns of the evidence for them within `NEAR` characters. # stands where
the quantity does.
"""
MEANT = {row["spelling"]: row["unit"] for row in _DOUBTFUL_TABLE}
"""What each doubtful unit is."""
CAPITALS = {"MG": "mg", "MCG": "µg", "ML": "mL", "HR": "h"}
"""Units in capitals, as registers of drugs write them: 5 MG, 6 MG/ML. Beside another unit they are
units without further evidence.
"""
NEAR = 60
NAMED = read_mapping(DATA / "unit_symbols.csv", "name", "symbol")
"""Symbols of units whose symbol pint's parser takes for something else, or not everywhere."""
FACTORS = {"decade": 10, "decades": 10}
"""What the number before a spelling is multiplied with: a decade is ten years, and no unit of pint."""

INCH = re.compile(
    "in(?="
    r"\. [a-z(]"  # 2 in. wide
    r"|[²³]|\^[23]"  # 2 in²
    "| ?(?:long|wide|tall|thick|by [0-9]|x ?[0-9])"  # 2 in long, 2 in by 4
    r"| in (?:diameter|length|width|height|size)\b)"  # 2 in in diameter
)
"""Where `in` behind a number is an inch. Not: 2 in high school."""
FEET_BEFORE = re.compile(r"(?:ft\.?|feet|foot)[,-]? ?$")
"""Before a number of inches: 5 ft 2 in, 5 ft. 2 in."""
AFTER_INCHES = re.compile(
    r"[.,;:)\]]|$| (?:long|wide|tall|high|deep|thick|in (?:length|height|width)|of)\b"
)
"""Behind a sum whose first unit has a full stop, which might have ended a sentence."""
GENERATION = re.compile(
    r"\b(?:networks?|phones?|smartphones?|mobiles?|wireless|cellular|telecoms?|carriers?|spectrum"
    r"|LTE|broadband|SIMs?|roll-?outs?|upgrad(?:e|es|ed|ing)|antennas?|base stations?|internet|wi-?fi"
    r"|operators?|auctions?|coverage|modems?|routers?|enabled|ready)\b"
    "|网络|手机|信号|时代|通信|基站|流量|套餐|运营商|频段|芯片|商用"
    r"|\b[2-6]g(?:/|,? (?:and|or|to|vs\.?) )#|#(?:/|,? (?:and|or|to|vs\.?) )[2-6]g\b",  # 4g/5g
    re.IGNORECASE,
)
"""Near 2g to 6g that is a generation of mobile networks. # stands where the number does."""
TO_GENERATION = re.compile(
    r"\b(?:mov(?:e|es|ed|ing)|switch(?:es|ed|ing)?|migrat(?:e|es|ed|ing)|transition(?:s|ed|ing)?)"
    r" (?:from [2-6]g )?to $"
    r"|\b(?:over|via|on|without) $"  # calls over 4g
    "|比$|升级[到至]$",
    re.IGNORECASE,
)
"""Directly before such a generation."""
GENERATION_BEHIND = re.compile(
    r" ?-?(?:towers?|masts?|technolog(?:y|ies)|devices?|tablets?|hotspots?|services?|data plans?|standards?"
    r"|era|speeds?|signals?|connect(?:ion|ivity)s?|capable|compatible|chips?|launch)\b"
    "|比|来了|技术|标准|速度|终端|牌照|用户",
    re.IGNORECASE,
)
"""Directly behind such a generation."""
MASS_BEFORE = re.compile(
    r"(?:重|重[约达为]|重量[为约是]?|含|加|加入|取|称取|服用?|用量|每[份片粒袋包天日次]"
    r"|\b(?:weigh(?:s|ed|ing)?|mass of|dose of|contain(?:s|ing)?|add|adding|plus|takes?) ?)$",
    re.IGNORECASE,
)
"""Directly before a number of grams, whatever the text says near by: 该模块重5g，支持5g手机."""
LINE_RATE = re.compile(
    r"^ ?-?(?:ethernet|NICs?|Q?SFP\+?|uplinks?|transceivers?|switch(?:es)?|network|ports?|links?|fib(?:er|re))\b",
    re.IGNORECASE,
)
"""Behind 10g that is ten gigabits a second."""
NEAR_GENERATION = 40
COUNTED_BY_M = re.compile(
    " (?:users?|people|views?|followers?|subscribers?|downloads?|dollars?|euros?|pounds|customers?"
    "|members?|players?|copies|tokens?|rows?|records?|parameters?|viewers?|visitors?|voters?|jobs?)\\b"
)
"""Behind 2m that is two million."""
DIMENSIONS = re.compile(
    "[1-4]D"
    "|[2-4]d(?=[- ](?:print|model|imag|film|movie|render|scan|game|graphic|shape|space|structure"
    "|view|map|cinema|animat|design|object|effect|vision|world|art|glass|display|reconstruct|echo"
    "|ultraso|plot|array|culture|cell))"
)
"""3D, which is no dioptre, and a 3d printer."""
NO_UNIT = re.compile(
    "年[级代度底初末版款份龄轻薪]"  # 三年级
    "|天[王台堂使空]"  # 四天王
    "|周年"
    "|升[级高至学为]"
    "|米[饭粉兰]"
    "|克拉|小时候|秒杀|岁月|西西里"
    "|°[0-9]"  # ° before the minutes of an angle
    "|L (?:St|Ave)"  # 1200 L St
    "|degrees? of|pounds? sterling"
)
"""Where the name of a unit is part of another word."""

_CHINESE_NAMES = [name for name in SPELLINGS if name[0] > "\u3400" and name not in ("次", "分")]
_CHINESE_NAME = "|".join(sorted(_CHINESE_NAMES, key=len, reverse=True))
"""Longer names come first, so that 千克 is not read as 千."""
_POWER = (
    r"(?:\^|\*\*)-?[1-4](?![0-9])"  # m^2, m**2
    "|(?:-|(?<=m)|(?<=ft)|(?<=in))[1-4](?![0-9A-Za-z.,-])"  # m2, s-1
    r"|\(-?[1-3]\)"  # m(2), as PubMed has it
    "|⁻?[¹²³⁴]"  # m², s⁻¹
)
FACTOR = re.compile(
    r"(?P<area>square |cubic |sq\.? |cu\.? )?"
    f"(?:(?P<phrase>{'|'.join(PHRASES)})(?![A-Za-z0-9])"
    "|(?P<word>[kmµ]?[gl](?=[A-Z]{2})"  # the ml of 1mlHBIG
    "|[A-Za-zµÅΩ]+"
    "|[%‰℃℉㎏㎎㎝㎜㎞㎡㎥]"
    "|°(?: ?[CFK](?![A-Za-z0-9]))?)"  # ° and ° C
    f"(?P<power>{_POWER})?"
    f"|(?P<name>{_CHINESE_NAME}"
    "|度"
    "|次(?=[/每])"  # 72次/分, but not 三次
    "|分(?=[0-9]{1,2}秒|(?<=/分)|(?<=每分))))"  # 3分33秒, 次/分, but not 十分
)
"""One part of a unit: mg in mg/L, square meters, m² in kg/m², 毫克 in 毫克/升."""
PER = re.compile(
    " ?/ ?"
    "| per "
    r"| an? (?=(?:minute|hour|day|week|month|year)\b)"  # 10 hours a week
    r"| [A-Z][A-Za-z0-9-]{1,15}/(?=(?:[kmdµ]?[gLl]|day|h)\b)"  # 5 μg PBDE/g names a substance
    "|[·⋅*](?=[A-Za-zµ])"
    "|每(?![天日周年月]|个?[月星礼])"  # 千克每立方米, but not 每天
    r"| (?=[A-Za-zµ]{1,5}(?:-[1-4]|⁻|\(-))"  # kg m-3
)
"""Between two parts of a unit."""
TIMES = (" ", "·", "⋅", "*")
"""Those of them after which the next part is multiplied, not divided by."""
AGAIN = re.compile(
    "(?<=[A-Za-zµ0-9])"
    "(?!(?<=[gl])[A-Z]{2})"  # 1mlHBIG is 1 ml
    "[A-Za-z0-9_]"
)
"""What may not follow a unit: mgx is no mg."""
HYPHENED = re.compile("-([A-Za-zµ]{1,4})(?![A-Za-z])")
"""Behind a unit that goes on: the -m of 5 kgf-m."""
LETTER = re.compile("[A-Za-z]")
ONE_LETTER = re.compile(r"[A-Za-z0-9_]|[-'’.&+][A-Za-z0-9]")
"""What may not follow a unit of one letter: 5 L-arginine."""
LETTER_OF_POWER = re.compile(r" ?([msKNJWVAT])(?![A-Za-z0-9/·⋅*^²³⁻'’&+-]|\.[0-9A-Za-z])")
"""A unit of one letter behind a power of ten."""
_POWER_SIGNS = re.compile(r"[\^*()]")
Part = tuple[str, int]
"""The spelling of one part of a unit, and its power, which is negative below a line."""


class Measure(NamedTuple):
    """A unit at some place of a text."""

    end: int
    """Where its characters end, exclusive."""
    unit: str
    """As `canonical` writes it."""
    word: str
    """Its first part, as written."""
    factor: int = 1
    """What the number is to be multiplied with (`FACTORS`)."""


def measure(text: str, number: int, end: int) -> Measure | None:
    """The unit that follows a number, or None. The number stands from `number` to `end`."""
    start = end + 1 if text[end : end + 1] in (" ", "-") else end
    parts: list[Part] = []
    ends: list[int] = []
    at, sign = start, 1
    while len(parts) < 4:
        factor = FACTOR.match(text, at)
        if not factor:
            break
        parts.append(_part(factor, sign))
        ends.append(factor.end())
        per = PER.match(text, factor.end())
        if not per:
            break
        at = per.end()
        sign = 1 if per.group() in TIMES else -1
    if not parts:
        return None
    word, power = parts[0]
    if len(word) == 1 and _is_no_unit(text, number, end, start, word):
        return None
    # The longest unit counts: of "mg per day of", mg per day. Then shorter ones are tried.
    for count in range(len(parts), 0, -1):
        if AGAIN.match(text, ends[count - 1]):
            continue
        one_letter = count == 1 and power == 1 and LETTER.fullmatch(word)
        if one_letter and ONE_LETTER.match(text, ends[0]):
            continue
        slashed = "/" in text[ends[0] : ends[0] + 2]
        unit = resolved(tuple(parts[:count]), slashed)
        if unit and not NO_UNIT.match(text, start):
            goes_on = HYPHENED.match(text, ends[count - 1])
            if goes_on and (goes_on[1] in SPELLINGS or goes_on[1] in COMPOUND):
                return None
            return Measure(ends[count - 1], unit, word, FACTORS.get(word, 1))
    if power == 1 and (unit := _with_evidence(word, text, number, start, ends[0])):
        return Measure(ends[0], unit, word)
    return None


def measure_of_power(text: str, end: int) -> Measure | None:
    """The unit behind a number with a power of ten, which is evidence enough: 3.5 × 10⁻³ m, 10⁹/L.

    The number ends at `end`. None where there is no such unit.
    """
    if letter := LETTER_OF_POWER.match(text, end):
        word = letter[1]
        if word == "m" and COUNTED_BY_M.match(text, letter.end()):
            return None
        return Measure(letter.end(), canonical(MEANT.get(word, word)), word)
    if text[end : end + 1] != "/":
        return None
    factor = FACTOR.match(text, end + 1)
    if not factor or AGAIN.match(text, factor.end()):
        return None
    part = _part(factor, -1)
    unit = resolved((part,), True)
    return Measure(factor.end(), unit, part[0]) if unit else None


def _is_no_unit(text: str, number: int, end: int, start: int, word: str) -> bool:
    """Whether a letter behind a number says something else: 5g network, 2m users, 3D.

    The number stands from `number` to `end`, and the letter at `start`.
    """
    written = text[number:end]
    behind = start + 1
    if word in "gG" and written.isdigit():
        if LINE_RATE.match(text[behind : behind + 16]):
            return True
        per_something = re.match("/[^0-9]", text[behind : behind + 2])
        if len(written) > 1 or not "2" <= written <= "6" or per_something:
            return False
        before = text[max(0, number - NEAR_GENERATION) : number]
        if MASS_BEFORE.search(before):
            return False
        if start == end and TO_GENERATION.search(before):
            return True
        if GENERATION_BEHIND.match(text, behind):
            return True
        after = text[behind : behind + NEAR_GENERATION]
        return GENERATION.search(f"{before}#{after}") is not None
    if start > end:
        return False
    if word == "m":
        return COUNTED_BY_M.match(text, behind) is not None
    return word in "dD" and DIMENSIONS.match(text, number) is not None


def _part(factor: re.Match[str], sign: int) -> Part:
    """The spelling and the power of one part of a unit. `sign` is -1 below a line."""
    if factor["phrase"]:
        return _unit_of_phrase(factor["phrase"]), sign
    if area := factor["area"]:
        power = 3 if area.startswith("cu") else 2
        return factor["word"] or factor["name"], sign * power
    written = factor["word"] or factor["name"]
    power = 1
    if factor["power"]:
        digits = _POWER_SIGNS.sub("", factor["power"])
        power = int(digits.translate(SUPERSCRIPTS))
    return written.replace(" ", ""), sign * power


def _unit_of_phrase(phrase: str) -> str:
    for pattern, unit in PHRASES.items():
        if re.fullmatch(pattern, phrase):
            return unit
    raise AssertionError(f"{phrase!r} matched none of its patterns")


@lru_cache(maxsize=4096)
def resolved(parts: tuple[Part, ...], slashed: bool) -> str | None:
    """The canonical unit of these parts. None where they are no unit without further evidence."""
    factors = []
    for position, (written, power) in enumerate(parts):
        in_lower_case = written.lower() if len(written) > 3 else written
        name = SPELLINGS.get(written) or SPELLINGS.get(in_lower_case)
        is_compound = len(parts) > 1 or power != 1
        if not name and is_compound and (power > 0 or written in BELOW):
            name = COMPOUND.get(written)
        if not name and is_compound:
            name = CAPITALS.get(written)
        if position > 0 and slashed and written in COUNTED:
            name = written
        if not name:
            return None
        if position > 0 and power < 0 and written in PLURALS:
            return None
        factors.append((name, power))
    first_name = factors[0][0]
    if first_name == "count" and len(parts) != 2:
        return None  # a count is one only per something: 72 beats/min
    form = canonical("*".join(f"({name})**{power}" for name, power in factors))
    return None if form == "1" else form


def _with_evidence(word: str, text: str, number: int, start: int, end: int) -> str | None:
    """The canonical form of a doubtful unit, if the text around it says that it is one."""
    if word == "in":
        after_feet = FEET_BEFORE.search(text[max(0, number - 7) : number])
        if after_feet and "." in after_feet.group() and not AFTER_INCHES.match(text, end):
            return None  # 5 ft. 3 in the group
        if INCH.match(text, start) or after_feet:
            return "inch"
    if word == "second" and text[start - 1] == "-":
        return "s"  # a 30-second test
    nothing_touches = not ONE_LETTER.match(text, end)
    if word == "s" and text[start - 1] == " " and nothing_touches:
        return "s"
    is_decimal = "." in text[number:start]
    if is_decimal and word in ("d", "y"):  # 3.5 d
        return canonical(MEANT[word])
    if is_decimal and word in ("C", "F") and not (text[:number] + text[end:]).strip():
        return canonical(MEANT[word])  # 38.5 C, and nothing else stands in the text
    if word in CAPITALS and text[end : end + 1] == "/":
        return None  # 5 MG/ACTUAT
    cue = CUES.get(word)
    if not cue or not nothing_touches:
        return None
    if word in "KMTAC" and start > 0 and text[start - 1].isdigit():
        return None  # 50K is fifty thousand, and T4 and C5 are names
    around = f"{text[max(0, number - NEAR) : number]}#{text[end : end + NEAR]}"
    if not re.search(cue, around, re.IGNORECASE):
        return None
    return canonical(MEANT[word])


@lru_cache(maxsize=4096)
def canonical(written: str) -> str:
    """The one form of a unit, which pint and `measure` both read: numerators, then denominators, as
    symbols where possible.

    kg*m/s**2, mg/L, 1/min.
    """
    units = UNITS.parse_units(ALIASES.get(written, written))
    above = []
    below = []
    for name, power in sorted(units._units.items()):
        symbol = _symbol(name)
        exponent = "" if abs(power) == 1 else f"**{abs(power)}"
        if power > 0:
            above.append(symbol + exponent)
        elif power < 0:
            below.append("/" + symbol + exponent)
    numerator = "*".join(above) or "1"
    return numerator + "".join(below)


def _symbol(name: str) -> str:
    """pint's symbol of a unit.

    Its name where `SPELLINGS` takes the symbol for another unit or for none (a, in, t).
    """
    if name in NAMED:
        return NAMED[name]
    symbol = f"{UNITS.Unit(name):~C}"
    if name.endswith("liter"):  # SI advises a capital, because l and 1 look alike
        return symbol[:-1] + "L"
    if symbol in SPELLINGS or symbol in COMPOUND:
        return symbol
    return name
