"""Numbers in running text and in fields: digits as people group them, powers of ten, fractions,
English and Chinese number words.

A number is read only where no letter, digit or decimal sign touches it from the left, so that no
part of a name, a version or a longer number is one.

A source may declare its decimal sign and its thousands sign (`NumberForm`). Without a declaration
the point is the decimal sign, and a decimal comma is not read: 1,5 may be two numbers, and 0,005
may be anything. In the languages of `DECIMAL_COMMA` 1.234 and 1,234 are not read either.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from stages.clean.tables import read_table, read_words
from stages.clean.values import chinese

DATA = Path(__file__).parent / "data"
LARGEST_EXPONENT = 99
"""Largest power of ten of a number that is read: from 1e-99 to 1e99. Physics knows no quantity
beyond it, and a larger one would be a number of a million digits."""
LONGEST_NUMERAL = 40
"""Digits of the longest run that is read as a number."""
_OTHER_WIDTHS = {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}
"""Full-width forms, U+FF01 to U+FF5E, of the visible ASCII characters."""
for _sign in "，：；":
    del _OTHER_WIDTHS[_sign]  # a Chinese comma is no part of a number
WIDTHS = str.maketrans(
    _OTHER_WIDTHS
    | dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " ")
    | dict.fromkeys("−﹣\u2010\u2011", "-")
    | dict.fromkeys("∼〜", "~")
    | {"μ": "µ", "˚": "°", "º": "°", "⁄": "/", "∕": "/", "Å": "Å", "Ω": "Ω"}
)
"""Other widths and look-alikes.

One character becomes one character, so that offsets stay what they are.
"""
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺–", "0123456789-+-")
GROUPING_COMMAS = str.maketrans("", "", ", '’")
GROUPING_POINTS = str.maketrans("", "", ". '’")
"""They remove what groups the digits of a number: 12,345 and 12 345."""
FRACTIONS = {
    sign: Decimal(above) / Decimal(below)
    for sign, above, below in (
        ("½", 1, 2),
        ("⅓", 1, 3),
        ("⅔", 2, 3),
        ("¼", 1, 4),
        ("¾", 3, 4),
        ("⅕", 1, 5),
        ("⅖", 2, 5),
        ("⅗", 3, 5),
        ("⅘", 4, 5),
        ("⅙", 1, 6),
        ("⅚", 5, 6),
        ("⅐", 1, 7),
        ("⅛", 1, 8),
        ("⅜", 3, 8),
        ("⅝", 5, 8),
        ("⅞", 7, 8),
        ("⅑", 1, 9),
        ("⅒", 1, 10),
    )
}
"""Fractions in one character."""
FRACTION_SIGNS = "".join(FRACTIONS)
DECIMAL_COMMA = frozenset(read_words(DATA / "decimal_comma.txt"))
"""Languages that write 1,5 and 1.234,5."""

_NUMBER_WORDS = read_table(DATA / "number_words.csv", ("word", "value", "kind"))


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
    times_ten: bool = False
    """Whether × 10³ stands behind it. In 1–2 × 10³ it may belong to both ends, or to one."""


class NumberForm(NamedTuple):
    """How a source writes its numbers. None: it does not say."""

    decimal: str | None = None
    """The decimal sign: a point or a comma."""
    thousands: str | None = None
    """The sign between groups of three digits: a comma, a point, a blank or an apostrophe."""

    @property
    def point(self) -> str:
        """The decimal sign that numbers are read with.

        Thousands in points leave only the comma. Where nothing is said it is the point.
        """
        if self.decimal:
            return self.decimal
        return "," if self.thousands == "." else "."

    @property
    def declared(self) -> bool:
        """Whether it says what a comma and a point are."""
        return self.decimal is not None or self.thousands in (",", ".")


UNDECLARED = NumberForm()
BOTH_SIGNS = re.compile(
    r"[1-9][0-9]{0,2}(?:\.[0-9]{3})++,[0-9]{1,12}+"  # 1.234,5
    r"|[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,12}+"  # 12.345.678
)
"""A number whose signs leave one reading only, so that no source has to declare them."""

_LEFT = (
    "(?<![A-Za-zÀ-ɏͰ-ϿЀ-ӿ0-9_])"  # no letter or digit: not the 1 of H1N1
    "(?<![0-9][.,:/])"  # no number that goes on: not the 5 of 1,5 or 10:5
    "(?<![A-Za-z][-/.])"  # no name with a sign: not the 36 of SF-36
)
_RUN = f"[0-9]{{1,{LONGEST_NUMERAL}}}+"
_NOT_RAISED = (
    r"(?<!\^)(?<!\^[-+({ ])(?<!\^[({]-)"  # not the 3 of 10^3, x^(3), x^{-3}
    r"(?<![0-9A-Za-z)]\*\*)(?<![0-9A-Za-z)]\*\*[-+({])"  # nor that of x**3, but **3 g** in bold
)


@lru_cache(maxsize=256)
def digits_pattern(form: NumberForm, lang: str = "en") -> re.Pattern[str]:
    """The pattern of a number in digits: 5, 1,200, 0.5, .5. Not: the 2 of 1.2.3, 12,3, 0,005.

    `lang` is an ISO 639-1 code.
    """
    point = re.escape(form.point)
    comma = r"\." if form.point == "," else ","  # what is not the decimal sign groups
    groups = [
        f"[1-9][0-9]{{0,2}}(?:{comma}[0-9]{{3}})++",  # 12,345
        "[0-9]{1,3}(?: [0-9]{3})++",  # 12 345
        "[1-9][0-9]{0,2}(?:['’][0-9]{3})++",  # 12'345, as the Swiss write it
    ]
    if form.thousands == "," and form.point == ".":
        groups.append("[1-9][0-9]?(?:,[0-9]{2}(?=,))+,[0-9]{3}")  # 1,00,000 in India
    broken = "(?!)"  # matches nothing
    one_reading = "(?!)"
    if not form.declared:
        one_reading = rf"(?:{BOTH_SIGNS.pattern})(?![.,]?[0-9])"
        groups.append("[0-9]{1,3}, 0[0-9]{2}(?![0-9])")  # 110, 000, as tokenisers break it
        broken = r"0\. [0-9]{1,3}(?![0-9])"  # 0. 5, as tokenisers break it
    not_ambiguous = ""
    if not form.declared and lang in DECIMAL_COMMA:
        not_ambiguous = "(?![1-9][0-9]{0,2}[.,][0-9]{3}(?![0-9]|[.,][0-9]))"  # 1.234 may be 1234
    return re.compile(
        f"{_LEFT}{_NOT_RAISED}{not_ambiguous}"
        f"(?:[{FRACTION_SIGNS}]"
        f"|{one_reading}"
        f"|{broken}"
        f"|(?:{'|'.join(groups)}|{_RUN})(?!{comma}?[0-9])(?:{point}{_RUN})?+"  # 1,200.5
        rf"|(?<![^\s(\[<>=~≤≥±]){point}{_RUN})"  # .5 behind a blank or a sign
        rf"(?![0-9]|{point}[0-9]| [0-9]{{3}}(?![0-9]))"  # and no number that goes on
    )


RUN = re.compile(rf"[.,]?[0-9][0-9.,]*|[{FRACTION_SIGNS}]")
"""Where a number in digits may begin.

