"""lore why-rejected: every operation with its before and after, and the verdict."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lore.__main__ import main
from stages import clean
from stages.core.project.params import Run, load
from stages.core.records import record
from tests.stages.clean.test_clean import EXCLUSIONS, NEON, RULES, fact

ROOT = Path(__file__).parents[3]
FORGOTTEN = fact("gold", "use", "a secret that is to be forgotten") | {"locator": "notes#7"}
UNREADABLE = fact("lead", "symbol", "?") | {
    "text": "{'name': 'lead', 'value': None}",
    "phase": "extract",
    "reason": "missing_field",
    "evidence": "no value",
}


@pytest.fixture
def cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A project whose clean has run; the records it was given."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    rows = [
        fact("iron", "melting point", "2800.4", "°F"),
        fact("iron", "melting point", "1600", "°C", source="b"),
    ]
    rows += [fact("Ｔin", "density", "heavy", "g/cm³"), fact("neon", "state", "gas", **NEON)]
    rows += [FORGOTTEN]
    record.write(Path("data/extract/records.parquet"), rows)
    record.write(Path("data/extract/rejected.parquet"), [UNREADABLE], record.REJECTED)
    Path("data/extract/sources.json").write_text("[]")
    params, _ = load("clean", clean.Params)
    exclusions = EXCLUSIONS.read_text(encoding="utf-8")
    assert "records: []" in exclusions
    entry = f"records: [{{id: {FORGOTTEN['id']}, reason: request 7}}]"
    Path("data/raw").mkdir()
    Path("data/raw/exclusions.yaml").write_text(exclusions.replace("records: []", entry))
    paths = (
        Path("data/extract"),
        RULES,
        Path("data/raw/exclusions.yaml"),
        Path("data/clean"),
        Path("metrics/clean.json"),
    )
    clean.run(params, Run(1, 1, "avx2", "cpu"), *paths)
    return rows


def test_a_record_that_lost(
    cleaned: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["why-rejected", cleaned[1]["id"][:8]]) == 0
    shown = capsys.readouterr().out
    assert "as extracted: iron: melting point 1600 °C" in shown
    assert "rejected by verify: contradiction: 1600 °C against 1538 °C in a#iron" in shown
    assert shown.endswith("\n  decided by: clean.verify.tolerance.melting point\n")


def test_both_sides_are_in_the_json(
    cleaned: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["why-rejected", cleaned[1]["id"], "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["verdict"]["setting"] == "clean.verify.tolerance.melting point"
    (dispute,) = shown["contradictions"]
    assert dispute["winner"]["record"] == cleaned[0]["id"]
    assert shown["violations"] == []


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_excluded_record_is_shown_without_its_content(
    cleaned: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    capsys.readouterr()
    assert main(["why-rejected", FORGOTTEN["id"], *form]) == 0
    shown = capsys.readouterr().out
    assert "secret" not in shown
    assert "gold" not in shown
    if not form:
        assert "\n  as extracted: [excluded]\n  rejected by exclude: excluded: " in shown
        assert "request 7" in shown


def test_what_extract_could_not_read(
    cleaned: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["why-rejected", UNREADABLE["id"]]) == 0
    _, *shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "  as extracted: {'name': 'lead', 'value': None}",
        "  rejected by extract: missing_field: no value",
        "  decided by: extract.sources.a",
    ]


def test_a_value_that_cannot_be_read(
    cleaned: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["why-rejected", cleaned[2]["id"], "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["verdict"]["reason"] == "bad_quantity"
    assert {
        "operation": "characters and spaces",
        "column": "subject",
        "before": "Ｔin",
        "after": "Tin",
    } in shown["operations"]


def test_a_record_that_was_kept(
    cleaned: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["why-rejected", cleaned[0]["id"]]) == 0
    shown = capsys.readouterr().out
    assert "one form for values, value: '2800.4' → '1538'" in shown
    assert shown.endswith("  kept\n")


def test_a_unit_that_was_skipped(
    cleaned: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    del cleaned
    name = record.record_id("notes", "a.csv#L7")
    row = {
        "id": name,
        "source": "notes",
        "locator": "a.csv#L7",
        "kind": "unit",
        "text": "",
        "phase": "extract",
        "reason": "where",
    }
    record.write(
        Path("data/extract/skipped.parquet"), [row | {"evidence": "kind: bill"}], record.REJECTED
    )
    capsys.readouterr()
    assert main(["why-rejected", name[:9]]) == 0
    assert capsys.readouterr().out == f"{name} · notes: a.csv#L7\n  skipped by where: kind: bill\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zzzz", "zzzz: no record has an id that begins so; ids are in"),
        ("a", "a: give at least 4 characters of a record's id"),
    ],
)
def test_no_such_record(
    cleaned: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    assert main(["why-rejected", name]) == 1
    assert message in capsys.readouterr().err


def test_an_id_that_begins_two_records(
    cleaned: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = record.read(Path("data/clean/records.parquet"))
    record.write(
        Path("data/clean/records.parquet"),
        [row | {"id": f"aaaa{number}"} for number, row in enumerate(rows)],
    )
    assert main(["why-rejected", "aaaa"]) == 1
    assert "aaaa: 2 records begin so: aaaa0, aaaa1; give more of the id" in capsys.readouterr().err
