"""What in a sample looks as if it would be read wrongly, and the setting that says how to read it.

A suspicion changes nothing. Each function looks at one thing and yields sentences, each with what was
seen and what to write.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from statistics import median

from lore.sampling.sample import Reading, Sample, joined
from stages import clean
from stages.clean.values.field_units import field_unit, wanted_unit
from stages.core.records.record import compared_name
from stages.extract.unit import paths_in

Check = Callable[[Sample, clean.Params], Iterator[str]]

TWO_WAYS = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}")
"""A numeral that is a thousand times larger where its sign parts thousands: 7,874 or 1.234."""
DECIMAL = re.compile(r"[+-]?\d+([.,])(?:\d{1,2}|\d{4,})")
"""A numeral whose sign can only be the decimal one: 1,5 or 0.0025."""
GROUPED = re.compile(r"[+-]?\d{1,3}([.,])\d{3}(?:\1\d{3})+")
"""A numeral whose sign can only part thousands: 281,090,975."""
NUMERAL_START = re.compile(r"[+-]?\d")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
UNIT_IN_NAME = re.compile(
    r"[\[(](?P<bracket>[^\])]+)[\])]$"  # Power [MW], weight (kg)
    r"|[_ ](?:in[_ ])?(?P<end>[^\W\d_]+(?:[/²³][^\W\d_]*)*)$"  # height_cm, weight in kg
)
"""The end of a column's name that may be a unit."""
NO_UNITS = frozenset(
    "id no nr name date day year time type code value number unit at by of a".split()
)
"""Ends of names that pint takes for units, or that are words of every table."""
PLAIN_IN_YAML = re.compile(r"[^\W\d][\w °²³/·-]*")
"""A word that needs no quotes: it begins with a letter and has no sign of YAML."""
SPREAD = 1000
"""Times the median from which one value of an attribute is pointed out."""
RARE = 20
"""One in so many values may be pointed out. More of them are a group of their own, such as gases among metals."""
PLACEHOLDERS = frozenset(
    "n/a na none null nil nan - -- ? . unknown missing 999 9999 99999 -1 -99 -999 -9999 0000-00-00 无 不详 未知 缺失 空".split()
)
"""Words and numbers that tables write where there is no value, in small letters. `Na` is sodium."""
MOJIBAKE = re.compile(
    r"\ufffd"  # the sign for what could not be decoded
    r"|[ÃÂ][\x80-\xbf]|â€|ï»¿"  # UTF-8 read as Latin-1: Ã©, â€™
    r"|[ÐÑ][\x80-\xbf¡-¿]"  # the same of Cyrillic
    r"|锟斤拷|烫烫烫"  # the same of Chinese
)
DAY_OR_MONTH = re.compile(r"\s*(\d{1,2})[/.-](\d{1,2})[/.-](\d{2}|\d{4})\b")
"""A date in digits whose first two parts are day and month, in an order that only one can tell."""
SHOWN = 3
"""Examples that a sentence gives."""


def suspicions(sample: Sample, params: clean.Params) -> list[str]:
    """Return all suspicions of a sample, in the order of `CHECKS`."""
    found: list[str] = []
    for check in CHECKS:
        found.extend(check(sample, params))
    return found


def ambiguous_numbers(sample: Sample, params: clean.Params) -> Iterator[str]:
    """Numerals that two conventions read differently, where the source declares none."""
    source = sample.source
    if source.decimal or source.thousands:
        return
    for sign, other in ((",", "."), (".", ",")):
        written = [reading.written.split(" ")[0] for reading in numeric(sample, params)]
        unclear = [text for text in written if matches_with(TWO_WAYS, text, sign)]
        if not unclear:
            continue
        sure = [text for text in written if matches_with(DECIMAL, text, sign)]
        against = [text for text in written if matches_with(DECIMAL, text, other)]
        grouped = [text for text in written if matches_with(GROUPED, text, sign)]
        if sign == "." and not against and not grouped:
            continue  # 1.234 beside 1.5: a decimal point, as everywhere
        advice = f"write `decimal: '{sign}'` at the source, or `thousands: '{sign}'`"
        if sure and not against:
            advice = (
                f"{examples(sure)} can only be decimals: write `decimal: '{sign}'` at the source"
            )
        elif grouped and not sure:
            advice = f"{examples(grouped)} can only be thousands: write `thousands: '{sign}'` at the source"
        elif against and not sure:
            advice = f"{examples(against)} have the decimal sign {other}: write `thousands: '{sign}'` at the source"
        yield f"{len(unclear):,} numbers such as {examples(unclear)} can be read in two ways, a thousandfold apart; {advice}"


