"""Unknown subjects: invented by a seed, never a known one, and put in place of a known one."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.records.unknown import OUTSIDE, invented, outside, with_subject

KNOWN = ["iron", "copper", "neon", "helium"]


def test_names_depend_on_the_seed_alone() -> None:
    first = invented(40, KNOWN, random.Random(1))
    assert invented(40, reversed(KNOWN), random.Random(1)) == first
    assert invented(40, KNOWN, random.Random(2)) != first
    assert len(set(first)) == 40


@given(st.integers(0, 1000))
def test_no_name_is_known(seed: int) -> None:
    names = invented(12, KNOWN, random.Random(seed))
    assert not {name.lower() for name in names} & set(KNOWN)


def test_some_names_resemble_a_known_one() -> None:
    names = invented(40, ["helium"], random.Random(1))
    alike = [
        name
        for name in names
        if len(name) == 6 and sum(a == b for a, b in zip(name, "helium", strict=True)) >= 4
    ]
    assert len(alike) >= 10


def test_without_known_names_all_are_made_of_syllables() -> None:
    assert len(invented(8, [], random.Random(1))) == 8


def test_well_known_things_that_are_a_subject_are_left_out() -> None:
    assert "water" in outside(KNOWN)
    found = outside(["Water", "paris"])
    assert "water" not in found
    assert "Paris" not in found
    assert len(found) == len(OUTSIDE) - 2


@pytest.mark.parametrize(
    ("text", "subject", "other", "expected"),
    [
        ("When does iron melt?", "iron", "brass", "When does brass melt?"),
        ("Iron melts when?", "iron", "brass", "Brass melts when?"),
        ("What environs iron?", "iron", "brass", "What environs brass?"),
        ("铁的熔点是多少？", "铁", "黄铜", "黄铜的熔点是多少？"),
        ("Who is Ann Lee?", "Ann Lee", "the moon", "Who is the moon?"),
        ("When does it melt?", "iron", "brass", None),
    ],
)
def test_a_subject_is_put_in_place_of_another(
    text: str, subject: str, other: str, expected: str | None
) -> None:
    assert with_subject(text, subject, other) == expected
