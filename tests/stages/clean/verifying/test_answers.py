"""Answers that differ are reported with both sides, and set aside only where that is declared."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from stages import clean
from stages.clean.filters import repeats
from stages.clean.passes import corpus
from stages.clean.verifying import answers
from stages.core.project.params import Run, load, parse
from stages.core.records import record
from tests.beside import SHARED, needs_shared
from tests.stages.clean.filters.test_repeats import LEAFLET, LONG
from tests.stages.clean.test_clean import EXCLUSIONS, NEON, PARAMS, RULES, fact, run
from tests.test_scenarios import OVERLAYS, real_data

Row = dict[str, Any]
ASKED = "Is aspirin safe for small children?"


def qa(source: str, question: str, answer: str, subject: str | None = None, number: int = 0) -> Row:
    locator = f"{source}#{number}/{question}/{answer[:20]}"
    row = dict.fromkeys(record.SCHEMA.names) | {
        "question": question,
        "answer": answer,
        "subject": subject,
        "kind": "qa",
    }
    row |= {
        "id": record.record_id(source, locator),
        "source": source,
        "locator": locator,
        "text": f"{question} {answer}",
    }
    return row | {"lang": "en", "meta": "{}", "parents": []}


ROWS = [
    qa("a", ASKED, "No: it may cause Reye's syndrome in them."),
    qa("b", "Is Aspirin safe for small children", "Yes,  in low doses it is harmless."),
    qa("b", "How is gold mined?", "By washing river sand."),
    qa(
        "c",
        "IS ASPIRIN SAFE FOR SMALL CHILDREN ?!",
        "No. It may cause Reye\u2019s syndrome in them.",
    ),  # says the same
    qa("b", "Is  aspirin safe for small children?", "Only where a doctor says so.", number=1),
    qa("c", "头孢能和酒一起吃吗？", "不能，会引起双硫仑样反应。"),
    qa("c", "头孢能和酒一起吃吗", "可以，没有影响。"),
]


def with_answers(choice: Any, near: float | None = 0.8) -> clean.Params:
    filtering = dataclasses.replace(
        PARAMS.filter, threshold=0.0, boilerplate=None, near_duplicates=near
    )
    return dataclasses.replace(
        PARAMS, filter=filtering, verify=dataclasses.replace(PARAMS.verify, answers=choice)
    )


def test_answers_that_differ_in_a_number_alone(tmp_path: Path) -> None:
    told = [f"{LEAFLET} take {dose} mg" for dose in (5, 50)]
    rows = [qa("a", "How much of it?", told[0]), qa("b", "How much of it?", told[1])]
    params = with_answers("report")
    assert list(run(tmp_path / "ignore", rows, params)[1].values()) == ["near_duplicate"]
    assert disputes(tmp_path / "ignore") == []
    apart = dataclasses.replace(params, filter=dataclasses.replace(params.filter, numbers="apart"))
    assert run(tmp_path / "apart", rows, apart)[1] == {}
    ((one, two),) = [(entry["first"], entry["second"]) for entry in disputes(tmp_path / "apart")]
    assert [one["written"], two["written"]] == told


def disputes(folder: Path) -> list[Row]:
    found: list[Row] = json.loads((folder / "out/contradictions.json").read_text())
    return found


@pytest.mark.parametrize("near", [0.8, None])
def test_answers_that_differ_are_reported_and_kept(
    tmp_path: Path, near: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, reasons, report = run(tmp_path, ROWS, with_answers("report", near))
    assert len(kept) == len(ROWS) - (near is not None)
    assert list(reasons.values()) == ([] if near is None else ["near_duplicate"])
    found = disputes(tmp_path)
    assert report["contradictions"] == len(found) == 3
    assert "contradictions 3: lore docs shows both sides of each" in capsys.readouterr().out
    assert [(entry["first"]["record"], entry["second"]["record"]) for entry in found] == [
        (ROWS[0]["id"], ROWS[1]["id"]),
        (ROWS[0]["id"], ROWS[4]["id"]),
        (ROWS[5]["id"], ROWS[6]["id"]),
    ]
    assert found[0] == {
        "kind": "answers",
        "question": ASKED,
        "first": {
            "record": ROWS[0]["id"], "source": "a", "locator": ROWS[0]["locator"],
            "written": ROWS[0]["answer"], "normalised": ROWS[0]["answer"],
        },
        "second": {
            "record": ROWS[1]["id"], "source": "b", "locator": ROWS[1]["locator"],
            "written": "Yes,  in low doses it is harmless.",
            "normalised": "Yes, in low doses it is harmless.",
        },
        "rule": "none: both are kept",
    }  # fmt: skip


def test_where_it_is_declared_the_source_of_higher_priority_wins(tmp_path: Path) -> None:
    kept, reasons, report = run(tmp_path, ROWS, with_answers("first"))
    assert [row["id"] for row in kept] == [ROWS[0]["id"], ROWS[2]["id"], ROWS[5]["id"]]
    assert sorted(reasons.values()) == ["contradiction"] * 3 + ["near_duplicate"]
    assert report["reasons"] == {"contradiction": 3, "near_duplicate": 1}
    assert report["phases"]["verify"] == {"in": 6, "out": 3, "rejected": 3}
    assert [
        (entry["winner"]["source"], entry["loser"]["source"], entry["rule"])
        for entry in disputes(tmp_path)
    ] == [
        ("a", "b", "priority of the source"),
        ("a", "b", "priority of the source"),
        ("c", "c", "first in the source"),
    ]
    rejected = record.read(tmp_path / "out/rejected.parquet", record.REJECTED)
    evidence = {row["id"]: row["evidence"] for row in rejected}
    assert (
        evidence[ROWS[1]["id"]]
        == f"another answer to the question of record {ROWS[0]['id']}, which has priority"
    )


def test_they_need_not_be_sought(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, _, report = run(tmp_path, ROWS, with_answers("ignore"))
    assert (len(kept), report["contradictions"], disputes(tmp_path)) == (6, 0, [])
    assert "lore docs" not in capsys.readouterr().out


def test_facts_come_first_as_ever(tmp_path: Path) -> None:
    facts = [
        fact("iron", "symbol", "Fe"),
        fact("iron", "symbol", "Ir", source="b"),
        fact("neon", "state", "gas", **NEON),
    ]
    run(tmp_path / "facts", facts, with_answers("report"))
    alone = (tmp_path / "facts/out/contradictions.json").read_text()
    assert "kind" not in json.loads(alone)[0]
    run(tmp_path / "both", [*ROWS, *facts], with_answers("report"))
    assert (
        (tmp_path / "both/out/contradictions.json")
        .read_text()
        .startswith(alone.removesuffix("\n]\n") + ",\n")
    )


def test_what_is_set_aside_for_another_reason_is_no_side(tmp_path: Path) -> None:
    again = ROWS[0] | {"id": "f" * 16, "locator": "a#again"}
    _, reasons, report = run(tmp_path, [ROWS[0], again, ROWS[3]], with_answers("report"))
    assert (sorted(reasons.values()), report["contradictions"]) == (
        ["duplicate", "near_duplicate"],
        0,
    )


def test_one_answer_about_each_subject_is_no_dispute(tmp_path: Path) -> None:
    subjects = ("flu", "measles", "a cold")
    rows = [
        qa("a", "How long does it last?", f"{number} days.", subject)
        for number, subject in enumerate(subjects)
    ]
    run(tmp_path, rows, with_answers("report"))
    assert disputes(tmp_path) == []


def test_what_was_asked_about_different_persons_is_no_dispute(tmp_path: Path) -> None:
    rows = [
        qa("a", f"How old is {name}?", f"{age} years.")
        for name, age in (("jane@x.org", 7), ("john@x.org", 8))
    ]
    treatment = dataclasses.replace(PARAMS.personal, actions={"email": "replace"})
    kept, _, _ = run(
        tmp_path, rows, dataclasses.replace(with_answers("report"), personal=treatment)
    )
    assert [row["question"] for row in kept] == ["How old is <EMAIL>?"] * 2
    assert disputes(tmp_path) == []


def test_both_sides_are_without_personal_data(tmp_path: Path) -> None:
    rows = [
        qa("a", "Who helps?", "Write to jane@x.org, who knows."),
        qa("b", "Who helps?", "Nobody but john@x.org does."),
    ]
    treatment = dataclasses.replace(PARAMS.personal, actions={"email": "replace"})
    run(tmp_path, rows, dataclasses.replace(with_answers("report"), personal=treatment))
    (dispute,) = disputes(tmp_path)
    assert (
        dispute["first"]["written"]
        == dispute["first"]["normalised"]
        == "Write to <EMAIL>, who knows."
    )
    assert (
        dispute["second"]["written"]
        == dispute["second"]["normalised"]
        == "Nobody but <EMAIL> does."
    )


@pytest.mark.parametrize("size", [1, 2, 5])
def test_batches_and_chunks_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_bytes: Any, size: int
) -> None:
    more = [
        ("d", f"What is {word}?", f"{LONG} {word} {n}" if n else word)
        for word in "xyz"
        for n in range(3)
    ]
    rows = [*ROWS, *[qa(*row, number=number) for number, row in enumerate(more)]]
    run(tmp_path / "whole", rows, with_answers("first"))
    assert len(disputes(tmp_path / "whole")) == 6
    monkeypatch.setattr(corpus, "BATCH_ROWS", size)
    monkeypatch.setattr(answers, "CHUNK", size)
    monkeypatch.setattr(repeats, "CHUNK", size)
    clean.run(
        with_answers("first"), Run(1, 3, "avx2", "cpu"), tmp_path / "whole/in", RULES, EXCLUSIONS,
        tmp_path / "parts/out", tmp_path / "parts/clean.json",
    )  # fmt: skip
    assert folder_bytes(tmp_path / "parts/out") == folder_bytes(tmp_path / "whole/out")


def test_no_other_choice() -> None:
    problems: list[str] = []
    document = {"tolerance": {}, "single_valued": [], "answers": "last"}
    assert parse(document, type(PARAMS.verify), "clean.verify", problems) is None
    assert problems == [
        "clean.verify.answers: input should be 'report', 'first' or 'ignore', got 'last'"
    ]


def test_the_default_sets_nothing_aside() -> None:
    params, _ = load("clean", clean.Params, EXCLUSIONS.parents[2] / "params.yaml")
    assert params.verify.answers == "report"


@needs_shared
def test_real_questions_with_differing_answers(tmp_path: Path, run_params: Run) -> None:
    """104 of the folder's questions have several answers (its SOURCE.md).

    Of 4 of them the filter has set one answer aside.
    """
    reading, cleaning = real_data.settings(OVERLAYS["medquad_xml"])
    row = real_data.stages_on(reading, cleaning, SHARED, tmp_path, run_params)
    assert "contradiction" not in row["reasons"]
    found: list[Row] = json.loads((tmp_path / "clean/contradictions.json").read_text())
    assert (len({entry["first"]["record"] for entry in found}), len(found)) == (100, 176)
    rejected = {
        row["id"] for row in record.read(tmp_path / "clean/rejected.parquet", record.REJECTED)
    }
    assert rejected.isdisjoint(
        side["record"] for entry in found for side in (entry["first"], entry["second"])
    )
    decided = dataclasses.replace(
        cleaning, verify=dataclasses.replace(cleaning.verify, answers="first")
    )
    other = real_data.stages_on(reading, decided, SHARED, tmp_path, run_params)
    assert (row["kept"] - other["kept"], "contradiction 176" in other["reasons"]) == (176, True)
