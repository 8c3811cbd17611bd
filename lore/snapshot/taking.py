"""Read a database's snapshots in one transaction, compare each with the former one, and put them all in place, or none."""

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
from lore.snapshot.record import Record, read_record, record_of, record_path
from stages.core.project.errors import InputError
from stages.core.project.output import replacing


@dataclass
class Taken:
    """One snapshot that was read."""

    snapshot: Snapshot
    former: bool
    """Whether there was one before."""
    notes: list[str]
    """What a person should know of the former one."""
    server: str
    columns: dict[str, str] = field(default_factory=dict)
    """Names and the server's types."""
    rows: int = 0
    changes: Changes = field(default_factory=Changes)

    @property
    def differs(self) -> bool:
        """Whether the file is another now."""
        changes = self.changes
        return (
            not self.former
            or not changes.compared
            or bool(changes.changed or changes.new or changes.deleted)
        )

    def row(self) -> dict[str, Any]:
        """For JSON: counts against the former snapshot, where there is one that can be compared."""
        changes = self.changes
        counts = {
            "changed": changes.changed,
            "new": changes.new,
            "deleted": changes.deleted,
            "same": changes.same,
        }
        return {
            "name": self.snapshot.name, "file": str(self.snapshot.path), "server": self.server, "columns": self.columns,
            "rows": self.rows, "compared": self.former and changes.compared, **counts, "keys": changes.keys, "notes": self.notes,
        }  # fmt: skip