def matches_with(pattern: re.Pattern[str], text: str, sign: str) -> bool:
    """Whether a whole text matches, with this sign in its group."""
    match = pattern.fullmatch(text)
    return match is not None and match.group(1) == sign


def numeric(sample: Sample, params: clean.Params) -> list[Reading]:
    """Return the readings of quantities: those that have a unit in the settings, or look like a number."""
    readings = list(sample.quantities)
    for reading in sample.facts:
        if reading.name in params.normalise.units or NUMERAL_START.match(reading.written):
            readings.append(reading)
    return readings


def units_in_names(sample: Sample, params: clean.Params) -> Iterator[str]:
    """Columns whose name holds a unit that no setting gives to their values."""
    for fact in sample.source.map.facts:
        name = paths_in(fact.value)[-1]
        unit = unit_in(name)
        if unit and not fact.unit and not fact.unit_is:
            yield f"the name {name!r} holds a unit, and its values have none: write `unit_is: {unit}` beside `value`"


def unit_in(name: str) -> str:
    """Return the unit at the end of a column's name, or nothing: `Power [MW]` → `MW`."""
    match = UNIT_IN_NAME.search(name)
    if not match:
        return ""
    unit = (match.group("bracket") or match.group("end")).strip()
    if unit.lower() in NO_UNITS:
        return ""
    try:
        wanted_unit(unit)
    except Exception:  # pint's parser raises errors of every kind
        return ""
    return unit


def mixed_units(sample: Sample, params: clean.Params) -> Iterator[str]:
    """Attributes that several units are written for, where no setting names the wanted one."""
    units: dict[str, Counter[str]] = defaultdict(Counter)
    for row in sample.records:
        if row["fact"] and row["unit"] and row["attribute"] not in params.normalise.units:
            units[row["attribute"]][row["unit"]] += 1
    for attribute, counts in units.items():
        likely = counts.most_common(1)[0][0]
        if len(counts) > 1 and all(converts_to(likely, unit) for unit in counts):
            listed = ", ".join(f"{unit} {count:,}" for unit, count in counts.most_common(5))
            yield (
                f"{attribute} is written in several units ({listed}): write "
                f"`clean.normalise.units: {{{in_yaml(attribute)}: {in_yaml(likely)}}}`"
            )


def in_yaml(word: str) -> str:
    """Return a word as YAML takes it inside of `{…}`: in quotes where a sign would mean something."""
    return word if PLAIN_IN_YAML.fullmatch(word) else json.dumps(word, ensure_ascii=False)


def converts_to(wanted: str, written: str) -> bool:
    """Whether clean can convert a unit into another one."""
    try:
        field_unit(written, wanted)
    except Exception:  # pint's parser raises errors of every kind
        return False
    return True


def thousandfold(sample: Sample, params: clean.Params) -> Iterator[str]:
    """Values that lie a thousandfold away from the median of their attribute."""
    values: dict[str, list[tuple[float, Reading]]] = defaultdict(list)
    for reading in sample.facts:
        number, _, unit = reading.read.partition(" ")
        if NUMBER.fullmatch(number) and float(number):
            values[f"{reading.name} {unit}".strip()].append((abs(float(number)), reading))
    for name, pairs in values.items():
        if len(pairs) < 5:
            continue
        middle = median(number for number, _ in pairs)
        far = [
            reading for number, reading in pairs if not middle / SPREAD < number < middle * SPREAD
        ]
        if far and len(far) <= max(1, len(pairs) / RARE):
            shown = ", ".join(
                f"{reading.written} → {reading.read} ({reading.locator})" for reading in far[:SHOWN]
            )
            yield (
                f"{len(far):,} values of {name} lie a thousandfold away from the median "
                f"{middle:g}: {shown}; compare them with the source"
            )


