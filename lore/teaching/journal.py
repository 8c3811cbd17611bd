"""The journal: answers of a run that is not finished, one line each, written as they come.

A kill loses no answer that was received. The next run begins by moving the journal's lines into the record. The
journal stands beside the record's folder, not in it, so DVC and git never see a half of a run.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.augment.teacher.record import Entry, Record, line_of, parsed, read_record, write_record
from stages.core.project import artifacts
from stages.core.project.errors import InputError


class Journal:
    """The journal of a record's folder."""

    def __init__(self, folder: Path) -> None:
        """Of the record in this folder."""
        self.folder = folder
        # Git ignores names of this form.
        self.path = folder.parent / f".{folder.name}.journal.partial"

    def add(self, entry: Entry) -> None:
        """Write an entry, and wait until the disk has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            rest = line_of(entry).encode("utf-8")
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)

    def entries(self) -> Record:
        """Return the entries of an unfinished run, by key. A last line that was cut off is left out."""
        if not self.path.is_file():
            return {}
        found: Record = {}
        lines = self.path.read_bytes().split(b"\n")
        # What stands behind the last line end was cut off, or is empty.
        for number, line in enumerate(lines[:-1], start=1):
            entry = parsed(line, f"{self.path}:{number}")
            found[entry.key] = entry
        return found

    def finish(self) -> int:
        """Move all entries into the record, and return their number. A kill in between changes nothing."""
        entries = self.entries()
        if entries:
            write_record(self.folder, read_record(self.folder) | entries)
        self.path.unlink(missing_ok=True)
        return len(entries)


@contextmanager
def alone() -> Iterator[None]:
    """Let one run at a time work on the record. Raises InputError where another one does."""
    with Path(artifacts.PARAMS).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError("another lore teach is at work here; wait for it to end") from None
        yield
