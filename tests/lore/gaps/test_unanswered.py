"""unanswered: files of questions, what no record answers, and themes that do not depend on the order."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lore.gaps import unanswered
from stages.core.project.errors import InputError

PRICES = ["What is the price of gold?", "Is the price of silver high?", "Price of tin, please"]
POISON = ["Is lead toxic to fish?", "How toxic is lead?", "Is arsenic toxic?"]
CHINESE = ["金的价格是多少？", "银的价格是多少？"]


def test_lines_and_json_lines_are_read(tmp_path: Path) -> None:
    lines = tmp_path / "a.txt"
    lines.write_text("\ufeffWho  found it?\n\n  What is it? \n", encoding="utf-8")
    assert unanswered.read(lines) == ["Who found it?", "What is it?"]
    rows = tmp_path / "a.jsonl"
    rows.write_text('{"question": "Who?", "time": 3}\n\n{"question": "什么？"}\n', encoding="utf-8")
    assert unanswered.read(rows) == ["Who?", "什么？"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", r"line 1: no question; write"),
        (b'{"question": " "}', r"line 1: no question; write"),
        (b"[1]", r"line 1: no question; write"),
        (b'{"question": "a"}\n{', r"line 2: no JSON \(.*\); write one object in each line"),
        (b"\xff\xfe", r"cannot be read \(.*\); save it as UTF-8"),
    ],
)
def test_faults_name_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        unanswered.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found; name a file with one question in each line"):
        unanswered.read(tmp_path / "absent.txt")


def test_what_names_a_fact_or_is_near_is_answered() -> None:
    row: dict[str, Any] = {
        "subject": "iron",
        "attribute": "melting point",
        "fact": "f",
        "question": None,
        "locator": "1",
    }
    asked = ["What is the melting point of iron?", "Does iron rust?", "Does iron rust?", "Who?"]
    found = unanswered.without_answer(asked, [row], [], lambda question: question == "Who?")
    assert found == ["Does iron rust?"]


def test_themes_are_named_by_what_tells_them_apart() -> None:
    found = unanswered.themes([*PRICES, *POISON, *CHINESE])
    groups = {frozenset(theme.questions) for theme in found}
    assert groups == {frozenset(PRICES), frozenset(POISON), frozenset(CHINESE)}
    names = {theme.name.split(" · ")[0] for theme in found}
    assert names == {"price", "toxic", "价格"}


@given(st.permutations([*PRICES, *POISON, *CHINESE]))
def test_the_order_of_questions_does_not_matter(asked: list[str]) -> None:
    assert unanswered.themes(asked) == unanswered.themes([*PRICES, *POISON, *CHINESE])


@given(st.lists(st.text(max_size=30), max_size=8))
@example(["00", "0{"])
def test_every_question_is_in_one_theme(asked: list[str]) -> None:
    found = unanswered.themes(asked)
    together = sorted(question for theme in found for question in theme.questions)
    assert together == sorted(set(asked))
    for theme in found:
        assert theme.name or theme.questions == ("",)
