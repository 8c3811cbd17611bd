"""Read a database's snapshots in one transaction, and compare each with the former one.

All of them are put in place, or none.
"""

import fcntl
import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from lore.snapshot.columns import Column, text
from lore.snapshot.database import Database, opened
from lore.snapshot.declaration import DECLARATION, RAW, Snapshot
from lore.snapshot.order import (
    Changes,
    Key,
    Sorter,
    compared,
    entry_name,
    in_order,
    key_reader,
    read_lines,
    write_lines,
)
from lore.snapshot.placing import Placement, together
from lore.snapshot.record import Record, read_record, record_of, record_path, write_record
from stages.core.project.errors import InputError


@dataclass
class Taken:
    """One snapshot that was read."""

    snapshot: Snapshot
    former: bool
    """Whether there is a former one to compare it with."""
    notes: list[str]
    """Remarks on the former one, for people."""
    server: str
    columns: dict[str, str] = field(default_factory=dict)
    """Name → the server's type."""
    rows: int = 0
    changes: Changes = field(default_factory=Changes)

    @property
    def differs(self) -> bool:
        """Whether the file is another now."""
        changes = self.changes
        if not self.former or not changes.compared:
            return True
        return changes.changed + changes.new + changes.deleted > 0

    def row(self) -> dict[str, Any]:
        """Return it for JSON. The counts are against the former snapshot, if it can be compared."""
        changes = self.changes
        return {
            "name": self.snapshot.name,
            "file": str(self.snapshot.path),
            "server": self.server,
            "columns": self.columns,
            "rows": self.rows,
            "compared": self.former and changes.compared,
            "changed": changes.changed,
            "new": changes.new,
            "deleted": changes.deleted,
            "same": changes.same,
            "keys": changes.keys,
            "notes": self.notes,
        }


