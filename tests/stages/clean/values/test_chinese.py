"""Chinese quantities, dates and characters, in every form they are written in; what has two readings is set aside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.values import chinese, normalise
from stages.clean.values.date_fields import iso_date
from stages.clean.values.quantities import quantity
from stages.clean.values.rewriting import Params as Text
from stages.clean.values.units import unit_of
from stages.clean.values.unusable import Unusable
from stages.core.project.errors import ParamsError


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "expected"),
    [
        ("2.5公斤", None, "g", "2500"),
        ("２．５公斤", None, "kg", "2.5"),
        ("3斤", None, "kg", "1.5"),
        ("二两", "g", "g", None),
        ("2两", None, "克", "100"),
        ("38.5℃", None, "°C", "38.5"),
        ("３８．５ ℃", None, "°C", "38.5"),
        ("38.5摄氏度", None, "K", "311.6"),
        ("零下38.83℃", None, "°C", "-38.83"),
        ("负5", "摄氏度", "°C", "-5"),
        ("－5", "℃", "°C", "-5"),
        ("101.3℉", None, "℃", "38.5"),
        ("5万公里", None, "km", "50000"),
        ("1.5亿千米", None, "km", "150000000"),
        ("3千万 吨", None, "t", "30000000"),
        ("2万亿千瓦时", None, "kWh", "2000000000000"),
        ("5千米", None, "m", "5000"),
        ("1,200千克", None, "吨", "1.2"),
        ("1，200千克", None, "吨", "1.2"),
        ("65㎏", None, "g", "65000"),
        ("170㎝", None, "m", "1.7"),
        ("3㎡", None, "平方米", "3"),
        ("20毫克/升", None, "g/m³", "20"),
        ("7874千克每立方米", None, "g/cm³", "7.874"),
        ("7.874克/立方厘米", None, "kg/m³", "7874"),
        ("5.6毫摩尔/升", None, "mmol/L", "5.6"),
        ("120毫米汞柱", None, "mmHg", "120"),
        ("120", "mm[Hg]", "kPa", "16"),
        ("72次/分钟", None, "count/min", "72"),
        ("3岁", None, "年", "3"),
        ("38度", None, "°C", None),
        ("30分", None, "min", None),
        ("约5公斤", None, "kg", "~5"),
        ("5-6公斤", None, "kg", "5–6"),
        ("五公斤", None, "kg", "5"),
        ("两三百米", None, "m", "200–300"),
        ("一斤半", None, "kg", "0.75"),
        ("三斤四两", None, "kg", "1.7"),
        ("4斤1两5钱", None, "g", "2075"),
        ("6亩", None, "m²", "4000"),
        ("三尺", None, "m", "1"),
        ("2里", None, "km", "1"),
        ("9钱", None, "g", "45"),
        ("一米七", None, "m", None),
        ("三斤四", None, "kg", None),
        ("百分之五", None, "%", "5"),
        ("一个半小时", None, "min", "90"),
        ("5千", None, "kg", None),
    ],
)
def test_quantities(value: str, unit: str | None, wanted: str, expected: str | None) -> None:
    text = normalise.clean_text(value)
    if expected is not None:
        assert quantity(text, unit, wanted, 4, lang="zh") == expected
        return
    with pytest.raises(Unusable) as caught:
        quantity(text, unit, wanted, 4, lang="zh")
    assert caught.value.reason in ("bad_quantity", "unknown_unit")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2019年3月7日", "2019-03-07"),
        ("2019年03月07日", "2019-03-07"),
        ("2019 年 3 月 7 日", "2019-03-07"),
        ("２０１９年３月７日", "2019-03-07"),
        ("2019年3月7号", "2019-03-07"),
        ("2019年3月", "2019-03"),
        ("2019年", "2019"),
        ("二〇一九年三月七日", "2019-03-07"),
        ("二○一九年十二月三十一日", "2019-12-31"),
        ("一九九八年十月二十日", "1998-10-20"),
        ("一九九八年十一月", "1998-11"),
        ("2019.3.7", "2019-03-07"),
    ],
)
def test_dates(written: str, expected: str) -> None:
    assert iso_date(normalise.clean_text(written), day_first=True) == expected


@pytest.mark.parametrize(
    "written",
    [
        "2019年13月1日",
        "2019年二月三十日",
        "3月7日",
        "公元前300年",
        "二千年",
        "今年",
        "年月日",
        "十十年",
    ],
)
def test_dates_that_are_none(written: str) -> None:
    with pytest.raises(Unusable) as caught:
        iso_date(written, day_first=True)
    assert caught.value.reason == "bad_date"


@given(st.dates())
def test_every_day_written_in_characters_is_read(day: object) -> None:
    digits = dict(zip("0123456789", "〇一二三四五六七八九", strict=True))

    def small(number: int) -> str:
        tens, ones = divmod(number, 10)
        return (("" if tens == 1 else digits[str(tens)]) + "十" if tens else "") + (
            digits[str(ones)] if ones else ""
        )

    year, month, date = str(day).split("-")
    written = (
        "".join(digits[sign] for sign in year) + f"年{small(int(month))}月{small(int(date))}日"
    )
    assert iso_date(written, day_first=True) == str(day)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("ＡＢＣ１２３", "ABC123"),
        ("密度：７．８７　克", "密度：7.87 克"),
        ("ａ：ｂ，ｃ（ｄ）", "a:b,c(d)"),
        ("铁（Ｆｅ）会生锈，对吗？", "铁（Fe）会生锈，对吗？"),
        ("体温３８．５℃", "体温38.5°C"),
        ("面积3㎡，重65㎏", "面积3m²，重65kg"),
        ("￥５０", "¥50"),
        ("g/cm³ 与 x²", "g/cm³ 与 x²"),
        ("“引号”、顿号。", "“引号”、顿号。"),
    ],
)
def test_characters(written: str, expected: str) -> None:
    assert normalise.clean_text(written) == expected
    assert normalise.clean_text(expected) == expected


@given(st.text(st.sampled_from("℃℉㎏㎡㎥㏄￥￠２３Ａ～｡ 　a年，（）"), max_size=12))
def test_folding_is_idempotent(text: str) -> None:
    once = normalise.clean_text(text)
    assert normalise.clean_text(once) == once


@pytest.mark.parametrize("name", sorted(chinese.UNITS))
def test_every_name_is_a_unit(name: str) -> None:
    assert unit_of(name, "dimensionless") == unit_of(chinese.UNITS[name], "dimensionless")


def test_an_unknown_name_in_params_is_refused() -> None:
    with pytest.raises(
        ParamsError,
        match=r"clean\.normalise\.units\.体重: unknown unit '公金'; write it as pint does",
    ):
        normalise.check_units(
            normalise.Params({"体重": "公金"}, {}, 4, [], [], True, Text(False, []))
        )
