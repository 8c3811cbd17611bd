"""Years by themselves: which numbers of four digits are a year, on both sides of every boundary."""

import pytest

from stages.clean.values.years import years


def found(text: str) -> list[int]:
    return [year for _, _, year in years(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # From 1400 on, a word such as `in` is enough, whatever follows.
        ("in 1400 new houses", [1400]),
        ("in 1401 new houses", [1401]),
        ("in 1399 new houses", []),
        # An earlier number is a year only where no count can follow.
        ("in 1399, the plague", [1399]),
        ("in 1000 and later", [1000]),
        ("in 1000 new houses", []),
        # The second year of a range is modern, and less than 300 years later.
        ("1401-1700", [1401, 1700]),
        ("1400-1700", []),
        ("1401-1699", []),
        ("1990-1990", []),
        # A doubtful context names modern years only, from 1700 to 2050.
        ("of 1700 and", [1700]),
        ("of 1699 and", []),
        ("of 2050 and", [2050]),
        ("of 2051 and", []),
        # A part of a name is a year from 1900 on.
        ("the 1900 season", [1900]),
        ("the 1899 season", []),
        # No number from 2100 on is a year.
        ("in 2099", [2099]),
        ("in 2100", []),
    ],
)
def test_boundaries(text: str, expected: list[int]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    ["in 1400 patients", "in 1400 new patients", "pp. 1400", "n = 1400", "the 1400s", "$1400"],
)
def test_counts_pages_and_money_are_no_years(text: str) -> None:
    assert found(text) == []


def test_one_sure_year_makes_the_whole_list_years() -> None:
    assert list(years("in 1999, 2001 or 2003 new")) == [(3, 7, 1999), (9, 13, 2001), (17, 21, 2003)]
