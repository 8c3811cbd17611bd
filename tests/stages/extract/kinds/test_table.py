"""sql: one bad cell costs one row, a query reads and does nothing else, and nothing is endless."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stages.core.project.errors import InputError
from stages.core.project.params import parse
from stages.extract import sqlite_guard
from stages.extract.kinds.table import Sql
from stages.extract.unit import Unit

MAP = {"subject": "name", "facts": [{"attribute": "melting point", "value": "melts"}]}
QUERY = "SELECT id, name, melts, photo FROM metals ORDER BY id"


def table(**settings: Any) -> Sql:
    problems: list[str] = []
    given = {"kind": "sql", "name": "toy", "path": "x.db", "lang": "en", "query": QUERY}
    given |= {"table": "metals", "key": "id", "map": MAP}
    source = parse(given | settings, Sql, "source", problems)
    assert source is not None, problems
    return source


def metals(path: Path, *rows: tuple[Any, ...]) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE metals (id, name, melts, photo)")
    connection.executemany("INSERT INTO metals VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return path


def bad_text(path: Path, number: int, column: str, content: bytes) -> None:
    """Put bytes that are not UTF-8 into a cell, as text."""
    connection = sqlite3.connect(path)
    sql = f"UPDATE metals SET {column} = CAST(? AS TEXT) WHERE id = ?"
    connection.execute(sql, (content, number))
    connection.commit()
    connection.close()


def reasons(units: list[Unit]) -> dict[str, str]:
    return {unit.position: unit.reason for unit in units}


def test_a_text_that_is_not_utf_8_costs_its_row(tmp_path: Path) -> None:
    path = metals(tmp_path / "x.db", (1, "zinc", "420", None), (2, "?", "232", None))
    bad_text(path, 2, "name", b"\xe9tain")
    good, bad = table().units(path)
    assert good.cells == {"id": 1, "name": "zinc", "melts": "420", "photo": None}
    assert (bad.position, bad.reason, bad.cells) == ("metals/2", "encoding", None)
    assert bad.evidence == (
        "metals, id 2: the column name holds a text that is not UTF-8: \\xe9tain"
    )


def test_a_cell_that_nothing_uses_costs_nothing(tmp_path: Path) -> None:
    path = metals(tmp_path / "x.db", (1, "zinc", "420", b"\x89PNG"), (2, "tin", "232", "?"))
    bad_text(path, 2, "photo", b"\xff\xfe")
    assert reasons(list(table().units(path))) == {"metals/1": "", "metals/2": ""}


@pytest.mark.parametrize(
    ("cell", "evidence"),
    [
        (b"232", "a blob of 3 bytes and no text; CAST it AS TEXT in the query if it is one"),
        (b"", "a blob of 0 bytes and no text"),
        (float("inf"), "inf, which is no number"),
    ],
)
def test_what_is_no_text_is_set_aside(tmp_path: Path, cell: Any, evidence: str) -> None:
    path = metals(tmp_path / "x.db", (1, "tin", cell, None))
    (unit,) = table().units(path)
    assert unit.reason == "malformed"
    assert f"the column melts holds {evidence}" in unit.evidence
    assert "b'" not in unit.raw


@pytest.mark.parametrize(("key", "shown"), [(None, "NULL"), (b"\x01", "a blob of 1 bytes")])
def test_a_row_without_a_key_is_set_aside(tmp_path: Path, key: Any, shown: str) -> None:
    path = metals(tmp_path / "x.db", (key, "tin", "232", None))
    (unit,) = table().units(path)
    assert (unit.position, unit.reason) == ("metals[1]", "missing_key")
    assert unit.evidence == f"row 1: the key column id holds {shown}"


@pytest.mark.parametrize("name", ["a#b.db", "100%.db", "what?.db", "50%41 é 锡.db", "x.SQL"])
def test_any_file_name_is_read(tmp_path: Path, name: str) -> None:
    path = metals(tmp_path / name, (1, "tin", "232", None))
    assert reasons(list(table().units(path))) == {"metals/1": ""}


def test_a_database_whose_name_ends_as_a_dump_is_read(tmp_path: Path) -> None:
    path = metals(tmp_path / "x.sql", (1, "tin", "232", None))
    assert reasons(list(table().units(path))) == {"metals/1": ""}


def test_a_colon_in_a_query_is_a_colon(tmp_path: Path) -> None:
    path = metals(tmp_path / "x.db", (1, "tin", "232", None))
    query = "SELECT id, name, 'at :noon' AS melts FROM metals"
    (unit,) = table(query=query).units(path)
    assert unit.get("melts") == "at :noon"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("ATTACH 'out.db' AS x", "too many attached databases|not authorized: a query may only"),
        ("CREATE TABLE x (y)", "not authorized: a query may only read"),
        ("UPDATE metals SET name = 'x' RETURNING id", "not authorized: a query may only read"),
        ("WITH a AS (SELECT 1) DELETE FROM metals RETURNING id", "not authorized"),
        ("VACUUM INTO 'out.db'", "authorization denied: a query may only read"),
        ("PRAGMA writable_schema = ON", "not authorized"),
        ("SELECT load_extension('x.so') AS id", "not authorized"),
        ("SELECT 1 AS id; SELECT 2 AS id", "one statement at a time"),
        ("SELECT 1 AS x", "has no column 'id', which `key` names"),
        ("SELECT id, name, name FROM metals", "several columns called name; give each a name"),
        ("-- nothing", "gives no rows; write one SELECT"),
        ("SELECT '\0' AS id", "null character"),
        ("SELECT length(zeroblob(900000000)) AS id", "too big: a text or blob is larger"),
        ("SELECT 'a' LIKE printf('%.*c', 2000, 'a') AS id", "LIKE or GLOB pattern too complex"),
    ],
)
def test_a_query_only_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, message: str
) -> None:
    path = metals(tmp_path / "x.db", (1, "tin", "232", None))
    before = path.read_bytes()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        list(table(query=query).units(path))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.db"]


ENDLESS = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT {} FROM n"


def test_an_endless_query_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = metals(tmp_path / "x.db", (1, "tin", "232", None))
    monkeypatch.setattr(sqlite_guard, "BASE_STEPS", 100_000)
    monkeypatch.setattr(sqlite_guard, "STEPS_PER_BYTE", 1)
    query = ENDLESS.format("count(*) AS id")
    with pytest.raises(InputError, match=r"stopped after 108,192 steps of SQLite: it may be endl"):
        list(table(query=query).units(path))


def test_endless_rows_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = metals(tmp_path / "x.db", (1, "tin", "232", None))
    monkeypatch.setattr(sqlite_guard, "BASE_ROWS", 1_000)
    with pytest.raises(InputError, match=r"more than 9,192 rows, and the database has 8,192 byte"):
        list(table(query=ENDLESS.format("id")).units(path))


def test_a_view_of_a_foreign_database_is_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = metals(tmp_path / "x.db", (1, "tin", "232", None))
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE VIEW trap AS {ENDLESS.format('max(id) AS id')}")
    connection.close()
    monkeypatch.setattr(sqlite_guard, "BASE_STEPS", 100_000)
    monkeypatch.setattr(sqlite_guard, "STEPS_PER_BYTE", 1)
    with pytest.raises(InputError, match="it may be endless; add a condition"):
        list(table(query="SELECT id FROM trap").units(path))


def test_a_full_text_index_is_read(tmp_path: Path) -> None:
    """Virtual tables declare themselves by actions that look like writing."""
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE VIRTUAL TABLE notes USING fts5(name, melts)")
    connection.execute("INSERT INTO notes VALUES ('tin', '232')")
    connection.commit()
    connection.close()
    query = "SELECT rowid AS id, name, melts FROM notes WHERE notes MATCH 'tin'"
    (unit,) = table(query=query).units(tmp_path / "x.db")
    assert unit.get("melts") == "232"
    query = "SELECT key AS id, value AS name, 1 AS melts FROM json_each('[5]')"
    (unit,) = table(query=query).units(tmp_path / "x.db")
    assert unit.get("name") == "5"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("id,name\n1,tin\n" * 50)
    with pytest.raises(InputError, match="toy: file is not a database; check the database"):
        list(table().units(tmp_path / "x.db"))
