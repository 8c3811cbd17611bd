"""Quantities of fields and of running text: one form, nothing guessed, conversion both ways."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.normalise import clean_text
from stages.clean.quantities import plain, quantity
from stages.clean.unusable import Unusable


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


@pytest.mark.parametrize("value", ["12,3,4", "1,23", "n/a", "", "1538..2", "1.538.0", "1 53 8", "about 7", "--"])
def test_numbers_that_are_not_one_number(value: str) -> None:
    with pytest.raises(Unusable) as caught:
        quantity(value, "°C", "°C", 4)
    assert caught.value.reason == "bad_quantity"


@pytest.mark.parametrize("unit", ["furlong", "°X", "", "g", "9**9**9", "__import__('os')", "??", "kg" * 40, "10"])
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


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=5))
def test_plain_is_idempotent(number: Any) -> None:
    once = plain(number, 4)
    assert quantity(once, "m", "m", 4) == once
    assert "e" not in once.lower()
