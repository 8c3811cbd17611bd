"""Sort rows by their keys and compare them with the former rows, both in constant memory.

A row is a line `"<key>": {…}`. Lines are sorted by an external merge sort (Knuth, The Art of Computer
Programming 3, 5.4): sorted runs are written to files and merged. The files have no name, so they
vanish with the process. Servers are not asked for the order, since theirs depends on their collation.
Former lines are in the same order, so one pass compares both.
"""

import hashlib
import heapq
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import IO

from stages.core.project.errors import InputError

Key = tuple[int | str, ...]
KeyOf = Callable[[bytes], Key]
RUN_BYTES = 8 * 2**20
RUN_ROWS = 20_000
"""How many bytes or rows are sorted in memory, whichever comes first."""
MOST_RUNS = 64
"""How many runs are merged at once."""
LISTED = 5
"""Keys of each kind of change that are shown."""


def entry_name(key: Key) -> str:
    """Return the key as a name in the file, and so in a locator: `17`.

    A key of several columns is joined by `/`: `iron/2`. In its parts ~0 stands for ~ and ~1 for /.
    """
    if len(key) == 1:
        return str(key[0])
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in key]
    return "/".join(parts)


def key_reader(columns: list[str]) -> KeyOf:
    """Return a function from a line to the key of its row.

    The function raises ValueError, KeyError or TypeError for a line that is none.
    """

    def key_of(line: bytes) -> Key:
        # The line `"17": {"id": 17}` in braces is a JSON object with one member.
        (row,) = json.loads(b"{%b}" % line).values()
        return tuple(row[name] for name in columns)

    return key_of


class Sorter:
    """Takes lines in any order and gives them in the order of their keys. Close it afterwards."""

    def __init__(self, key_of: KeyOf, folder: Path) -> None:
        """`folder` is where the files of the runs stand, without a name."""
        self.key_of = key_of
        self.folder = folder
        self.buffer: list[tuple[Key, bytes]] = []
        self.bytes = 0
        """Bytes of the lines in `buffer`."""
        self.runs: list[IO[bytes]] = []
        self.last: Key | None = None
        """The last key of the last run."""

    def add(self, key: Key, line: bytes) -> None:
        """Take one line. Raises InputError where two lines have one key."""
        self.buffer.append((key, line))
        self.bytes += len(line)
        if self.bytes >= RUN_BYTES or len(self.buffer) >= RUN_ROWS:
            self._spill()

    def lines(self) -> Iterator[bytes]:
        """Yield all lines, once. Raises InputError where two lines have one key."""
        if not self.runs:
            for _, line in self._sorted():
                yield line
            return
        self._spill()
        yield from self._merged()

    def _sorted(self) -> list[tuple[Key, bytes]]:
        self.buffer.sort(key=lambda pair: pair[0])
        for (key, _), (following, _) in pairwise(self.buffer):
            refuse_twice(key, following)
        return self.buffer

    def _spill(self) -> None:
        """Write the buffer as a new run, or as the end of the last run where it continues that."""
        if not self.buffer:
            return
        pairs = self._sorted()
        continues = self.last is not None and pairs[0][0] > self.last
        if not continues:
            if len(self.runs) == MOST_RUNS:
                self._merge_runs()
            self.runs.append(self._new_run())
        run = self.runs[-1]
        for _, line in pairs:
            run.write(line + b"\n")
        self.last, _ = pairs[-1]
        self.buffer = []
        self.bytes = 0

    def _merge_runs(self) -> None:
        """Make one run of all."""
        merged = self._new_run()
        for line in self._merged():
            merged.write(line + b"\n")
        self.close()
        self.runs = [merged]

    def close(self) -> None:
        """Close the files of the runs."""
        for run in self.runs:
            run.close()

    def _new_run(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self.folder)

    def _merged(self) -> Iterator[bytes]:
        inputs = [self._keyed(run) for run in self.runs]
        if len(inputs) == 1:  # within a run, keys ascend
            yield from self._lines(self.runs[0])
            return
        before: Key | None = None
        for key, line in heapq.merge(*inputs, key=lambda pair: pair[0]):
            if before is not None:
                refuse_twice(before, key)
            before = key
            yield line

    def _keyed(self, run: IO[bytes]) -> Iterator[tuple[Key, bytes]]:
        for line in self._lines(run):
            yield self.key_of(line), line

    def _lines(self, run: IO[bytes]) -> Iterator[bytes]:
        run.seek(0)
        for line in run:
            yield line[:-1]  # without the line end


