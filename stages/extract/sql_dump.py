"""Text dumps of SQLite: what `sqlite3 x.db .dump` writes, as a database again.

A dump is data of somebody else. It may make tables, views, indexes and triggers, and fill them. All
else is refused, and work and size are limited by the size of the dump (`sqlite_guard.py`). Its
settings (PRAGMA) and transactions are left out: all statements are one transaction here.

Dumps of other databases are not read. They differ in more than their types: in MySQL's, `\\n` in a
text is a line break, and SQLite would keep the two characters without a word.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.project.errors import InputError
from stages.extract import sqlite_guard
from stages.extract.sqlite_guard import Meter

BASE_STEPS, STEPS_PER_BYTE = 10_000_000, 1_000
"""Steps of SQLite's virtual machine that a dump may take: a basis, and more for each character."""
BASE_SIZE, SIZE_PER_BYTE = 64 << 20, 20
"""Bytes that the database may have: a basis, and more for each character of the dump."""
PAGE = 4096
MAGIC = b"SQLite format 3\x00"
"""The first bytes of a database file."""
HEAD = 8192
"""Characters at the beginning of a dump that show which program wrote it."""
LONGEST_SHOWN = 1 << 16
"""Characters of a statement in which signs of another database are looked for."""

ALLOWED = {
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_CREATE_TRIGGER,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_DROP_INDEX,
    sqlite3.SQLITE_DROP_VIEW,
    sqlite3.SQLITE_DROP_TRIGGER,
    sqlite3.SQLITE_ALTER_TABLE,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_ANALYZE,
    sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_TRANSACTION,
}
"""Actions that a dump may take."""

# What matters for the end of a statement: quoted texts and names, comments, and semicolons. A text
# with a doubled quote ('it''s') reads as two texts side by side.
TOKEN = re.compile(
    r"'[^']*'"  # 'text'
    r'|"[^"]*"'  # "name"
    r"|`[^`]*`"  # `name`
    r"|\[[^\]]*\]"  # [name]
    r"|--[^\n]*"  # -- comment
    r"|/\*.*?\*/"  # /* comment */
    r"|(?P<open>['\"`\[]|/\*)"  # one that nothing closes
    r"|(?P<end>;)",
    re.DOTALL,
)
# Blanks and comments: what may stand before a statement.
BEFORE = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
NOTHING = re.compile(BEFORE, re.DOTALL)
# The first word of a statement: the PRAGMA of `PRAGMA foreign_keys=OFF`.
FIRST_WORD = re.compile(BEFORE + r"(\w+)", re.DOTALL)
TRIGGER = re.compile(BEFORE + r"create\s+(?:temp\s+|temporary\s+)?trigger\b", re.I | re.DOTALL)
# The end of a trigger's body, before the last semicolon: `…; END`.
END_OF_TRIGGER = re.compile(r";\s*end\s*$", re.IGNORECASE)
LEFT_OUT = {"pragma", "begin", "commit", "end", "savepoint", "release"}
"""First words of statements that are not run: settings of a connection, and transactions."""

