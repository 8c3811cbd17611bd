"""How Chinese writes units, numbers and dates.

Nothing is guessed: 度 and 分 alone mean too many things to be units, and 千 behind a number may be
part of a unit (5千米).
"""

import re
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from stages.clean.tables import is_yes, read_lines, read_table

DATA = Path(__file__).parent / "data"
_TABLE = read_table(
    DATA / "chinese_units.csv", ("name", "unit", "in_text", "with_ge"), may_be_empty=("with_ge",)
)
UNITS = {row["name"]: row["unit"] for row in _TABLE}
"""Names of units, and the same units as pint reads them.

Compound units are made of them: 毫克/升, 千克每立方米.
"""
TEXT_UNITS = {row["name"]: row["unit"] for row in _TABLE if is_yes(row, "in_text")}
"""Those that are units in running text, too."""
GE_UNITS = {"个" + row["name"]: row["unit"] for row in _TABLE if is_yes(row, "with_ge")}
"""Names that 个 stands before in running text: 个小时."""
DEFINITIONS = read_lines(DATA / "pint_definitions_chinese.txt")
"""Definitions of the market units, for pint."""

POWERS = {"": 0, "百": 2, "千": 3, "万": 4, "亿": 8, "万亿": 12}
"""Words for powers of ten, and their exponents."""
DIGITS = {"零": "0", "〇": "0", "○": "0"} | {
    sign: str(digit) for digit, sign in enumerate("一二三四五六七八九", start=1)
}

RUN = re.compile(r"[\u3400-\u9fff]+")
"""Chinese characters: 毫克 in 毫克/L."""
MYRIADS = re.compile(r"\s*([百千]?)(万亿|[万亿])")
"""A power of ten behind a number in digits: 万 in 5万公里, 千万 in 3千万吨. Not: 千 in 5千米."""
DATE_PART = re.compile(
    r"\s*"
    r"([零〇○一二三四五六七八九十]+|\d+)"  # 二〇一九, 十二, 2019
    r"\s*"
    r"([年月日号號])"
    r"\s*"
)
"""A number with the sign of what it counts in a date: 2019 年, 三月, 7号."""
_TEENS_AND_TENS = re.compile(r"([一二三四五六七八九]?)十([一二三四五六七八九]?)")
"""A number from 10 to 99: 十, 十二, 三十, 三十一."""

_DIGIT = "[一二两三四五六七八九]"
_BELOW_TEN_THOUSAND = (
    f"(?:{_DIGIT}千)?"  # 三千
    f"(?:零?{_DIGIT}百)?"  # 五百
    f"(?:零?{_DIGIT}?十{_DIGIT}?|零{_DIGIT})?"  # 二十三, 十, 零五
)
COUNT = re.compile(
    f"(?:(?P<亿>{_BELOW_TEN_THOUSAND}|{_DIGIT})亿)?"
    f"(?:零?(?P<万>{_BELOW_TEN_THOUSAND}|{_DIGIT})万)?"
    f"(?P<rest>{_BELOW_TEN_THOUSAND})"
    f"(?P<last>(?<![百千万亿]){_DIGIT}|零(?=点))?"  # one digit alone, but not that of 一百二
    "(?:点(?P<fraction>[零〇一二三四五六七八九]+))?"
)
"""A count, part by part: 两万三千, 一百零五, 三点五. Not: 二〇一九, 一百二."""
_DIGIT_AND_POWER = re.compile(f"({_DIGIT}?)([十百千]|$)")
"""A digit and the power of ten behind it: 三千, 十, and at the end a digit alone."""
_EXPONENTS = {"": 0, "十": 1, "百": 2, "千": 3}


def pint_unit(written: str) -> str:
    """The unit with Chinese names replaced: 毫克/升 is mg/L, 千克每立方米 is kg/m**3.

    An unknown name stays.
    """
    return RUN.sub(_pint_names, written)


def _pint_names(run: re.Match[str]) -> str:
    names = []
    for name in run.group().split("每"):
        known = UNITS.get(name) or UNITS.get(name.removeprefix("个"), name)
        names.append(known)
    return "/".join(names)


def myriads(rest: str) -> tuple[int, str]:
    """The power of ten that stands behind a number (4 for 万公里), and the text after it."""
    match = MYRIADS.match(rest)
    if not match:
        return 0, rest
    hundred_or_thousand, myriad = match.groups()
    return POWERS[hundred_or_thousand] + POWERS[myriad], rest[match.end() :]


def plain_date(text: str) -> str:
    """A date in Western digits, with 年月日 and without blanks: 二〇一九年三月七日 and 2019 年 3 月 7 号 become
    2019年3月7日.
    """
    return DATE_PART.sub(_plain_part, text)


def _plain_part(part: re.Match[str]) -> str:
    number, sign = part.groups()
    if count := _TEENS_AND_TENS.fullmatch(number):
        # 十二 is 12 and 三十 is 30: a missing digit before 十 is one, a missing one behind it is zero.
        number = DIGITS.get(count[1], "1") + DIGITS.get(count[2], "0")
    digits = [DIGITS.get(digit, digit) for digit in number]
    return "".join(digits) + sign.replace("号", "日").replace("號", "日")


@lru_cache(maxsize=4096)
def number(written: str) -> Decimal | None:
    """The value of a count in Chinese numerals: 二十三, 一百零五, 两万三千, 三点五, 半.

    None for numerals that are no count. Digits one after the other (二〇一九) are a year or a name. 一百二
    does not say whether it is 102 or 120.
    """
    if written == "半":
        return Decimal("0.5")
    if not written or written[0] in "万亿点":
        return None
    if written[0] == "零" and "点" not in written:
        return None
    count = COUNT.fullmatch(written)
    if not count:
        return None
    whole = _value(count["亿"]) * 10**8
    whole += _value(count["万"]) * 10**4
    whole += _value(count["rest"])
    whole += _value(count["last"])
    fraction = [DIGITS[sign] for sign in count["fraction"] or "零"]
    return Decimal(f"{whole}.{''.join(fraction)}")


def _value(written: str | None) -> int:
    """The value of a number below ten thousand. 十 alone is ten, and a missing part is zero."""
    total = 0
    for digit, power in _DIGIT_AND_POWER.findall((written or "").replace("零", "")):
        if digit == "两":
            factor = 2
        elif digit:
            factor = int(DIGITS[digit])
        else:
            factor = 1 if power else 0
        total += factor * 10 ** _EXPONENTS[power]
    return total
