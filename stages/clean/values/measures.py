"""What of running text is a unit: spellings of pint's units in English and Chinese, and the evidence for doubtful ones.

Pint knows hundreds of symbols under two dozen prefixes, so that almost any letters are some unit (PD is a petadebye). In prose
only `SPELLINGS` are units, and pint says what they are. Letters and words that mostly mean something else (5 m, 10 C, 2 in) are
units only where a word near by says what is measured (`CUES`), or where a compound does: 5 m/s, 3 m². Others (5 a) never are.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from stages.clean.values import chinese
from stages.clean.values.numbers import SUPERSCRIPTS
from stages.clean.values.units import ALIASES, COUNTED, UNITS

_PREFIXES = ("", "kilo", "centi", "deci", "milli", "micro", "nano", "mega", "giga")
_PREFIXED = "gram meter metre liter litre joule watt volt pascal hertz calorie gray sievert becquerel curie dalton"
_NAMES = (
    "year month week day hour minute fortnight millisecond microsecond millimole micromole nanomole yard mile pound ounce ton "
    "tonne gallon quart pint cup teaspoon tablespoon acre hectare knot atmosphere micron angstrom ohm "
    "decibel"
)
"""Names that take an s, those of the first line also a prefix."""
_SYMBOLS = (
    "kg mg µg ng pg km cm mm µm nm dm dL mL µL nL dl ml µl mol mmol µmol nmol pmol mM µM nM Pa kPa hPa MPa GPa Hz kHz MHz GHz kJ "
    "MJ kW MW GW mW kWh MWh kV mV mA µA kN eV keV MeV GeV Gy cGy mGy Sv mSv Bq kBq MBq GBq mCi Da kDa ms µs ns mbar atm mmHg "
    "cmH2O psi cal kcal dB ha kB MB GB TB rpm mph ppm lx IU mEq mOsm hp min hr hrs yr yrs sec msec lb lbs oz ft mi yd tsp tbsp Å "
    "degC degF base_pair kbp Mbp cc torr lux horsepower kelvin count percent permille foot inch century jin liang g L l h"
)
_OTHERS = {
    "%": "percent", "pct": "percent", "‰": "permille", "°": "degree", "degree": "degree", "degrees": "degree",
    "℃": "degC", "℉": "degF", "°C": "degC", "°F": "degF", "centigrade": "degC", "㎏": "kg", "㎎": "mg", "㎝": "cm",
    "㎜": "mm", "㎞": "km",
    "㎡": "m**2", "㎥": "m**3", "ug": "µg", "mcg": "µg", "ul": "µL", "uL": "µL", "um": "µm", "umol": "µmol", "uM": "µM", 
    "ccs": "cc",
    "Kg": "kg", "KG": "kg", "CM": "cm", "MM": "mm", "KM": "km", "mmhg": "mmHg", "meq": "mEq", "gm": "g", "gms": "g",
    "gramme": "g", "grammes": "g",
    "mins": "minute",
    "secs": "second", "wk": "week", "wks": "week", "mo": "month", "mos": "month", "feet": "foot", "inches": "inch",
    "centuries": "century", "kph": "km/hour", "bpm": "count/minute", "beats": "count", "breaths": "count", "seconds": "second",
    "byte": "byte", "bytes": "byte", "kilobase": "kbp", "kD": "kDa", "microg": "µg", "microl": "µL", "microm": "µm",
     "kilobases": "kbp", "megabases": "Mbp",
}  # fmt: skip
PHRASES = {
    r"mm Hg|mm\[Hg\]": "mmHg", r"cm H2O|cm ?H\(2\)O": "cmH2O", r"base[ -]?pairs?": "base_pair", r"kilobase[ -]pairs?": "kbp",
    r"percentage points?|per cent": "percent", r"(?:degrees?|deg\.?|°) ?(?:Celsius|centigrade|C)": "degC",
    r"(?:degrees?|deg\.?|°) ?(?:Fahrenheit|F)": "degF",
    r"(?:degrees?|deg\.?|°) ?(?:Kelvin|K)": "kelvin", r"fl\.? oz|fluid ounces?": "fluid_ounce", r"metric tons?": "tonne",
    r"light[- ]years?": "light_year", r"nautical miles?": "nautical_mile", r"y/o|y\.o|yo": "year",
}  # fmt: skip
"""Units of more than one word."""
SPELLINGS = (
    {
        prefix + name + s: prefix + name
        for name in _PREFIXED.split()
        for prefix in _PREFIXES
        for s in ("", "s")
    }
    | {name + s: name for name in _NAMES.split() for s in ("", "s")}
    | {name: name for name in _SYMBOLS.split()}
    | _OTHERS
    | {"次": "count", "分": "minute", "dpt": "1/m"}
    | {"decade": "year", "decades": "year"}
    | {name + s: "1/m" for name in ("dioptre", "diopter") for s in ("", "s")}
    | {
        name: unit
        for name, unit in chinese.UNITS.items()
        if name not in ("世纪", "两", "开", "安", "伏", "卡", "百分点", "摩尔")
    }
    | {
        "个" + name: chinese.UNITS[name]
        for name in ("小时", "星期", "礼拜", "钟头", "世纪", "百分点")
    }
)
PLURALS = {name + "s" for name in (*_NAMES.split(), *_PREFIXED.split())} | {
    "hrs",
    "yrs",
    "lbs",
    "mins",
    "secs",
    "wks",
    "mos",
    "feet",
}
COMPOUND = {letter: letter for letter in "m g L l s h d K J W V A N U second".split()}
BELOW = set("m g L l s h d K second".split())
"""Units beside another one or raised to a power (m/s, mg/d, m²), though not alone; `BELOW` a line, too (5 N/A is none)."""
_HEAT = r"temperature|heated|cool|incubat|stored|fever|febrile|\bmelt|\bboil|oven|warm|freez|anneal|Celsius|centigrade|°|温"
_LENGTH = (
    r"met(?:er|re)|height|depth|length|distance|altitude|elevation|\brace|sprint|freestyle|diameter|米|"
    r"#[ -](?:high|tall|long|wide|deep)"
)
_BASES = (
    r"DNA|gene|delet|insert|exon|sequence|nucleotid|fragment|repeat|primer|PCR|base|chromosom|locus|loci|transcript|"
    r"mRNA|clone|\blod\b|linkage"
)
CUES = {
    "m": _LENGTH,
    "C": _HEAT, "F": rf"{_HEAT}|Fahrenheit", "K": rf"{_HEAT}|kelvin", "度": r"体温|[发高低]烧|发热|温度|[气水室]温|烧到|零下",
    "d": r"\bfor\b|\bafter|within|every|\bdays?\b|incubat|over\b", "y": r"\bage|\bold\b|years?\b|follow", 
    "t": r"weigh|tonne|cargo|载重",
    "V": r"volt|battery|potential|电压", "W": r"watt|power|laser|lamp|bulb|功率", "A": r"amp|current|fuse|电流", 
    "N": r"newton|force",
    "J": r"joule|energy|shock", "T": r"tesla|MRI?\b|magnet|field|scanner|磁", 
    "M": r"molar|solution|buffer|NaCl|NaOH|HCl|KCl|urea",
    "D": r"diopt|myop|refract|astigmat|spher|cylind|lens|cornea|hyperop|metrop|近视|屈光",
    "U": r"insulin|heparin|\bunits?\b|activity|penicillin|胰岛素|青霉素", "bp": _BASES, "cM": _BASES, "kb": _BASES, "Mb": _BASES,
}  # fmt: skip
"""Doubtful units, and what is evidence for them within `NEAR` characters; # stands where the quantity does."""
NEAR = 60
MEANT = {
    "C": "degC",
    "F": "degF",
    "d": "day",
    "y": "year",
    "t": "tonne",
    "D": "1/m",
    "度": "degC",
    "kb": "kbp",
    "Mb": "Mbp",
}
"""What a doubtful unit is, if not what pint reads."""
INCH = re.compile(
    r"in(?=\. [a-z(]|[²³]|\^[23]| ?(?:long|wide|tall|thick|by [0-9]|x ?[0-9])| in (?:diameter|length|width|height|size)\b)"
)
NO_UNIT = re.compile(
    r"年[级代度底初末版款份龄轻薪]|天[王台堂使空]|周年|升[级高至学为]|米[饭粉兰]|克拉|小时候|秒杀|岁月|西西里|°[0-9]|"
    r"L (?:St|Ave)|"
    r"degrees? of|pounds? sterling"
)
"""Where a unit's name is part of another word."""
_NAME = "|".join(
    sorted(
        (name for name in SPELLINGS if name[0] > "\u3400" and name not in ("次", "分")),
        key=len,
        reverse=True,
    )
)
FACTOR = re.compile(
    rf"(?P<area>square |cubic |sq\.? |cu\.? )?(?:(?P<phrase>{'|'.join(PHRASES)})(?![A-Za-z0-9])"
    r"|(?P<word>[kmµ]?[gl](?=[A-Z]{2})|[A-Za-zµÅΩ]+|[%‰℃℉㎏㎎㎝㎜㎞㎡㎥]|°(?: ?[CFK](?![A-Za-z0-9]))?)"
    r"(?P<power>(?:\^|\*\*)-?[1-4](?![0-9])|(?:-|(?<=m)|(?<=ft)|(?<=in))[1-4](?![0-9A-Za-z.,-])|\(-?[1-3]\)|⁻?[¹²³⁴])?"
    rf"|(?P<name>{_NAME}|度|次(?=[/每])|分(?=[0-9]{{1,2}}秒|(?<=/分)|(?<=每分))))"
)
PER = re.compile(
    r" ?/ ?| per | an? (?=(?:minute|hour|day|week|month|year)\b)| [A-Z][A-Za-z0-9-]{1,15}/(?=(?:[kmdµ]?[gLl]|day|h)\b)|"
    r"[·⋅*](?=[A-Za-zµ])|每(?![天日周年月]|个?[月星礼])| (?=[A-Za-zµ]{1,5}(?:-[1-4]|⁻|\(-))"
)
"""Between two parts of a unit; a substance may stand before the line: 5 μg PBDE/g."""
AGAIN = re.compile(r"(?<=[A-Za-zµ0-9])(?!(?<=[gl])[A-Z]{2})[A-Za-z0-9_]")
LETTER = re.compile("[A-Za-z]")
ONE_LETTER = re.compile(r"[A-Za-z0-9_]|[-'’.&+][A-Za-z0-9]")
"""What may not follow a unit (1mlHBIG is 1 ml), and one of one letter."""
NAMED = {
    "degree_Celsius": "degC", "degree_Fahrenheit": "degF", "percent": "percent", "permille": "permille", "metric_ton": "tonne",
    "day": "day", "base_pair": "bp", "kilobase_pair": "kb", "megabase_pair": "Mb",
}  # fmt: skip
"""Of units whose symbol pint's parser takes for something else, or not everywhere."""
Part = tuple[str, int]


