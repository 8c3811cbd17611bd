"""front_matter: YAML and TOML at the start of a file, all values as texts; what is no metadata stays text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.extract import front_matter
from stages.extract.blocks import Block, of_markdown


@pytest.mark.parametrize(
    ("front", "fields"),
    [
        ("---\ntitle: >-\n  Metals of\n  the earth\n---\n", {"title": "Metals of the earth"}),
        ("---\ntitle: |\n  Metals\n  and more\n...\n", {"title": "Metals and more"}),
        ("---\ntitle: 'It''s zinc: a metal'\n---\n", {"title": "It's zinc: a metal"}),
        ("---\ntitle: 2024\ndraft: yes\ndate: 2024-03-05\n---\n", {"title": "2024", "draft": "yes", "date": "2024-03-05"}),
        (
            "---\ntitle: x\ntags:\n- a\n- b\nauthor: [C, D]\nnested: {e: f}\nempty:\n---\n",
            {"title": "x", "tags": "a, b", "author": "C, D"},
        ),
        (
            "+++\ntitle = 'Zinc'\ndate = 2024-03-05\ntags = ['a', 'b']\n+++\n",
            {"title": "Zinc", "date": "2024-03-05", "tags": "a, b"},
        ),
        ("---\n---\n", {}),
        ("---\n# only a comment\n---\n", {}),
    ],
)  # fmt: skip
def test_front_matter(front: str, fields: dict[str, str]) -> None:
    read = front_matter.of(front + "text")
    assert (read.fields, read.end) == (fields, len(front))
    assert read.title == fields.get("title", "")
    assert of_markdown(front + "text")[1] == [Block(1 + front.count("\n"), "text")]


@pytest.mark.parametrize(
    ("front", "title"),
    [
        ("---\ntitle: Zinc: a metal\n---\n", "Zinc: a metal"),
        ("---\nauthor: [\ntitle: 'Zinc'\n---\n", "Zinc"),
        ("+++\ntitle = Zinc\n+++\n", "Zinc"),
        (f"---\ntitle: Zinc\nx: [{'y' * front_matter.LONGEST}]\n---\n", "Zinc"),
        ("---\nx: " + "[" * 5000 + "\n---\n", ""),
    ],
)
def test_of_what_cannot_be_read_the_entries_of_one_line_count(front: str, title: str) -> None:
    read = front_matter.of(front + "text")
    assert (read.title, read.end) == (title, len(front))
    assert read.fields == ({"title": title} if title else {})


def test_an_entry_behind_a_faulty_one_is_read() -> None:
    text = "---\ntitle: Zinc: a metal\nauthor: A. Lee\nnotes: |\n  long\ntags:\n- a\n---\ntext"
    assert front_matter.of(text).fields == {"title": "Zinc: a metal", "author": "A. Lee"}


@pytest.mark.parametrize(
    "text", ["---\ntitle: Zinc\ntitle: Tin\n---\n", "+++\ntitle = 'Zinc'\ntitle = 'Tin'\n+++\n"]
)
def test_a_key_that_stands_twice_is_a_problem(text: str) -> None:
    assert "the key 'title' stands more than once" in front_matter.of(text).problem


def test_the_case_of_the_title_and_the_form_of_numbers() -> None:
    read = front_matter.of("+++\nTitle = 'Zinc'\nversion = 3.10\nbig = 1e400\n+++\n")
    assert (read.title, read.problem) == ("Zinc", "")
    assert (read.fields["version"], read.fields["big"]) == ("3.10", "1e400")


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nZinc melts.\n\n---\nmore",
        "---\n- a\n- b\n---\nmore",
        "---\ntitle: x\n",
        "text\n---\na: b\n---\n",
        "+++\nno table\n+++\n",
    ],
)
def test_text_between_two_rules_stays_text(text: str) -> None:
    assert front_matter.of(text) == front_matter.NONE


@given(st.text("-+:=[]{}&*'\"|>#!%@, \n\tabc", max_size=80))
def test_any_front_matter_is_read(lines: str) -> None:
    for mark in ("---", "+++"):
        read = front_matter.of(f"{mark}\n{lines}\n{mark}\n")
        assert all(isinstance(value, str) and value for value in read.fields.values())