# How the files of other programs begin: comments and settings at the beginning of a line.
WRITTEN_BY = {
    "MySQL or MariaDB": r"-- (?:MySQL|MariaDB|phpMyAdmin SQL|Sequel|Adminer)\b|# Sequel|/\*M?!\d{5}",
    "PostgreSQL": r"-- PostgreSQL|SELECT pg_catalog\.|SET statement_timeout\b|\\(?:connect|restrict)\b",
    "SQL Server": r"/\*{4,} Object:|SET ANSI_NULLS\b|SET QUOTED_IDENTIFIER\b|USE \[|GO\s*$",
    "Oracle": r"REM INSERTING|SET DEFINE OFF|-- (?:.* )?Oracle\b",
}
# Words of their statements that SQLite does not know.
WORDS = {
    "MySQL or MariaDB": (
        r"\bENGINE\s*=|\bAUTO_INCREMENT\b|\bUNSIGNED\b|\bLOCK TABLES\b|^\s*DELIMITER\b"
        r"|\bCHARACTER SET\b|\bENUM\s*\(|\bKEY `|^\s*USE `|\bINSERT INTO `"
        r"|^\s*SET\s+(?:NAMES|@|FOREIGN_KEY|UNIQUE_CHECKS|SQL_|time_zone|AUTOCOMMIT)"
    ),
    "PostgreSQL": (
        r"\bFROM stdin\b|\bOWNER TO\b|::\s*\w|\bnextval\s*\(|\bALTER TABLE ONLY\b|\bCOMMENT ON\b"
        r"|\bCREATE (?:EXTENSION|SEQUENCE|TYPE|SCHEMA|FUNCTION|DOMAIN)\b|\bpg_catalog\b|\bpublic\."
        r"|\bUSING (?:btree|gin|gist|hash)\b|^\s*SET\s+\w+\s*(?:=|TO\b)|\bTIME(?:STAMP)? WITH\b"
    ),
    "SQL Server": (
        r"\bIDENTITY\b|\[dbo\]|\bdbo\.|\bN'|^\s*GO\b|\bON \[PRIMARY\]|\bNVARCHAR\s*\(\s*MAX"
        r"|\b(?:NON)?CLUSTERED\b|^\s*USE \["
    ),
    "Oracle": r"\bVARCHAR2\b|\bTO_(?:DATE|TIMESTAMP)\s*\(|\bTABLESPACE\b|^\s*(?:REM|PROMPT)\b",
}
BEGINNINGS = {name: re.compile(f"^(?:{one})", re.M | re.I) for name, one in WRITTEN_BY.items()}
SIGNS = {name: re.compile(one, re.M | re.I) for name, one in WORDS.items()}
# How MySQL writes rows. SQLite writes the names of tables with quotation marks, or with none.
MYSQL_INSERT = re.compile(r"\s*INSERT INTO `", re.IGNORECASE)
# Byte order marks at the beginning of a line, with the word of a statement behind them.
INNER_MARK = re.compile(r"^\ufeff+(?=\s*[A-Z-])", re.MULTILINE)
# Data begins here. A text in it may quote what another program writes.
DATA = re.compile(r"^\s*INSERT\b", re.MULTILINE | re.IGNORECASE)
# 'quoted text' of a statement, which is data.
QUOTED = re.compile(r"'[^']*'")


class Statement(NamedTuple):
    """One statement of a dump."""

    line: int
    """Number of its first line, from 1."""
    text: str


def load(path: Path, database: Path) -> None:
    """Make a database from a text dump.

    Raises InputError with the line of the first statement that fails, and with the name of the
    other database whose dump it is.
    """
    text = text_of(path)
    refuse_foreign(path, text[:HEAD])
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        meter = prepare(connection, len(text))
        connection.execute("BEGIN")
        connection.set_authorizer(may_load)
        for statement in statements(path, text):
            run(connection, statement, path, meter)
        connection.set_authorizer(None)
        connection.execute("COMMIT")