@contextmanager
def locked() -> Iterator[None]:
    """One at a time. Raises InputError where another `lore snapshot` is at work."""
    with ExitStack() as stack:
        with suppress(FileNotFoundError):
            file = stack.enter_context(DECLARATION.open("rb"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(
                    "another lore snapshot is at work here; wait for it to end"
                ) from None
        yield


def take(snapshots: Sequence[Snapshot], dry_run: bool) -> list[Taken]:
    """The snapshots of one database. Raises InputError, saying what stays as it was; that is then all of them."""
    taken: list[Taken] = []
    try:
        # On success, each file takes its place when the database is closed; else none does.
        with ExitStack() as places, opened(snapshots[0].url_env) as database:
            for snapshot in snapshots:
                taken.append(Taken(snapshot, *former_of(snapshot), database.server))
                read(database, taken[-1], places, dry_run)
    except (InputError, OSError) as error:
        names = taken[-1].snapshot.name if taken else ", ".join(one.name for one in snapshots)
        rows = f"after {taken[-1].rows:,} rows: " if taken and taken[-1].rows else ""
        there = [str(one.path) for one in snapshots if one.path.exists()]
        stays = f"\n  as before: {', '.join(there)}" if there else ""
        raise InputError(f"{names}: {rows}{error}{stays}") from None
    return taken


def former_of(snapshot: Snapshot) -> tuple[bool, list[str]]:
    """Whether there is a former snapshot, and notes. Raises InputError for a file that is none and would be lost."""
    record = read_record(snapshot.name)
    if not snapshot.path.exists():
        return False, []
    with snapshot.path.open("rb") as file:
        intact = (
            record is not None
            and record.get("sha256") == hashlib.file_digest(file, "sha256").hexdigest()
        )
    known = intact and record is not None and record.get("key") == snapshot.key
    if not known and not in_order(snapshot.path, key_reader(snapshot.key)):
        if record is None:
            raise InputError(
                f"{snapshot.path} is no snapshot and would be overwritten; name another `file`, or move it away"
            )
        return False, [
            f"the former {snapshot.path} cannot be compared row by row: another key, or it was edited"
        ]
    edited = f"{snapshot.path} was not as {record_path(snapshot.name)} says: edited, or of another version"
    return True, [] if intact else [edited]


def read(database: Database, taken: Taken, places: ExitStack, dry_run: bool) -> None:
    """Read one snapshot and, unless it is a dry run, write it to where `places` will take it from."""
    snapshot = taken.snapshot
    columns, portions = database.read(snapshot.query)
    names = [column.name for column in columns]
    if missing := [name for name in snapshot.key if name not in names]:
        raise InputError(
            f"`key` names {', '.join(missing)}, but the query's columns are {', '.join(names)}"
        )
    taken.columns = {column.name: column.type for column in columns}
    taken.notes += other_shape(read_record(snapshot.name), taken) if taken.former else []
    key_of = key_reader(snapshot.key)
    with closing(Sorter(key_of, RAW)) as sorter:
        for key, line in entries(counted(portions, taken), columns, snapshot.key):
            sorter.add(key, line)
        if not taken.rows:
            raise InputError(
                "the query gives no row, and extract refuses an empty source; check the query and the database"
            )
        former = read_lines(snapshot.path) if taken.former else iter(())
        lines = compared(former, sorter.lines(), key_of, taken.changes)
        if dry_run:
            deque(lines, maxlen=0)
            return
        digest = write_lines(places.enter_context(replacing(snapshot.path)), lines)
    record = record_of(snapshot, taken.columns, database.server, taken.rows, digest)
    # Left first, so that a kill between the two leaves a record of what the next run makes, never a file without one.
    place = places.enter_context(replacing(record_path(snapshot.name)))
    place.write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def counted(portions: Iterator[list[Sequence[Any]]], taken: Taken) -> Iterator[list[Sequence[Any]]]:
    """The portions again, while rows are counted and, on a terminal, shown."""
    with tqdm(desc=taken.snapshot.name, unit=" rows", disable=None, leave=False) as bar:
        for portion in portions:
            taken.rows += len(portion)
            bar.update(len(portion))
            yield portion


def entries(
    portions: Iterator[list[Sequence[Any]]], columns: list[Column], key: list[str]
) -> Iterator[tuple[Key, bytes]]:
    """Key and line of each row. Raises InputError for a row without a key, or with one that is neither text nor whole number."""
    names = [column.name for column in columns]
    places = [names.index(name) for name in key]
    heads, writers = [f"{text(name)}: " for name in names], [column.write for column in columns]
    kinds: list[type] = []
    for portion in portions:
        for row in portion:
            cells = [
                "null" if value is None else write(value)
                for write, value in zip(writers, row, strict=True)
            ]
            values = tuple(json.loads(cells[place]) for place in places)
            if kinds != (found := [type(value) for value in values]):
                kinds = kinds or found
                demand_key(values, kinds, key, cells)
            line = ", ".join(map(str.__add__, heads, cells))
            yield values, f"{text(entry_name(values))}: {{{line}}}".encode()


def demand_key(values: Key, kinds: list[type], key: list[str], cells: list[str]) -> None:
    """Raise InputError unless the values have the kinds of the first row's key, and these can be one."""
    for value, kind, name in zip(values, kinds, key, strict=True):
        if value is None:
            raise InputError(
                f"the key column {name} is NULL in the row {', '.join(cells)[:200]}; leave such rows out in the query"
            )
        if kind not in (int, str):
            raise InputError(
                f"the key column {name} holds {str(value)[:80]}; a key is a whole number or a text"
            )
        if type(value) is not kind:
            raise InputError(
                f"the key column {name} holds numbers and texts ({value!r}); CAST it to one of them in the query"
            )


def other_shape(record: Record | None, taken: Taken) -> list[str]:
    """Notes on what else differs from the former snapshot."""
    if record is None:
        return []
    notes = (
        []
        if record.get("query") == taken.snapshot.query
        else ["the query is not that of the former snapshot"]
    )
    before, now = dict(record.get("columns") or {}), taken.columns
    differences = [f"{name} is new" for name in now if name not in before] + [
        f"{name} is gone" for name in before if name not in now
    ]
    differences += [
        f"{name} is {now[name]}, was {before[name]}"
        for name in now
        if before.get(name, now[name]) != now[name]
    ]
    return notes + ([f"columns: {'; '.join(differences)}"] if differences else [])