def unclear_dates(sample: Sample, params: clean.Params) -> Iterator[str]:
    """Dates in digits whose order of day and month the setting may have wrong."""
    day_first = month_first = either = 0
    for reading in sample.dates:
        match = DAY_OR_MONTH.match(reading.written)
        if not match:
            continue
        one, two = int(match.group(1)), int(match.group(2))
        day_first += one > 12 >= two
        month_first += two > 12 >= one
        either += one <= 12 and two <= 12 and one != two
    setting = params.normalise.day_first
    wrong = month_first if setting else day_first
    right = day_first if setting else month_first
    now = f"clean.normalise.day_first is {str(setting).lower()}"
    if wrong and not right:
        yield f"{wrong:,} dates can only be read the other way round ({now}): write `day_first: {str(not setting).lower()}`"
    elif wrong:
        yield f"days and months stand in both orders ({right:,} and {wrong:,} dates, {now}); the {either:,} others are uncertain"
    elif either and not right:
        yield f"{either:,} dates fit both orders of day and month, and none tells which ({now}); ask who wrote them"


def placeholders(sample: Sample, params: clean.Params) -> Iterator[str]:
    """Words and numbers that stand where a value is missing."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in sample.records:
        value = (row["value"] or "").strip()
        same_case = value in (value.lower(), value.upper())
        if row["fact"] and same_case and value.lower() in PLACEHOLDERS:
            counts[row["attribute"]][value] += 1
    totals = Counter(row["attribute"] for row in sample.records if row["fact"])
    for attribute, found in counts.items():
        if sum(found.values()) == totals[attribute] > 1:
            continue  # its only value, such as a count that is always 0
        listed = ", ".join(f"{value!r} {count:,}" for value, count in found.most_common(SHOWN))
        yield f"{attribute}: {listed} may stand for a missing value; set such facts aside by a rule with `none_of`"


def mojibake(sample: Sample, params: clean.Params) -> Iterator[str]:
    """Texts in which bytes of another encoding show."""
    for row in sample.records:
        match = MOJIBAKE.search(row["text"])
        if match:
            around = row["text"][max(0, match.start() - 12) : match.end() + 12]
            yield f"{around!r} ({row['locator']}) looks like another encoding: write the right `encoding` at the source"
            return


def repeated_keys(sample: Sample, params: clean.Params) -> Iterator[str]:
    """Numbers that several units state differently about one subject. Words may have several values."""
    values: dict[str, set[str]] = defaultdict(set)
    names: dict[str, str] = {}
    for row in sample.records:
        if row["fact"] and NUMERAL_START.match(row["value"]):
            values[row["fact"]].add(joined(row["value"], row["unit"]))
            names[row["fact"]] = f"{row['subject']}, {row['attribute']}"
    several = [fact for fact, stated in values.items() if len(stated) > 1]
    if several and len(several) > len(values) / 10:
        yield (
            f"{len(several):,} of {len(values):,} facts have several values, such as "
            f"{names[several[0]]}: is `subject` what tells the units apart?"
        )


def spellings_of_names(sample: Sample, params: clean.Params) -> Iterator[str]:
    """Subjects that differ by case or width alone, and that count as one. CO and Co are two."""
    spellings: dict[str, set[str]] = defaultdict(set)
    for row in sample.records:
        if row["subject"]:
            name = compared_name(row["subject"], sample.names)
            spellings[name].add(row["subject"])
    several = [sorted(names) for names in spellings.values() if len(names) > 1]
    if several:
        shown = "; ".join(" = ".join(names) for names in several[:SHOWN])
        yield f"{len(several):,} subjects are written in several ways and count as one: {shown}"


def examples(texts: list[str]) -> str:
    """Return a few different texts of many."""
    return ", ".join(list(dict.fromkeys(texts))[:SHOWN])


CHECKS: tuple[Check, ...] = (
    ambiguous_numbers,
    units_in_names,
    mixed_units,
    thousandfold,
    unclear_dates,
    placeholders,
    mojibake,
    repeated_keys,
    spellings_of_names,
)
