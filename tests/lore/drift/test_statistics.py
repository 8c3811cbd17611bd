"""statistics: known values of the tests, and properties that hold for any sample."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.drift import statistics

RNG = np.random.default_rng(4)
SAMPLE = RNG.normal(size=200)
NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=40).map(np.array)


def test_equal_samples_do_not_differ() -> None:
    result = statistics.numbers(SAMPLE, SAMPLE)
    assert (result.p, result.size) == (1, 0)
    same = statistics.categories(["a", "b"] * 20, ["a", "b"] * 20)
    assert (same.p, same.size) == (pytest.approx(1), pytest.approx(0))


def test_shifted_numbers_differ() -> None:
    result = statistics.numbers(SAMPLE, SAMPLE + 1)
    assert result.p < 1e-9
    assert result.size > 0.25


def test_the_stability_index_by_hand() -> None:
    reference = np.array([1.0, 2.0, 3.0, 4.0])
    # Nine inner edges of four values. Only one edge lies between the halves that are compared here.
    edges = np.array([2.5])
    assert list(statistics.shares_in_bins(reference, edges)) == [0.5, 0.5]
    assert list(statistics.shares_in_bins(np.array([1.0, 2.0, 3.0, 9.0, 9.0]), edges)) == [0.4, 0.6]
    assert list(statistics.shares_in_bins(np.array([9.0]), edges)) == [statistics.SMALLEST_SHARE, 1]


@given(NUMBERS, NUMBERS)
def test_the_index_is_never_negative(
    reference: statistics.Numbers, now: statistics.Numbers
) -> None:
    result = statistics.numbers(reference, now)
    assert result.size >= 0
    assert 0 <= result.p <= 1


def test_rare_categories_are_counted_together() -> None:
    table = statistics.count_table(["a"] * 30 + ["b", "c"], ["a"] * 30 + ["d", "e"])
    assert table.tolist() == [[30, 2], [30, 2]]
    assert statistics.categories(["a"] * 9, ["a"] * 9) == statistics.Result(1.0, 0.0)


def test_another_share_of_categories_differs() -> None:
    result = statistics.categories(["a"] * 50 + ["b"] * 50, ["a"] * 90 + ["b"] * 10)
    assert result.p < 1e-6
    assert result.size == pytest.approx(0.436, abs=0.001)


def test_texts_of_another_kind_are_told_apart_and_named() -> None:
    rng = random.Random(5)
    words = "iron gold tin lead zinc metal light heavy soft hard grey bright found mined".split()
    alike = [" ".join(rng.choices(words, k=6)) for _ in range(80)]
    old, alike = alike[:40], alike[40:]
    logs = [f"ERROR worker {place}: timeout" for place in range(30)]
    same, _ = statistics.texts(old, alike, 3)
    assert same.p > 0.01
    mixed, newness = statistics.texts(old, [*alike[:20], *logs], 3)
    assert mixed.p < 0.001
    assert mixed.size > 0.7
    assert newness[:20].max() < newness[20:].min()
    again, _ = statistics.texts(old, [*alike[:20], *logs], 3)
    assert again == mixed


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holms_levels(values: list[float]) -> None:
    levels = statistics.adjusted(values)
    for value, one in zip(values, levels, strict=True):
        assert value <= one <= 1
    order = sorted(range(len(values)), key=lambda place: values[place])
    assert [levels[place] for place in order] == sorted(levels)


def test_holms_example() -> None:
    assert statistics.adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
