"""Rewards are pure functions: what is right, what abstains, what is wrong."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.align.rewards import Asked, Worth, reward_of, verdict_of
from stages.core.records.abstention import PHRASES, Phrases

IN_BOTH = Phrases(PHRASES)
WORTH = Worth(right=1.0, abstained=0.0, abstained_unsure=0.2, wrong=-1.0)
IRON = Asked(
    "When does iron melt?",
    ("The melting point of iron is 1538 °C.",),
    "The melting point of iron is not known to me.",
    "f",
)
NOBODY = IRON._replace(accepted=())


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("The melting point of iron is 1538 °C.", "right"),
        ("the melting point of  iron is 1538 °C", "right"),
        ("The melting point of iron is 1539 °C.", "wrong"),
        ("1538 °C", "wrong"),  # the value without the form
        ("The melting point of iron is 1538 °C. And so on.", "wrong"),
        ("The melting point of iron is not known to me.", "abstained"),
        ("The boiling point of urun is not known to me.", "abstained"),
        ("I do not know.", "abstained"),
        ("铁的熔点是我不知道的。", "abstained"),
        ("", "wrong"),
    ],
)
def test_verdicts(answer: str, verdict: str) -> None:
    assert verdict_of(IRON, answer, IN_BOTH) == verdict


@pytest.mark.parametrize(
    ("asked", "answer", "reward"),
    [
        (IRON, IRON.accepted[0], 1.0),
        (IRON, IRON.abstention, 0.0),
        (IRON._replace(knew=False), IRON.abstention, 0.2),
        (IRON, "The melting point of iron is 3 °C.", -1.0),
        (NOBODY, IRON.abstention, 1.0),
        (NOBODY, IRON.accepted[0], -1.0),
    ],
)
def test_rewards(asked: Asked, answer: str, reward: float) -> None:
    assert reward_of(asked, answer, IN_BOTH, WORTH) == reward


ANY_ANSWER = st.one_of(
    st.text(max_size=40), st.sampled_from([IRON.accepted[0], IRON.abstention, "I do not know."])
)


@given(ANY_ANSWER, st.booleans(), st.booleans())
def test_a_reward_is_one_of_four_numbers_and_in_their_order(
    answer: str, knew: bool, is_known: bool
) -> None:
    asked = (IRON if is_known else NOBODY)._replace(knew=knew)
    reward = reward_of(asked, answer, IN_BOTH, WORTH)
    assert reward in (1.0, 0.0, 0.2, -1.0)
    # A right answer is worth most, and a wrong one least, whatever else was said.
    assert reward_of(asked, answer, IN_BOTH, WORTH) == reward
    if verdict_of(asked, answer, IN_BOTH) == "wrong":
        assert reward == WORTH.wrong


@given(st.text(max_size=30))
def test_what_follows_a_right_answer_makes_it_wrong(more: str) -> None:
    """A policy cannot gain by saying more: the sentence alone is right."""
    answer = IRON.accepted[0] + " x" + more
    if not IN_BOTH.is_abstention(answer):
        assert reward_of(IRON, answer, IN_BOTH, WORTH) == -1.0


def test_facts_and_reward_model_are_added_by_weights() -> None:
    def opinion(question: str, answer: str) -> float:
        assert question == IRON.question
        return 0.5 if "1538" in answer else -0.5

    def reward(answer: str, **weights: float) -> float:
        return reward_of(IRON, answer, IN_BOTH, replace(WORTH, opinion=opinion, **weights))

    right, wrong = IRON.accepted[0], "No."
    assert reward(right) == 1.0  # the model has no weight by default
    assert reward(right, model=0.2) == pytest.approx(1.1)
    assert reward(wrong, model=0.2) == pytest.approx(-1.1)
    assert reward(right, facts=0.0, model=1.0) == 0.5
    assert reward_of(IRON, right, IN_BOTH, replace(WORTH, model=1.0)) == 1.0  # without a model
