"""The file of judgements: what counts, what is set aside and why, and what a merge may do to it."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.project.errors import InputError
from stages.core.records import feedback

IRON: dict[str, Any] = {
    "question": "When does iron melt?",
    "first": "At 1538 °C.",
    "second": "It depends.",
    "better": "first",
    "who": "ada",
    "when": "2026-11-30T16:45:00Z",
}


def line(**changes: Any) -> str:
    row = IRON | changes
    return json.dumps({key: value for key, value in row.items() if value is not None})


def read(*lines: str) -> feedback.Feedback:
    return feedback.of_lines(lines)


def test_a_judgement_is_read_and_written() -> None:
    content = read(line(why="clear", **{"from": ["train", "distill"]}))
    (one,) = content.judgements
    assert one.preferred() == ("At 1538 °C.", "It depends.")
    assert (one.why, one.origin) == ("clear", ("train", "distill"))
    assert read(feedback.line_of(one)) == content
    assert one.id == feedback.id_of(IRON | {"why": "clear", "from": ["train", "distill"]})


@pytest.mark.parametrize(
    ("better", "preferred"),
    [("second", ("It depends.", "At 1538 °C.")), ("neither", None)],
)
def test_the_choice(better: str, preferred: tuple[str, str] | None) -> None:
    assert read(line(better=better)).judgements[0].preferred() == preferred


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("3", "no object of JSON"),
        (line(question=None), "'question' is missing or no text"),
        (line(first=" "), "'first' is missing or no text"),
        (line(second=4), "'second' is missing or no text"),
        (line(why=4), "'why' is missing or no text"),
        (line(first="x" * 20_001), "'first' is longer than 20,000 characters"),
        (line(first="\ud800"), "'first' holds half a character"),
        (line(better="1"), "'better' is '1', and not one of first, second, neither"),
        (line(when="yesterday"), "'when' is 'yesterday', and no time such as"),
        (line(second="At 1538 °C."), "the two answers are the same"),
        (line(**{"from": "train"}), "'from' is no list of names"),
        (line(id="0123456789abcdef"), "'id' is not that of the content"),
        (line(mood="good"), "unknown key 'mood'"),
        ('{"withdrawn": 4}', "'withdrawn' is no id"),
        ('{"withdrawn": "a", "first": "b"}', "unknown key 'first' beside 'withdrawn'"),
    ],
)
def test_a_line_that_cannot_be_read_is_set_aside_with_its_reason(broken: str, reason: str) -> None:
    content = read(line(), broken, line(who="bob"))
    assert [one.who for one in content.judgements] == ["ada", "bob"]
    (aside,) = content.set_aside
    assert aside.line == 2
    assert aside.reason.startswith(reason)
    assert aside.content == broken


def test_a_withdrawn_judgement_does_not_count_wherever_it_stands() -> None:
    name = feedback.id_of(IRON)
    content = read(json.dumps({"withdrawn": name, "who": "ada"}), line(), line(who="bob"))
    assert [one.who for one in content.judgements] == ["bob"]
    assert content.withdrawn == [name]


def test_the_same_line_counts_once_and_a_later_judgement_replaces_an_earlier() -> None:
    later = line(better="second", when="2026-11-30T16:46:00Z")
    turned = line(
        first="It depends.", second="At 1538 °C.", better="first", when="2026-11-30T16:47:00Z"
    )
    assert len(read(line(), line()).judgements) == 1
    content = read(later, line())
    assert [one.better for one in content.judgements] == ["second"]
    assert content.replaced == [feedback.id_of(IRON)]
    # The same two answers the other way round.
    assert [one.first for one in read(line(), later, turned).judgements] == ["It depends."]
    assert len(read(line(), line(who="bob")).judgements) == 2


@given(st.lists(st.text(), max_size=8), st.integers(0, 1000))
def test_every_line_is_read_or_set_aside(texts: list[str], seed: int) -> None:
    lines = [line(who=f"w{place}") for place in range(3)]
    lines += [text.replace("\n", " ") for text in texts]
    random.Random(seed).shuffle(lines)
    content = read(*lines)
    filled = [text for text in lines if text.strip()]
    assert len(content.judgements) + len(content.set_aside) == len(filled)


@given(st.dictionaries(st.sampled_from([*feedback.KNOWN, "withdrawn"]), st.text() | st.none()))
def test_no_object_is_too_odd(row: dict[str, Any]) -> None:
    content = read(json.dumps(row))
    assert len(content.judgements) + len(content.set_aside) + len(content.withdrawn) == 1


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    assert feedback.read(path) == feedback.Feedback([], [], [], [])
    # A line separator inside a text ends no line, and bytes that are no UTF-8 break one line alone.
    text = line(why="a\u2028b").encode() + b"\n\xff\n"
    path.write_bytes(text)
    content = feedback.read(path)
    assert content.judgements[0].why == "a\u2028b"
    assert [one.line for one in content.set_aside] == [2]
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\); name a file"):
        feedback.read(tmp_path)
