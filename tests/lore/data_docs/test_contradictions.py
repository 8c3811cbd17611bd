"""The page of contradictions: both sides, the limit, who won and why; nothing fetched, all text escaped, the same bytes."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from lore.data_docs import contradictions, contradictions_page
from stages import clean
from stages.core.project.errors import InputError
from stages.core.project.params import load

PARAMS, _ = load("clean", clean.Params, Path(__file__).parents[3] / "params.yaml")
SOURCES = ["elements", "legacy", "旧表", *(f"s{number}" for number in range(9))]
Row = dict[str, Any]


def side(source: str, value: str, written: str = "", place: str = "x#1") -> Row:
    return {
        "record": f"{source}/{place}", "source": source, "locator": place, "written": written or value, "normalised": value,
    }  # fmt: skip


def fact(subject: str, attribute: str, winner: Row, loser: Row) -> Row:
    rule = (
        "priority of the source" if winner["source"] != loser["source"] else "first in the source"
    )
    return {
        "fact": "f",
        "subject": subject,
        "attribute": attribute,
        "winner": winner,
        "loser": loser,
        "rule": rule,
    }


def answers(question: str, first: Row, second: Row) -> Row:
    return {
        "kind": "answers",
        "question": question,
        "first": first,
        "second": second,
        "rule": "none: both are kept",
    }


IRON = fact(
    "iron",
    "melting point",
    side("elements", "1538 °C", "2800.4 °F", "a.sql#1"),
    side("legacy", "1600 °C", place="b.csv#L2"),
)
LEAD = fact(
    "铅",
    "melting point",
    side("elements", "327.5 °C"),
    side("旧表", "900 °C", "1173.15 K", "旧表.csv#L7"),
)
TIN = fact(
    "tin", "symbol", side("legacy", "Sn"), side("legacy", "<i>Ti</i> & co", place="b.csv#L9")
)
WINE = answers(
    "头孢能和酒一起吃吗？",
    side("elements", "不能。", " 不能。\n"),
    side("旧表", "可以，３８度以下。", "可以,<b>"),
)


def made(*entries: Row, params: clean.Params = PARAMS) -> str:
    page, count = contradictions_page.page(entries, params, SOURCES, "0123456789ab")
    assert count == len(entries)
    return page


def rows(page: str) -> list[list[str]]:
    """The cells of each dispute, without tags."""
    disputes = []
    for line in re.findall(r'<tr class="dispute[^"]*">(.*)</tr>', page):
        cells = re.findall(r"<td[^>]*>(.*?)</td>", line)
        texts = [re.sub("<[^>]+>", " ", cell) for cell in cells]
        disputes.append([" ".join(text.split()) for text in texts])
    return disputes


def test_each_fact_shows_both_sides_the_limit_and_why() -> None:
    lead, iron, tin = rows(
        made(IRON, LEAD, TIN)
    )  # the farthest apart, as shares of what is allowed, first
    assert iron == [
        "iron",
        "1538 °C written 2800.4 °F elements: a.sql#1",
        "1600 °C as written legacy: b.csv#L2",
        "62 °C; allowed 7.69 °C",
        "elements (1st source) before legacy (2nd source)",
    ]
    assert lead[2:4] == [
        "900 °C written 1173.15 K 旧表: 旧表.csv#L7",
        "572.5 °C; allowed 2 °C",
    ]
    assert tin[-1] == "first in the source"


def test_the_summary_counts_attributes_and_pairs() -> None:
    page = made(IRON, LEAD, TIN, WINE, IRON | {"subject": "steel"})
    summary = re.sub(r"<[^>]+>", " ", page[: page.index('class="part"')])
    said = " ".join(summary.split())
    assert "4 values of facts contradict the one of higher priority" in said
    assert "1 answers differ from the first one" in said
    assert (
        "melting point 3 2 °C or 0.5 % symbol 1 nothing: it has one value Answers to one question 1 near duplicates"
        in said
    )
    assert "all 5 elements legacy 2 elements 旧表 2 legacy legacy 1" in said
    targets = re.findall(r'href="#([^"]+)"', page)
    assert len(targets) == 3
    assert all(f'id="{name}"' in page for name in targets)


def test_a_pair_of_sources_can_be_chosen_without_a_script() -> None:
    page = made(IRON, LEAD, WINE)
    known = {
        name: re.search(rf'<tr class="dispute (p\d+)"><td data-name="subject">{name}', page)
        for name in ("iron", "铅")
    }
    iron, lead = (found.group(1) for found in known.values() if found)
    assert iron != lead
    assert f'<details class="dispute {lead}">' in page  # the same pair disputes the answer
    for name in (iron, lead):
        assert f'id="{name}"' in page
        assert (
            f"body:has(#{name}:checked) :is(.dispute:not(.{name}), .part:not(:has(.{name}))) {{ display: none; }}"
            in page
        )
    assert 'type="radio"' not in made(IRON)


def test_answers_stand_side_by_side() -> None:
    page = made(WINE, WINE | {"second": side("s8", "看情况。", place="c#3")})
    assert "头孢能和酒一起吃吗？ <small>3 answers</small>" in page
    cards = re.findall(
        r"<article>\n<small>(.*?)</small>\n<p>(.*?)</p>\n(.*?)</article>", page, re.DOTALL
    )
    assert [(place, text) for place, text, _ in cards] == [
        ("kept; comes first<br>elements: x#1", "不能。"),
        ("kept too<br>旧表: x#1", "可以，３８度以下。"),
        ("kept too<br>s8: c#3", "看情况。"),
    ]
    assert [written for _, _, written in cards] == [
        "", "<details><summary>as written</summary><p>可以,&lt;b&gt;</p></details>\n", "",
    ]  # fmt: skip


def test_answers_that_were_decided_say_by_what() -> None:
    decided = {
        "kind": "answers",
        "question": "?",
        "winner": side("elements", "a"),
        "loser": side("s0", "b"),
    }
    page = made(decided | {"rule": "priority of the source"})
    assert "<small>kept<br>" in page
    assert "<small>set aside, decided by: elements (1st source) before s0 (4th source)<br>" in page


@pytest.mark.parametrize("place", range(3))
def test_everything_is_escaped(place: int) -> None:
    bad = "<script>alert(1)</script>\"'&"
    entry = [IRON, TIN, WINE][place]
    keys = ("first", "second") if place == 2 else ("winner", "loser")
    sides = {key: dict.fromkeys(entry[key], bad) | {"normalised": f"1 {bad}"} for key in keys}
    names = {name: bad for name in ("subject", "question") if name in entry}
    page, _ = contradictions_page.page([entry | sides | names], PARAMS, [bad, "a"], "0")
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;") >= 8
    unusual = dataclasses.replace(PARAMS.verify, single_valued=[bad])
    page = made(TIN | {"attribute": bad}, params=dataclasses.replace(PARAMS, verify=unusual))
    assert "<script" not in page


def test_the_page_fetches_nothing_and_is_the_same_again() -> None:
    page = made(IRON, TIN, WINE)
    assert page == made(IRON, TIN, WINE)
    assert not re.search(r"https?:|<script|<img|<link|@import|url\(", page)
    assert "default-src 'none'" in page


def test_contradictions_of_other_sources_are_refused() -> None:
    entry = fact("tin", "symbol", side("renamed", "Sn"), side("legacy", "Ti"))
    with pytest.raises(InputError, match=r"made with a source renamed that .*; run dvc repro"):
        made(entry)


def test_contradictions_of_other_settings_are_refused() -> None:
    words = fact("tin", "melting point", side("elements", "hot"), side("legacy", "cold"))
    with pytest.raises(InputError, match=r"'hot' of x#1 is not a quantity, .*; run dvc repro"):
        made(words)


def test_without_contradictions_it_says_so() -> None:
    page = made()
    assert "No two sources contradict each other." in page
    assert "<table" not in page
    assert '<a href="index.html">' in page


def test_long_lists_are_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contradictions, "LISTED", 3)
    facts = [IRON | {"subject": f"iron {number}"} for number in range(5)]
    asked = [
        answers(f"q{n}", side("elements", "a", place=str(n)), side("legacy", "b"))
        for n in range(4)
        for _ in range(4)
    ]
    page = made(*facts, *asked)
    assert len(rows(page)) == 3
    assert len(re.findall(r'<details class="dispute', page)) == 3
    assert "<p>2 more are in data/clean/contradictions.json.</p>" in page
    assert "<p>7 more are in data/clean/contradictions.json.</p>" in page
    assert "melting point · 5</summary>" in page


@pytest.mark.parametrize(
    ("place", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th")]
)
def test_places_are_counted_as_people_do(place: int, said: str) -> None:
    assert (
        contradictions.Report(PARAMS, SOURCES).rank(SOURCES[place - 1])
        == f"{SOURCES[place - 1]} ({said} source)"
    )