@contextmanager
def locked() -> Iterator[None]:
    """Run one at a time. Raises InputError where another `lore snapshot` is at work."""
    with ExitStack() as stack:
        with suppress(FileNotFoundError):  # `declared` tells better that it is missing
            file = stack.enter_context(DECLARATION.open("rb"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(
                    "another lore snapshot is at work here; wait for it to end"
                ) from None
        yield


def take(snapshots: Sequence[Snapshot], dry_run: bool) -> list[Taken]:
    """Take the snapshots of one database: all of them, or none.

    Raises InputError that names the files which stay as they were.
    """
    taken: list[Taken] = []
    try:
        # When the database is closed without an error, all files take their places. Else none does.
        with together() as placement, opened(snapshots[0].url_env) as database:
            for snapshot in snapshots:
                former, notes = former_of(snapshot)
                one = Taken(snapshot, former, notes, database.server)
                taken.append(one)
                read(database, one, placement, dry_run)
    except (InputError, OSError) as error:
        names = ", ".join(snapshot.name for snapshot in snapshots)
        rows = ""
        if taken:
            names = taken[-1].snapshot.name
            if taken[-1].rows:
                rows = f"after {taken[-1].rows:,} rows: "
        stays = ""
        there = [str(snapshot.path) for snapshot in snapshots if snapshot.path.exists()]
        if there:
            stays = f"\n  as before: {', '.join(there)}"
        raise InputError(f"{names}: {rows}{error}{stays}") from None
    return taken


def former_of(snapshot: Snapshot) -> tuple[bool, list[str]]:
    """Return whether there is a former snapshot to compare with, and remarks on it.

    Raises InputError for a file that is no snapshot and would be lost.
    """
    path = snapshot.path
    if not path.exists():
        return False, []
    record = read_record(snapshot.name)
    intact = False
    same_key = False
    if record is not None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        intact = record.get("sha256") == digest
        same_key = record.get("key") == snapshot.key
    # A file that is as its record says needs no look at its rows.
    if not (intact and same_key) and not in_order(path, key_reader(snapshot.key)):
        if record is None:
            raise InputError(
                f"{path} is no snapshot and would be overwritten; name another `file`, "
                "or move it away"
            )
        note = f"the former {path} cannot be compared row by row: another key, or it was edited"
        return False, [note]
    if intact:
        return True, []
    source = record_path(snapshot.name)
    return True, [f"{path} was not as {source} says: edited, or of another version"]


def read(database: Database, taken: Taken, placement: Placement, dry_run: bool) -> None:
    """Read one snapshot and compare it with the former one.

    Unless it is a dry run, write it and its record as new files of `placement`.
    """
    snapshot = taken.snapshot
    columns, portions = database.read(snapshot.query)
    names = [column.name for column in columns]
    missing = [name for name in snapshot.key if name not in names]
    if missing:
        raise InputError(
            f"`key` names {', '.join(missing)}, but the query's columns are {', '.join(names)}"
        )
    taken.columns = {column.name: column.type for column in columns}
    if taken.former:
        taken.notes += other_shape(read_record(snapshot.name), taken)
    key_of = key_reader(snapshot.key)
    with closing(Sorter(key_of, RAW)) as sorter:
        for key, line in entries(counted(portions, taken), columns, snapshot.key):
            sorter.add(key, line)
        if not taken.rows:
            raise InputError(
                "the query gives no row, and extract refuses an empty source; "
                "check the query and the database"
            )
        former: Iterator[bytes] = iter(())
        if taken.former:
            former = read_lines(snapshot.path)
        lines = compared(former, sorter.lines(), key_of, taken.changes)
        if dry_run:
            deque(lines, maxlen=0)  # goes through all of them, so that they are counted
            return
        digest = write_lines(placement.new(snapshot.path), lines)
    record = record_of(snapshot, taken.columns, database.server, taken.rows, digest)
    write_record(placement.new(record_path(snapshot.name)), record)


def counted(portions: Iterator[list[Sequence[Any]]], taken: Taken) -> Iterator[list[Sequence[Any]]]:
    """Yield the portions again, while rows are counted and shown on a terminal."""
    with tqdm(desc=taken.snapshot.name, unit=" rows", disable=None, leave=False) as bar:
        for portion in portions:
            taken.rows += len(portion)
            bar.update(len(portion))
            yield portion


def entries(
    portions: Iterator[list[Sequence[Any]]], columns: list[Column], key: list[str]
) -> Iterator[tuple[Key, bytes]]:
    """Yield key and line of each row: `"17": {"id": 17, "name": "iron"}`.

    Raises InputError for a row without a key, and for a key that is neither text nor whole number.
    """
    names = [column.name for column in columns]
    heads = [f"{text(name)}: " for name in names]
    writers = [column.write for column in columns]
    positions = [names.index(name) for name in key]
    first_types: list[type] = []  # of the key's parts in the first row
    for portion in portions:
        for row in portion:
            cells = []
            for name, write, value in zip(names, writers, row, strict=True):
                try:
                    cells.append("null" if value is None else write(value))
                except InputError as error:
                    shown = "/".join(str(row[position]) for position in positions)
                    raise InputError(f"row {shown}, column {name}: {error}") from None
            # The key is read back from JSON, so that it is the one that readers of the file see.
            values = tuple(json.loads(cells[position]) for position in positions)
            types = [type(value) for value in values]
            if types != first_types:
                first_types = first_types or types
                demand_key(values, first_types, key, cells)
            fields = [head + cell for head, cell in zip(heads, cells, strict=True)]
            line = f"{text(entry_name(values))}: {{{', '.join(fields)}}}"
            yield values, line.encode()


def demand_key(values: Key, types: list[type], key: list[str], cells: list[str]) -> None:
    """Raise InputError unless the values have the types of the first row's key.

    These types must be whole number or text.
    """
    for value, expected, name in zip(values, types, key, strict=True):
        if value is None:
            row = ", ".join(cells)[:200]
            raise InputError(
                f"the key column {name} is NULL in the row {row}; leave such rows out in the query"
            )
        if expected not in (int, str):
            shown = str(value)[:80]
            raise InputError(
                f"the key column {name} holds {shown}; a key is a whole number or a text"
            )
        if type(value) is not expected:
            raise InputError(
                f"the key column {name} holds numbers and texts ({value!r}); "
                "CAST it to one of them in the query"
            )


def other_shape(record: Record | None, taken: Taken) -> list[str]:
    """Return remarks on how query and columns differ from those of the former snapshot."""
    if record is None:
        return []
    notes = []
    if record.get("query") != taken.snapshot.query:
        notes.append("the query is not that of the former snapshot")
    before = dict(record.get("columns") or {})
    now = taken.columns
    differences = [f"{name} is new" for name in now if name not in before]
    differences += [f"{name} is gone" for name in before if name not in now]
    for name in now:
        if name in before and before[name] != now[name]:
            differences.append(f"{name} is {now[name]}, was {before[name]}")
    if differences:
        notes.append(f"columns: {'; '.join(differences)}")
    return notes
