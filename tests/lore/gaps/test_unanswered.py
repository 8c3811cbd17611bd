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


def test_a_theme_is_what_is_asked_whatever_the_subject() -> None:
    asked = ["Is lead toxic?", "Does cobalt rust?", "How toxic is cobalt?", "Can lead rust at all?"]
    (toxic, rust) = sorted(
        unanswered.themes(asked, ["lead", "cobalt"]), key=lambda one: "rust" in one.name
    )
    assert set(toxic.questions) == {asked[0], asked[2]}
    assert set(rust.questions) == {asked[1], asked[3]}
    assert "lead" not in toxic.name + rust.name


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("Is Lead toxic?", "Is it toxic?"),
        ("Is leadership toxic?", "Is leadership toxic?"),
        ("Is rhodium (III) oxide red?", "Is it oxide red?"),
        ("铅有毒吗？", "it有毒吗？"),
    ],
)
def test_it_takes_the_place_of_the_subject(question: str, about: str) -> None:
    subjects = {name: unanswered.words(name) for name in ("lead", "rhodium (III)", "铅")}
    assert unanswered.about_it(question, subjects) == about


def test_an_encoder_joins_what_shares_no_word() -> None:
    money = ["What does gold cost?", "Which price has it?", "Is it expensive to buy?"]
    others = ["Is lead toxic to fish?", "金的价格是多少？"]

    def vector(text: str) -> list[float]:
        assert "金" not in text  # the encoder knows no Chinese
        return [0.0, 1.0] if "toxic" in text else [1.0, 0.1]

    found = unanswered.themes([*money, *others], ["gold", "lead"], vector)
    groups = {frozenset(theme.questions) for theme in found}
    assert groups == {frozenset(money), frozenset(others[:1]), frozenset(others[1:])}


def test_the_most_typical_question_comes_first() -> None:
    place = {"one apple": [1.0, 0.0], "two pears": [0.8, 0.6], "three plums": [0.6, 0.8]}
    (theme,) = unanswered.themes(list(place), [], lambda text: place[text])
    assert theme.questions[0] == "two pears"
    assert theme.name.startswith("pears")


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
