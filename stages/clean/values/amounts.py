"""Amounts in running text: numbers with the units that follow them, and what neighbours say
together.

Two numbers are one amount as a range (5 to 10 mg, 5至10毫克), a tolerance (120 ± 15 mmHg) or a sum (5
ft 2 in, 3年5个月). A change, from 71% to 61%, is two. Left out are calendar years, decades, times of
day, money, ordinals, and parts of longer chains (1-2-3 mg).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Context, Decimal
from pathlib import Path
from typing import NamedTuple

from stages.clean.tables import read_words
from stages.clean.values import chinese
from stages.clean.values.measures import AFTER_INCHES, Measure, canonical, measure, measure_of_power
from stages.clean.values.numbers import UNDECLARED, Number, NumberForm, is_whole, numbers
from stages.clean.values.units import UNITS, unit_of

# Between two amounts.
TOLERANCE = re.compile(r" ?\(?(?:±|\+ ?/ ?-|\+-) ?")
"""120 ± 15, 51+/-9, 5 (+- 1)."""
RANGE = re.compile(r" ?(?:-|–|—|~|至|到) ?| to ")
"""5-10, 5 to 10, 5至10."""
TAIL = re.compile(
    r"(?<=feet|foot|unds|.lbs), "  # 5 feet, 2 inches
    r"|(?<=ft|lb|hr|yr)\.,? ?(?:and )?|(?<=lbs|hrs|yrs|min)\.,? ?(?:and )?"  # 5 ft. 3 in.
    r"|(?<=ft)\.?-"  # 5 ft.-3 in.
    "| (?:and )?|零|又|"
)
"""Between the two units of a sum: a blank, and, or nothing."""

# Before an amount.
CHANGE = re.compile(r"(?<!ranging )(?<!ranged )(?<!range )(?<!ranges )\bfrom $|从$", re.IGNORECASE)
"""from 71% to 61%. Not: ranging from 5% to 9%."""
BETWEEN = re.compile(r"\bbetween $", re.IGNORECASE)
CHAIN = re.compile(r"[0-9] ?[-–—~/] ?$")
"""The 1-2- of 1-2-3 mg, the 120/ of 120/80 mmHg."""
MONEY = re.compile(r"[$€£¥] ?-?$")
SIGN = re.compile(
    r"(?:^|[(\[=<>≤≥:,：，~–—点为约至到于温在是]|[^0-9%°] )(-)$"  # = -5, but not 3 -5 and not a-5
    r"|(零下|负)$"
)
"""The sign of a negative number. The one group that matches is the sign."""
SHARE = re.compile("(?<!百分之)(零下|负)?百分之$")
"""百分之三十 is 30 %."""
ONE_DAY = re.compile(
    r"\b(?:for|within|in|after|every|than|least|about|of|over|only|last|per|once) $", re.IGNORECASE
)
"""Before "one day" that is a span of time. Not: One day he came."""
REIGN = re.compile(f"(?:{'|'.join(read_words(Path(__file__).parent / 'data' / 'reigns.txt'))}) ?$")
"""Before a year that is counted from the start of a reign: 康熙十四年."""
ERA = re.compile("年[（(][^（）()0-9]{1,8}$")
"""Before a year in parentheses behind one of an era: 延兴2年（472年）."""

# Behind a number or an amount.
HALF = re.compile("个半(小时|月|星期|礼拜|钟头|世纪)")
"""一个半小时 is one and a half hours."""
HALVED = frozenset(
    ["年", "岁", "天", "周", "个月", "小时", "斤", "公斤", "个小时", "个星期", "周岁"]
)
"""Units behind which 半 adds half a one, unless it begins a word (`WORDS_OF_HALF`): 两岁半."""
WORDS_OF_HALF = frozenset("天年个夜路数径身岛球决价途成分")
"""Characters that make a word with 半: 半天, 半径."""
LIANG = re.compile(
    "(?:零)?(?P<liang>[一二两三四五六七八九]|[0-9](?:\\.[0-9]+)?)两"  # 三两
    "(?:(?P<half>半)|(?P<qian>[一二两三四五六七八九]|[0-9])钱)?"  # 三两半, 三两二钱
)
"""Behind a weight in 斤: ten 两 are one, and ten 钱 are one 两. 两斤三两 is 2.3 斤."""
JIN = frozenset(["斤", "市斤"])
CUT_SHORT = frozenset(["米", "公尺", "斤", "市斤", "公斤", "尺", "寸", "丈", "里", "公里", "亩"])
"""Units behind which a numeral may stand for the next smaller unit: 一米八 is 1.8 m, 两斤三 2.3 斤."""
NUMERALS = re.compile("[0-9.]+|[一二两三四五六七八九十半]+")
DATED = re.compile("[（(][0-9]{3,4}年")
"""Behind a year of an era: 延兴2年（472年）."""
LASTING = re.compile("的?历史|间|之久|来|多|左右|[之以]?[前后内]")
"""Behind a count of years: 300年历史, 500年前."""

SUMMED = {"[length]", "[mass]", "[time]"}
"""Dimensions in which one amount may have two units: 5 ft 2 in, 8 pounds 3 ounces, 2 years 6
months.
"""
FIRST_YEAR, LAST_YEAR = 1000, 2199
"""Numbers before 年 that are no count."""
CLEAR_SHORT_UNITS = frozenset(["kg", "mg", "cm", "mm", "km", "ml", "%"])
"""Units of one or two letters that also stand behind a number in words: five kg.

