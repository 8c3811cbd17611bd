"""How Chinese writes units, large numbers and dates, in the forms that `normalise.py` reads.

Nothing is guessed: 度 and 分 alone mean too many things to be units, 千 behind a number may be part of one (5千米).
"""

import re

UNITS = {
    "公斤": "kg", "千克": "kg", "克": "g", "毫克": "mg", "微克": "µg", "纳克": "ng", "吨": "t",
    "斤": "jin", "市斤": "jin", "两": "liang",
    "公里": "km", "千米": "km", "米": "m", "分米": "dm", "厘米": "cm", "公分": "cm", "毫米": "mm", "微米": "µm", "纳米": "nm",
    "平方米": "m**2", "平方厘米": "cm**2", "平方公里": "km**2", "公顷": "hectare", "立方米": "m**3", "立方厘米": "cm**3",
    "升": "L", "毫升": "mL", "微升": "µL", "摩尔": "mol", "毫摩尔": "mmol", "微摩尔": "µmol", "次": "count",
    "年": "year", "岁": "year", "周": "week", "天": "day", "小时": "h", "分钟": "min", "秒": "s", "毫秒": "ms",
    "摄氏度": "degC", "华氏度": "degF", "开": "K", "开尔文": "K",
    "帕": "Pa", "千帕": "kPa", "兆帕": "MPa", "大气压": "atm", "毫米汞柱": "mmHg",
    "焦耳": "J", "千焦": "kJ", "卡": "cal", "千卡": "kcal", "大卡": "kcal",
    "瓦": "W", "千瓦": "kW", "千瓦时": "kWh", "伏": "V", "安": "A", "赫兹": "Hz",
}  # fmt: skip
"""Names of units, as pint knows them; compound units are made of them: 毫克/升, 千克每立方米."""
DEFINITIONS = ("jin = 500 * gram", "liang = 50 * gram")
"""Of the market units, for pint."""
POWERS = {"": 0, "百": 2, "千": 3, "万": 4, "亿": 8, "万亿": 12}
DIGITS = {sign: str(value) for value, signs in enumerate(("零〇○", *"一二三四五六七八九")) for sign in signs}
RUN = re.compile(r"[\u3400-\u9fff]+")
MYRIADS = re.compile(r"\s*([百千]?)(万亿|[万亿])")
DATE_PART = re.compile(r"\s*([零〇○一二三四五六七八九十]+|\d+)\s*([年月日号])\s*")


def pint_unit(written: str) -> str:
    """The unit with Chinese names replaced; 每 is per. An unknown name stays."""
    return RUN.sub(lambda run: "/".join(UNITS.get(name, name) for name in run.group().split("每")), written)


def myriads(rest: str) -> tuple[int, str]:
    """Power of ten that stands behind a number (5万公里), and what follows it."""
    found = MYRIADS.match(rest)
    return (sum(POWERS[sign] for sign in found.groups()), rest[found.end() :]) if found else (0, rest)


def plain_date(text: str) -> str:
    """A date in Western digits, 年月日 and no blanks: 二〇一九年三月七日, 2019 年 3 月 7 号 → 2019年3月7日."""
    return DATE_PART.sub(_part, text)


def _part(part: re.Match[str]) -> str:
    number, sign = part.groups()
    if found := re.fullmatch(r"([一二三四五六七八九]?)十([一二三四五六七八九]?)", number):
        number = DIGITS.get(found[1], "1") + DIGITS.get(found[2], "0")
    return "".join(DIGITS.get(digit, digit) for digit in number) + sign.replace("号", "日")
