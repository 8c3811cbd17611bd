"""Alarms: each is raised by what it is for, names its step and examples, and is silent otherwise."""

import pytest

from stages.align.alarms import Limits, Seen, alarms_of, most_frequent_opening

LIMITS = Limits(valid_falls=0.05, length_drift=0.3, repeated_openings=0.2, known_abstained=0.2)
ANSWERS = [
    f"The {name} of iron is number {name} here." for name in ("mass", "use", "year", "point")
]
START = Seen(1, 0.2, 0.0, 10.0, 0.8, 0.05, ANSWERS)


def raised(now: Seen) -> list[str]:
    """The names of the alarms."""
    return [alarm.name for alarm in alarms_of(START, now, LIMITS)]


def test_nothing_is_raised_where_nothing_changed() -> None:
    assert raised(START._replace(step=9)) == []


def test_nothing_is_raised_by_a_better_policy() -> None:
    assert raised(START._replace(step=9, reward=0.6, valid_right=0.85, length=11.0)) == []


def test_reward_up_while_truth_falls() -> None:
    now = START._replace(step=9, reward=0.5, valid_right=0.7)
    (alarm,) = alarms_of(START, now, LIMITS)
    assert alarm.step == 9
    assert alarm.says == (
        "the reward rose from 0.200 to 0.500, and right answers in valid wordings fell from 0.800 to 0.700"
    )
    assert alarm.examples == ANSWERS[:3]
    # Without a higher reward it is no hacking.
    assert raised(now._replace(reward=0.2)) == []


@pytest.mark.parametrize("length", [14.0, 6.0])
def test_length_drift(length: float) -> None:
    (alarm,) = alarms_of(START, START._replace(step=4, length=length), LIMITS)
    assert alarm.line().startswith(
        f"step 4: length drift: the mean length went from 10.0 to {length} tokens ("
    )


def test_repeated_openings() -> None:
    same = ["As a matter of fact, iron is this"] * 3 + ANSWERS[:1]
    (alarm,) = alarms_of(START, START._replace(step=4, answers=same), LIMITS)
    assert alarm.says == (
        "75% of the answers begin with 'As a matter of fact, iron'; at first no opening had more than 25%"
    )
    assert alarm.examples == same[:3]


def test_abstentions_about_known_facts() -> None:
    now = START._replace(step=4, known_abstained=0.31, examples_of_abstention=["When? Unknown."])
    (alarm,) = alarms_of(START, now, LIMITS)
    assert alarm.line() == (
        "step 4: abstains too often: 31.0% of the answers about facts that it knew abstain, "
        "at most 20.0% may ('When? Unknown.')"
    )


def test_no_answers_have_no_opening() -> None:
    assert most_frequent_opening([]) == ("", 0.0)


def test_texts_without_spaces_are_compared_by_characters() -> None:
    opening, share = most_frequent_opening(["铁的熔点是一五三八度", "铁的熔点是一五三八度"])
    assert (opening, share) == ("铁的熔点是一五三八度", 1.0)
