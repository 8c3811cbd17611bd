"""Numbers, units, negations and content words of two texts, compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.augment.teacher.words import (
    content_of,
    negations_in,
    number_words_of,
    numbers_of,
    quantities_of,
    share_found,
    stands_in,
    turned_round,
)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It melts at 1538 °C.", {"1538"}),
        ("It melts at −38.83 °C.", {"-38.83"}),
        ("It melts at 1,538.0 °C.", {"1538"}),
        ("From 10-20 and 10–30", {"10", "20", "30"}),
        ("In 1898, in CO2 and in cm³", {"1898"}),
        ("３ apples", {"3"}),
        ("no number", set()),
    ],
)
def test_numbers_have_one_form(text: str, numbers: set[str]) -> None:
    assert numbers_of(text) == numbers


@pytest.mark.parametrize(
    ("text", "quantities"),
    [
        ("at 25 °C", {("25", "°c")}),
        ("at 25°C", {("25", "°c")}),
        ("25 metals", {("25", "")}),
        ("25 m.", {("25", "m")}),
        ("它在150°C时失去水分", {("150", "°c")}),
        ("3克的", {("3", "克")}),
        ("7.874 g/cm^3", {("7.874", "g/cm3")}),
        ("7.874 g/cm³ at 20%", {("7.874", "g/cm3"), ("20", "%")}),
        ("in 1898 by", {("1898", "")}),
    ],
)
def test_a_number_has_its_unit(text: str, quantities: set[tuple[str, str]]) -> None:
    assert quantities_of(text) == dict.fromkeys(quantities, 1)


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_a_number_is_found_however_it_is_written(number: int) -> None:
    assert numbers_of(f"It is {number} here.") == numbers_of(f"It is {number:,} here.")
    assert len(numbers_of(f"It is {number} here.")) == 1


def test_words_that_say_a_number() -> None:
    assert number_words_of("Twenty protons in two rows, one each") == {"twenty", "two"}
    assert number_words_of("有二十个质子，一般如此") == {"二十"}


@pytest.mark.parametrize(
    ("text", "is_negative"),
    [
        ("It does not dissolve.", True),
        ("It doesn't dissolve.", True),
        ("It doesn’t dissolve.", True),
        ("Nothing dissolves it.", True),
        ("It dissolves.", False),
        ("A notable knot.", False),
        ("它不溶于水。", True),
        ("它非常硬。", False),
        ("没有气味", True),
        ("它溶于水。", False),
    ],
)
def test_negations(text: str, is_negative: bool) -> None:
    assert (negations_in(text) > 0) is is_negative


def test_an_opposite_is_noticed() -> None:
    assert turned_round("It decreases.", "It increases.", "en") == "decreases"
    assert turned_round("It increases and decreases.", "It increases and decreases.", "en") == ""
    assert turned_round("温度升高", "温度降低", "zh") in ("升高", "高")
    assert turned_round("It melts.", "It increases.", "en") == ""


def test_forms_of_a_word_count_as_found() -> None:
    source = content_of("Iron melts at high temperatures.", "en")
    assert share_found(content_of("the melting of iron", "en"), source) == 1.0
    assert share_found(content_of("the boiling of iron", "en"), source) == 0.5
    assert share_found([], source) == 1.0
    assert content_of("铁的熔点", "zh") == ["铁的", "的熔", "熔点"]


@pytest.mark.parametrize(
    ("name", "text", "stands"),
    [
        ("iron", "How hard is Iron?", True),
        ("iron", "Ironing is hard.", False),
        ("石膏", "什么是石膏？", True),
        ("boron nitride", "Is Boron  nitride hard?", True),
        ("", "anything", False),
    ],
)
def test_a_name_stands_as_a_whole(name: str, text: str, stands: bool) -> None:
    assert stands_in(name, text) is stands