The pattern of digits begins by looking back, so a search for it tries every character of the text.
This pattern begins with a digit, which is found much faster. The other one then only has to match
there.
"""
_RAISED = (
    r"(?:\^|\*\*) ?"  # ^ or **, and the exponent:
    r"(?:\(([+–-]?[0-9]{1,2})\)"  # (-3)
    r"|\{([+–-]?[0-9]{1,2})\}"  # {3}, as TeX has it
    r"|([+–-]?[0-9]{1,2}))"  # 3
    r"(?![0-9^]|[.,][0-9]|\*\*)"  # not 10^1.5, 10^10^10
    "|([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})(?![⁰¹²³⁴⁵⁶⁷⁸⁹])"  # ³, ⁻³
)
TEN_TO = re.compile(f" ?(?:{_RAISED})")
"""The exponent of ten behind 10: 10^3, 10**6, 10⁻³. The exponent is the one group that matches."""
BASE_ONLY = re.compile(r"(?:[xX×·⋅∙•*/)]|times|by) ?$")
"""Before a 10 that is raised: × 10³ belongs to a number that was not read."""
POWER = re.compile(
    r" ?[xX×·⋅∙•*] ?10 ?"  # × 10, and the exponent:
    rf"(?:{_RAISED}"  # ^3, ^(-3), ³, ⁻³
    r"|\(([+-]?[0-9]{1,2})\))"  # (3), as PubMed has it
    r"|[eE]([+-]?[0-9]{1,2})(?![0-9]|\.[0-9])"  # e3, E-3
)
"""A power of ten behind a number. The exponent is the one group that matches."""
FRACTION = re.compile(
    f"([{FRACTION_SIGNS}])"  # 2½
    r"|/([2-9]|1[026])(?![0-9/.,])"  # 1/2
    r"|[ -]([1-9])/([2-9]|1[026])(?![0-9/.,])"  # 2 1/2
    f"| (?:and )?([{FRACTION_SIGNS}])"  # 2 and ½
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


def numbers(
    text: str, lang: str, start: int, end: int, form: NumberForm = UNDECLARED
) -> list[Number]:
    """The numbers of a text that begin from `start` to `end`, in their order. No two of them
    overlap.

    The widths of the text must be folded.
    """
    found = list(_in_digits(text, lang, start, end, form))
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


def number_at(text: str, at: int, lang: str, form: NumberForm) -> Number | None:
    """The number that begins exactly at one place of a field, in any notation that texts know."""
    first = text[at : at + 1]
    if first and first in "0123456789.," + FRACTION_SIGNS:
        match = digits_pattern(form, lang).match(text, at)
        if not match:
            return None
        number = _with_power(text, match, form)
        return number and _with_myriads(text, number)
    if "\u3400" <= first <= "\u9fff" or first == "〇":
        return _longest_count(text, at)
    match = ENGLISH.match(text, at)
    return _english_number(text, match) if match else None


def _longest_count(text: str, at: int) -> Number | None:
    """The longest Chinese count that begins at a place: the 二 of 二两, the 三十 of 三十公斤."""
    run = CHINESE.match(text, at)
    if not run:
        return None
    pair = PAIR.fullmatch(run.group())
    if pair:
        return _pair(run, pair)
    for end in range(run.end(), at, -1):
        value = chinese.number(text[at:end])
        if value is not None:
            return Number(at, end, value, digits=False)
    return None


def _in_digits(text: str, lang: str, start: int, stop: int, form: NumberForm) -> Iterator[Number]:
    digits = digits_pattern(form, lang)
    end = 0
    for run in RUN.finditer(text, start, stop):
        at = run.start()
        if text[at] in ".," and not digits.match(text, at):
            at += 1  # a full stop before the number, not a decimal point
        if at < end:
            continue
        match = digits.match(text, at)
        if not match:
            continue
        end = match.end()
        number = _with_power(text, match, form)
        if number:
            end = number.end
            yield number


def _with_power(text: str, match: re.Match[str], form: NumberForm) -> Number | None:
    """The number of a match of digits, with the power of ten, the fraction or the word behind it.

    None where it is the exponent's base alone, as in x 10^3.
    """
    written, end = match.group(), match.end()
    value = _value_of_digits(written, form)
    if written == "10" and (raised := TEN_TO.match(text, end)):
        if BASE_ONLY.search(text, max(0, match.start() - 6), match.start()):
            return None
        power = Decimal(1).scaleb(_exponent(raised))
        return Number(match.start(), raised.end(), power, times_ten=True)
    if not MORE.match(text, end):
        return Number(match.start(), end, value)
    times_ten = False
    if power_of_ten := POWER.match(text, end):
        times_ten = text[end] not in "eE"
        value = value.scaleb(_exponent(power_of_ten))
        end = power_of_ten.end()
    elif fraction := FRACTION.match(text, end):
        with_fraction = _with_fraction(value, fraction)
        if with_fraction is None:
            return Number(match.start(), end, value)
        value = with_fraction
        end = fraction.end()
    return _scaled(text, Number(match.start(), end, value, times_ten=times_ten))


def _exponent(match: re.Match[str]) -> int:
    """The exponent of a match of `POWER` or `TEN_TO`. It has at most two digits."""
    written = next(filter(None, match.groups()))
    return int(written.translate(SUPERSCRIPTS))


def _value_of_digits(written: str, form: NumberForm) -> Decimal:
    """The value of what `digits_pattern` matched."""
    if written in FRACTIONS:
        return FRACTIONS[written]
    is_pointed = not form.declared and BOTH_SIGNS.fullmatch(written) is not None
    if form.point == "," or is_pointed:
        return Decimal(written.translate(GROUPING_POINTS).replace(",", "."))
    return Decimal(written.translate(GROUPING_COMMAS))


def _scaled(text: str, number: Number) -> Number:
    """The number with the word behind it: 5 million."""
    scale = SCALE.match(text, number.end)
    if not scale:
        return number
    power = SCALES[scale[1].lower()]
    return number._replace(end=scale.end(), value=number.value.scaleb(power), power=power)


def is_whole(value: Decimal) -> bool:
    """Whether a number has no fraction. `value % 1` fails from 10^28 on, more digits than Decimal keeps."""
    return value == value.to_integral_value()


def _with_fraction(value: Decimal, fraction: re.Match[str]) -> Decimal | None:
    """The value of 2½, 1/2 and 2 1/2. None for 120/8 and 1.5/2, which are two numbers."""
    sign, divisor, numerator, denominator, sign_behind_blank = fraction.groups()
    if not is_whole(value):
        return None
    if divisor:
        return value / int(divisor) if value < int(divisor) else None
    if numerator:
        if int(numerator) >= int(denominator):
            return None
        return value + Decimal(numerator) / int(denominator)
    return value + FRACTIONS[sign or sign_behind_blank]


def _in_english(text: str, start: int, end: int) -> Iterator[Number]:
    for match in ENGLISH.finditer(text, start, end):
        yield _english_number(text, match)


def _english_number(text: str, match: re.Match[str]) -> Number:
    """The number of a match of `ENGLISH`."""
    start, end = match.span()
    if match["half"]:
        return Number(start, end, Decimal("0.5"), digits=False)
    value = _value_of(match["first"])
    if match["scale"]:
        value *= 100
        if match["second"]:
            value += _value_of(match["second"])
    if match["plus"]:
        value += Decimal("0.5")
    return _scaled(text, Number(start, end, value, digits=False))


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