Not: five in, two m.
"""
SUM_DIGITS = 12
"""Significant digits of a sum in two units."""
HALF_ONE = Decimal("0.5")


class Amount(NamedTuple):
    """A number of a text with its sign and, where one follows, its unit."""

    start: int
    end: int
    low: Decimal
    high: Decimal | None
    measure: Measure | None
    sign: str = "–"
    """What stands between the two numbers: –, or ± where the second is a tolerance."""
    power: int = 0
    """The power of ten that a word behind the number says."""
    times_ten: bool = False
    """Whether × 10³ stands behind the number."""


def amounts(
    text: str, lang: str, start: int, end: int, form: NumberForm = UNDECLARED
) -> Iterator[Amount]:
    """The amounts of a text that have units, in their order: first sums, then pairs of these.

    Only amounts whose numbers begin from `start` to `end`. The words around them may stand outside.
    The widths of the text (`numbers.WIDTHS`) must be folded. `form` is how its source writes
    numbers.
    """
    single = _single(text, lang, start, end, form)
    with_sums = _joined(text, single, _sum)
    with_pairs = _joined(text, with_sums, _pair)
    for amount in with_pairs:
        if not amount.measure:
            continue
        if _is_cut_short(text, amount):
            continue
        if not CHAIN.search(text, max(0, amount.start - 3), amount.start):
            yield amount


def _is_cut_short(text: str, amount: Amount) -> bool:
    """Whether a numeral that belongs to the amount follows it: the 八 of 一米八."""
    if not amount.measure or amount.measure.word not in CUT_SHORT:
        return False
    numerals = NUMERALS.match(text, amount.end)
    if not numerals:
        return False
    return measure(text, amount.end, numerals.end()) is None  # not the 30 of 5公里30分钟


def _single(text: str, lang: str, start: int, end: int, form: NumberForm) -> Iterator[Amount]:
    """Every number with its sign, and its unit where one follows."""
    done = 0
    for number in numbers(text, lang, start, end, form):
        if number.start < done:  # the 半 behind the amount before
            continue
        amount = _amount(text, number)
        done = amount.end
        yield amount


def _amount(text: str, number: Number) -> Amount:
    """A number with its sign, and its unit where one follows."""
    start, end = number.start, number.end
    # One character before the number tells which patterns cannot match there, at a tenth of the
    # time that a search takes.
    before = text[start - 1 : start]
    if before == "第":  # an ordinal
        return Amount(start, end, number.value, None, None)
    if before == "之" and (share := _share(text, number)):
        return share
    if text.startswith("个半", end) and (half := HALF.match(text, end)):
        name = "个月" if half[1] == "月" else half[1]
        halved = Measure(half.end(), canonical(chinese.UNITS[name]), name)
        return Amount(start, half.end(), number.value + HALF_ONE, None, halved)
    near = max(0, start - 3)
    if before in ("-", "下", "负") and (sign := SIGN.search(text, near, start)):
        start = sign.start(sign.lastindex or 0)
        number = number._replace(value=-number.value)
    unit = measure(text, number.start, end)
    if not unit and number.times_ten:
        unit = measure_of_power(text, end)
    if not unit or MONEY.search(text, near, start) or _doubtful(text, number, unit):
        return Amount(
            start, end, number.value, number.high, None, "–", number.power, number.times_ten
        )
    low = number.value * unit.factor
    high = number.high and number.high * unit.factor
    if text.startswith("半斤八两", number.start):  # six of one and half a dozen of the other
        return Amount(start, unit.end, low, None, None)
    if unit.word in JIN and not high and (liang := LIANG.match(text, unit.end)):
        return Amount(start, liang.end(), low + _in_jin(liang), None, unit)
    if unit.word in HALVED and text.startswith("半", unit.end) and not high:
        after_half = text[unit.end + 1 : unit.end + 2]
        if after_half not in WORDS_OF_HALF:
            return Amount(start, unit.end + 1, low + HALF_ONE, None, unit)
    return Amount(start, unit.end, low, high, unit, "–", number.power, number.times_ten)


def _in_jin(match: re.Match[str]) -> Decimal:
    """The weight of a match of `LIANG` in 斤."""
    liang = _digit(match["liang"])
    if match["half"]:
        liang += HALF_ONE
    if match["qian"]:
        liang += _digit(match["qian"]) / 10
    return liang / 10


def _digit(written: str) -> Decimal:
    """The value of 三, 两 or 3."""
    return Decimal("2") if written == "两" else Decimal(chinese.DIGITS.get(written, written))


def _share(text: str, number: Number) -> Amount | None:
    """The amount of 百分之三十 and 零下百分之三十. None where 百分之 does not stand before the number."""
    share = SHARE.search(text, max(0, number.start - 5), number.start)
    if not share or text.startswith("%", number.end):
        return None
    value = -number.value if share[1] else number.value
    percent = Measure(number.end, "percent", "%")
    return Amount(share.start(), number.end, value, number.high, percent)


def _doubtful(text: str, number: Number, unit: Measure) -> bool:
    """Whether the number with its unit is rather a calendar year, a time of day, a decade, one day,
    or an ordinal.
    """
    written = text[number.start : number.end]
    word = unit.word
    if word == "年":
        return _is_calendar_year(text, number, unit.end)
    if word == "天" and written == "一":  # 一天 is "one day he came", but not in 一天后
        return text[unit.end : unit.end + 1] not in tuple("后前内左以")
    if word in ("year", "Year"):  # the 2003 year
        return FIRST_YEAR <= number.value <= LAST_YEAR and text[number.end] == " "
    if word in ("h", "s"):  # 1400 h, in the 1950 s
        return len(written) == 4 and written.isdigit()
    if word == "day" and written.lower() == "one":
        return not ONE_DAY.search(text, max(0, number.start - 10), number.start)
    if number.digits:
        return False
    return word.isascii() and len(word) < 3 and word not in CLEAR_SHORT_UNITS


def _is_calendar_year(text: str, number: Number, end: int) -> bool:
    """Whether the number before 年 is a year of the calendar or of an era, not a count of years.
    `end` is that of 年.
    """
    written = text[number.start : number.end]
    after = text[end : end + 4]
    if DATED.match(text, end):
        return True
    if REIGN.search(text, max(0, number.start - 3), number.start):
        return True
    if after[:1] in ")）" and ERA.search(text[max(0, number.start - 12) : number.start]):
        return True
    if not number.digits:
        return False
    if FIRST_YEAR <= number.value <= LAST_YEAR or written.startswith("0"):
        return True
    in_plain_digits = written.isdigit()
    if len(written) == 2 and in_plain_digits and written > "49":  # 98年
        return True
    return len(written) == 3 and in_plain_digits and not LASTING.match(after)  # 472年


Join = Callable[[str, Amount, Amount], Amount | None]
"""The one amount that two neighbours make, or None."""


def _joined(text: str, amounts: Iterable[Amount], join: Join) -> Iterator[Amount]:
    """The amounts in their order, two neighbours as one where they join. An amount joins once."""
    last: Amount | None = None
    for amount in amounts:
        if last is None:
            last = amount
            continue
        joined = join(text, last, amount)
        if joined:
            yield joined
            last = None
        else:
            yield last
            last = amount
    if last is not None:
        yield last


def _pair(text: str, one: Amount, two: Amount) -> Amount | None:
    """The range or tolerance that two neighbours are. None where they are two amounts."""
    gap = text[one.end : two.start]
    unit = two.measure or one.measure
    if not unit or one.high is not None or two.high is not None:
        return None
    if TOLERANCE.fullmatch(gap) and _same_unit(one, two):
        end = two.end
        if "(" in gap and text.startswith(")", end):
            end += 1
        if two.times_ten and not one.times_ten:
            return one._replace(end=two.end, measure=None)  # 5 ± 1 × 10³: of one, or of both?
        return Amount(one.start, end, one.low, two.low, unit, "±")
    if not two.measure:
        return None
    before = max(0, one.start - 10)
    if not RANGE.fullmatch(gap):
        is_between = gap == " and " and BETWEEN.search(text, before, one.start)
        if not is_between:
            return None
    if one.measure and CHANGE.search(text, before, one.start):
        return None
    low = one.low
    if two.power and not one.power and not one.measure:
        low = low.scaleb(two.power)  # 15至20万吨 begins with 150 000
    if two.times_ten and not one.times_ten:
        return one._replace(end=two.end, measure=None)  # 1–2 × 10³
    if not _same_unit(one, two) or low >= two.low:
        return None
    return Amount(one.start, two.end, low, two.low, unit)


def _same_unit(one: Amount, two: Amount) -> bool:
    """Whether at most one of the two names a unit, or both name the same."""
    if not one.measure or not two.measure:
        return True
    return one.measure.unit == two.measure.unit


def _sum(text: str, one: Amount, two: Amount) -> Amount | None:
    """The sum of an amount in two units, the smaller one second (5 ft 2 in), in the larger unit.

    None where they are two.
    """
    if not one.measure or not two.measure:
        return None
    tail = TAIL.fullmatch(text, one.end, two.start)
    if not tail:
        return None
    if "." in tail.group() and not AFTER_INCHES.match(text, two.end):
        return None
    if one.high is not None or two.high is not None:
        return None
    large = unit_of(one.measure.unit, "m")
    small = unit_of(two.measure.unit, "m")
    if large == small or large.dimensionality != small.dimensionality:
        return None
    if str(large.dimensionality) not in SUMMED:
        return None
    small_in_large = Decimal(repr(UNITS.Quantity(1.0, small).m_as(large)))
    if small_in_large >= 1 or two.low * small_in_large >= 1:
        return None
    if one.low < 0 or two.low < 0 or not is_whole(one.low):
        return None
    total = Context(prec=SUM_DIGITS).plus(one.low + two.low * small_in_large)
    return one._replace(end=two.end, low=total)
