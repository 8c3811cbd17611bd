"""Amounts in running text: numbers with the units that follow them, and what neighbours say together.

Two numbers are one amount as a range (5 to 10 mg, 5至10毫克), a tolerance (120 ± 15 mmHg) or a sum (5 ft 2 in, 3年5个月).
A change, from 71% to 61%, is two. Left out are calendar years, decades, times of day, money, ordinals, and parts of longer chains
(1-2-3 mg).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Context, Decimal
from typing import NamedTuple

from stages.clean.values import chinese
from stages.clean.values.measures import Measure, canonical, measure
from stages.clean.values.numbers import Number, numbers
from stages.clean.values.units import UNITS, unit_of

TOLERANCE = re.compile(r" ?\(?(?:±|\+ ?/ ?-|\+-) ?")
RANGE = re.compile(r" ?(?:-|–|—|~|至|到) ?| to ")
CHANGE = re.compile(r"(?<!ranging )(?<!ranged )(?<!range )(?<!ranges )\bfrom $|从$", re.IGNORECASE)
BETWEEN = re.compile(r"\bbetween $", re.IGNORECASE)
TAIL = re.compile(r"(?<=feet|foot|unds|.lbs), | (?:and )?|零|又|")
CHAIN = re.compile(r"[0-9] ?[-–—~/] ?$")
MONEY = re.compile(r"[$€£¥] ?-?$")
HALF = re.compile("个半(小时|月|星期|礼拜|钟头|世纪)")
HALVED = ("年", "岁", "天", "周", "个月", "小时", "斤", "公斤", "个小时", "个星期", "周岁")
"""Units behind which 半 adds half a one, unless it begins a word (`TO_HALF`)."""
TO_HALF = tuple("天年个夜路数径身岛球决价途成分")
SIGN = re.compile(r"(?:^|[(\[=<>≤≥:,：，~–—点为约至到于温在是]|[^0-9%°] )(-)$|(零下|负)$")
SHARE = re.compile("(?<!百分之)(零下|负)?百分之$")
ONE_DAY = re.compile(
    r"\b(?:for|within|in|after|every|than|least|about|of|over|only|last|per|once) $", re.IGNORECASE
)
SUMMED = {"[length]", "[mass]", "[time]"}
ERA = re.compile("年[（(][^（）()0-9]{1,8}$")
REIGN = re.compile(
    "(?:民国|昭和|平成|明治|大正|令和|洪武|永乐|万历|嘉靖|崇祯|顺治|康熙|雍正|乾隆|嘉庆|道光|"
    "咸丰|同治|光绪|宣统|贞观|开元|建安|[祖宗帝]) ?$"
)
"""Before a year that is counted from the start of a reign."""
DATED = re.compile("[（(][0-9]{3,4}年")
LASTING = re.compile("的?历史|间|之久|来|多|左右|[之以]?[前后内]")
YEARS = (1000, 2199)
"""Numbers before 年 that are no count."""


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


def amounts(text: str, lang: str, start: int, end: int) -> Iterator[Amount]:
    """The amounts of a text (its `numbers.WIDTHS` folded) that have units, in their order: first sums, then pairs of these.

    Those whose numbers begin from `start` to `end`; what says what they are may stand outside.
    """
    for amount in _paired(text, _paired(text, _single(text, lang, start, end), _sum), _both):
        if amount.measure and not CHAIN.search(text, max(0, amount.start - 3), amount.start):
            yield amount


def _single(text: str, lang: str, start: int, end: int) -> Iterator[Amount]:
    """Every number with its sign, and its unit where one follows."""
    done = 0
    for number in numbers(text, lang, start, end):
        if number.start < done:  # the 半 of one before
            continue
        amount = _amount(text, number)
        done = amount.end
        yield amount


def _amount(text: str, number: Number) -> Amount:
    start, value = number.start, number.value
    near = max(0, start - 3)
    before = text[
        start - 1 : start
    ]  # one character tells most patterns apart, at a tenth of the time
    if before == "第":
        return Amount(start, number.end, value, None, None)
    if (
        before == "之"
        and (share := SHARE.search(text, max(0, start - 5), start))
        and not text.startswith("%", number.end)
    ):
        value = -value if share[1] else value
        return Amount(
            share.start(), number.end, value, number.high, Measure(number.end, "percent", "%")
        )
    if text.startswith("个半", number.end) and (half := HALF.match(text, number.end)):
        name = "个月" if half[1] == "月" else half[1]
        return Amount(
            start,
            half.end(),
            value + Decimal("0.5"),
            None,
            Measure(half.end(), canonical(chinese.UNITS[name]), name),
        )
    if before in ("-", "下", "负") and (sign := SIGN.search(text, near, start)):
        start, number = sign.start(sign.lastindex or 0), number._replace(value=-value)
    unit = measure(text, number.start, number.end)
    if not unit or MONEY.search(text, near, start) or _doubtful(text, number, unit):
        return Amount(start, number.end, number.value, number.high, None)
    low, high = number.value * unit.factor, number.high and number.high * unit.factor
    if (
        unit.word in HALVED
        and text.startswith("半", unit.end)
        and not high
        and text[unit.end + 1 : unit.end + 2] not in TO_HALF
    ):
        return Amount(start, unit.end + 1, low + Decimal("0.5"), None, unit)
    return Amount(start, unit.end, low, high, unit, power=number.power)


def _doubtful(text: str, number: Number, unit: Measure) -> bool:
    """Whether it is rather a calendar year, a time of day, a decade, one day, or an ordinal."""
    written = text[number.start : number.end]
    if unit.word == "年":
        return _is_calendar(text, number, unit.end)
    if unit.word == "天" and written == "一":
        return text[unit.end : unit.end + 1] not in tuple("后前内左以")
    if unit.word in ("year", "Year"):
        return YEARS[0] <= number.value <= YEARS[1] and text[number.end] == " "
    if unit.word in ("h", "s"):
        return len(written) == 4 and written.isdigit()
    if unit.word == "day" and written.lower() == "one":
        return not ONE_DAY.search(text, max(0, number.start - 10), number.start)
    return (
        not number.digits
        and unit.word.isascii()
        and len(unit.word) < 3
        and unit.word not in ("kg", "mg", "cm", "mm", "km", "ml", "%")
    )


def _is_calendar(text: str, number: Number, end: int) -> bool:
    """Whether the number before 年 is a year of the calendar or of an era, not a count of years."""
    written, after = text[number.start : number.end], text[end : end + 4]
    if (
        DATED.match(text, end)
        or REIGN.search(text, max(0, number.start - 3), number.start)
        or (ERA.search(text[max(0, number.start - 12) : number.start]) and after[:1] in ")）")
    ):
        return True
    if not number.digits:
        return False
    if (
        YEARS[0] <= number.value <= YEARS[1]
        or written.startswith("0")
        or (len(written) == 2 and written.isdigit() and written > "49")
    ):
        return True
    return len(written) == 3 and written.isdigit() and not LASTING.match(after)


def _paired(
    text: str, single: Iterable[Amount], join: Callable[[str, Amount, Amount], Amount | None]
) -> Iterator[Amount]:
    """The amounts, two neighbours as one where they join."""
    last: Amount | None = None
    for amount in single:
        if last and (both := join(text, last, amount)):
            yield both
            last = None
            continue
        if last:
            yield last
        last = amount
    if last:
        yield last


def _both(text: str, one: Amount, two: Amount) -> Amount | None:
    """A range or a tolerance of two neighbours; None where they are none."""
    gap, unit = text[one.end : two.start], two.measure or one.measure
    if not unit or one.high is not None or two.high is not None:
        return None
    if TOLERANCE.fullmatch(gap) and _same(one, two):
        return Amount(one.start, two.end, one.low, two.low, unit, "±")
    if not two.measure:
        return None
    if RANGE.fullmatch(gap) or (
        gap == " and " and BETWEEN.search(text, max(0, one.start - 10), one.start)
    ):
        change = one.measure and CHANGE.search(text, max(0, one.start - 10), one.start)
        if two.power and not one.power and not one.measure:  # 15至20万吨
            one = one._replace(low=one.low.scaleb(two.power))
        return (
            Amount(one.start, two.end, one.low, two.low, unit)
            if _same(one, two) and one.low < two.low and not change
            else None
        )
    return None


def _same(one: Amount, two: Amount) -> bool:
    """Whether at most one of the two names a unit, or both the same."""
    return not one.measure or not two.measure or one.measure.unit == two.measure.unit


def _sum(text: str, one: Amount, two: Amount) -> Amount | None:
    """An amount in two units, the smaller one second (5 ft 2 in), in the larger. None where they are two quantities."""
    if not one.measure or not two.measure or not TAIL.fullmatch(text, one.end, two.start):
        return None
    large, small = (unit_of(measure.unit, "m") for measure in (one.measure, two.measure))
    if one.high is not None or two.high is not None or large == small:
        return None
    if large.dimensionality != small.dimensionality or str(large.dimensionality) not in SUMMED:
        return None
    ratio = Decimal(repr(UNITS.Quantity(1.0, small).m_as(large)))
    if ratio >= 1 or two.low * ratio >= 1 or two.low < 0 or one.low < 0 or one.low % 1:
        return None
    return one._replace(end=two.end, low=Context(prec=12).plus(one.low + two.low * ratio))
