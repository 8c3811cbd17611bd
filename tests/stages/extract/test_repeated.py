"""Ids are unique: rows that share a key are all set aside, and no verdict can fall on another record."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stages import clean
from stages.core.project.errors import InputError
from stages.core.records import record
from tests.stages.clean import test_clean
from tests.stages.extract.test_extract import run, source

MAP = {"subject": "name", "facts": [{"attribute": "melts", "value": "melts"}], "text": "note"}


def metals(root: Path, *rows: tuple[Any, ...]) -> dict[str, Any]:
    connection = sqlite3.connect(root / "a.db")
    connection.execute("CREATE TABLE metals (id, name, melts, note)")
    connection.executemany("INSERT INTO metals VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    query = "SELECT * FROM metals ORDER BY rowid"
    return source("sql", "a.db", query=query, table="metals", map=MAP)


EVIDENCE = (
    "2 units or facts have this locator, so their key is not unique: "
    "choose a `key` that tells every row from the others"
)


def test_rows_of_one_key_are_all_set_aside(tmp_path: Path) -> None:
    rows = [(1, "tin", "232", "Tin cries."), (1, "lead", "-4", None), (2, "zinc", "420", None)]
    kept, rejected, (report,) = run(tmp_path, metals(tmp_path, *rows))
    assert [row["locator"] for row in kept] == ["a.db#metals/1@text", "a.db#metals/2@melts"]
    assert [(row["locator"], row["text"], row["reason"]) for row in rejected] == [
        ("a.db#metals/1@melts", "tin: melts 232", "not_unique"),
        ("a.db#metals/1@melts", "lead: melts -4", "not_unique"),
    ]
    assert {row["evidence"] for row in rejected} == {EVIDENCE}
    assert {row["phase"] for row in rejected} == {"extract"}
    assert (report["units"], report["records"], report["rejected"]) == (3, 2, 2)


def test_a_record_that_shares_the_key_of_a_rejected_row_is_set_aside_too(tmp_path: Path) -> None:
    rows = [(1, None, "232", None), (1, "lead", "327", None), (2, "zinc", "420", None)]
    kept, rejected, (report,) = run(tmp_path, metals(tmp_path, *rows))
    assert [row["subject"] for row in kept] == ["zinc"]
    assert [row["reason"] for row in rejected] == ["missing_field", "not_unique"]
    assert report["records"] + report["rejected"] == 3


def test_a_number_and_a_text_are_one_key(tmp_path: Path) -> None:
    rows = [(1, "tin", "232", None), ("1", "lead", "327", None), (2, "zinc", "420", None)]
    kept, rejected, _ = run(tmp_path, metals(tmp_path, *rows))
    assert [row["subject"] for row in kept] == ["zinc"]
    assert len(rejected) == 2


def test_a_key_that_tells_no_row_from_another_is_refused(tmp_path: Path) -> None:
    rows = [("a", "tin", "232", None), ("a", "lead", "327", None)]
    with pytest.raises(
        InputError, match=r"toy: no record has a locator of its own \(a\.db#metals/a"
    ):
        run(tmp_path, metals(tmp_path, *rows))


def test_one_attribute_of_two_columns_states_two_facts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,one,two\ntin,cans,toys\nlead,pipes,\ngold,,coins\n")
    facts = [{"attribute": "use", "value": "one"}, {"attribute": "use", "value": "two"}]
    mapping = {"subject": "name", "facts": facts}
    kept, rejected, _ = run(tmp_path, source("csv", "a.csv", map=mapping))
    assert rejected == []
    assert [(row["locator"], row["value"]) for row in kept] == [
        ("a.csv#L2@use", "cans"),
        ("a.csv#L2@use:2", "toys"),
        ("a.csv#L3@use", "pipes"),
        ("a.csv#L4@use:2", "coins"),
    ]
    assert len({row["id"] for row in kept}) == 4


def test_languages_are_counted_without_them(tmp_path: Path) -> None:
    rows = [
        (1, "tin", None, f"The metal tin cries when a bar of it is bent {n}.") for n in range(2)
    ]
    rows.append((2, "lead", None, "This metal is soft, and it was used for pipes."))
    _, _, (report,) = run(tmp_path, metals(tmp_path, *rows) | {"lang": "auto"})
    assert report["languages"] == {"en": 1}
    assert (report["records"], report["rejected"]) == (1, 2)


def test_ids_are_counted_over_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "GROUP", 200)
    rows = [test_clean.text(f"note {number}", None, number) for number in range(50)]
    record.write(tmp_path / "a.parquet", [*rows, *rows[:3], rows[0]])
    record.write(tmp_path / "b.parquet", [rows[4]])
    files = {tmp_path / name: record.SCHEMA for name in ("a.parquet", "b.parquet")}
    found = record.repeated_ids(files)
    assert sorted(found.values()) == [2, 2, 2, 3]
    assert found[rows[0]["id"]] == 3
    assert not record.repeated_ids({tmp_path / "b.parquet": record.SCHEMA})


def test_clean_refuses_records_that_share_an_id(tmp_path: Path) -> None:
    rows = [test_clean.fact("tin", "symbol", "Sn"), test_clean.fact("iron", "symbol", "Fe")]
    rows[1]["id"] = rows[0]["id"]
    with pytest.raises(InputError, match=f"2 records have the id {rows[0]['id']}; run extract"):
        test_clean.run(tmp_path, rows)


def test_names_that_differ_by_case_are_two_where_that_is_set(tmp_path: Path) -> None:
    lines = [("Polish", "a people"), ("polish", "for shoes"), ("Co", "magnets"), ("CO", "a gas")]
    text = "\n".join(f'{{"name": "{name}", "melts": "{use}"}}' for name, use in lines)
    (tmp_path / "a.jsonl").write_text(text + "\n")
    mapping = {"subject": "name", "facts": [{"attribute": "use", "value": "melts"}]}
    given = source("jsonl", "a.jsonl", map=mapping)
    folded, _, (entry,) = run(tmp_path, given)
    assert len({row["fact"] for row in folded}) == 3
    assert "names" not in entry
    exact, _, (entry,) = run(tmp_path, given, names="exact")
    assert len({row["fact"] for row in exact}) == 4
    assert entry["names"] == "exact"

    rules = tmp_path / "rules.yaml"
    rules.write_text("differences: {}\nrules: []\n")
    params = clean.Params(verify=clean.Verify(single_valued=["use"]))
    clean.run(
        params, test_clean.Run(1, 1, "avx2", "cpu"), tmp_path / "out", rules,
        test_clean.EXCLUSIONS, tmp_path / "clean", tmp_path / "clean.json",
    )  # fmt: skip
    kept = record.read(tmp_path / "clean/records.parquet")
    assert [row["subject"] for row in kept] == ["Polish", "polish", "Co", "CO"]


def test_columns_of_one_name_that_nothing_uses_and_an_empty_key(tmp_path: Path) -> None:
    rows = [(1, "tin", "232", None), (" ", "lead", "327", None)]
    entry = metals(tmp_path, *rows)
    kept, rejected, _ = run(
        tmp_path,
        entry | {"query": "SELECT id, name, melts, note, 5 AS more, 6 AS more FROM metals"},
    )
    assert [row["locator"] for row in kept] == ["a.db#metals/1@melts"]
    assert [(row["reason"], row["locator"]) for row in rejected] == [
        ("missing_key", "a.db#metals[2]")
    ]
