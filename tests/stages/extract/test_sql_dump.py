"""Dumps: what sqlite3 writes is read, what others write is named, and a dump does no more than fill tables."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.project.errors import InputError
from stages.extract import sql_dump
from stages.extract.sql_dump import statements
from tests.timed import quickest

SHELL = """PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE metals(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, note TEXT);
INSERT INTO metals VALUES(1,'tin','a; b -- no comment');
INSERT INTO metals VALUES(2,'lead','it''s
soft');
INSERT INTO metals VALUES(3,'zinc',replace('one\\ntwo','\\n',char(10)));
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('metals',3);
CREATE TRIGGER t AFTER INSERT ON metals BEGIN
  UPDATE metals SET note = CASE WHEN note IS NULL THEN '' ELSE note END;
  DELETE FROM metals WHERE name = 'end;';
END;
CREATE VIEW v AS SELECT name FROM metals;
CREATE INDEX i ON metals(name);
COMMIT;
"""


def loaded(tmp_path: Path, text: str | bytes) -> list[tuple[object, ...]]:
    path = tmp_path / "x.sql"
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(content)
    sql_dump.load(path, tmp_path / "x.db")
    connection = sqlite3.connect(tmp_path / "x.db")
    rows = connection.execute("SELECT * FROM metals ORDER BY 1").fetchall()
    connection.close()
    return rows


ROWS = [(1, "tin", "a; b -- no comment"), (2, "lead", "it's\nsoft"), (3, "zinc", "one\ntwo")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_dump_of_sqlite_is_read(tmp_path: Path, encoding: str) -> None:
    assert loaded(tmp_path, SHELL.encode(encoding)) == ROWS


def test_line_ends_of_windows_are_line_ends(tmp_path: Path) -> None:
    assert loaded(tmp_path, SHELL.replace("\n", "\r\n")) == ROWS


MYSQL = "this is a dump of MySQL or MariaDB, and only dumps of SQLite are read; take the rows from"
POSTGRESQL, SERVER = "this is a dump of PostgreSQL,", "this is a dump of SQL Server,"


@pytest.mark.parametrize(
    ("dump", "message"),
    [
        ("-- MariaDB dump 10.19  Distrib 11.4\nCREATE TABLE `metals` (`id` int);", MYSQL),
        ("-- phpMyAdmin SQL Dump\n-- version 5\n\nCREATE TABLE `metals` (`id` int);", MYSQL),
        ("/*!40101 SET NAMES utf8mb4 */;\nCREATE TABLE metals (id int);", MYSQL),
        ("CREATE TABLE metals (id int NOT NULL AUTO_INCREMENT) ENGINE=MyISAM;", MYSQL),
        ("SET NAMES utf8mb4;\nCREATE TABLE metals (id int);", MYSQL),
        ("CREATE TABLE metals (id, note);\nINSERT INTO metals VALUES (1,'it\\'s soft');", MYSQL),
        ("-- PostgreSQL database dump\n\nCREATE TABLE metals (id int);", POSTGRESQL),
        ("SET client_encoding = 'UTF8';\nCREATE TABLE metals (id int);", POSTGRESQL),
        ("CREATE TABLE metals (id int);\nCOPY public.metals (id) FROM stdin;\n1\n\\.\n", POSTGRESQL),
        ("CREATE TABLE public.metals (id bigint DEFAULT nextval('s'::regclass));", POSTGRESQL),
        (b"PGDMP\x01\x0e\x00", POSTGRESQL),
        ("USE [lab]\nGO\nCREATE TABLE [dbo].[metals]([id] [int]) ON [PRIMARY]\nGO\n", SERVER),
        ("CREATE TABLE metals (id int IDENTITY(1,1) NOT FOR REPLICATION);", SERVER),
        ("CREATE TABLE metals (id, n);\nINSERT [dbo].[metals] ([n]) VALUES (N'tin');", SERVER),
        ("CREATE TABLE metals (id);\nINSERT INTO metals VALUES (TO_DATE('1','D'));", "of Oracle,"),
        (b"\x1f\x8b\x08\x00", "the dump is compressed; unpack it"),
        ("CREATE TABLE metals (id);\nINSERT INTO metals VALUES ('a\0b');", r"x\.sql:2: holds a NUL"),
        (b"CREATE TABLE metals (id);\n-- \xe9\n", r"x\.sql:2: not utf-8-sig; write the dump again"),
        ("CREATE TABLE metals (id);\nROLLBACK; -- due to errors\n", r"x\.sql:2: the dump takes every"),
        ("\n\nCREATE TABEL metals (id);", r'x\.sql:3: near "TABEL": syntax error; mend the dump'),
        ("CREATE TABLE metals (id);\nINSERT INTO metals VALUES ('a", r":2: the dump ends inside"),
        ("CREATE TABLE metals (id);\n/* no end", r":2: the dump ends inside a statement"),
        ("VACUUM INTO 'y.db';", "cannot VACUUM from within a transaction|authoriz"),
        ("ATTACH 'y.db' AS y;", "too many attached databases|may only make tables"),
        ("CREATE VIRTUAL TABLE x USING fts5(y);", "not authorized: a dump may only make tables"),
        ("CREATE TABLE x (y);\nINSERT INTO x VALUES (load_extension('z'));", "not authorized"),
        ("CREATE TABLE x (y);\nINSERT INTO x VALUES (zeroblob(900000000));", "too big: a text or"),
        (
            "CREATE TABLE x (y);\nINSERT INTO x WITH RECURSIVE n(i) AS "
            "(SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n;",
            r":2: not authorized: a dump may only make tables and fill them",
        ),
    ],
)  # fmt: skip
def test_dumps_that_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dump: str | bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        loaded(tmp_path, dump)
    assert not (tmp_path / "y.db").exists()


def test_data_may_speak_of_other_databases(tmp_path: Path) -> None:
    dump = (
        "CREATE TABLE metals(id, note);\nINSERT INTO metals VALUES(1,'\n-- MySQL dump\nENGINE=x');"
    )
    assert loaded(tmp_path, dump) == [(1, "\n-- MySQL dump\nENGINE=x")]


def test_work_and_size_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ",".join("(1)" for _ in range(60))
    table = f"CREATE TABLE metals(id);\nINSERT INTO metals VALUES {rows};\n"
    product = "INSERT INTO metals SELECT 1 FROM metals a, metals b, metals c, metals d;\n"
    monkeypatch.setattr(sql_dump, "BASE_STEPS", 0)
    with pytest.raises(InputError, match=r"x\.sql:3: stopped after .* steps of SQLite"):
        loaded(tmp_path, table + product)
    (tmp_path / "x.db").unlink()
    monkeypatch.setattr(sql_dump, "BASE_SIZE", 1 << 16)
    with pytest.raises(InputError, match="database or disk is full"):
        loaded(tmp_path, table + "INSERT INTO metals SELECT zeroblob(5000) FROM metals;\n")


PIECES = st.sampled_from(
    ["'", '"', "`", "[", "]", ";", "--", "/*", "*/", "\n", " ", "x", "END", "CREATE TRIGGER t "]
)


@given(st.lists(PIECES, max_size=40))
def test_statements_end_where_sqlite_ends_them(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        found = list(statements(Path("x.sql"), text))
    except InputError:
        return
    for statement in found:
        assert sqlite3.complete_statement(statement.text), text
        from_its_line = "\n".join(text.split("\n")[statement.line - 1 :])
        assert statement.text in from_its_line
        assert from_its_line.split("\n")[0].find(statement.text.split("\n")[0]) >= 0


def test_the_time_is_linear(tmp_path: Path) -> None:
    """Also within one statement of many lines."""

    def seconds(lines: int) -> float:
        text = "INSERT INTO x VALUES ('" + ";\n" * lines + "');"
        assert len(list(statements(Path("x.sql"), text))) == 1
        return quickest(lambda: list(statements(Path("x.sql"), text)), 3)

    # Eight times the lines. Quadratic would be 64 times the time.
    assert seconds(800_000) < 30 * max(seconds(100_000), 0.01)


def test_dumps_that_sqlite_would_misread_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sql"
    path.write_bytes(b"CREATE TABLE t(a);\r-- note\rINSERT INTO t VALUES(1);\r")
    with pytest.raises(InputError, match=r"lines end with CR alone.*save it with LF"):
        sql_dump.load(path, tmp_path / "a.db")
    path.write_text("CREATE TABLE `t` (`a` text);\nINSERT INTO `t` VALUES ('iron\\nore');\n")
    with pytest.raises(InputError, match="this is a dump of MySQL or MariaDB"):
        sql_dump.load(path, tmp_path / "b.db")


def test_dumps_that_were_put_together_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.sql"
    text = "\ufeffCREATE TABLE t(a);\n\ufeffINSERT INTO t VALUES(1);\n"
    path.write_text(text, encoding="utf-8")
    sql_dump.load(path, tmp_path / "a.db")
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]
