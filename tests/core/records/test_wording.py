"""wording: when two templates count as the same, and how one is filled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.records.wording import fill, normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("When does {subject} melt?", "when does {subject}  melt"),
        ("When does {subject} melt?", "When does the {subject} melt…"),
        ("{subject} is {value}.", "{value} is {subject}."),
        ("Ｗｈｅｎ does {subject} melt?", "When does {subject} melt?"),
        ("{subject}的熔点是多少？", "{subject}的熔点是多少"),
    ],
)
def test_the_same_wording(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("When does {subject} melt?", "When does {subject} boil?"),
        ("When does {subject} melt?", "When melt?"),
        ("When does {subject} melt?", "When does subject melt?"),
        ("{subject}的熔点是多少？", "{subject}的沸点是多少？"),
    ],
)
def test_another_wording(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(alphabet=st.characters(exclude_characters="{}")))
def test_case_and_spacing_do_not_count(text: str) -> None:
    assert normalise(f" {text.replace(' ', '  ')} ") == normalise(text)


def test_a_sentence_begins_with_a_capital() -> None:
    assert (
        fill("{subject} melts at {value}.", subject="iron", value="1538 °C")
        == "Iron melts at 1538 °C."
    )
    assert fill("the state of {subject}", subject="iron") == "The state of iron"
    assert fill("{subject}的熔点", subject="铁") == "铁的熔点"


@given(st.text(), st.text())
def test_what_fills_a_slot_is_text_and_no_template(subject: str, value: str) -> None:
    assert fill("Of {subject}: {value}.", subject=subject, value=value) == f"Of {subject}: {value}."
