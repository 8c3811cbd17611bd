"""How Chinese writes units, numbers and dates, in the forms that the readers of dates and quantities know.

Nothing is guessed: 度 and 分 alone mean too many things to be units, 千 behind a number may be part of one (5千米).
"""

import re
from decimal import Decimal
from functools import lru_cache

UNITS = {
    "公斤": "kg", "千克": "kg", "克": "g", "毫克": "mg", "微克": "µg", "纳克": "ng", "吨": "t",
    "斤": "jin", "市斤": "jin", "两": "liang",
    "公吨": "tonne", "磅": "pound", "盎司": "ounce",
    "公里": "km", "千米": "km", "米": "m", "分米": "dm", "厘米": "cm", "公分": "cm", "毫米": "mm", "微米": "µm", "纳米": "nm",
    "公尺": "m", "公厘": "mm", "英里": "mile", "英尺": "foot", "英寸": "inch", "海里": "nautical_mile", "光年": "light_year",
    "平方米": "m**2", "平方厘米": "cm**2", "平方公里": "km**2", "公顷": "hectare", "立方米": "m**3", "立方厘米": "cm**3",
    "平方公尺": "m**2", "平方千米": "km**2", "平方英里": "mile**2", "平方毫米": "mm**2", "立方公尺": "m**3",
    "升": "L", "毫升": "mL", "微升": "µL", "公升": "L", "西西": "cc", "分升": "dL", "加仑": "gallon",
    "摩尔": "mol", "毫摩尔": "mmol", "微摩尔": "µmol", "次": "count",
    "纳摩尔": "nmol", "国际单位": "IU",
    "年": "year", "岁": "year", "周岁": "year", "个月": "month", "周": "week", "星期": "week", "礼拜": "week", "天": "day",
    "小时": "h", "钟头": "h", "分钟": "min", "秒": "s", "秒钟": "s", "毫秒": "ms", "世纪": "century",
    "摄氏度": "degC", "华氏度": "degF", "开": "K", "开尔文": "K",
    "帕": "Pa", "千帕": "kPa", "兆帕": "MPa", "大气压": "atm", "毫米汞柱": "mmHg",
    "焦耳": "J", "千焦": "kJ", "卡": "cal", "千卡": "kcal", "大卡": "kcal",
    "瓦": "W", "千瓦": "kW", "千瓦时": "kWh", "伏": "V", "安": "A", "赫兹": "Hz", "马力": "horsepower", "分贝": "dB",
    "百分点": "percent",
}  # fmt: skip
"""Names of units, as pint knows them; compound units are made of them: 毫克/升, 千克每立方米."""
DEFINITIONS = ("jin = 500 * gram", "liang = 50 * gram")
"""Of the market units, for pint."""
POWERS = {"": 0, "百": 2, "千": 3, "万": 4, "亿": 8, "万亿": 12}
DIGITS = {
    sign: str(value)
    for value, signs in enumerate(("零〇○", *"一二三四五六七八九"))
    for sign in signs
}
RUN = re.compile(r"[\u3400-\u9fff]+")
MYRIADS = re.compile(r"\s*([百千]?)(万亿|[万亿])")
DATE_PART = re.compile(r"\s*([零〇○一二三四五六七八九十]+|\d+)\s*([年月日号])\s*")


def pint_unit(written: str) -> str:
    """The unit with Chinese names replaced; 每 is per. An unknown name stays."""
    return RUN.sub(lambda run: "/".join(map(_name, run.group().split("每"))), written)


def _name(written: str) -> str:
    return UNITS.get(written) or UNITS.get(written.removeprefix("个"), written)


def myriads(rest: str) -> tuple[int, str]:
    """Power of ten that stands behind a number (5万公里), and what follows it."""
    found = MYRIADS.match(rest)
    return (
        (sum(POWERS[sign] for sign in found.groups()), rest[found.end() :]) if found else (0, rest)
    )


def plain_date(text: str) -> str:
    """A date in Western digits, 年月日 and no blanks: 二〇一九年三月七日, 2019 年 3 月 7 号 → 2019年3月7日."""
    return DATE_PART.sub(_part, text)


def _part(part: re.Match[str]) -> str:
    number, sign = part.groups()
    if found := re.fullmatch(r"([一二三四五六七八九]?)十([一二三四五六七八九]?)", number):
        number = DIGITS.get(found[1], "1") + DIGITS.get(found[2], "0")
    return "".join(DIGITS.get(digit, digit) for digit in number) + sign.replace("号", "日")


_D = "[一二两三四五六七八九]"
_SECTION = f"(?:{_D}千)?(?:零?{_D}百)?(?:零?{_D}?十{_D}?|零{_D})?"
COUNT = re.compile(
    f"(?:(?P<亿>{_SECTION}|{_D})亿)?(?:零?(?P<万>{_SECTION}|{_D})万)?(?P<rest>{_SECTION})(?P<last>(?<![百千万亿]){_D}|零(?=点))?"
    f"(?:点(?P<fraction>[零〇一二三四五六七八九]+))?"
)


@lru_cache(maxsize=4096)
def number(written: str) -> Decimal | None:
    """The value of numerals as a count is written: 二十三, 一百零五, 两万三千, 三点五, 半. None for other runs of them.

    Digits one after the other (二〇一九) are a year or a name; 一百二 leaves out what it counts.
    """
    if written == "半":
        return Decimal("0.5")
    if (
        not written
        or not (found := COUNT.fullmatch(written))
        or written[0] in "万亿点"
        or (written[0] == "零" and "点" not in written)
    ):
        return None
    whole = (
        _section(found["亿"]) * 10**8
        + _section(found["万"]) * 10**4
        + _section(found["rest"])
        + _section(found["last"])
    )
    return Decimal(f"{whole}.{''.join(DIGITS[sign] for sign in found['fraction'] or '零')}")


def _section(written: str | None) -> int:
    """A number below ten thousand; 十 alone is ten."""
    pairs = re.findall(f"({_D}?)([十百千]|$)", (written or "").replace("零", ""))
    return sum(_digit(digit, power) * 10 ** "_十百千".index(power or "_") for digit, power in pairs)


def _digit(sign: str, power: str) -> int:
    return (2 if sign == "两" else int(DIGITS[sign])) if sign else int(bool(power))
