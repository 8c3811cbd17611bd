"""Values are compared as numbers where both are numbers, as words otherwise, and JSON stays strict."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.verifying import comparison, contradictions
from stages.clean.verifying.comparison import number_of, same, within
from tests.stages.clean.test_clean import fact

TOLERANT = contradictions.Params({"flow": contradictions.Tolerance(1.0, 0.0)}, ["count"], "report")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2500", "2500.0"),
        ("2500", "2,500"),
        ("2500", "2 500"),
        ("2500", "2\u00a0500.00"),
        ("2500", "2'500"),
        ("2500", "2.5e3"),
        ("2500", "２５００"),
        ("1,234,567", "1234567"),
        ("-5", "−5.0"),
        ("+7", "7"),
        (".5", "0.50"),
        ("0", "-0.0"),
        ("1e999", "1E999"),
        ("Red", " red "),
        ("n/a", "N/A"),
    ],
)
def test_one_value_in_two_forms(one: str, other: str) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2500", "2501"),
        ("2500", "25,00"),
        ("2.500", "2500"),
        ("01234", "1234"),
        ("1,23", "123"),
        ("1,0000", "10000"),
        ("10³", "103"),
        ("5", "n/a"),
        ("1e999", "1e998"),
        ("inf", "1e999"),
        ("1_000", "1000"),
        ("1,000 000", "1000000"),
    ],
)
def test_two_values(one: str, other: str) -> None:
    assert not same(one, other)


def test_case_counts_where_names_are_exact() -> None:
    assert same("CO", "Co")
    assert not same("CO", "Co", "exact")
    assert same("1E3", "1000", "exact")


@pytest.mark.parametrize(
    ("values", "agree"),
    [
        (("4", "4.9"), True),
        (("4", "5.1"), False),
        (("n/a", "4"), False),
        (("n/a", "N/A"), True),
        (("4", "about 4"), False),
        (("1e999", "4"), False),
        (("1e999999999", "1e999999999"), True),
        (("Infinity", "Infinity"), True),
        (("1,000", "1000"), True),
        (("nan", "nan"), True),
    ],
)
def test_a_tolerance_holds_between_numbers(values: tuple[str, str], agree: bool) -> None:
    rows = [fact("pump", "flow", value, source=str(place)) for place, value in enumerate(values)]
    reasons, report = contradictions.find(rows, {row["id"]: row for row in rows}, TOLERANT)
    assert (not reasons) == agree
    assert json.dumps(report, allow_nan=False)


def test_other_units_are_another_value() -> None:
    rows = [fact("rod", "count", "5", unit, source=unit or "x") for unit in ("m", "km", "M", None)]
    reasons, _ = contradictions.find(rows, {row["id"]: row for row in rows}, TOLERANT)
    assert list(reasons) == [rows[1]["id"]]


def test_a_number_that_no_double_holds_breaks_an_upper_limit() -> None:
    assert comparison.as_float("1e999") == math.inf
    assert comparison.as_float("-1e999") == -math.inf
    assert comparison.for_json(math.inf, "1e999") == "1e999"
    assert comparison.for_json(5.0, "5") == 5.0


@pytest.mark.parametrize(
    "value", ["inf", "nan", "Infinity", "1_000", "", "n/a", "5 m", None, True, float("nan"), [5]]
)
def test_what_is_no_number_to_a_rule(value: object) -> None:
    assert comparison.as_float(value) is None


NUMERALS = st.text("0123456789.,eE+- '−²½", max_size=12)


@given(NUMERALS, NUMERALS, st.text(max_size=5))
def test_any_two_values_can_be_compared(one: str, other: str, words: str) -> None:
    assert same(one, one)
    assert same(one, other) == same(other, one)
    assert same(one, words) in (True, False)
    assert within(one, other, 1.0, 0.1) in (True, False, None)
    number = number_of(one)
    assert number is None or math.isfinite(float(number))
