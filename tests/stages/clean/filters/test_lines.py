"""Recurring lines are found by source, and taken out of texts that stay. Batches do not show."""

import dataclasses
import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.__main__ import main
from stages import clean
from stages.clean.filters import information, lines
from stages.clean.passes import corpus, filtering
from stages.clean.personal import Params as Personal
from stages.clean.values import columns
from stages.core.project.params import Run, load, parse
from stages.core.records import record
from tests.stages.clean.test_clean import EXCLUSIONS, PARAMS, ROOT, RULES, fact, run, text

RULE = information.Lines(share=0.1, least=3, words=3)
FOOTER, NOTICE = "Share this page with friends", "This page does not replace a doctor."
BODIES = [
    "Aspirin thins the blood of most adults", "Measles spreads through the air in crowded rooms",
    "A sprained ankle needs ice and rest", "Insulin lowers sugar after every meal",
    "Gout hurts at night in one joint",
    "Iron tablets darken what leaves the bowel", "Lice live on hair and lay eggs there",
]  # fmt: skip


def params(rule: information.Lines | None = RULE, **changed: Any) -> clean.Params:
    quiet = information.Params(
        threshold=0, common=1.0, boilerplate=None, near_duplicates=None, lines=rule
    )
    return dataclasses.replace(PARAMS, filter=quiet, **changed)


def pair(question: str, answer: str) -> dict[str, Any]:
    return text(f"{question} {answer}", None, len(question)) | {
        "kind": "qa",
        "question": question,
        "answer": answer,
    }


def test_a_line_that_texts_share_is_taken_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [text(f"{body}.\n{FOOTER}\n") for body in BODIES] + [
        text("Mumps swell the cheeks.\nOnce only.")
    ]
    kept, reasons, report = run(tmp_path, rows, params())
    assert [row["text"] for row in kept] == [
        *(f"{body}." for body in BODIES),
        "Mumps swell the cheeks. Once only.",
    ]
    assert not reasons
    assert report["lines"] == [{"source": "t", "line": FOOTER, "documents": 7, "share": 0.875}]
    assert json.loads((tmp_path / "out/lines.json").read_text()) == report["lines"]
    assert (
        "  lines      1 recurring ones taken out, 7 times, of 7 texts\n" in capsys.readouterr().out
    )


def test_sentences_of_a_text_without_line_breaks(tmp_path: Path) -> None:
    rows = [text(f"{body}. {NOTICE} So they say {number}.") for number, body in enumerate(BODIES)]
    chinese = [
        text(f"患者第{number}次来诊。以上建议仅供参考！请复查{number}项。")
        for number in range(3, 9)
    ]
    kept, _, report = run(tmp_path, rows + chinese, params())
    assert [row["text"] for row in kept[:7]] == [
        f"{body}. So they say {number}." for number, body in enumerate(BODIES)
    ]
    assert kept[7]["text"] == "患者第3次来诊。请复查3项。"
    assert {(row["line"], row["documents"]) for row in report["lines"]} == {
        (NOTICE, 7),
        ("以上建议仅供参考！", 6),
    }


def test_off_leaves_texts_whole_and_says_nothing(tmp_path: Path) -> None:
    kept, _, report = run(tmp_path, [text(f"{body}.\n{FOOTER}") for body in BODIES], params(None))
    assert all(row["text"].endswith(FOOTER) for row in kept)
    assert "lines" not in report
    assert not (tmp_path / "out/lines.json").exists()


def test_what_is_not_taken_out(tmp_path: Path) -> None:
    rows = [
        *(
            text(f"{body}.\nActive\nOnce in {number} years, {body}")
            for number, body in enumerate(BODIES)
        ),  # few words
        *(
            text("No known allergies here", None, number) for number in range(1)
        ),  # one line as a whole
        *(
            pair(f"Is it so, case {number}?", "Yes, it is so.") for number in range(5)
        ),  # the only line of an answer
        *(text(f"{body} too.\nTwo of them share it") for body in BODIES[:2]),  # fewer than `least`
    ]
    kept, reasons, report = run(tmp_path, rows, params())
    assert len(kept) == len(rows)
    assert not reasons
    assert report["lines"] == []


def test_facts_have_no_lines() -> None:
    rows = [fact("iron", f"use {number}", "Tools are made of it. It rusts.") for number in range(5)]
    assert lines.texts_in(pl.DataFrame(rows, schema=columns.COLUMNS)).is_empty()


def test_an_answer_loses_a_line_and_its_text_follows(tmp_path: Path) -> None:
    rows = [pair(f"What of {body}?", f"{body}.\n{NOTICE}") for body in BODIES]
    kept, _, _ = run(tmp_path, rows, params())
    assert [row["answer"] for row in kept] == [f"{body}." for body in BODIES]
    assert all(row["text"] == f"{row['question']} {row['answer']}" for row in kept)


