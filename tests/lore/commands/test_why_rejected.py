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
    record.write(Path("data/extract/records.parquet"), rows)
    record.write(Path("data/extract/rejected.parquet"), [], record.REJECTED)
    Path("data/extract/sources.json").write_text("[]")
    params, _ = load("clean", clean.Params)
    paths = (
        Path("data/extract"),
        RULES,
        EXCLUSIONS,
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