def text_of(path: Path) -> str:
    """Read a dump. Raises InputError for bytes that are no text, or that SQL cannot hold."""
    content = path.read_bytes()
    if content.startswith(b"PGDMP"):
        raise foreign(path, "PostgreSQL")
    if content.startswith((b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ")):
        raise InputError(f"extract: {path}: the dump is compressed; unpack it")
    # PowerShell writes UTF-16, with a byte order mark in front.
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"extract: {path}:{line}: not {encoding}; write the dump again as UTF-8"
        ) from None
    place = text.find("\0")
    if place >= 0:
        line = text.count("\n", 0, place) + 1
        raise InputError(
            f"extract: {path}:{line}: holds a NUL character, which no dump of SQLite has; "
            "write the dump again, or mend it there"
        )
    text = text.replace("\r\n", "\n")
    if "\r" in text and "\n" not in text:
        # With CR alone, a comment would reach to the end of the file.
        raise InputError(
            f"extract: {path}: the lines end with CR alone, which SQLite does not read; "
            "write the dump again, or save it with LF"
        )
    # Dumps that were put together have byte order marks inside.
    return INNER_MARK.sub("", text)


def prepare(connection: sqlite3.Connection, size: int) -> Meter:
    """Limit the database that a dump of so many characters makes, and the work for it."""
    pages = (BASE_SIZE + SIZE_PER_BYTE * size) // PAGE
    connection.execute(f"PRAGMA page_size = {PAGE}")
    connection.execute(f"PRAGMA max_page_count = {pages}")
    connection.execute("PRAGMA trusted_schema = OFF")
    # The file is a temporary one: after a fault, nobody needs it.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    return sqlite_guard.limit(connection, BASE_STEPS + STEPS_PER_BYTE * size, size)


def may_load(action: int, first: str | None, second: str | None, *_: Any) -> int:
    """Tell SQLite whether a statement of a dump may take an action."""
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite_guard.may_read(action, first, second)
    return sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY


def statements(path: Path, text: str) -> Iterator[Statement]:
    """Yield the statements of a dump in linear time.

    Raises InputError where the text ends inside one.
    """
    start = 0
    line = 1
    is_trigger: bool | None = None  # of the statement that begins at `start`, once it is known
    for token in TOKEN.finditer(text):
        if token["open"]:
            break
        if not token["end"]:
            continue
        end = token.end()
        if is_trigger is None:
            is_trigger = TRIGGER.match(text, start, end) is not None
        # The body of a trigger holds statements, which end in semicolons themselves.
        tail = text[max(start, end - 50) : end - 1]
        if is_trigger and not END_OF_TRIGGER.search(tail):
            continue
        whole = text[start:end]
        statement = whole.lstrip()
        line += whole[: len(whole) - len(statement)].count("\n")
        yield Statement(line, statement)
        line += statement.count("\n")
        start = end
        is_trigger = None
    if not NOTHING.fullmatch(text, start):
        rest = text[start:]
        line += rest[: len(rest) - len(rest.lstrip())].count("\n")
        refuse_signs(path, rest)
        raise InputError(
            f"extract: {path}:{line}: the dump ends inside a statement; is the file whole?"
        )


def run(connection: sqlite3.Connection, statement: Statement, path: Path, meter: Meter) -> None:
    """Run one statement of a dump. Raises InputError where it fails."""
    word = FIRST_WORD.match(statement.text)
    first_word = word[1].lower() if word else ""
    if first_word in LEFT_OUT or not word:
        return
    if first_word == "rollback":
        raise InputError(
            f"extract: {path}:{statement.line}: the dump takes everything back (ROLLBACK), as "
            "sqlite3 writes where the database is damaged; mend the database (.recover)"
        )
    if MYSQL_INSERT.match(statement.text) and "\\" in statement.text:
        # SQLite would take the backslash of `\n` and `\\` for text.
        raise foreign(path, "MySQL or MariaDB")
    try:
        connection.execute(statement.text)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        refuse_signs(path, statement.text)
        reason = sqlite_guard.explained(error, meter, "a dump may only make tables and fill them")
        raise InputError(
            f"extract: {path}:{statement.line}: {reason}; mend the dump there "
            "(only dumps of SQLite are read)"
        ) from None


def refuse_foreign(path: Path, head: str) -> None:
    """Raise InputError where a dump begins as that of another database. `head` is its beginning."""
    data = DATA.search(head)
    before_data = head[: data.start()] if data else head
    for name, beginning in BEGINNINGS.items():
        if beginning.search(before_data):
            raise foreign(path, name)


def refuse_signs(path: Path, statement: str) -> None:
    """Raise InputError where a statement that failed is written for another database."""
    shown = statement[:LONGEST_SHOWN]
    code = QUOTED.sub("''", shown)
    for name, sign in SIGNS.items():
        if sign.search(code):
            raise foreign(path, name)
    if "\\'" in shown:
        raise foreign(path, "MySQL or MariaDB")


def foreign(path: Path, name: str) -> InputError:
    """Make the error for a dump of another database."""
    return InputError(
        f"extract: {path}: this is a dump of {name}, and only dumps of SQLite are read; take the "
        "rows from the server with `lore snapshot` (docs/sources-and-mappings.md), or import the "
        "dump there and export the table as CSV"
    )