def test_nothing_but_recurring_lines_is_boilerplate(tmp_path: Path) -> None:
    rows = [text(f"{body}.\n{FOOTER}\n{NOTICE}") for body in BODIES] + [
        text(f"{FOOTER}\n * \n{NOTICE}", None, 8),
        text(FOOTER, None, 9),
    ]
    kept, reasons, report = run(tmp_path, rows, params())
    assert len(kept) == 7
    assert list(reasons.values()) == ["boilerplate"] * 2
    assert report["phases"]["filter"] == {"in": 9, "out": 7, "rejected": 2}
    rejected = record.read(tmp_path / "out/rejected.parquet", record.REJECTED)
    assert [row["text"] for row in rejected] == [rows[7]["text"], FOOTER]
    assert {row["evidence"] for row in rejected} == {"nothing but lines that recur in its source"}


def test_each_source_by_itself(tmp_path: Path) -> None:
    rows = [text(f"{body}.\n{FOOTER}") for body in BODIES]
    other = [row | {"source": "u", "id": record.record_id("u", row["locator"])} for row in rows[:2]]
    kept, _, report = run(tmp_path, rows + other, params())
    assert [row["text"] for row in kept if row["source"] == "u"] == [
        f"{body}. {FOOTER}" for body in BODIES[:2]
    ]
    assert [line["source"] for line in report["lines"]] == ["t"]


def many() -> list[dict[str, Any]]:
    rng = random.Random(3)
    notices = [FOOTER, FOOTER.upper(), NOTICE, "All rights are reserved — 2019", "请勿转载本站内容"]
    rows = []
    for number in range(120):
        own = [f"{body} {number}." for body in rng.sample(BODIES, 2)]
        rows.append(text("\n".join([rng.choice(notices), *own, rng.choice(notices)]), None, number))
    return [*rows, text(FOOTER, None, 200)]


@pytest.mark.parametrize(("size", "workers", "processes"), [(1, 1, 99), (7, 3, 99), (40, 2, 1)])
def test_batches_threads_and_processes_do_not_show(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder_bytes: Any,
    size: int,
    workers: int,
    processes: int,
) -> None:
    run(tmp_path, many(), params())
    whole = folder_bytes(tmp_path / "out"), (tmp_path / "clean.json").read_bytes()
    monkeypatch.setattr(corpus, "BATCH_ROWS", size)
    monkeypatch.setattr(filtering, "PROCESSES_FROM", processes)
    arguments = (tmp_path / "in", RULES, EXCLUSIONS, tmp_path / "out", tmp_path / "clean.json")
    clean.run(params(), Run(1, workers, "avx2", "cpu"), *arguments)
    assert (folder_bytes(tmp_path / "out"), (tmp_path / "clean.json").read_bytes()) == whole
    shown = json.loads(whole[1])["lines"]
    assert [row["documents"] for row in shown] == sorted(
        (row["documents"] for row in shown), reverse=True
    )
    assert len(shown) == 4


def test_a_large_source_is_judged_by_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "SAMPLE", 60)
    _, _, report = run(tmp_path, many(), params())
    assert {row["line"].lower() for row in report["lines"]} >= {FOOTER.lower(), NOTICE.lower()}
    exact = sum(NOTICE in row["text"] for row in many())
    assert next(row for row in report["lines"] if row["line"] == NOTICE)["documents"] == exact


def test_excluded_records_count_for_nothing() -> None:
    rows = [text(f"{body}.\nTom Small wrote these lines") for body in BODIES[:3]]
    rows += [text(f"{body}.\nAnother.") for body in BODIES[3:]]
    frame = pl.DataFrame(rows, schema=columns.COLUMNS)
    counts, texts = lines.counted(frame, 3, {"t": len(rows)}, [rows[0]["id"]])
    assert (counts["count"].to_list().count(2), texts["t"]) == (1, len(rows) - 1)
    assert lines.recurring([(counts, texts)], RULE).lines.is_empty()


def test_personal_data_in_a_line_is_treated_where_the_line_is_named(tmp_path: Path) -> None:
    written = "Call Dr. Ann Poole at ann.poole@example.org today"
    rows = [
        text(f"{body}.\n{written}") | {"meta": record.to_meta({"doctor": "Ann Poole"})}
        for body in BODIES
    ]
    treatment = Personal(
        actions={"person": "replace", "email": "replace"}, fields={"doctor": "person"}
    )
    _, _, report = run(tmp_path, rows, params(personal=treatment))
    assert report["lines"][0]["line"] == "Call Dr. <PERSON> at <EMAIL> today"
    assert "Poole" not in (tmp_path / "out/lines.json").read_text()