class Measure(NamedTuple):
    """A unit at some place of a text."""

    end: int
    """Where its characters end, exclusive."""
    unit: str
    """As `canonical` writes it."""
    word: str
    """Its first part, as written."""
    factor: int = 1
    """What the number is to be multiplied with: a decade is ten years, and no unit of pint's."""


def measure(text: str, number: int, end: int) -> Measure | None:
    """The unit that follows the number which stands from `number` to `end`. None where there is none."""
    start = end + (text[end : end + 1] in (" ", "-"))
    parts: list[Part] = []
    ends: list[int] = []
    place, sign = start, 1
    while len(parts) < 4 and (factor := FACTOR.match(text, place)):
        parts.append(_part(factor, sign))
        ends.append(factor.end())
        if not (per := PER.match(text, factor.end())):
            break
        place, sign = per.end(), 1 if per.group() in (" ", "·", "⋅", "*") else -1
    for count in range(len(parts), 0, -1):
        if AGAIN.match(text, ends[count - 1]):
            continue
        if (
            count == 1
            and parts[0][1] == 1
            and LETTER.fullmatch(parts[0][0])
            and ONE_LETTER.match(text, ends[0])
        ):
            continue
        if (
            unit := resolved(tuple(parts[:count]), "/" in text[ends[0] : ends[0] + 2])
        ) and not NO_UNIT.match(text, start):
            return Measure(
                ends[count - 1], unit, parts[0][0], 10 if parts[0][0].startswith("decade") else 1
            )
    if (
        parts
        and parts[0][1] == 1
        and (unit := _evidenced(parts[0][0], text, number, start, ends[0]))
    ):
        return Measure(ends[0], unit, parts[0][0])
    return None


