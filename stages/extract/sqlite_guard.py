"""SQLite databases, opened so that reading them can do nothing else.

A query or a database of somebody else may hold statements that write files (`ATTACH`, `VACUUM
INTO`), views with recursive queries that never end, and cells of a gigabyte (`zeroblob`). So a
connection is read-only, an authorizer allows reading alone, the schema is not trusted
(sqlite.org/pragma.html#pragma_trusted_schema), and work, rows and cells have limits.

The limits grow with the database, so that no honest query meets them. They count steps of SQLite's
virtual machine and never seconds: a query that passes on one machine passes on every machine.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

BASE_STEPS, STEPS_PER_BYTE = 50_000_000, 2_000
"""Steps of the virtual machine that a query may take: a basis, and more for each byte of the
database. A row of a simple query takes about ten."""
BASE_ROWS, ROWS_PER_BYTE = 100_000, 1
"""Rows that a query may give: a basis, and more for each byte of the database."""
BASE_CELL, LARGEST_CELL = 16 << 20, 1_000_000_000
"""Bytes of a text or blob: the basis, to which the size of the database is added, and the most."""
LONGEST_PATTERN = 1_000
"""Bytes of a LIKE or GLOB pattern. The time of a long one is not counted in steps."""
INTERVAL = 10_000
"""Steps between two looks at the count."""

READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
}
"""Actions of a query that only read."""
VIRTUAL_TABLES = {
    (sqlite3.SQLITE_PRAGMA, "data_version"),
    (sqlite3.SQLITE_PRAGMA, "page_size"),
    (sqlite3.SQLITE_INSERT, "sqlite_master"),
    (sqlite3.SQLITE_UPDATE, "sqlite_master"),
}
"""Actions and their first arguments by which virtual tables (FTS5, R*Tree, json_each) declare
themselves. They write nothing, since the connection is read-only."""
FORBIDDEN_FUNCTIONS = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"}
"""Functions that reach beyond the database, where a build of SQLite has them."""


class Meter:
    """Counts the steps of a connection, and stops it after the last one that is allowed."""

    def __init__(self, most_steps: int) -> None:
        """No step is taken yet."""
        self.most_steps = most_steps
        self.steps = 0

    @property
    def exceeded(self) -> bool:
        """Whether the connection was stopped."""
        return self.steps > self.most_steps

    def tick(self) -> int:
        """Count one interval. SQLite stops where this returns 1."""
        self.steps += INTERVAL
        return 1 if self.exceeded else 0


def connect(path: Path) -> sqlite3.Connection:
    """Open a database file for reading. Raises sqlite3.Error where SQLite cannot.

    Signs that mean something in a URI (`#`, `%`, `?`) may stand in the path.
    """
    quoted = quote(os.fsencode(path.resolve()))
    return sqlite3.connect(f"file:{quoted}?mode=ro", uri=True)


def guard(connection: sqlite3.Connection, size: int) -> Meter:
    """Let a connection read only, within limits for a database of so many bytes."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.set_authorizer(may_read)
    return limit(connection, BASE_STEPS + STEPS_PER_BYTE * size, size)


def limit(connection: sqlite3.Connection, most_steps: int, size: int) -> Meter:
    """Limit the steps and cells of a connection to a database of so many bytes."""
    meter = Meter(most_steps)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(LARGEST_CELL, BASE_CELL + size))
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LONGEST_PATTERN)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_progress_handler(meter.tick, INTERVAL)
    return meter


def may_read(action: int, first: str | None, second: str | None, *_: Any) -> int:
    """Tell SQLite whether a query may take an action.

    SQLite gives the name of a function as `second`, and that of a PRAGMA as `first`.
    """
    allowed = action in READING or (action, first) in VIRTUAL_TABLES
    if action == sqlite3.SQLITE_FUNCTION:
        allowed = (second or "").lower() not in FORBIDDEN_FUNCTIONS
    elif action == sqlite3.SQLITE_PRAGMA and second:
        allowed = False  # with a value, a PRAGMA changes something
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def most_rows(size: int) -> int:
    """Return how many rows a query may give of a database of so many bytes."""
    return BASE_ROWS + ROWS_PER_BYTE * size


def explained(error: Exception, meter: Meter, limits: str = "a query may only read") -> str:
    """Say what stopped a statement, on one line. `limits` says what it may do."""
    if meter.exceeded:
        return (
            f"stopped after {meter.most_steps:,} steps of SQLite: it may be endless; "
            "add a condition or an index, or make a table of its result"
        )
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "authoriz" in reason or "prohibited" in reason:
        return f"{reason}: {limits}"
    if "too big" in reason:
        return f"{reason}: a text or blob is larger than extract reads"
    return reason
