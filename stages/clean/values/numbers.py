"""Numbers in running text: digits as prose groups them, powers of ten, fractions, English and Chinese number words.

A number is read only where no letter, digit or decimal sign touches it from the left, so that no part of a name, a version
or a longer number is one. Decimal commas are not read: 1,5 may be two numbers.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from stages.clean.values import chinese

WIDTHS = str.maketrans(
    {chr(0xFF01 + i): chr(0x21 + i) for i in range(94) if chr(0xFF01 + i) not in "，：；"}
    | dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " ")
    | dict.fromkeys("−﹣\u2010\u2011", "-")
    | dict.fromkeys("∼〜", "~")
    | {"μ": "µ", "˚": "°", "º": "°", "⁄": "/", "∕": "/", "Å": "Å"}
)
"""Other widths and look-alikes, one character for one, so that places stay what they are; a Chinese comma is none of a number."""
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
NO_GAPS = str.maketrans("", "", ", ")
HALVES = {"½": Decimal("0.5"), "¼": Decimal("0.25"), "¾": Decimal("0.75")}
ONES = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
WORDS = {word: value for value, word in enumerate(ONES.split(), 1)} | {
    word: 10 * i for i, word in enumerate(TENS.split(), 2)
}
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9}


class Number(NamedTuple):
    """Characters `start` to `end` (exclusive) of a text, and what they count."""

    start: int
    end: int
    value: Decimal
    high: Decimal | None = None
    """The upper end, where the words name two: 两三, 十七八."""
    digits: bool = True
    """Whether it is written in digits."""
    power: int = 0
    """The power of ten that a word behind it says: million, 万."""


_LEFT = r"(?<![A-Za-zÀ-ɏͰ-ϿЀ-ӿ0-9_])(?<![0-9][.,:/])(?<![A-Za-z][-/.])"
_RUN = r"[0-9]{1,15}+"
_GROUPED = "[0-9]{1,3}(?:,[0-9]{3})++|[0-9]{1,3}(?: [0-9]{3})++|[0-9]{1,3}, 0[0-9]{2}(?![0-9])"
DIGITS = re.compile(
    rf"{_LEFT}(?:[½¼¾]|0\. [0-9]{{1,3}}(?![0-9])|(?:{_GROUPED}|{_RUN})(?!,?[0-9])(?:\.{_RUN})?+|(?<![^\s(\[<>=~≤≥])\.{_RUN})"
    r"(?![0-9]|\.[0-9]| [0-9]{3}(?![0-9]))"
)
"""Also as tokenisers break them: 0. 5, 110, 000."""
RUN = re.compile(r"\.?[0-9][0-9.,]*|[½¼¾]")
"""Where a number in digits may begin; found much faster than what is left of it is judged."""
POWER = re.compile(
    r" ?[x×·*] ?10(?:\^ ?\(?([+-]?[0-9]{1,2})\)?|([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})|\(([+-]?[0-9]{1,2})\))"
    r"|[eE]([+-]?[0-9]{1,2})(?![0-9])"
)
FRACTION = re.compile(
    r"([½¼¾])|/([2-9]|1[026])(?![0-9/.,])|[ -]([1-9])/([2-9]|1[026])(?![0-9/.,])| (?:and )?([½¼¾])"
)
SCALE = re.compile(r"[ -](hundred|thousand|million|billion)\b")
MORE = re.compile("|".join(f"(?:{pattern.pattern})" for pattern in (POWER, FRACTION, SCALE)))
"""Any of the three: what follows most numbers is none of them."""
_WORD = f"(?:(?:{TENS.replace(' ', '|')})(?:[- ](?:{'|'.join(ONES.split()[:9])}))?|{ONES.replace(' ', '|')})"
ENGLISH = re.compile(
    rf"(?<![^\s(\[\"'“‘/—–>~])(?:(?P<half>half an?)|(?P<first>{_WORD}|an?(?= hundred\b))(?:[ -](?P<scale>hundred))?"
    rf"(?:(?: and)? (?P<second>(?<=hundred )(?:{_WORD})|(?<=and )(?:{_WORD})))?)(?P<plus> and (?:a|one) half)?(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
CHINESE = re.compile(
    r"(?<![零〇一二两三四五六七八九十百千万亿第几数点])(?<![上下前后](?=半))[零〇一二两三四五六七八九十百千万亿半]{1,16}(?:点[零〇一二三四五六七八九]{1,8})?"
)
PAIR = re.compile(
    r"(?!八九十)(?P<ten>[二三四五六七八九]?十)?(?P<low>[一两二三四五六七八])(?P<high>[二三四五六七八九])(?P<scale>[十百千万]?)"
)
MYRIADS = re.compile(r" ?(?:[百千]?(?:万亿|[万亿])|[百千](?![米克瓦帕焦卡赫伏]))")


def widths_folded(text: str) -> str:
    """The text with `WIDTHS` folded."""
    return text if text.isascii() else text.translate(WIDTHS)


def numbers(text: str, lang: str, start: int, end: int) -> list[Number]:
    """Numbers of a text (its `WIDTHS` folded) that begin from `start` to `end`, in their order, which lie apart."""
    found = [*_digits(text, start, end)]
    if lang == "zh":
        found = [_with_myriads(text, number) for number in found] + [*_chinese(text, start, end)]
    else:
        found += _english(text, start, end)
    found.sort(key=lambda number: (number.start, -number.end))
    return [number for i, number in enumerate(found) if not i or number.start >= found[i - 1].end]


def _digits(text: str, start: int, stop: int) -> Iterator[Number]:
    end = 0
    for run in RUN.finditer(text, start, stop):
        place = run.start() + (
            run.group()[0] == "." and not DIGITS.match(text, run.start())
        )  # a full stop, or a point
        if place < end or not (match := DIGITS.match(text, place)):
            continue
        written, end = match.group(), match.end()
        value = HALVES.get(written) or Decimal(written.translate(NO_GAPS))
        if not MORE.match(text, end):
            yield Number(match.start(), end, value)
            continue
        if power := POWER.match(text, end):
            value, end = (
                value.scaleb(int(next(filter(None, power.groups())).translate(SUPERSCRIPTS))),
                power.end(),
            )
        elif part := FRACTION.match(text, end):
            value, end = _with_fraction(value, part), part.end()
        yield _scaled(text, Number(match.start(), end, value))


def _scaled(text: str, number: Number) -> Number:
    """5 million: the number with the word behind it."""
    if not (scale := SCALE.match(text, number.end)):
        return number
    power = SCALES[scale[1].lower()]
    return number._replace(end=scale.end(), value=number.value.scaleb(power), power=power)


def _with_fraction(value: Decimal, part: re.Match[str]) -> Decimal:
    """2½, 1/2 or 2 1/2."""
    sign, divisor, top, bottom, apart = part.groups()
    if divisor:
        return value / int(divisor)
    return value + (Decimal(top) / int(bottom) if top else HALVES[sign or apart])


def _english(text: str, start: int, end: int) -> Iterator[Number]:
    for match in ENGLISH.finditer(text, start, end):
        start, end = match.span()
        if match["half"]:
            yield Number(start, end, Decimal("0.5"), digits=False)
            continue
        value = _worth(match["first"])
        if match["scale"]:
            value = value * 100 + (_worth(match["second"]) if match["second"] else 0)
        if match["plus"]:
            value += Decimal("0.5")
        yield _scaled(text, Number(start, end, value, digits=False))


def _worth(words: str) -> Decimal:
    """forty-five; the article of "a hundred" is one."""
    return Decimal(sum(WORDS.get(word, 1) for word in re.split("[- ]", words.lower())))


def _chinese(text: str, start: int, end: int) -> Iterator[Number]:
    for match in CHINESE.finditer(text, start, end):
        written = match.group()
        if pair := PAIR.fullmatch(written):
            if number := _pair(match, pair):
                yield number
        elif (value := chinese.number(written)) is not None:
            yield Number(match.start(), match.end(), value, digits=False)


def _pair(match: re.Match[str], pair: re.Match[str]) -> Number | None:
    """两三, 四五十, 十七八: from one to the other; None where they do not ascend."""
    ten, scale = (
        chinese.number(pair["ten"] or "") or Decimal(0),
        chinese.POWERS.get(pair["scale"], 1),
    )
    low, high = (chinese.number(pair[name]) or Decimal(0) for name in ("low", "high"))
    if low >= high:
        return None
    return Number(
        match.start(), match.end(), ten + low.scaleb(scale), ten + high.scaleb(scale), digits=False
    )


def _with_myriads(text: str, number: Number) -> Number:
    """5万, 3千: the power of ten behind the digits belongs to them."""
    if not (found := MYRIADS.match(text, number.end)):
        return number
    power = sum(chinese.POWERS[sign] for sign in re.findall("万亿|[百千万亿]", found.group()))
    return number._replace(end=found.end(), value=number.value.scaleb(power), power=power)
