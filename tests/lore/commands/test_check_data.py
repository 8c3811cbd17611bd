"""lore check-data: one screen per source says what is read as what; nothing is written."""

import json
from pathlib import Path

import pytest

from lore.__main__ import main

PARAMS = """
run: {seed: 1, threads: 1, isa: avx2, device: cpu}
extract:
  sources:
    - kind: csv
      name: pumps
      path: pumps.csv
      lang: en
      encoding: auto
      delimiter: ;
      map:
        subject: Name
        facts: [{attribute: flow, value: "Flow [L/s]", unit_is: L/s}]
        text: Note
        meta: {built: Built}
    - {kind: jsonl, name: notes, path: notes.jsonl, lang: en, map: {subject: a.b, text: t}}
clean:
  normalise: {units: {flow: m³/s}, dates: [built]}
"""
PUMPS = (
    "Name;Flow [L/s];Note;Built;Colour\r\n"
    "A;2500;First of its kind.;03/04/2019;red\r\n"
    "B;many;;31/31/2019;\r\n"
    ";7;;;\r\n"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/pumps.csv").write_bytes(PUMPS.encode())
    (tmp_path / "data/raw/notes.jsonl").write_text('{"a": {"b": "x"}, "t": "A text.", "u": 1}\n')
    return tmp_path


def test_a_screen_says_what_is_read_as_what(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in project.rglob("*"))
    assert main(["check-data", "pumps"]) == 3
    said = capsys.readouterr().out
    assert "pumps · csv · pumps.csv" in said
    assert "line ends CRLF · delimiter ';' · decimal not declared" in said
    assert "read: 3 units → " in said
    assert "set aside, missing_field 1: pumps.csv#L4" in said
    assert "Flow [L/s] → flow in L/s" in said
    assert "not used: Colour" in said
    lines = [line.split() for line in said.splitlines()]
    assert "flow 2500 L/s 2.5 m³/s 1".split() in lines
    assert "built 03/04/2019 2019-04-03 1".split() in lines
    assert "set aside: bad_quantity" in said
    assert "statement" in said
    assert "1 dates fit both orders of day and month" in said
    assert sorted(path.name for path in project.rglob("*")) == before


def test_a_source_without_doubts_and_its_unused_paths(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-data", "notes"]) == 0
    said = capsys.readouterr().out
    assert "not used: u" in said
    assert "suspicious" not in said


def test_a_part_of_a_source(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check-data", "pumps", "--sample", "1"])
    assert "read: the first 1 units (--sample N for more)" in capsys.readouterr().out


def test_a_source_that_is_not_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "data/raw/notes.jsonl").unlink()
    assert main(["check-data", "notes"]) == 3
    said = capsys.readouterr().out
    assert "! cannot be read: data/raw/notes.jsonl is not there" in said


def test_a_name_that_no_source_has(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-data", "pump"]) == 1
    assert "no source is called pump; there are pumps, notes" in capsys.readouterr().err


def test_without_sources(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "params.yaml").write_text("run: {}\nextract: {sources: []}\nclean: {}\n")
    assert main(["check-data"]) == 1
    assert (
        "extract.sources: there is none; lore overlay FILE lays a mapping"
        in capsys.readouterr().err
    )


def test_json_lists_every_reading(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-data", "--json"]) == 3
    pumps, notes = json.loads(capsys.readouterr().out)
    assert [value["read"] for value in pumps["values"]] == ["2.5 m³/s", ""]
    assert pumps["units"] == 3
    assert notes["suspicious"] == []