def _part(factor: re.Match[str], sign: int) -> Part:
    """A factor's spelling and its power, negative below a line."""
    if factor["phrase"]:
        return next(
            unit for form, unit in PHRASES.items() if re.fullmatch(form, factor["phrase"])
        ), sign
    written = factor["word"] or factor["name"]
    power = re.sub(r"[\^*()]", "", factor["power"] or "").translate(SUPERSCRIPTS)
    if factor["area"]:
        return written, sign * (3 if factor["area"].startswith("cu") else 2)
    return written.replace(" ", ""), sign * int(power or 1)


@lru_cache(maxsize=4096)
def resolved(parts: tuple[Part, ...], slashed: bool) -> str | None:
    """The canonical unit of these parts, None where they are no unit without further evidence."""
    names = []
    for place, (written, power) in enumerate(parts):
        name = SPELLINGS.get(written) or SPELLINGS.get(
            written.lower() if len(written) > 3 else written
        )
        if not name and (len(parts) > 1 or power != 1):
            name = COMPOUND.get(written) if power > 0 or written in BELOW else None
        if place and written in COUNTED and slashed:
            name = written
        if not name or (place and power < 0 and written in PLURALS):
            return None
        names.append((name, power))
    if names[0][0] == "count" and len(parts) != 2:
        return None
    form = canonical("*".join(f"({name})**{power}" for name, power in names))
    return form if form != "1" else None


