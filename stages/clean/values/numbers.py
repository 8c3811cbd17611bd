"""Numbers in running text: digits as prose groups them, powers of ten, fractions, English and
Chinese number words.

A number is read only where no letter, digit or decimal sign touches it from the left, so that no
part of a name, a version or a longer number is one. Decimal commas are not read: 1,5 may be two
numbers.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from stages.clean.tables import read_table
from stages.clean.values import chinese

_OTHER_WIDTHS = {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}
"""Full-width forms, U+FF01 to U+FF5E, of the visible ASCII characters."""
for _sign in "，：；":
    del _OTHER_WIDTHS[_sign]  # a Chinese comma is no part of a number
WIDTHS = str.maketrans(
    _OTHER_WIDTHS
    | dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " ")
    | dict.fromkeys("−﹣\u2010\u2011", "-")
    | dict.fromkeys("∼〜", "~")
    | {"μ": "µ", "˚": "°", "º": "°", "⁄": "/", "∕": "/", "Å": "Å"}
)
"""Other widths and look-alikes.

One character becomes one character, so that offsets stay what they are.
"""
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
NO_GAPS = str.maketrans("", "", ", ")
"""Removes what groups the digits of a number: 12,345 and 12 345."""
HALVES = {"½": Decimal("0.5"), "¼": Decimal("0.25"), "¾": Decimal("0.75")}

_NUMBER_WORDS = read_table(
    Path(__file__).parent / "data" / "number_words.csv", ("word", "value", "kind")
)


def _words_of(kind: str) -> dict[str, int]:
    """The words of one kind of the table, and their values."""
    return {row["word"]: int(row["value"]) for row in _NUMBER_WORDS if row["kind"] == kind}


ONES = _words_of("unit")
"""one to nineteen."""
TENS = _words_of("ten")
"""twenty to ninety."""
SCALES = _words_of("power")
"""hundred, thousand …, and their powers of ten."""
ORDINALS = _words_of("ordinal")
"""first to nineteenth, twentieth, thirtieth."""
WORDS = ONES | TENS
ONE_TO_NINE = "|".join(word for word, value in ONES.items() if value < 10)
ONE_TO_NINETEEN = "|".join(ONES)


class Number(NamedTuple):
    """Characters `start` to `end` (exclusive) of a text, and the number that they write."""

    start: int
    end: int
    value: Decimal
    high: Decimal | None = None
    """The upper end, where the words name two numbers: 两三, 十七八."""
    digits: bool = True
    """Whether it is written in digits."""
    power: int = 0
    """The power of ten that a word behind it says: million, 万."""


_LEFT = (
    "(?<![A-Za-zÀ-ɏͰ-ϿЀ-ӿ0-9_])"  # no letter or digit: not the 1 of H1N1
    "(?<![0-9][.,:/])"  # no number that goes on: not the 5 of 1,5 or 10:5
    "(?<![A-Za-z][-/.])"  # no name with a sign: not the 36 of SF-36
)
_RUN = r"[0-9]{1,15}+"
_GROUPED = (
    "[0-9]{1,3}(?:,[0-9]{3})++"  # 12,345
    "|[0-9]{1,3}(?: [0-9]{3})++"  # 12 345
    "|[0-9]{1,3}, 0[0-9]{2}(?![0-9])"  # 110, 000, as tokenisers break it
)
DIGITS = re.compile(
    f"{_LEFT}"
    "(?:[½¼¾]"
    r"|0\. [0-9]{1,3}(?![0-9])"  # 0. 5, as tokenisers break it
    rf"|(?:{_GROUPED}|{_RUN})(?!,?[0-9])(?:\.{_RUN})?+"  # 1,200.5
    rf"|(?<![^\s(\[<>=~≤≥])\.{_RUN})"  # .5 behind a blank or a sign
    r"(?![0-9]|\.[0-9]| [0-9]{3}(?![0-9]))"  # and no number that goes on
)
"""A number in digits: 5, 1,200, 0.5, .5. Not: the 2 of 1.2.3, 12,3."""
RUN = re.compile(r"\.?[0-9][0-9.,]*|[½¼¾]")
"""Where a number in digits may begin.