def refuse_twice(key: Key, following: Key) -> None:
    """Raise InputError where two rows that follow each other have one key."""
    if key == following:
        raise InputError(
            f"two rows have the key {entry_name(key)}; "
            "name columns in `key` that tell every row from the others"
        )


@dataclass
class Changes:
    """How many of the former rows changed, and how many are new or gone."""

    changed: int = 0
    new: int = 0
    deleted: int = 0
    same: int = 0
    keys: dict[str, list[str]] = field(
        default_factory=lambda: {"changed": [], "new": [], "deleted": []}
    )
    """The first keys of each kind."""
    compared: bool = True
    """False where the former rows have keys of another type. Then every row counts as new."""

    def count(self, kind: str, key: Key) -> None:
        """Count one more row that is `changed`, `new` or `deleted`."""
        if kind == "changed":
            self.changed += 1
        elif kind == "new":
            self.new += 1
        else:
            self.deleted += 1
        if len(self.keys[kind]) < LISTED:
            self.keys[kind].append(entry_name(key))


def compared(
    former: Iterator[bytes], lines: Iterable[bytes], key_of: KeyOf, changes: Changes
) -> Iterator[bytes]:
    """Yield `lines` again, while `changes` counts how they differ from the former lines.

    Both are in the order of their keys. There must be at least one line.
    """
    lines = iter(lines)
    first = next(lines)
    old = next(former, None)
    if old is not None and key_types(key_of(old)) != key_types(key_of(first)):
        # Texts and numbers have no common order, so nothing can be compared.
        changes.compared = False
        former = iter(())
        old = None
    for line in chain((first,), lines):
        if line == old:  # nearly always: this spares parsing both keys
            changes.same += 1
            old = next(former, None)
            yield line
            continue
        key = key_of(line)
        while old is not None and key_of(old) < key:
            changes.count("deleted", key_of(old))
            old = next(former, None)
        if old is None or key_of(old) != key:
            changes.count("new", key)
        elif old == line:
            changes.same += 1
            old = next(former, None)
        else:
            changes.count("changed", key)
            old = next(former, None)
        yield line
    while old is not None:
        changes.count("deleted", key_of(old))
        old = next(former, None)


def key_types(key: Key) -> list[type]:
    """Return the type of each part of a key."""
    return [type(part) for part in key]


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a snapshot, without the braces around them and the commas between them."""
    with path.open("rb") as file:
        for line in file:
            if line not in (b"{\n", b"}\n"):
                yield line.rstrip(b"\n").removesuffix(b",")


def write_lines(path: Path, lines: Iterable[bytes]) -> str:
    """Write a snapshot and return its SHA-256. The file is one JSON object with a row on each line.

    It is on disk when this returns.
    """
    digest = hashlib.sha256()
    with path.open("wb") as file:

        def write(content: bytes) -> None:
            file.write(content)
            digest.update(content)

        before = b"{\n"
        for line in lines:
            write(before + line)
            before = b",\n"
        write(b"\n}\n")
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def in_order(path: Path, key_of: KeyOf) -> bool:
    """Whether a file is a snapshot with strictly ascending keys, which another can be compared with."""
    before: Key | None = None
    try:
        for line in read_lines(path):
            key = key_of(line)
            if before is not None and not before < key:
                return False
            before = key
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return True