def _evidenced(word: str, text: str, number: int, start: int, end: int) -> str | None:
    """The canonical form of a doubtful unit, if the text around it says that it is one."""
    if word == "in" and (
        INCH.match(text, start) or re.search(r"(?:ft|feet|foot) $", text[:number][-5:])
    ):
        return "inch"
    if word == "second" and text[start - 1] == "-":
        return "s"
    if word == "s" and text[start - 1] == " " and not ONE_LETTER.match(text, end):
        return "s"
    cue = CUES.get(word)
    if (
        word in ("C", "F", "d", "y")
        and "." in text[number:start]
        and (word in "dy" or not (text[:number] + text[end:]).strip())
    ):
        return canonical(MEANT[word])
    if (
        not cue
        or ONE_LETTER.match(text, end)
        or (word in "KMTAC" and start and text[start - 1].isdigit())
    ):
        return None
    around = f"{text[max(0, number - NEAR) : number]}#{text[end : end + NEAR]}"
    return canonical(MEANT.get(word, word)) if re.search(cue, around, re.IGNORECASE) else None


@lru_cache(maxsize=4096)
def canonical(written: str) -> str:
    """One form of a unit that pint and `measure` read: numerators, then denominators, by pint's symbols where they are read."""
    units = UNITS.parse_units(ALIASES.get(written, written))
    form = [(_symbol(name), power) for name, power in sorted(units._units.items())]
    above = "*".join(
        name + (f"**{power}" if power != 1 else "") for name, power in form if power > 0
    )
    below = "".join(
        f"/{name}" + (f"**{-power}" if power != -1 else "") for name, power in form if power < 0
    )
    return (above or "1") + below


def _symbol(name: str) -> str:
    """pint's symbol of a unit, or the name where `SPELLINGS` takes the symbol for another or for none (a, in, t)."""
    if name in NAMED:
        return NAMED[name]
    symbol = f"{UNITS.Unit(name):~C}"
    if name.endswith("liter"):  # a capital is what SI advises where l and 1 look alike
        return symbol[:-1] + "L"
    return symbol if symbol in SPELLINGS or symbol in COMPOUND else name