`DIGITS` begins by looking back, so a search for it tries every character of the text. This pattern
begins with a digit, which is found much faster. `DIGITS` then only has to match there.
"""
POWER = re.compile(
    r" ?[x×·*] ?10"  # × 10, and the exponent:
    r"(?:\^ ?\(?([+-]?[0-9]{1,2})\)?"  # ^3, ^(-3)
    "|([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})"  # ³, ⁻³
    r"|\(([+-]?[0-9]{1,2})\))"  # (3), as PubMed has it
    r"|[eE]([+-]?[0-9]{1,2})(?![0-9])"  # e3, E-3
)
"""A power of ten behind a number. The exponent is the one group that matches."""
FRACTION = re.compile(
    "([½¼¾])"  # 2½
    r"|/([2-9]|1[026])(?![0-9/.,])"  # 1/2
    r"|[ -]([1-9])/([2-9]|1[026])(?![0-9/.,])"  # 2 1/2
    r"| (?:and )?([½¼¾])"  # 2 and ½
)
"""What makes a fraction of the number before it. Not: 12/13, 1/2/03."""
SCALE = re.compile(r"[ -](hundred|thousand|million|billion)\b")
MORE = re.compile("|".join(f"(?:{pattern.pattern})" for pattern in (POWER, FRACTION, SCALE)))
"""Any of the three. Behind most numbers stands none of them, which one match then tells instead of
three.
"""
_WORD = (
    f"(?:(?:{'|'.join(TENS)})(?:[- ](?:{ONE_TO_NINE}))?"  # twenty, forty-five
    f"|{ONE_TO_NINETEEN})"  # one, twelve
)
ENGLISH = re.compile(
    r"(?<![^\s(\[\"'“‘/—–>~])"  # at the beginning of a word
    "(?:(?P<half>half an?)"  # half an hour
    rf"|(?P<first>{_WORD}|an?(?= hundred\b))"  # five; a, before hundred
    "(?:[ -](?P<scale>hundred))?"
    rf"(?:(?: and)? (?P<second>(?<=hundred )(?:{_WORD})|(?<=and )(?:{_WORD})))?)"  # and five
    "(?P<plus> and (?:a|one) half)?"  # two and a half
    "(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
"""A number in English words: forty-five, a hundred and five, two and a half.

