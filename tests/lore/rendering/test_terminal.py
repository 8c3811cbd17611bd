"""terminal: nothing of data acts on a terminal, and a quoted word is the very word for a shell."""

import json
import re
import subprocess
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lore.rendering import terminal

TEXTS = st.text(st.characters(codec="utf-8"))


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x7f\x85", "\\x7f\\x85"),
        ("abc\u202ecba", "abc\\u202ecba"),
        ("\udcff", "\\udcff"),
        ("铁 melts at 1538 °C, é", "铁 melts at 1538 °C, é"),
    ],
)
def test_what_acts_is_shown_as_an_escape(text: str, safe: str) -> None:
    assert terminal.shown(text) == safe


def test_lines_stay_lines() -> None:
    assert terminal.shown_lines("a\n\tb\r\x1b") == "a\n\tb\\r\\x1b"


@given(TEXTS)
def test_nothing_that_acts_is_left(text: str) -> None:
    for character in terminal.shown(text):
        assert unicodedata.category(character) != "Cc"
        assert unicodedata.bidirectional(character) not in ("RLO", "LRO", "RLE", "LRE", "PDF")


@settings(max_examples=30)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_shell_reads_the_very_word(word: str) -> None:
    quoted = terminal.quoted(word)
    assert "\n" not in quoted
    command = ["bash", "-c", f"printf '%s' {quoted}"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout.decode("utf-8", "surrogateescape") == word


@given(st.dictionaries(TEXTS, TEXTS))
def test_json_means_the_same_and_acts_on_nothing(document: dict[str, str]) -> None:
    text = terminal.json_text(document)
    assert json.loads(text) == document
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_progress_is_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.progress("reading")
    assert capsys.readouterr() == ("", "")


def test_progress_shows_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    terminal.progress("version 1 \x1b[2J")
    assert capsys.readouterr().err == "\r\x1b[Kversion 1 \\x1b[2J"
