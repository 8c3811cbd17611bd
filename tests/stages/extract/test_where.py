"""`where`: units that a source does not ask for are skipped, counted and listed, of every kind, and are no errors."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import extract
from stages.core.project.errors import InputError
from stages.core.project.params import Run, parse
from stages.core.records import record
from stages.extract.source import SourceSettings
from stages.extract.unit import Unit
from tests.stages.extract.test_extract import database, run, source

TEXT = {"text": "text"}


def skipped(root: Path) -> list[tuple[str, str, str, str]]:
    rows = record.read(root / "out/skipped.parquet", record.REJECTED)
    assert {(row["phase"], row["text"]) for row in rows} <= {("extract", "")}
    assert all(row["id"] == record.record_id(row["source"], row["locator"]) for row in rows)
    return [(row["source"], row["locator"], row["reason"], row["evidence"]) for row in rows]


def test_entries_of_other_kinds_are_skipped_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = [
        {"resource": {"type": "Observation", "text": "Weighs 70 kg."}},
        {"resource": {"type": "Patient", "text": "Ann Poole"}},
        {"resource": {"text": "Of no type."}},
        {"resource": {"type": "Observation"}},
        7,
    ]
    (tmp_path / "a.json").write_text(json.dumps({"entry": bundle}))
    settings = {
        "items": "entry",
        "map": {"text": "resource.text"},
        "where": {"resource.type": "Observation"},
    }
    rows, rejected, report = run(tmp_path, source("json", "a.json", **settings))
    assert [row["text"] for row in rows] == ["Weighs 70 kg."]
    assert [(row["locator"], row["reason"]) for row in rejected] == [
        ("a.json#/entry/3", "missing_field"), ("a.json#/entry/4", "malformed"),
    ]  # fmt: skip
    assert skipped(tmp_path) == [
        ("toy", "a.json#/entry/1", "where", "resource.type: Patient"),
        ("toy", "a.json#/entry/2", "where", "resource.type: nothing"),
    ]
    entry = report[0]
    assert entry["units"] == 5 == entry["records"] + entry["rejected"] + entry["skipped"]
    assert "     5 units →      1 records, 2 rejected, 2 skipped\n" in capsys.readouterr().out
    assert "Ann Poole" not in (tmp_path / "out/skipped.parquet").read_bytes().decode("latin-1")


def test_a_source_without_where_is_told_as_before(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n')
    _, _, report = run(tmp_path, source("jsonl", "a.jsonl", map=TEXT))
    assert "skipped" not in report[0]
    assert not (tmp_path / "out/skipped.parquet").exists()


def test_every_kind_that_has_columns_or_paths(tmp_path: Path) -> None:
    database(
        tmp_path / "a.db",
        [(1, "iron", "symbol", "Fe", None), (2, "tin", "density", "7.3", "g/cm³")],
    )
    (tmp_path / "a.csv").write_text("kind,text\nnote,One\nbill,Two\n")
    (tmp_path / "a.jsonl").write_text(
        '{"kind": "note", "text": "One"}\n{"kind": "bill", "text": "Two"}\n'
    )
    (tmp_path / "a.xml").write_text(
        '<r><row kind="note"><text>One</text></row><row kind="bill"><text>Two</text></row></r>'
    )
    (tmp_path / "a.md").write_text("# Note\n\nOne\n\n# Bill\n\nTwo\n")
    sources = [
        source("sql", "a.db", name="sql", where={"property": "symbol"}),
        source("csv", "a.csv", name="csv", map=TEXT, where={"kind": "note"}),
        source("jsonl", "a.jsonl", name="jsonl", map=TEXT, where={"kind": ["note", "letter"]}),
        source("xml", "a.xml", name="xml", map=TEXT, where={"@kind": "note"}),
        {
            "kind": "document",
            "name": "md",
            "path": "a.md",
            "lang": "en",
            "map": TEXT,
            "where": {"heading": "Note"},
        },
    ]
    rows, rejected, report = run(tmp_path, *sources)
    assert [row["text"] for row in rows] == ["iron: symbol Fe", "One", "One", "One", "One"]
    assert not rejected
    assert [entry["skipped"] for entry in report] == [1] * 5
    assert [place for _, place, _, _ in skipped(tmp_path)] == [
        "a.db#facts/2", "a.csv#L3", "a.jsonl#L2", "a.xml#row[2]", "a.md#L7",
    ]  # fmt: skip


def test_what_stands_around_a_unit_may_decide(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        json.dumps(
            {
                "books": [
                    {"lang": "en", "pages": [{"text": "One"}]},
                    {"lang": "de", "pages": [{"text": "Zwei"}]},
                ]
            }
        )
    )
    (tmp_path / "a.xml").write_text(
        "<r><b><lang>en</lang><p>One</p></b><b><lang>de</lang><p>Zwei</p></b></r>"
    )
    rows, _, _ = run(
        tmp_path,
        source("json", "a.json", items="books.*.pages", map=TEXT, where={"books/lang": "en"}),
        source("xml", "a.xml", name="xml", element="p", map={"text": "."}, where={"b/lang": "en"}),
    )
    assert [row["text"] for row in rows] == ["One", "One"]


@pytest.mark.parametrize(
    ("wanted", "written", "fits"),
    [
        (True, "True", True), (True, "true", True), (True, "1", False), (1, "1", True), (1.5, "1.5", True), ("1", "1", True),
        (None, None, True), (None, "", True), (None, "x", False), (["a", None], None, True), ([], "a", False), ("A", "a", False),
        ("a", " a ", True), (1.5, "1.50", True), (1.5, "15e-1", True), (2, "2.0", True), (7, "007", False),
        (1, "1e999999", False),
        (12345678901234567, "12345678901234568", False), (1, "1" * 500, False), (0.1, "x", False), ("1.5", "1.50", False),
    ],
)  # fmt: skip
def test_how_a_value_may_be_written(wanted: Any, written: str | None, fits: bool) -> None:
    assert (
        SourceSettings(where={"x": wanted}).mismatch(Unit("", "", {"x": written})) == ""
    ) == fits


def test_where_that_fits_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("kind,text\nnote,One\nbill,Two\n")
    with pytest.raises(
        InputError,
        match=r"toy: `where` fits not one of 2 units \(the last: kind: bill\); mend it",
    ):
        run(tmp_path, source("csv", "a.csv", map=TEXT, where={"kind": "letter"}))
    with pytest.raises(
        InputError, match=r"toy: no column kin; did you mean kind\? \(where\.kin\); its columns are"
    ):
        run(tmp_path, source("csv", "a.csv", map=TEXT, where={"kin": "note"}))


def test_where_that_is_no_value(tmp_path: Path) -> None:
    problems: list[str] = []
    settings = source("csv", "a.csv", map=TEXT, where={"kind": {"not": "note"}})
    assert parse({"sources": [settings]}, extract.Params, "extract", problems) is None
    assert any("where.kind" in problem for problem in problems)
    del tmp_path


def test_clean_tells_how_many_were_skipped(tmp_path: Path) -> None:
    from stages import clean
    from tests.stages.clean.test_clean import EXCLUSIONS, PARAMS

    (tmp_path / "a.csv").write_text("kind,text\nnote,Iron rusts in wet air\nbill,Two\n")
    run(tmp_path, source("csv", "a.csv", map=TEXT, where={"kind": "note"}))
    (tmp_path / "rules.yaml").write_text("differences: {}\nrules: []\n")
    paths = (
        tmp_path / "out",
        tmp_path / "rules.yaml",
        EXCLUSIONS,
        tmp_path / "clean",
        tmp_path / "clean.json",
    )
    clean.run(PARAMS, Run(1, 1, "avx2", "cpu"), *paths)
    report = json.loads((tmp_path / "clean.json").read_text())
    assert report["sources"]["toy"] == {
        "units": 2,
        "records": 1,
        "kept": 1,
        "rejected": 0,
        "skipped": 1,
    }
    assert report["read"] == 1


@given(
    st.lists(st.sampled_from(["note", "bill", "", "none"]), min_size=1, max_size=12).filter(
        lambda kinds: "note" in kinds
    )
)
def test_every_unit_is_a_record_rejected_or_skipped(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("where")
    (folder / "a.csv").write_text(
        "kind,text\n" + "".join(f"{kind},{number}\n" for number, kind in enumerate(kinds))
    )
    rows, rejected, report = run(
        folder, source("csv", "a.csv", map=TEXT, where={"kind": ["note", "bill"]})
    )
    entry = report[0]
    assert entry["units"] == len(kinds) == len(rows) + len(rejected) + entry["skipped"]
    assert (
        entry["skipped"]
        == sum(kind not in ("note", "bill") for kind in kinds)
        == len(skipped(folder))
    )
