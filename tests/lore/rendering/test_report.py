"""report: one Section as aligned text and as Markdown; wide signs stay aligned, and nothing acts as markup."""

import re

import pytest

from lore.rendering.report import (
    Section,
    aligned,
    change_cell,
    cut,
    escaped,
    left_out,
    markdown,
    score_cell,
    text,
    width,
)
from tests.timed import quickest

TABLE = Section("Facts", ("two facts",), ("fact", "value"), [("iron", "1538 °C"), ("铁", "熔点")])


def test_text_is_indented_and_aligned() -> None:
    assert text("a → b", ["look out"], [TABLE, Section("Empty")]).splitlines() == [
        "a → b",
        "! look out",
        "",
        "Facts",
        "  two facts",
        "  fact  value",
        "  iron  1538 °C",
        "  铁    熔点",
        "",
        "Empty",
    ]


def test_white_space_inside_a_cell_is_one_space() -> None:
    assert list(aligned(Section("", columns=("a",), rows=[("x\n y\tz",)]))) == ["a", "x y z"]


def test_the_widest_column_gives_way_to_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = [("short", "a" * 200, "b" * 60)]
    head, line = aligned(Section("", columns=("one", "two", "three"), rows=rows))
    assert head.split() == ["one", "two", "three"]
    assert width(line) <= 78
    assert line.startswith("short  aaa")
    assert "…" in line


@pytest.mark.parametrize(
    ("said", "columns"), [("iron", 4), ("铁", 2), ("e\u0301", 1), ("1538 °C", 7), ("", 0)]
)
def test_a_terminal_gives_chinese_two_columns(said: str, columns: int) -> None:
    assert width(said) == columns


@pytest.mark.parametrize("size", [20, 21, 40, 60, 200])
@pytest.mark.parametrize(
    "said",
    [
        "a" * 90,
        "铁" * 45,
        "elements: a.sql#properties/300 → cards: scans/page-1.png#L18",
        "e\u0301" * 60,
    ],
)
def test_a_cell_that_is_cut_shows_both_ends(said: str, size: int) -> None:
    found = cut(said, size)
    assert width(found) <= size
    assert (found == said) == (width(said) <= size)
    assert (found[0], found[-1]) == (said[0], said[-1])
    assert (" → " in found) == (" → " in said and size > 20)


def test_markdown_has_a_table_as_github_draws_it() -> None:
    assert markdown("a", ["look out"], [TABLE, Section("Empty")]).splitlines() == [
        "## a",
        "",
        "> look out",
        "",
        "### Facts",
        "",
        "two facts  ",
        "",
        "| fact | value |",
        "| --- | --- |",
        "| iron | 1538 °C |",
        "| 铁 | 熔点 |",
        "",
        "### Empty",
        "",
    ]


@pytest.mark.parametrize(
    ("said", "safe"),
    [
        ("<b>", "&lt;b&gt;"),
        ("a & b", "a &amp; b"),
        ("a|b", "a\\|b"),
        ("a\\|b", "a\\\\\\|b"),
        ("[x](y)", "\\[x\\](y)"),
        ("@someone", "@\u200bsomeone"),
        ("knowledge@v1.0.0", "knowledge@v1.0.0"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_shows_every_sign_as_it_is(said: str, safe: str) -> None:
    assert escaped(said) == safe


@pytest.mark.parametrize(
    ("number", "most", "lines"),
    [(3, None, []), (3, 3, []), (3, 0, ["added: 3 more, listed with --all"])],
)
def test_hidden_rows_are_counted(number: int, most: int | None, lines: list[str]) -> None:
    assert left_out("added", number, most) == lines


def test_scores_and_differences_have_intervals() -> None:
    score = {"value": 0.95, "low": 0.9, "high": 0.975}
    assert score_cell(score) == "0.950 [0.900, 0.975]"
    assert score_cell(None) == "–"
    change = {"difference": -0.1, "low": -0.2, "high": 0.05}
    assert change_cell(change) == "-0.100 [-0.200, +0.050]"
    assert change_cell(change | {"p": 0.0123}) == "-0.100 [-0.200, +0.050] p 0.012"
    assert change_cell({"verdict": "only in a"}) == "–"
    assert not re.search(r"\s$", change_cell(change))


def test_control_sequences_of_data_are_shown_and_do_nothing() -> None:
    evil = Section("x\x1b[2J", ("line\n! forged",), ("a",), [("\x1b[31mred\u202e",)])
    said = text("t\x1b]0;title\x07", ["note\x1b[1A"], [evil])
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "  line\\n! forged" in said
    assert "\x1b" not in markdown("t\x1b", ["n\x1b"], [evil])


def test_a_long_cell_takes_linear_time() -> None:
    """Twice the text may take twice the time: cells of whole pages are cut in every report."""

    def seconds(size: int) -> float:
        page = Section("", columns=("a", "b"), rows=[("铁 melts " * size, "x" * size)])
        return quickest(lambda: list(aligned(page)), 3)

    short = seconds(20_000)
    assert seconds(160_000) < 24 * short + 0.05
