"""Quantities of fields and of running text: one form, nothing guessed, conversion both ways."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.values import measures, numbers
from stages.clean.values.dates import find_dates
from stages.clean.values.normalise import clean_text
from stages.clean.values.quantities import convert, find_quantities, plain, quantity
from stages.clean.values.units import unit_of
from stages.clean.values.unusable import Unusable
from tests.timed import quickest


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "expected"),
    [
        ("1811.15", "K", "°C", "1538"),
        ("2800.4", "°F", "°C", "1538"),
        ("1538 ℃", None, "°C", "1538"),
        ("1,538.0", "C", "°C", "1538"),
        ("1 538", "°C", "°C", "1538"),
        ("−38.83", "°C", "°C", "-38.83"),
        ("１５３８", "°C", "°C", "1538"),
        ("7874", "kg/m³", "g/cm³", "7.874"),
        ("7.874", "g/cm3", "g/cm³", "7.874"),
        ("7874", "kg m-3", "g/cm³", "7.874"),
        ("0.0558450", "kg/mol", "g/mol", "55.84"),
        ("2.5", "公斤", "g", "2500"),
        ("1.5e3", "m", "km", "1.5"),
        ("1.5 × 10^3", "m", "km", "1.5"),
        ("0.00008988", "g/cm³", "g/cm³", "0.00008988"),
        ("-0.0", "°C", "°C", "0"),
    ],
)
def test_quantities(value: str, unit: str | None, wanted: str, expected: str) -> None:
    assert quantity(clean_text(value), unit, wanted, 4) == expected


@pytest.mark.parametrize(
    "value", ["12,3,4", "1,23", "n/a", "", "1538..2", "1.538.0", "1 53 8", "about it 7", "--"]
)
def test_numbers_that_are_not_one_number(value: str) -> None:
    with pytest.raises(Unusable) as caught:
        quantity(value, "°C", "°C", 4)
    assert caught.value.reason == "bad_quantity"


@pytest.mark.parametrize(
    "unit", ["furlong", "°X", "", "g", "9**9**9", "__import__('os')", "??", "kg" * 40, "10"]
)
def test_units_that_do_not_convert(unit: str) -> None:
    with pytest.raises(Unusable) as caught:
        quantity("5", unit, "°C", 4)
    assert caught.value.reason == "unknown_unit"


@given(st.floats(-273, 6000, allow_nan=False))
def test_temperatures_come_back(celsius: float) -> None:
    there = quantity(f"{celsius + 273.15:.6f}", "K", "°C", 12)
    fahrenheit = quantity(f"{celsius * 1.8 + 32:.6f}", "°F", "°C", 12)
    assert float(there) == pytest.approx(celsius, abs=1e-5)
    assert float(fahrenheit) == pytest.approx(celsius, abs=1e-5)


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=5
    )
)
def test_plain_is_idempotent(number: Any) -> None:
    once = plain(number, 4)
    assert quantity(once, "m", "m", 4) == once
    assert "e" not in once.lower()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "5 mg/kg/day, 22.5 kg/m², 23 kg/m(2), 7874 kg m-3",
            ["5 mg/day/kg", "22.5 kg/m**2", "23 kg/m**2", "7874 kg/m**3"],
        ),
        ("1,200 mg, 1 200 mg, .5 mg, 0.50 mg", ["1200 mg", "1200 mg", "0.5 mg", "0.5 mg"]),
        (
            "1.2×10³ g, 1.2 x 10^3 g, 6 x 10(3) IU/l, 1.2e3 g",
            ["1200 g", "1200 g", "6000 IU/L", "1200 g"],
        ),
        ("0. 5% and 110, 000 daltons", ["0.5 percent", "110000 Da"]),
        ("2½ cups, 1/2 cup, 2 1/2 years", ["2.5 cup", "0.5 cup", "2.5 year"]),
        ("5 million km", ["5000000 km"]),
        ("5-10 mg, 5 to 10 mg, 5~10mg, 5 mg–10 mg", ["5–10 mg"] * 4),
        ("between 5 and 10 mg", ["5–10 mg"]),
        ("from 71% to 61%, ranging from 5% to 9%", ["71 percent", "61 percent", "5–9 percent"]),
        ("120 ± 15 mmHg, 51+/-9 years", ["120 ± 15 mmHg", "51 ± 9 year"]),
        ("-5 °C to -2 °C, −38.83 ℃", ["-5–-2 degC", "-38.83 degC"]),
        (
            "5 ft 2 in, eight pounds and three ounces, 2 years 6 months",
            ["5.16666666667 ft", "8.1875 lb", "2.5 year"],
        ),
        ("a 45-year-old, five years, twenty-five percent", ["45 year", "5 year", "25 percent"]),
        (
            "half an hour, two and a half weeks, a hundred years, two decades",
            ["0.5 h", "2.5 week", "100 year", "20 year"],
        ),
        (
            "72 beats/min, 10 hours a week, 5 mg per day, 5 mg/tablet",
            ["72 count/min", "10 h/week", "5 mg/day", "5 mg/tablet"],
        ),
        ("98.6 degrees Fahrenheit, 45 degrees K, 45 degrees", ["98.6 degF", "45 K", "45 degree"]),
        ("11.43 ± 1.24 μg PBDE-47/g", ["11.43 ± 1.24 µg/g"]),
        ("120 mm Hg, 30-second, 10 square meters", ["120 mmHg", "30 s", "10 m**2"]),
    ],
)
def test_quantities_of_a_text(text: str, expected: list[str]) -> None:
    assert [found.normal for found in find_quantities(text, "en")] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45岁，3天，３天，三十岁，两岁半", ["45 year", "3 day", "3 day", "30 year", "2.5 year"]),
        ("5万公里，5千米，15至20万吨", ["50000 km", "5 km", "150000–200000 tonne"]),
        ("5至10毫克，4-6周，两三分钟", ["5–10 mg", "4–6 week", "2–3 min"]),
        (
            "10毫克/升，10毫克每升，72次/分，5mg/kg",
            ["10 mg/L", "10 mg/L", "72 count/min", "5 mg/kg"],
        ),
        (
            "37.5℃，零下5℃，百分之三十，五个百分点",
            ["37.5 degC", "-5 degC", "30 percent", "5 percent"],
        ),
        ("体温38度", ["38 degC"]),
        (
            "3个月，一个半小时，半年，3年5个月，3分33秒",
            ["3 month", "1.5 h", "0.5 year", "3.41666666667 year", "3.55 min"],
        ),
        ("各肌注1mlHBIG，200IU", ["1 mL", "200 IU"]),
        ("200米自由式，70公斤级，25平方公里", ["200 m", "70 kg", "25 km**2"]),
    ],
)
def test_quantities_of_a_chinese_text(text: str, expected: list[str]) -> None:
    assert [found.normal for found in find_quantities(text, "zh")] == expected


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("12 patients, 3 of 5, 40 generations, 2 tablets", "en"),
        ("5 m, 10 C, 2 in high school, 5 a, 18 G, 50 K run", "en"),
        ("$5 million per kg, the 2003 year, in the 1950 s", "en"),
        ("1400 h, 10:30 h, 1-2-3 mg, 1,5 mg, 1.2.3 mg", "en"),
        ("SF-36 T4 H1N1 18S, 2V2, 14 PD, 5 N/A, her 30s", "en"),
        ("One day he came. In the first year, day 4", "en"),
        ("第3天，第52分钟，三次，3个病人，一天两次", "zh"),
        ("2003年，98年，延兴2年（472年），民国29年，5月，5世纪", "zh"),
        ("十分复杂，三分治七分养，24分，两西西里，上半年，十多年，几天，38度", "zh"),
    ],
)
def test_what_is_no_quantity_of_a_text(text: str, lang: str) -> None:
    assert find_quantities(text, lang) == []


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ("He ran 5 m", "over a distance"),
        ("kept at 10 C", "the temperature"),
        ("see 3 T", "magnetic field"),
        ("add 5 M", "solution of NaCl"),
        ("with 2 D", "of myopia"),
        ("a gap of 5 kb", "in the gene"),
        ("2 in", "in diameter"),
    ],
)
def test_a_doubtful_unit_needs_a_word_near_by(text: str, doubtful: str) -> None:
    assert not find_quantities(f"{text} and more", "en")
    assert len(find_quantities(f"{text} {doubtful}", "en")) == 1


@pytest.mark.parametrize("spelling", sorted(measures.SPELLINGS))
def test_every_spelling_is_a_unit_of_pint_in_one_form(spelling: str) -> None:
    form = measures.canonical(measures.SPELLINGS[spelling])
    assert measures.canonical(form) == form
    assert unit_of(form, "dimensionless") == unit_of(measures.SPELLINGS[spelling], "dimensionless")


NUMBERS = st.decimals(min_value=0, max_value=10**6, allow_nan=False, allow_infinity=False, places=3)
FORMS: list[Any] = [
    lambda number: f"{number:f}",
    lambda number: f"{number:,f}",
    lambda number: f"{number:,f}".replace(",", " "),
    lambda number: f"{number.scaleb(-3):f} × 10³",
    lambda number: f"{number.scaleb(3):f}e-3",
    lambda number: f"{number:f}".translate({ord("0") + i: chr(0xFF10 + i) for i in range(10)}),
]


@given(
    NUMBERS,
    st.sampled_from(FORMS),
    st.sampled_from(["mg", "km", "mL", "kg/m**2", "degC", "week"]),
    st.sampled_from(["", " ", "-"]),
)
def test_every_number_is_found_back_with_its_value(
    number: Any, form: Any, unit: str, gap: str
) -> None:
    found = find_quantities(f"Take {form(number)}{gap}{unit}, please", "en")
    assert [span.normal for span in found] == [f"{plain(number, 15)} {unit}"]


@given(st.integers(1, 99))
def test_every_english_number_word_is_found_back(number: int) -> None:
    word_of = {value: word for word, value in numbers.WORDS.items()}
    words = word_of.get(number)
    if words is None:
        tens, ones = divmod(number, 10)
        words = f"{word_of[tens * 10]}-{word_of[ones]}"
    assert [span.normal for span in find_quantities(f"After {words} years", "en")] == [
        f"{number} year"
    ]


@given(st.integers(1, 9999))
def test_every_chinese_number_is_found_back(number: int) -> None:
    written, zero = "", ""
    for power, sign in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // power % 10
        written += zero + "零一二三四五六七八九"[digit] + sign if digit else ""
        zero = "零" if written and not digit else "" if digit else zero
    assert [span.normal for span in find_quantities(f"共{written}公斤", "zh")] == [f"{number} kg"]


@given(NUMBERS, NUMBERS, st.sampled_from(["-", "–", " to ", "~", "至"]))
def test_every_range_is_found_back(one: Any, two: Any, between: str) -> None:
    low, high = sorted((one, two))
    found = [span.normal for span in find_quantities(f"of {low:f}{between}{high:f} mg", "en")]
    assert found == ([f"{plain(low, 15)}–{plain(high, 15)} mg"] if low < high else found)


@pytest.mark.parametrize(
    ("normal", "wanted", "expected"),
    [
        ("5000 mg", "g", "5 g"),
        ("5–10 mg", "g", "0.005–0.01 g"),
        ("101.3 degF", "°C", "38.5 °C"),
        ("37 ± 0.5 degC", "°F", "98.6 ± 0.9 °F"),
        ("5 percent", "%", "5%"),
        ("5.6 mmol/L", "毫摩尔/升", "5.6 毫摩尔/升"),
        ("5 mg", "cm", None),
        ("45 degree", "%", None),
        ("5 IU", "mg", None),
    ],
)
def test_conversion(normal: str, wanted: str, expected: str | None) -> None:
    assert convert(normal, wanted, 4) == expected


def test_what_is_no_quantity_is_not_converted() -> None:
    with pytest.raises(
        ValueError, match="'five mg' is not a quantity as find_quantities writes it"
    ):
        convert("five mg", "g", 4)


PAIRS = [
    ("mg", "lb"),
    ("degC", "°F"),
    ("km", "inch"),
    ("mL", "m³"),
    ("mmHg", "kPa"),
    ("year", "day"),
]


@given(NUMBERS, st.sampled_from(PAIRS))
def test_conversion_round_trips(number: Any, pair: tuple[str, str]) -> None:
    there = convert(f"{plain(number, 15)} {pair[0]}", pair[1], 15)
    assert there
    back = convert(there, pair[0], 15)
    assert back
    assert float(back.split()[0]) == pytest.approx(float(number), rel=1e-9, abs=1e-9)


PIECES = st.sampled_from(
    "1 12 2003 3.5 1/2 ½ , . - – ± to and between from mg g kg m s C °C % year day ft in five two hundred half an 年 岁 "
    "个 半 月 三 十 "
    "百 万 毫克 每 / 次 分 秒 至 零下 百分之 第 （ ) ° (2) ² 10^ x ×10³ e3 $ per a square 度 体温 temperature".split()
)
TEXTS = st.lists(PIECES | st.text(max_size=3)).map(" ".join) | st.lists(PIECES).map("".join)


@given(TEXTS, st.sampled_from(["en", "zh", "de"]))
def test_any_text_gives_quantities_that_lie_apart_and_convert(text: str, lang: str) -> None:
    found = find_quantities(text, lang)
    assert all(one.end <= two.start for one, two in pairwise(found))
    for span in found:
        assert 0 <= span.start < span.end <= len(text)
        unit = span.normal.split(" ")[-1]
        assert convert(span.normal, unit, 15) == span.normal


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "1 ",
        "1,",
        "12-",
        "5 mg ± ",
        "one hundred ",
        "5 m/",
        "一百",
        "5个半",
        "(A 2003, ",
        "1 x 10^",
        "5 a day ",
    ],
)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_long_texts_made_to_be_slow_are_not(unit: str, lang: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        return quickest(lambda: (find_quantities(text, lang), find_dates(text, lang, None)), 3)

    # Ten times the text. Quadratic would be a hundred times the time.
    assert seconds(40_000) < 40 * max(seconds(4_000), 0.02)


@pytest.mark.parametrize("digits", [27, 28, 29, 40])
def test_numbers_of_more_digits_than_decimal_keeps_are_read_without_an_error(digits: int) -> None:
    large = "9" * digits
    find_quantities(f"{large}½ m and {large} 1/2 m", "en")
    (span,) = find_quantities(f"{large} ft. 2 in of wire", "en")
    assert span.normal.endswith(" ft")


@pytest.mark.parametrize(
    ("text", "lang", "normal"),
    [
        ("The gap between inlet and outlet differs by 7 °C.", "en", "7 delta_degC"),
        ("a 7 °F tolerance", "en", "7 delta_degF"),
        ("室内外温差达到7℃", "zh", "7 delta_degC"),
        ("Store it at 7 °C.", "en", "7 degC"),
    ],
)
def test_a_difference_of_temperatures_is_found_as_one(text: str, lang: str, normal: str) -> None:
    assert [span.normal for span in find_quantities(text, lang)] == [normal]
