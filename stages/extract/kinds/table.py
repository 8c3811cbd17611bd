"""Tables of a SQL database, as a file or a text dump."""

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.extract.source import FilePath, Lang, Map, Name, SourceSettings
from stages.extract.unit import Unit

FORBIDDEN = {
    sqlite3.SQLITE_ATTACH,
    sqlite3.SQLITE_DETACH,
    sqlite3.SQLITE_PRAGMA,
    sqlite3.SQLITE_CREATE_VTABLE,
}
"""Actions that a dump may not take. It needs none of them to make tables and fill them."""


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
    """Result column that identifies a row, for locators. Take no personal column."""
    map: Map

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield result rows. Raises InputError where the database or the query cannot be read."""
        if path.suffix != ".sql":
            yield from self._rows(path)
            return
        with tempfile.TemporaryDirectory() as folder:
            database = Path(folder) / "dump.db"
            load_dump(path, database)
            yield from self._rows(database)

    def column_names(self, unit: Unit) -> list[str]:
        """Return the names of the result columns."""
        return list(unit.cells or {})

    def _rows(self, database: Path) -> Iterator[Unit]:
        engine = create_engine(f"sqlite:///file:{database.resolve()}?mode=ro&uri=true")
        try:
            with engine.connect() as connection:
                streaming = connection.execution_options(stream_results=True)
                result = streaming.execute(text(self.query))
                if self.key not in result.keys():  # noqa: SIM118 - a Result's keys, not a mapping
                    raise InputError(
                        f"extract: {self.name}: the query has no column {self.key!r}, "
                        "which `key` names"
                    )
                for row in result.mappings():
                    cells = dict(row)
                    yield Unit(f"{self.table}/{cells[self.key]}", repr(cells), cells)
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            reason = str(cause).splitlines()[0]
            raise InputError(
                f"extract: {self.name}: {reason}; "
                "check the database and extract's query in params.yaml"
            ) from None
        finally:
            engine.dispose()


def load_dump(path: Path, database: Path) -> None:
    """Make a database from a text dump.

    Raises InputError with the line of the first statement that fails.
    """
    connection = sqlite3.connect(database)
    connection.set_authorizer(authorise)
    statement, start = "", 1
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            statement += line
            if sqlite3.complete_statement(statement):
                connection.execute(statement)
                statement, start = "", number + 1
        if not is_comment(statement):
            raise InputError(
                f"extract: {path}:{start}: the dump ends inside a statement; is the file whole?"
            )
        connection.commit()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise InputError(f"extract: {path}:{start}: {error}; mend the dump there") from None
    finally:
        connection.close()


def authorise(action: int, *_: Any) -> int:
    """Tell SQLite whether a statement of a dump may take an action."""
    return sqlite3.SQLITE_DENY if action in FORBIDDEN else sqlite3.SQLITE_OK


def is_comment(statement: str) -> bool:
    """Whether a text holds nothing but empty lines and comments."""
    lines = statement.split("\n")
    return all(line.startswith("--") for line in lines if line.strip())