Not: the one of anyone.
"""
CHINESE = re.compile(
    "(?<![零〇一二两三四五六七八九十百千万亿第几数点])"  # not the 三 of 第三
    "(?<![上下前后](?=半))"  # not the 半 of 上半年
    "[零〇一二两三四五六七八九十百千万亿半]{1,16}"
    "(?:点[零〇一二三四五六七八九]{1,8})?"  # 三点五
)
"""A run of Chinese numerals. `chinese.number` says whether it is a count."""
PAIR = re.compile(
    "(?!八九十)"  # 八九十 is a list of three
    "(?P<ten>[二三四五六七八九]?十)?"
    "(?P<low>[一两二三四五六七八])"
    "(?P<high>[二三四五六七八九])"
    "(?P<scale>[十百千万]?)"
)
"""Two neighbouring numbers that mean a range: 两三 (2 to 3), 四五十 (40 to 50), 十七八 (17 to 18)."""
MYRIADS = re.compile(
    " ?(?:[百千]?(?:万亿|[万亿])"  # 5万, 3千万, 2万亿
    "|[百千](?![米克瓦帕焦卡赫伏]))"  # 3千, but not 5千米
)
"""A power of ten behind a number in digits, in Chinese."""
_MYRIAD = re.compile("万亿|[百千万亿]")


def widths_folded(text: str) -> str:
    """The text with `WIDTHS` folded."""
    if text.isascii():  # nothing to fold, and `translate` would look at every character
        return text
    return text.translate(WIDTHS)


def numbers(text: str, lang: str, start: int, end: int) -> list[Number]:
    """The numbers of a text that begin from `start` to `end`, in their order. No two of them
    overlap.

    The widths of the text must be folded.
    """
    found = list(_in_digits(text, start, end))
    if lang == "zh":
        found = [_with_myriads(text, number) for number in found]
        found += _in_chinese(text, start, end)
    else:
        found += _in_english(text, start, end)
    found.sort(key=lambda number: (number.start, -number.end))
    apart = []
    last_end = 0
    for number in found:
        # Compared with the one before it, kept or not.
        if number.start >= last_end:
            apart.append(number)
        last_end = number.end
    return apart


def _in_digits(text: str, start: int, stop: int) -> Iterator[Number]:
    end = 0
    for run in RUN.finditer(text, start, stop):
        at = run.start()
        if text[at] == "." and not DIGITS.match(text, at):
            at += 1  # a full stop before the number, not a decimal point
        if at < end:
            continue
        match = DIGITS.match(text, at)
        if not match:
            continue
        written, end = match.group(), match.end()
        value = HALVES.get(written) or Decimal(written.translate(NO_GAPS))
        if not MORE.match(text, end):
            yield Number(at, end, value)
            continue
        if power := POWER.match(text, end):
            exponent = next(filter(None, power.groups()))
            value = value.scaleb(int(exponent.translate(SUPERSCRIPTS)))
            end = power.end()
        elif fraction := FRACTION.match(text, end):
            value = _with_fraction(value, fraction)
            end = fraction.end()
        yield _scaled(text, Number(at, end, value))


def _scaled(text: str, number: Number) -> Number:
    """The number with the word behind it: 5 million."""
    scale = SCALE.match(text, number.end)
    if not scale:
        return number
    power = SCALES[scale[1].lower()]
    return number._replace(end=scale.end(), value=number.value.scaleb(power), power=power)


def _with_fraction(value: Decimal, fraction: re.Match[str]) -> Decimal:
    """The value of 2½, 1/2 and 2 1/2."""
    sign, divisor, numerator, denominator, sign_behind_blank = fraction.groups()
    if divisor:
        return value / int(divisor)
    if numerator:
        return value + Decimal(numerator) / int(denominator)
    return value + HALVES[sign or sign_behind_blank]


def _in_english(text: str, start: int, end: int) -> Iterator[Number]:
    for match in ENGLISH.finditer(text, start, end):
        start, end = match.span()
        if match["half"]:
            yield Number(start, end, Decimal("0.5"), digits=False)
            continue
        value = _value_of(match["first"])
        if match["scale"]:
            value *= 100
            if match["second"]:
                value += _value_of(match["second"])
        if match["plus"]:
            value += Decimal("0.5")
        yield _scaled(text, Number(start, end, value, digits=False))


def _value_of(words: str) -> Decimal:
    """The value of forty-five. The article of "a hundred" is one."""
    values = [WORDS.get(word, 1) for word in re.split("[- ]", words.lower())]
    return Decimal(sum(values))


def _in_chinese(text: str, start: int, end: int) -> Iterator[Number]:
    for match in CHINESE.finditer(text, start, end):
        written = match.group()
        if pair := PAIR.fullmatch(written):
            if number := _pair(match, pair):
                yield number
            continue
        value = chinese.number(written)
        if value is not None:
            yield Number(match.start(), match.end(), value, digits=False)


def _pair(match: re.Match[str], pair: re.Match[str]) -> Number | None:
    """The range that 两三, 四五十 or 十七八 means. None where the two do not ascend."""
    ten = chinese.number(pair["ten"] or "") or Decimal(0)
    power = chinese.POWERS.get(pair["scale"], 1)  # 十 is not among the powers
    low = chinese.number(pair["low"]) or Decimal(0)
    high = chinese.number(pair["high"]) or Decimal(0)
    if low >= high:
        return None
    start, end = match.span()
    return Number(start, end, ten + low.scaleb(power), ten + high.scaleb(power), digits=False)


def _with_myriads(text: str, number: Number) -> Number:
    """The number with the power of ten behind it: 5万, 3千."""
    match = MYRIADS.match(text, number.end)
    if not match:
        return number
    power = 0
    for sign in _MYRIAD.findall(match.group()):
        power += chinese.POWERS[sign]
    return number._replace(end=match.end(), value=number.value.scaleb(power), power=power)