WORDS = st.sampled_from(
    [
        "Iron rusts.",
        "铁会生锈。",
        "a b c",
        "Yes!",
        "…",
        "5 mg",
        '"Quoted."',
        "\n",
        "\r\n",
        " ",
        "。",
        "x",
    ]
)


@given(st.lists(st.lists(WORDS, max_size=6).map("".join), min_size=1, max_size=5))
def test_lines_put_together_are_the_text(texts: list[str]) -> None:
    frame = pl.DataFrame(
        [text(content, None, number) for number, content in enumerate(texts)],
        schema=columns.COLUMNS,
    )
    found = lines.lines_of(lines.texts_in(frame), 1)
    assert (
        found.group_by("at", maintain_order=True)
        .agg(pl.col("piece").str.join(""))["piece"]
        .to_list()
        == texts
    )


@given(st.lists(st.lists(WORDS, max_size=6).map("".join), min_size=4, max_size=9))
def test_what_is_left_lacks_the_lines_and_nothing_else(texts: list[str]) -> None:
    frame = pl.DataFrame(
        [text(content, None, number) for number, content in enumerate(texts)],
        schema=columns.COLUMNS,
    )
    rule = information.Lines(share=0.1, least=3, words=2)
    known = lines.recurring([lines.counted(frame, 2, {"t": len(texts)}, [])], rule)
    left, empty, cut = lines.without(frame, known)
    for before, after in zip(texts, left["text"], strict=True):
        assert len(after) <= len(before)
        assert not set(after) - set(before)
    assert all(not re.search(r"\w", left["text"][int(at)]) for at in empty)
    assert cut.changed == sum(a != b for a, b in zip(texts, left["text"], strict=True))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            {"share": 0.0, "least": 3, "words": 3},
            "clean.filter.lines.share: input should be greater than 0",
        ),
        (
            {"share": 0.1, "least": 2, "words": 3},
            "clean.filter.lines.least: input should be greater than or equal to 3",
        ),
        ({"share": 0.1, "least": 3}, "clean.filter.lines.words: missing"),
        (
            {"share": 0.1, "least": 3, "word": 3},
            "clean.filter.lines.word: unknown; did you mean words",
        ),
    ],
)
def test_settings_that_are_refused(setting: dict[str, Any], message: str) -> None:
    problems: list[str] = []
    section = {"threshold": 0, "common": 1.0, "boilerplate": None, "near_duplicates": None}
    parse(section | {"lines": setting}, information.Params, "clean.filter", problems)
    assert any(message in problem for problem in problems), problems


def test_why_rejected_shows_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = (ROOT / "params.yaml").read_text(encoding="utf-8")
    off = "    lines: null\n"
    assert off in settings
    settings = settings.replace(off, "    lines: {share: 0.1, least: 3, words: 3}\n").replace(
        "threshold: 0.05", "threshold: 0"
    )
    (tmp_path / "params.yaml").write_text(settings, encoding="utf-8")
    rows = [text(f"{body}.\n{FOOTER}") for body in BODIES] + [text(f"{FOOTER}\n--")]
    record.write(Path("data/extract/records.parquet"), rows)
    record.write(Path("data/extract/rejected.parquet"), [], record.REJECTED)
    Path("data/extract/sources.json").write_text("[]")
    exclusions = Path("data/raw/exclusions.yaml")
    exclusions.parent.mkdir()
    shutil.copy(EXCLUSIONS, exclusions)
    found, _ = load("clean", clean.Params)
    paths = (
        Path("data/extract"),
        RULES,
        exclusions,
        Path("data/clean"),
        Path("metrics/clean.json"),
    )
    clean.run(found, Run(1, 1, "avx2", "cpu"), *paths)
    capsys.readouterr()
    assert main(["why-rejected", rows[0]["id"]]) == 0
    shown = capsys.readouterr().out
    assert f"recurring lines, text: {rows[0]['text']!r} → {BODIES[0] + '.' + chr(10)!r}" in shown
    assert main(["why-rejected", rows[-1]["id"]]) == 0
    assert (
        "rejected by filter: boilerplate: nothing but lines that recur in its source"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("content", ["", "\ufdd0", "a\ufdd0b\nc"])
def test_odd_texts_pass(content: str) -> None:
    frame = pl.DataFrame([text(content)], schema=columns.COLUMNS)
    left, empty, _ = lines.without(frame, lines.named([], 1))
    assert left.equals(frame)
    assert not len(empty)
