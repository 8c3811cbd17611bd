"""Adding to data/raw/feedback.jsonl, and withdrawing from it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lore.feedback.pairs import Pair
from stages.core.project import artifacts
from stages.core.project.errors import InputError
from stages.core.project.output import replacing
from stages.core.records import feedback
from stages.core.records.feedback import Better, Judgement

PATH = Path(artifacts.FEEDBACK)


def judged(pair: Pair, better: Better, who: str, why: str) -> Judgement:
    """Return the judgement of a pair, made now. Raises InputError where it cannot be written."""
    row: dict[str, Any] = {
        "question": pair.question,
        "first": pair.first,
        "second": pair.second,
        "better": better,
        "who": who,
        "when": now(),
        "why": why,
        "from": list(pair.origin),
    }
    problem = feedback.problem_of(row)
    if problem:
        raise InputError(f"{PATH}: this judgement cannot be written: {problem}")
    return feedback.judgement_of(row)


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def add(judgement: Judgement) -> None:
    """Add a line at the end of the file, and wait until it is on the disk. Raises InputError."""
    with alone():
        append(feedback.line_of(judgement))


def withdraw(name: str, who: str, why: str) -> Judgement:
    """Withdraw a judgement: its line goes, and a line that holds no content says so.

    The second line matters after a merge, which may bring the first one back. Raises InputError where no
    judgement has this id, or it was withdrawn before.
    """
    with alone():
        content = feedback.read(PATH)
        if name in content.withdrawn:
            raise InputError(f"{name}: was withdrawn before")
        lines = PATH.read_bytes().split(b"\n") if PATH.is_file() else []
        kept = []
        found = None
        for line in lines:
            row = feedback.parsed(line.decode("utf-8", "replace"))
            if isinstance(row, dict) and "withdrawn" not in row and feedback.id_of(row) == name:
                found = feedback.judgement_of(row)
            elif line.strip():
                kept.append(line)
        if found is None:
            raise InputError(f"{name}: no judgement has this id; lore feedback --list shows them")
        note = {"withdrawn": name, "who": who, "when": now()}
        if why:
            note["why"] = why
        kept.append(json.dumps(note, ensure_ascii=False).encode())
        try:
            with replacing(PATH) as temporary:
                temporary.write_bytes(b"\n".join(kept) + b"\n")
        except OSError as error:
            raise InputError(
                f"{PATH}: cannot be written ({error.strerror}); nothing was withdrawn"
            ) from None
    return found


def append(line: str) -> None:
    """Write a line behind the last one. A last line without an end gets one first."""
    try:
        with PATH.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    line = "\n" + line
            file.write(line.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(
            f"{PATH}: cannot be written ({error.strerror}); the judgement was not kept"
        ) from None


@contextmanager
def alone() -> Iterator[None]:
    """Keep other processes from writing the file meanwhile. Raises InputError where the folder is missing."""
    try:
        folder = os.open(PATH.parent, os.O_RDONLY)
    except OSError as error:
        raise InputError(
            f"{PATH.parent}: {error.strerror}; run from the root folder of a project"
        ) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
