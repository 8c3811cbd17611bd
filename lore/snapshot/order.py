"""Rows in the order of their keys, and what has changed since the former ones, both in constant memory.

A row is a line `"<key>": {…}`. Lines are sorted by an external merge sort (Knuth, The Art of Computer Programming 3, 5.4):
sorted runs, in files without a name that vanish with the process, are merged. Servers are not asked for the order, since theirs
depends on their collation. Former lines are in the same order, so one pass compares both.
"""

import hashlib
import heapq
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO

from stages.core.project.errors import InputError

Key = tuple[int | str, ...]
KeyOf = Callable[[bytes], Key]
RUN_BYTES, RUN_ROWS, MOST_RUNS = 8 << 20, 20_000, 64
"""How much is sorted in memory, and how many runs are merged at once."""
LISTED = 5
"""Keys that are shown of a kind of change."""


def entry_name(key: Key) -> str:
    """The key as a name in the file, and so in a locator: `17`; of several columns `iron/2`, with ~0 for ~ and ~1 for /."""
    if len(key) == 1:
        return str(key[0])
    return "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in key)


def key_reader(columns: list[str]) -> KeyOf:
    """A function from a line to its row's key. It raises ValueError, KeyError or TypeError for a line that is none."""

    def key_of(line: bytes) -> Key:
        (row,) = json.loads(b"{%b}" % line).values()
        return tuple(row[name] for name in columns)

    return key_of


class Sorter:
    """Takes lines in any order and gives them in that of their keys. Close it afterwards."""

    def __init__(self, key_of: KeyOf, folder: Path) -> None:
        """`folder`: where the runs stand, without a name."""
        self.key_of, self.folder = key_of, folder
        self.buffer: list[tuple[Key, bytes]] = []
        self.bytes = 0
        self.runs: list[IO[bytes]] = []
        self.last: Key | None = None

    def add(self, key: Key, line: bytes) -> None:
        """Take one line. Raises InputError where a key turns out to be there twice."""
        self.buffer.append((key, line))
        self.bytes += len(line)
        if self.bytes >= RUN_BYTES or len(self.buffer) >= RUN_ROWS:
            self._spill()

    def lines(self) -> Iterator[bytes]:
        """All lines, once. Raises InputError where a key is there twice."""
        if not self.runs:
            yield from (line for _, line in self._sorted())
            return
        self._spill()
        yield from self._merged()

    def _sorted(self) -> list[tuple[Key, bytes]]:
        self.buffer.sort(key=lambda pair: pair[0])
        for (one, _), (other, _) in zip(self.buffer, self.buffer[1:], strict=False):
            refuse_twice(one, other)
        return self.buffer

    def _spill(self) -> None:
        """Write what is in memory as a run, or as the end of the last one where it goes on there."""
        if not self.buffer:
            return
        pairs = self._sorted()
        if self.last is None or pairs[0][0] <= self.last:
            if len(self.runs) == MOST_RUNS:
                merged = self._new_run()
                merged.writelines(b"%b\n" % line for line in self._merged())
                self.close()
                self.runs = [merged]
            self.runs.append(self._new_run())
        self.runs[-1].writelines(b"%b\n" % line for _, line in pairs)
        self.last = pairs[-1][0]
        self.buffer, self.bytes = [], 0

    def close(self) -> None:
        """Give its files back."""
        for run in self.runs:
            run.close()

    def _new_run(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self.folder)

    def _merged(self) -> Iterator[bytes]:
        for run in self.runs:
            run.seek(0)
        inputs = [(line[:-1] for line in run) for run in self.runs]
        if len(inputs) == 1:  # within a run, keys ascend
            yield from inputs[0]
            return
        before: Key | None = None
        for key, line in heapq.merge(
            *(map(self._keyed, lines) for lines in inputs), key=lambda pair: pair[0]
        ):
            if before is not None:
                refuse_twice(before, key)
            before = key
            yield line

    def _keyed(self, line: bytes) -> tuple[Key, bytes]:
        return self.key_of(line), line


def refuse_twice(one: Key, other: Key) -> None:
    """Raise InputError where two neighbours in order have one key."""
    if one == other:
        raise InputError(
            f"two rows have the key {entry_name(one)}; name columns in `key` that tell every row from the others"
        )


@dataclass
class Changes:
    """What became of the former rows."""

    changed: int = 0
    new: int = 0
    deleted: int = 0
    same: int = 0
    keys: dict[str, list[str]] = field(
        default_factory=lambda: {"changed": [], "new": [], "deleted": []}
    )
    """The first of each kind."""
    compared: bool = True
    """False where the former rows have keys of another type, or are none that can be read: then every row is new."""

    def count(self, kind: str, key: Key) -> None:
        """One row more of a kind other than `same`."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.keys[kind]) < LISTED:
            self.keys[kind].append(entry_name(key))


def compared(
    former: Iterator[bytes], lines: Iterable[bytes], key_of: KeyOf, changes: Changes
) -> Iterator[bytes]:
    """`lines` again; `changes` counts what differs from the former ones, which are in the same order."""
    old, lines = next(former, None), iter(lines)
    first = next(lines)
    if old is not None and list(map(type, key_of(old))) != list(map(type, key_of(first))):
        old, former, changes.compared = None, iter(()), False
    for line in chain((first,), lines):
        if line == old:
            changes.same += 1
            old = next(former, None)
        else:
            key = key_of(line)
            while old is not None and (gone := key_of(old)) < key:
                changes.count("deleted", gone)
                old = next(former, None)
            if old is None or key_of(old) != key:
                changes.count("new", key)
            else:
                if line == old:
                    changes.same += 1
                else:
                    changes.count("changed", key)
                old = next(former, None)
        yield line
    while old is not None:
        changes.count("deleted", key_of(old))
        old = next(former, None)


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a snapshot, without what encloses them."""
    with path.open("rb") as file:
        for line in file:
            if line not in (b"{\n", b"}\n"):
                yield line.rstrip(b"\n").removesuffix(b",")


def write_lines(path: Path, lines: Iterable[bytes]) -> str:
    """Write a snapshot: one JSON object, a row a line; its SHA-256. It is on disk when this returns."""
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
    """Whether a file is a snapshot with strictly ascending keys, so that another can be compared with it."""
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
