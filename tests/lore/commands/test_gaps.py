"""gaps: one screen for a reader, JSON for programs, and a table to fill in that no call overwrites."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lore.__main__ import main
from stages.core.project import artifacts
from stages.core.records.record import fact_id, record_id, write


def fact(subject: str, attribute: str, value: str, unit: str | None = None) -> dict[str, Any]:
    return {
        "id": record_id("here", f"{subject}/{attribute}"),
        "text": f"{subject}: {attribute} {value}",
        "source": "here",
        "locator": f"{subject}/{attribute}",
        "kind": "fact",
        "subject": subject,
        "attribute": attribute,
        "value": value,
        "unit": unit,
        "fact": fact_id(subject, attribute),
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven metals, of which one has no density, with the answers of a model."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("run: {seed: 7, threads: 1, isa: avx2, device: cpu}\n")
    rows = []
    for number in range(11):
        rows.append(fact(f"metal {number:02d}", "mass", str(number + 20), "g/mol"))
        if number != 4:
            rows.append(fact(f"metal {number:02d}", "density", str(number + 1), "g/cm³"))
    write(Path(artifacts.CLEAN_RECORDS), rows)
    asked = []
    for row in rows:
        question = f"What is the {row['attribute']} of {row['subject']}?"
        asked.append(
            row
            | {
                "id": record_id("augment", row["locator"]),
                "kind": "qa",
                "question": question,
                "answer": "…",
                "split": "train",
            }
        )
    write(Path(artifacts.TRAINING_RECORDS), asked)
    Path(artifacts.CONTRADICTIONS).write_text("[]")
    answers = []
    for row in rows[:3]:
        answers.append(
            {
                "fact": row["fact"],
                "subject": row["subject"],
                "attribute": row["attribute"],
                "variant": "train",
                "question": "?",
                "expected": row["value"],
                "answer": "99",
                "correct": False,
                "share": 0.25,
            }
        )
    Path(artifacts.ANSWERS).parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(answers), artifacts.ANSWERS)
    Path(artifacts.WORDING_METRICS).parent.mkdir(parents=True)
    Path(artifacts.WORDING_METRICS).write_text(
        "variant,probe,attribute,wording,exact_match,low,high,n\n"
        "train,stated,density,How heavy?,0.1,0.0,0.3,10\n"
        "train,stated,density,Density?,0.9,0.8,1.0,10\n"
    )


@pytest.mark.usefixtures("project")
def test_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    Path("asked.txt").write_text("How toxic is metal 03?\nWhat is the mass of metal 03?\n")
    assert main(["gaps", "--questions", "asked.txt"]) == 0
    said = capsys.readouterr().out
    assert "Wordings that are not understood: 1" in said
    assert "density    stated  How heavy?  0.100  0.900" in said
    assert "Facts that the model gets wrong in most wordings: 3" in said
    assert "by attribute: mass 2, density 1" in said
    assert "Facts that the records lack: 1" in said
    assert "metal 04  density    91% of 11 with mass" in said
    assert "Facts on which two sources differ: 0" in said
    assert "1 of 2 questions have no answer here" in said
    assert "How toxic is metal 03?" in said


@pytest.mark.usefixtures("project")
def test_rows_to_fill_in_are_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gaps", "--rows", "fill.csv"]) == 0
    assert "1 rows to fill in: fill.csv" in capsys.readouterr().out
    with Path("fill.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["subject", "attribute", "value", "unit", "source"],
            ["metal 04", "density", "", "g/cm³", ""],
        ]
    assert main(["gaps", "--rows", "fill.csv"]) == 1
    assert "fill.csv: is there already; name another file" in capsys.readouterr().err
    assert main(["gaps", "--rows", "params.yaml/fill.csv"]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_json_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gaps", "--json", "--exit-code"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["missing"][0]["subject"] == "metal 04"
    assert len(document["facts"]) == 3
    assert document["questions"] == []
    assert main(["gaps", "--json", "--exit-code", "--limit", "0", "--common", "0.95"]) == 0


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        (artifacts.CONTRADICTIONS, None, "not found; run dvc repro clean"),
        (artifacts.CONTRADICTIONS, "{", "no JSON"),
        (artifacts.ANSWERS, None, "not found; run dvc repro evaluate"),
        (artifacts.ANSWERS, "x", "not a table"),
        (artifacts.WORDING_METRICS, None, "not found; run dvc repro evaluate"),
        (artifacts.CLEAN_RECORDS, None, "not found; run the stage that writes it"),
    ],
)
def test_missing_and_damaged_inputs_are_named(
    capsys: pytest.CaptureFixture[str], path: str, content: str | None, message: str
) -> None:
    if content is None:
        Path(path).unlink()
    else:
        Path(path).write_text(content)
    assert main(["gaps"]) == 1
    assert message in capsys.readouterr().err


def test_a_share_lies_between_0_and_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["gaps", "--limit", "7"])
    assert "7 is no share; write a number from 0 to 1" in capsys.readouterr().err
