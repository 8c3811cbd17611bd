"""Fields: one reader with running text, bounds kept, and what two conventions read differently set aside."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.values import fields, numbers
from stages.clean.values.normalise import clean_text
from stages.clean.values.numbers import UNDECLARED, NumberForm
from stages.clean.values.quantities import bounds, quantity
from stages.clean.values.unusable import Unusable
from tests.timed import quickest

COMMA = NumberForm(",", None)
POINTED = NumberForm(",", ".")
INDIAN = NumberForm(".", ",")
SWISS = NumberForm(None, "'")


def read(value: str, form: NumberForm = UNDECLARED, lang: str = "en", unit: str = "mg") -> str:
    return quantity(clean_text(value), unit, unit, 12, form, lang)


def reason(value: str, form: NumberForm = UNDECLARED, lang: str = "en", unit: str = "mg") -> str:
    with pytest.raises(Unusable) as caught:
        read(value, form, lang, unit)
    return caught.value.reason


@pytest.mark.parametrize(
    "value",
    [
        "3e7654321",
        "3E-7654321",
        "3e400",
        "-2e100",
        "10^(10^9)",
        "10^9^9",
        "2 x 10^4000",
        "7×10⁹⁹⁹",
        "8" * 300_000,
        "0." + "0" * 150 + "1",
        "9e99999999999999999999",
        "1e5e5",
        "Infinity",
        "-inf",
        "NaN",
        "nan mg",
        "1e",
    ],
)
def test_what_is_beyond_all_bounds_is_set_aside(value: str) -> None:
    assert reason(value) in ("bad_quantity", "unknown_unit")


def test_a_number_that_grows_out_of_bounds_is_set_aside() -> None:
    with pytest.raises(Unusable, match=r"'2e98' is out of range: numbers from 1e-99 to 1e99"):
        quantity("2e98", "kg", "mg", 4)
    assert quantity("2e98", "mg", "mg", 4) == "2" + "0" * 98
    assert quantity("6.02e23", "mg", "mg", 4) == "602000000000000000000000"


@pytest.mark.parametrize("value", ["0,125", "2,5", "3,750", "00,500", "12,345", "1 250,5"])
def test_a_decimal_comma_needs_a_declaration(value: str) -> None:
    with pytest.raises(Unusable, match="say `decimal` or `thousands` of its source"):
        read(value)


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        ("0,125", COMMA, "0.125"),
        ("2,5", COMMA, "2.5"),
        ("3,750", COMMA, "3.75"),
        ("4.500,25", COMMA, "4500.25"),
        ("4.500,25", POINTED, "4500.25"),
        ("4.500", POINTED, "4500"),
        ("4 500,25", COMMA, "4500.25"),
        ("4'500,25", COMMA, "4500.25"),
        ("-0,5", COMMA, "-0.5"),
        ("1,5 x 10^3", COMMA, "1500"),
        ("0,5–0,75", COMMA, "0.5–0.75"),
        ("0,5 ± 0,1", COMMA, "0.5 ± 0.1"),
        ("2,50,000", INDIAN, "250000"),
        ("1,23,45,678.5", INDIAN, "12345678.5"),
        ("2,500", INDIAN, "2500"),
        ("2,500", NumberForm(None, ","), "2500"),
        ("2.500", NumberForm(None, "."), "2500"),
        ("2,5", NumberForm(None, "."), "2.5"),
        ("2'500.5", SWISS, "2500.5"),
        ("2’500", UNDECLARED, "2500"),
        ("1,234,567", UNDECLARED, "1234567"),
        ("1,234.5", UNDECLARED, "1234.5"),
        ("٣٫٥", UNDECLARED, "3.5"),
    ],
)
def test_signs_of_numbers(value: str, form: NumberForm, expected: str) -> None:
    assert read(value, form) == expected


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("0.125", COMMA),
        ("2.5", COMMA),
        ("2.5", POINTED),
        ("2,5", INDIAN),
        ("12,345,6", INDIAN),
        ("1.23.456", POINTED),
        ("1,234,567.8.9", INDIAN),
    ],
)
def test_signs_that_the_declaration_excludes(value: str, form: NumberForm) -> None:
    assert reason(value, form) == "bad_quantity"


def test_the_language_says_what_a_sign_cannot_be() -> None:
    assert read("2,500", lang="zh") == "2500"
    assert reason("2,500", lang="de") == "bad_quantity"
    assert reason("2.500", lang="de") == "bad_quantity"
    assert read("2.5", lang="de") == "2.5"
    assert read("2.500", lang="en") == "2.5"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4.5 x 10²", "450"),
        ("4.5·10⁻²", "0.045"),
        ("4.5 × 10^2", "450"),
        ("4.5*10**2", "450"),
        ("4.5 × 10^{-2}", "0.045"),
        ("4.5 x 10-2", "0.045"),
        ("4.5e2", "450"),
        ("4.5E+02", "450"),
        ("10^4", "10000"),
        ("10⁻³", "0.001"),
        ("10**5", "100000"),
        ("¾", "0.75"),
        ("1⅛", "1.125"),
        ("3 1/4", "3.25"),
        ("3-1/4", "3.25"),
        ("2 million", "2000000"),
        ("forty-five", "45"),
        ("15–30", "15–30"),
        ("15 to 30", "15–30"),
        ("15mg-30mg", "15–30"),
        ("between 15 and 30 mg", "15–30"),
        ("–15", "-15"),
        ("15 mg - 30 mg", "15–30"),
        ("-4 – -2", "-4–-2"),
        ("1–2 million", "1000000–2000000"),
        ("1 mg – 2 million mg", "1–2000000"),
        ("8 ± 0.25", "8 ± 0.25"),
        ("8 +/- 0.25", "8 ± 0.25"),
        ("8 (±0.25)", "8 ± 0.25"),
        ("8 mg ± 0.25 mg", "8 ± 0.25"),
        ("<8", "<8"),
        ("< 8", "<8"),
        ("<= 8", "≤8"),
        ("≥8", "≥8"),
        (">8", ">8"),
        ("~8", "~8"),
        ("≈ 8", "~8"),
        ("±8", "±8"),
        ("+8", "8"),
        ("minus 8", "-8"),
        (".8", "0.8"),
        ("8.", "8"),
        ("12345678901234567890.5", "12345678901234567890.5"),
        ("30–15", None),
        ("15–15", None),
        ("5²", None),
        ("2^10", None),
        ("4.5 x 102", None),
        ("1-2 x 10^3", None),
        ("5 ± 1 × 10³", None),
        ("9/8", None),
        ("120/80", None),
        ("1:8", None),
        ("8 or 9", None),
        ("8, 9", None),
        ("8 9", None),
        ("<8–9", None),
        ("circa 8", "~8"),
        ("8 x 9", None),
        ("1.2.3", None),
        ("8 ± -1", None),
        ("1–2–3", None),
    ],
)
def test_notations(value: str, expected: str | None) -> None:
    if expected is None:
        assert reason(value) in ("bad_quantity", "unknown_unit")
    else:
        assert read(value) == expected


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "expected"),
    [
        ("14–32", "°F", "°C", "-10–0"),
        ("50 ± 9", "°F", "°C", "10 ± 5"),
        ("50 °F ± 9 °F", None, "°C", "10 ± 5"),
        ("±9", "°F", "°C", "±5"),
        ("9", "°F", "delta °C", "5"),
        ("5", "K", "delta °C", "5"),
        ("9–18", "°F", "delta °C", "5–10"),
        ("delta 9 °F", None, "delta °C", None),
        ("5", "delta °C", "°C", None),
        ("<0.5 g", None, "mg", "<500"),
        ("6 ft 3 in", None, "cm", "190.5"),
        ("6 ft. 3 in.", None, "cm", "190.5"),
        ("6'3\"", None, "cm", "190.5"),
        ("7 lb 8 oz", None, "oz", "120"),
        ("1 h 15 min", None, "min", "75"),
        ("€12.50", None, "EUR", "12.5"),
        ("EUR 12.50", None, "EUR", "12.5"),
        ("12.50 €/kg", None, "EUR/t", "12500"),
        ("12.50", "USD", "EUR", None),
        ("3 mg", "g", "mg", None),
        ("3 mg", "milligram", "mg", "3"),
        ("3 mg", "see note", "mg", "3"),
        ("4.2 x 10^3/uL", None, "10*9/L", "4.2"),
        ("4.2", "10*3/uL", "10*9/L", "4.2"),
        ("10.001–10.002", "mg", "mg", "10.001–10.002"),
    ],
)
def test_units_of_fields(value: str, unit: str | None, wanted: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(Unusable):
            quantity(value, unit, wanted, 4)
    else:
        assert quantity(value, unit, wanted, 4) == expected


def test_a_power_that_may_belong_to_both_numbers() -> None:
    with pytest.raises(Unusable, match="the power of ten may belong to both numbers, or to one"):
        read("3–4 × 10³")
    assert read("3×10³–4×10³") == "3000–4000"


def test_messages() -> None:
    with pytest.raises(Unusable, match=r"'9–3' is no range: its first number is not the lower"):
        read("9–3")
    with pytest.raises(Unusable, match="is a range with < before it"):
        read("<3–9")
    with pytest.raises(Unusable, match="has a tolerance below zero"):
        read("3 ± -1")
    with pytest.raises(Unusable, match="has text behind an amount of money"):
        read("€5 each", unit="EUR")
    with pytest.raises(Unusable, match="is no number: it has 500 characters"):
        read("5" * 500)
    with pytest.raises(Unusable, match="'3 mg' has the unit mg, its column g"):
        quantity("3 mg", "g", "mg", 4)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3.250,75", "3250.75"),
        ("3.250,755", "3250.755"),
        ("-3.250,75", "-3250.75"),
        ("63.250.100", "63250100"),
        ("63.250.100,5", "63250100.5"),
        ("3.250,5–4.000,5", "3250.5–4000.5"),
        ("3.250.75", None),
        ("0.250.100", None),
        ("3.250,7,5", None),
        ("3,250.7.5", None),
        ("3.25,7", None),
    ],
)
def test_two_signs_leave_one_reading(value: str, expected: str | None) -> None:
    for lang in ("en", "de", "zh"):
        if expected is None:
            assert reason(value, lang=lang) == "bad_quantity"
        else:
            assert read(value, lang=lang) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("approx. 7", "~7"),
        ("About 7 mg", "~7"),
        ("ca. 7", "~7"),
        ("up to 7", "≤7"),
        ("max. 7 mg", "≤7"),
        ("at least 7", "≥7"),
        ("less than 0.7", "<0.7"),
        ("more than 7", ">7"),
        ("大约7毫克", "~7"),
        ("不超过7毫克", "≤7"),
        ("至少 7 毫克", "≥7"),
        ("低于7毫克", "<7"),
        ("about 7–9", None),
        ("about noon 7", None),
        ("overall 7", None),
        ("7 or more", None),
        ("七左右", None),
    ],
)
def test_bounds_in_words(value: str, expected: str | None) -> None:
    if expected is None:
        assert reason(value) in ("bad_quantity", "unknown_unit")
    else:
        assert read(value) == expected


def test_a_value_in_its_own_unit_keeps_all_its_digits() -> None:
    written = "1234567890123456789.0987654321"
    assert quantity(written, "kg", "kg", 4) == written


def test_currencies_before_their_number() -> None:
    with pytest.raises(Unusable, match="several currencies share this sign; say which in"):
        quantity("$12.50", None, "USD", 4)
    own = (("$", "USD"), ("kr", "SEK"))
    for value, wanted, expected in (
        ("$12.50", "USD", "12.5"),
        ("-$12.50", "USD", "-12.5"),
        ("$1,250.50", "USD", "1250.5"),
        ("$3–$4", "USD", "3–4"),
        ("about $3 million", "USD", "~3000000"),
        ("kr 40", "SEK", "40"),
    ):
        assert quantity(value, None, wanted, 4, own=own) == expected
    assert quantity("-€3", None, "EUR", 4) == "-3"
    with pytest.raises(Unusable, match="'£3': several currencies share this sign"):
        quantity("£3", None, "USD", 4, own=own)


@pytest.mark.parametrize(
    "attribute",
    [
        "temperature rise",
        "oven tolerance",
        "ΔT",
        "昼夜温差",
        "temperature_swing",
        "coolantTempRise",
        "deltaT",
        "dT",
        "sensor accuracy",
        "freezing point depression",
        "烘箱温度波动",
    ],
)
def test_an_attribute_that_is_a_difference_by_its_name(attribute: str) -> None:
    with pytest.raises(Unusable, match=r"write `delta °C` in clean\.normalise\.units"):
        quantity("9", "°F", "°C", 4, attribute=attribute)
    assert quantity("9", "°C", "°C", 4, attribute=attribute) == "9"
    assert quantity("9", "°F", "delta °C", 4, attribute=attribute) == "5"
    assert quantity("50", "°F", "°C", 4, attribute="melting point") == "10"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", (5, 5)),
        ("5–10", (5, 10)),
        ("-10–-5", (-10, -5)),
        ("5 ± 0.5", ("4.5", "5.5")),
        ("<5", (None, 5)),
        ("≥5", (5, None)),
        ("±5", (-5, 5)),
        ("~5", None),
        ("five", None),
    ],
)
def test_bounds(value: str, expected: Any) -> None:
    wanted = expected and tuple(None if end is None else Decimal(end) for end in expected)
    assert bounds(value) == wanted


NUMBERS = st.decimals(-(10**6), 10**6, places=3, allow_nan=False, allow_infinity=False)


@given(NUMBERS, st.sampled_from([UNDECLARED, COMMA, POINTED, INDIAN]))
def test_every_number_is_read_in_the_form_of_its_source(number: Decimal, form: NumberForm) -> None:
    written = f"{number:f}".replace(".", form.point)
    grouped = f"{number:,f}"
    if form.point == ",":
        grouped = grouped.translate(str.maketrans(",.", ".,"))
    for text in (written, grouped):
        if form.declared or "," not in text or "." in text:
            assert Decimal(read(text, form)) == number


@given(st.text(st.sampled_from("0123456789.,'’ -–±x×^*e⁻³½/<~()%mgKftin€千两斤至"), max_size=25))
def test_any_text_is_a_quantity_or_set_aside(text: str) -> None:
    for form in (UNDECLARED, COMMA):
        try:
            written = read(text, form)
        except Unusable:
            continue
        assert bounds(written) is not None or written.startswith("~")
        assert quantity(written, "mg", "mg", 12) == written


@pytest.mark.parametrize("piece", ["1", "1,", "1-", "1 ", "±", "1 mg–", "十", "1e", "10^", "€"])
def test_long_fields_cost_no_time(piece: str) -> None:
    def refused(text: str) -> None:
        with pytest.raises(Unusable):
            read(text)

    def seconds(size: int) -> float:
        text = piece * (size // len(piece)) + "?"
        return quickest(lambda: refused(text))

    longest = seconds(fields.LONGEST_FIELD)
    # A longer field is refused by its length, so its text is never looked at.
    assert seconds(100_000) < 30 * max(longest, 0.01)


def test_a_number_of_a_text_is_the_number_of_a_field() -> None:
    for written in ("4.5 x 10²", "¾", "3 1/4", "2 million", "forty-five", "1,234.5", "10⁴"):
        one = numbers.numbers(f"{written} mg", "en", 0, len(written))[0]
        assert quantity(written, "mg", "mg", 12) == f"{one.value.normalize():f}"
