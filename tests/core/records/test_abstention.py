"""Abstentions: made from an answer, and told from all other answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.records.abstention import PHRASES, Phrases, value_shown

BOTH = Phrases(PHRASES)


@pytest.mark.parametrize(
    ("answer", "value", "language", "abstention"),
    [
        ("The use of iron is steel.", "steel", "en", "The use of iron is not known to me."),
        ("铁的熔点是1538 °C。", "1538 °C", "zh", "铁的熔点是我不知道的。"),
        # Of a value that stands twice, the last one is replaced.
        ("The symbol of Fe is Fe.", "Fe", "en", "The symbol of Fe is not known to me."),
        ("It is heavy.", "7.87", "en", "I do not know."),
        ("很重。", "7.87", "zh", "我不知道。"),
        ("Es ist Stahl.", "Stahl", "de", "Es ist not known to me."),
        ("Es ist schwer.", "", "de", "I do not know."),
    ],
)
def test_the_phrase_takes_the_place_of_the_value(
    answer: str, value: str, language: str, abstention: str
) -> None:
    assert BOTH.sentence(answer, value, language) == abstention
    assert BOTH.is_abstention(abstention)
    assert not BOTH.is_abstention(answer)


@given(st.text(alphabet="abc 123.", max_size=30), st.text(alphabet="123", min_size=1, max_size=3))
def test_every_abstention_is_told(before: str, value: str) -> None:
    assert BOTH.is_abstention(BOTH.sentence(f"{before} is {value}.", value, "en"))


@pytest.mark.parametrize("answer", ["I DO NOT KNOW", "It is  Not known to me!", "我不知道"])
def test_case_spacing_and_full_stops_do_not_count(answer: str) -> None:
    assert BOTH.is_abstention(answer)


@pytest.mark.parametrize("answer", ["", "I do not know whether it is 7.", "It is known to me."])
def test_other_answers_are_none(answer: str) -> None:
    assert not BOTH.is_abstention(answer)


def test_a_value_is_shown_with_its_unit() -> None:
    assert value_shown("1538", "°C") == "1538 °C"
    assert value_shown("Fe", None) == "Fe"
    assert value_shown(None, None) == ""
