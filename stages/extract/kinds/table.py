"""Tables of a SQL database, as a file or a text dump."""

import math
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.extract import sql_dump, sqlite_guard
from stages.extract.source import FilePath, Lang, Map, Name, SourceSettings
from stages.extract.unit import Unit

Cells = dict[str, Any]
SHOWN = 80
"""Characters of a cell that evidence shows."""


class BadText(bytes):
    """The bytes of a text cell that is not UTF-8."""


@dataclass(frozen=True, config=STRICT)
class Sql(SourceSettings):
    """A SQLite database (`.db`, `.sqlite`), or its text dump (`.sql`), which git can compare and merge."""

    kind: Literal["sql"]
    """A SQLite file (`.db`, `.sqlite`), or its text dump (`.sql`), which git can compare and merge."""
    name: Name
    path: FilePath
    lang: Lang
    query: str
    """One SELECT with a stable order (ORDER BY). Every result row is a unit."""
    table: str
    """Name of the table for locators, such as `Track` in `Chinook_Sqlite.sqlite#Track/1`."""
    key: str
    """Result column that identifies a row, for locators. No two rows may have the same key. Take no
    personal column."""
    map: Map

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield result rows. Raises InputError where the database or the query cannot be read."""
        if path.suffix.lower() != ".sql" or is_database(path):
            yield from self._rows(path)
            return
        with tempfile.TemporaryDirectory() as folder:
            database = Path(folder) / "dump.db"
            sql_dump.load(path, database)
            yield from self._rows(database)

    def column_names(self, unit: Unit) -> list[str]:
        """Return the names of the result columns."""
        return list(unit.cells or {})

    def _rows(self, database: Path) -> Iterator[Unit]:
        size = database.stat().st_size
        most_rows = sqlite_guard.most_rows(size)
        meter = sqlite_guard.Meter(0)
        try:
            with closing(sqlite_guard.connect(database)) as connection:
                connection.text_factory = text_or_bytes
                meter = sqlite_guard.guard(connection, size)
                cursor = connection.execute(self.query)
                names = self._columns(cursor)
                for number, row in enumerate(cursor, start=1):
                    if number > most_rows:
                        raise InputError(
                            f"extract: {self.name}: the query gives more than {most_rows:,} rows, "
                            f"and the database has {size:,} bytes: it may be endless; "
                            "add a condition, or make a table of its result"
                        )
                    yield self._unit(number, dict(zip(names, row, strict=True)))
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            reason = sqlite_guard.explained(error, meter)
            raise InputError(
                f"extract: {self.name}: {reason}; "
                "check the database and extract's query in params.yaml"
            ) from None

    def _columns(self, cursor: sqlite3.Cursor) -> list[str]:
        """Return the names of the result columns.

        Raises InputError where there are none, where two that are used have one name, or where the
        key is missing.
        """
        names = [column[0] for column in cursor.description or ()]
        if not names:
            raise InputError(f"extract: {self.name}: the query gives no rows; write one SELECT")
        # A join may give columns that nothing uses a second time.
        used = self.map.paths() | self.where.keys() | {self.key}
        twice = [name for name, count in Counter(names).items() if count > 1 and name in used]
        if twice:
            raise InputError(
                f"extract: {self.name}: the query has several columns called {', '.join(twice)}; "
                "give each a name of its own with AS"
            )
        if self.key not in names:
            raise InputError(
                f"extract: {self.name}: the query has no column {self.key!r}, which `key` names"
            )
        return names

    def _unit(self, number: int, cells: Cells) -> Unit:
        """Return the unit of a row. It has a reason where a cell that is needed cannot be read."""
        key = cells[self.key]
        raw = repr({name: shown(value) for name, value in cells.items()})
        if key is None or isinstance(key, bytes) or not str(key).strip():
            what = "NULL" if key is None else shown(key) or "an empty text"
            evidence = f"row {number}: the key column {self.key} holds {what}"
            return Unit(f"{self.table}[{number}]", raw, None, "missing_key", evidence)
        position = f"{self.table}/{key}"
        needed = self.map.paths() | self.where.keys()
        for name, value in cells.items():
            if name in needed and (problem := problem_of(value)):
                reason, what = problem
                evidence = f"{self.table}, {self.key} {key}: the column {name} holds {what}"
                return Unit(position, raw, None, reason, evidence)
        return Unit(position, raw, cells)


def is_database(path: Path) -> bool:
    """Whether a file is a SQLite database, whatever its name says."""
    with path.open("rb") as file:
        return file.read(len(sql_dump.MAGIC)) == sql_dump.MAGIC


def text_or_bytes(raw: bytes) -> str | BadText:
    """Decode a text cell. One that is not UTF-8 stays as it is, so that its row can be named."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return BadText(raw)


def problem_of(value: Any) -> tuple[str, str] | None:
    """Return reason and evidence of a cell that no record can hold, or None."""
    if isinstance(value, BadText):
        return "encoding", f"a text that is not UTF-8: {shown(value)[:SHOWN]}"
    if isinstance(value, bytes):
        return "malformed", f"{shown(value)} and no text; CAST it AS TEXT in the query if it is one"
    if isinstance(value, float) and not math.isfinite(value):
        return "malformed", f"{value}, which is no number"
    return None


def shown(value: Any) -> Any:
    """Return a cell as a report shows it: bad bytes as `\\xff`, a blob by its size."""
    if isinstance(value, BadText):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, bytes):
        return f"a blob of {len(value):,} bytes"
    return value
