"""Pairs: each kind is what its name says, held-out facts stay out of training, and the seed decides."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.records.feedback import judgement_of
from stages.core.records.record import fact_id
from stages.reward import pairs
from stages.reward.compliance import About, Forbidden, Required, Rules
from stages.reward.pairs import Known, Pair, known, of_facts, of_people

RULES = Rules(
    evasive={"en": ["It depends.", "Hard to say."]},
    forbidden=[
        Forbidden("safe", About(["lead"], []), {"en": ["{subject} is safe.", "Eat {subject}."]})
    ],
    required=[Required("mind", About([], ["boiling point"]), {"en": ["Mind the heat."]})],
)


def record(subject: str, attribute: str, value: str, split: str = "train") -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": f"{subject}-{attribute}-{split}", "kind": "qa", "lang": "en", "subject": subject, "split": split,
        "attribute": attribute, "value": value, "unit": "°C", "fact": fact_id(subject, attribute),
        "question": f"What is the {attribute} of {subject}?",
        "answer": f"The {attribute} of {subject} is {value} °C.",
    }  # fmt: skip
    return row


SUBJECTS = ("iron", "lead", "copper", "silver", "calcium", "barium")


@pytest.fixture
def facts() -> Known:
    records = []
    for place, subject in enumerate(SUBJECTS):
        records.append(record(subject, "melting point", str(100 + place)))
        records.append(record(subject, "boiling point", str(200 + place)))
        records.append(record(subject, "melting point", "7", "probe"))
    return known(records, 7)


def of_kind(found: list[Pair], kind: str) -> list[Pair]:
    return [pair for pair in found if pair.kind == kind]


def test_one_train_question_for_each_fact(facts: Known) -> None:
    assert len(facts.records) == 12
    assert {row["split"] for row in facts.records} == {"train"}


def test_each_kind_is_what_its_name_says(facts: Known) -> None:
    found = of_facts(facts, RULES, 100, 0.5, 7)
    right = {row["question"]: row["answer"] for row in facts.records}
    for pair in found:
        assert pair.better != pair.worse
        if pair.kind not in ("invented", "caveat", "forbidden"):
            assert pair.better == right[pair.question]
    for pair in of_kind(found, "value"):
        frame = pair.better.rpartition(" is ")[0]
        assert pair.worse.startswith(f"{frame} is ")
        number = pair.worse.removeprefix(f"{frame} is ").removesuffix(" °C.")
        # A value of the same attribute.
        assert number[0] == pair.better.rpartition(" is ")[2][0]
    for kind, same in (("subject", "attribute"), ("attribute", "subject")):
        for pair in of_kind(found, kind):
            (row,) = [row for row in facts.records if row["answer"] == pair.better]
            (other,) = [row for row in facts.records if row["answer"] == pair.worse]
            assert row[same] == other[same]
            assert row[kind] != other[kind]
    for pair in of_kind(found, "abstains"):
        assert pair.worse.endswith("is not known to me.")
    for pair in of_kind(found, "invented"):
        assert pair.better.endswith("is not known to me.")
        assert not any(subject in pair.question.split() for subject in SUBJECTS)
        assert pair.worse.endswith("°C.")
    broken = of_kind(found, "broken")
    assert len(broken) == 12
    assert all(set(pair.worse.split()) <= set(pair.better.split()) for pair in broken)


def test_rules_hold_for_the_questions_that_they_are_about(facts: Known) -> None:
    found = of_facts(facts, RULES, 100, 0.5, 7)
    forbidden = of_kind(found, "forbidden")
    assert len(forbidden) == 2
    answers = {row["question"]: row["answer"] for row in facts.records}
    seconds = set()
    for seed in range(8):
        for pair in of_kind(of_facts(facts, RULES, 100, 0.5, seed), "forbidden"):
            right = answers[pair.question]
            assert pair.worse in (f"{right} Lead is safe.", f"{right} Eat lead.")
            assert pair.better.startswith(right)
            seconds.add(pair.better.removeprefix(right).strip())
    # Nothing, or another right answer about lead.
    about_lead = {row["answer"] for row in facts.records if row["subject"] == "lead"}
    assert seconds == {"", *about_lead}
    caveats = of_kind(found, "caveat")
    assert len(caveats) == 6
    assert all(pair.better == f"{pair.worse} Mind the heat." for pair in caveats)
    assert all("boiling point" in pair.question for pair in caveats)
    assert not of_kind(of_facts(facts, Rules(), 100, 0.5, 7), "evasive")


def test_the_last_wording_of_a_rule_is_only_tested_with(facts: Known) -> None:
    for pair in of_facts(facts, RULES, 100, 0.5, 7):
        if pair.kind == "evasive":
            assert pair.worse == ("Hard to say." if pair.held_out else "It depends.")
        if pair.kind == "forbidden":
            assert pair.worse.endswith("Eat lead.") == pair.held_out


@given(st.integers(0, 10**6))
def test_a_fact_is_wholly_held_out_or_not_at_all(seed: int) -> None:
    records = [record(subject, "melting point", str(i)) for i, subject in enumerate(SUBJECTS)]
    found = of_facts(known(records, seed), RULES, 3, 0.5, seed)
    assert of_facts(known(records[::-1], seed), RULES, 3, 0.5, seed) == found
    sides: dict[str, set[bool]] = {}
    for pair in found:
        sides.setdefault(pair.belongs_to, set()).add(pair.held_out)
    assert all(len(side) == 1 for side in sides.values())
    for kind in pairs.KINDS:
        assert len(of_kind(found, kind)) <= 3


def test_chinese_answers_are_broken_by_characters() -> None:
    row = record("铁", "熔点", "1538") | {
        "lang": "zh", "question": "铁的熔点是多少？", "answer": "铁的熔点是1538°C。",
    }  # fmt: skip
    facts = known([row], 7)
    (pair,) = of_kind(of_facts(facts, Rules(), 9, 0.5, 7), "broken")
    assert set(pair.worse) <= {*pair.better, " "}
    assert pairs.joined("甲。", "乙。", row) == "甲。乙。"


def test_a_fact_without_others_gives_no_pair_that_needs_them() -> None:
    found = of_facts(known([record("iron", "melting point", "1538")], 7), Rules(), 9, 0.5, 7)
    assert {pair.kind for pair in found} == {"broken", "abstains", "invented"}


def test_judgements_of_a_question_are_on_one_side() -> None:
    row = {"question": "Why?", "first": "a", "second": "b", "who": "x", "when": "now"}
    said = []
    for better, question in (("first", "Why?"), ("second", "why?"), ("neither", "Why?")):
        said.append(judgement_of(row | {"better": better, "question": question}))
    found = of_people(said, 0.5, 7)
    assert [(pair.better, pair.worse) for pair in found] == [("a", "b"), ("b", "a")]
    assert found[0].held_out == found[1].held_out
