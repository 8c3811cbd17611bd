"""The pairs that a person sees: blind, seeded, without those judged before."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.feedback import pairs
from lore.feedback.pairs import Pair
from stages.core.project.errors import InputError
from stages.core.records.feedback import Judgement

ONE = {f"Q{place}?": f"one {place}" for place in range(20)} | {"same?": "same"}
OTHER = {f"Q{place}?": f"other {place}" for place in range(20)} | {"same?": "same ", "more?": "x"}


def test_only_questions_with_different_answers_are_shown() -> None:
    found = pairs.of_answers(ONE, OTHER, ("train", "distill"))
    assert len(found) == 20
    assert found[0] == Pair("Q0?", "one 0", "other 0", ("train", "distill"))


@given(st.integers(0, 10**6))
def test_the_seed_decides_order_and_side_and_nothing_else_does(seed: int) -> None:
    found = pairs.of_answers(ONE, OTHER, ("train", "distill"))
    mixed = pairs.mixed(found, seed)
    assert pairs.mixed(found[::-1], seed) == mixed
    # Whichever side is named first, a person sees the same.
    turned = pairs.of_answers(OTHER, ONE, ("distill", "train"))
    assert pairs.mixed(turned, seed) == mixed
    for pair in mixed:
        assert pair.origin[pair.first.startswith("other")] == "train"


def test_both_sides_come_first_about_equally_often() -> None:
    many = [Pair(f"Q{place}?", "a", "b", ("x", "y")) for place in range(400)]
    first = [pair.first for pair in pairs.mixed(many, 7)]
    assert 160 < first.count("a") < 240
    assert pairs.mixed(many, 7) != pairs.mixed(many, 8)


def test_a_pair_is_not_shown_twice_to_the_same_person() -> None:
    found = pairs.of_answers(ONE, OTHER, ("train", "distill"))
    judged = Judgement("i", "Q3?", "other 3", "one 3", "first", "ada", "now")
    assert len(pairs.not_judged(found, [judged], "ada")) == 19
    assert len(pairs.not_judged(found, [judged], "bob")) == 20


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "no JSON; write one object in each line"),
        ("[]", "no text 'question'"),
        ('{"question": "Q", "first": "a"}', "no text 'second'"),
        ('{"question": "Q", "first": "a", "second": "a"}', "the two answers are the same"),
    ],
)
def test_a_wrong_line_of_a_file_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "pairs.jsonl"
    right = json.dumps({"question": "铁?", "first": "甲", "second": "乙"}, ensure_ascii=False)
    path.write_text(f"{right}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"pairs.jsonl, line 3: {reason}"):
        pairs.of_file(path)
    path.write_text(right, encoding="utf-8")
    assert [pair.question for pair in pairs.of_file(path)] == ["铁?"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found; name a file of JSON Lines"):
        pairs.of_file(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(InputError, match="save it as UTF-8"):
        pairs.of_file(tmp_path / "bytes")
