"""Texts that are nearly the same and say other things are told apart."""

import polars as pl
import pytest

from stages.clean.filters import apart
from stages.clean.terms import fold


def said(*texts: str) -> list[int]:
    found: list[int] = apart.said(fold(pl.Series(texts))).tolist()
    return found


def test_numbers_are_told_apart_and_nothing_else() -> None:
    texts = [
        "take 5 mg of it",
        "Take 5 drops",
        "take 50 mg",
        "take 2.5 mg",
        "take 2 or 5",
        "take 5 or 2",
        "take it",
        "",
        "给５克",
        "10³ cells",
        "103 cells",
    ]
    found = said(*texts)
    assert [found.index(each) for each in found] == [0, 0, 2, 3, 4, 5, 6, 6, 0, 9, 10]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is safe in pregnancy.", "It is not safe in pregnancy."),
        ("It is safe in pregnancy.", "It is never safe in pregnancy."),
        ("It is stable in water.", "It is unstable in water."),
        ("It is used with alcohol.", "It is contraindicated with alcohol."),
        ("Take it with food.", "Take it without food."),
        ("It can be frozen.", "It can’t be frozen."),
        ("It can be frozen.", "It CAN'T be frozen."),
        ("Any of these is toxic.", "None of these is toxic."),
        ("Take two tablets a day.", "Take three tablets a day."),
        ("Take it once a day.", "Take it twice a day."),
        ("每次服用两片。", "每次服用三片。"),
        ("孕妇可以使用。", "孕妇不可以使用。"),
        ("孕妇可用。", "孕妇禁用。"),
        ("有毒性。", "无毒性。"),
        ("Es darf gegeben werden.", "Es darf nicht gegeben werden."),
        ("Mit Alkohol einnehmen.", "Ohne Alkohol einnehmen."),
        ("Il est toxique.", "Il n'est pas toxique."),
        ("Se puede congelar.", "No se puede congelar."),
        ("Prendere due compresse.", "Prendere tre compresse."),
        ("Препарат применяют.", "Препарат не применяют."),
        ("服用できる。", "服用できない。"),
    ],
)
def test_negations_and_written_numbers_are_told_apart(one: str, other: str) -> None:
    first, second = said(one, other)
    assert first != second


def test_words_that_only_hold_such_a_word_are_not() -> None:
    first, second, third = said("A note on nobility.", "A noun for stones.", "Notable, noted.")
    assert first == second == third == said("")[0]
