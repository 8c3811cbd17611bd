"""Raised and lowered text: no mark changes the number beside it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.extract.raised import lowered, raised


@pytest.mark.parametrize(
    ("mark", "written"),
    [
        ("7", "⁷"), ("-3", "⁻³"), ("−12", "⁻¹²"), ("–2", "⁻²"), ("2+", "²⁺"), ("n", "ⁿ"), ("x+1", "ˣ⁺¹"),
        (" 4\n", "⁴ "), ("2 ", "² "), ("th ", "th "), ("８", "⁸"), ("²", "²"), ("+", "⁺"), ("-", "⁻"), ("(3)", "⁽³⁾"),
        ("0.5", "^(0.5)"), ("1/2", "^(1/2)"), ("T", "^T"), ("注2", "^注2"), ("4,7", "^(4,7)"), ("3-5", "^(3-5)"),
        ("th", "th"), ("ND", "ND"), ("ème", "ème"), ("o", "º"), ("a", "ª"), ("bc", "ᵇᶜ"),
        ("*", "*"), ("†", "†"), ("®", "®"), ("[12]", "[12]"), ("【3】", "【3】"), ("", ""), ("  ", ""),
        ("see the note", " see the note "), ("Supplementary", " Supplementary "),
    ],
)  # fmt: skip
def test_raised(mark: str, written: str) -> None:
    assert raised(mark) == written


@pytest.mark.parametrize(
    ("before", "mark", "after", "written"),
    [
        ("H", "2", "O", "2"), ("", "2", "", "2"), ("T", "max", " ", "max"), ("PM", "2.5", "", "2.5"),
        ("log", "10", "5", "₁₀"), ("1010", "2", "", "₂"), ("VO2", "max", "", "_max"), ("5", "m", "", "_m"),
        ("10", "-1", "", "₋₁"), ("7", "2.5", "", "_(2.5)"), ("x", "2a", "3", "2a"), ("x", "a2", "3", "_(a2)"),
        ("9", "[1]", "", "[1]"), ("x", "", "", ""), ("t", "L ", "-", "L "), ("x", "at the boundary", "", " at the boundary "),
    ],
)  # fmt: skip
def test_lowered(before: str, mark: str, after: str, written: str) -> None:
    assert lowered(mark, before, after) == written


@given(st.text("0123456789", min_size=1), st.text(min_size=1), st.text("0123456789", min_size=1))
def test_the_number_beside_a_mark_stays_the_same(number: str, mark: str, after: str) -> None:
    for written in (raised(mark), lowered(mark, number, after)):
        before_mark = re.match("[0-9]+", number + written)
        assert before_mark is not None
        assert before_mark[0] == number
    behind_mark = re.search("[0-9]+$", lowered(mark, number, after) + after)
    assert behind_mark is not None
    assert behind_mark[0] == after
