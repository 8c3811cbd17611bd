"""Results of expensive functions, remembered between runs: the same file, arguments, code and libraries give the same result.

They lie in `.memo` in the project's root, also of experiments that DVC runs in a folder of their own, or in the folder that
LOREKEEP_MEMO names, which clones may share. That folder is no output: without it every byte of every output is the same, later.

One result is one file, named by its key and written under a temporary name, then renamed, so that neither a kill nor a second
process leaves half of one; a file that does not have its checksum is dropped and computed again. Values are JSON, never pickle.
A folder that cannot be used costs time, never the result: one warning. Why so: docs/decisions/009-memo.md.
"""

import hashlib
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from stages.core.mlflow import tracking
from stages.core.repeatable import fingerprint

PARTIAL = ".partial"
STALE = 3600
"""Seconds after which a temporary file is what a killed process left."""
counts: Counter[str] = Counter()
"""In this process: results `computed` and `reused`."""


def folder() -> Path:
    """Where results lie."""
    return Path(os.environ.get("LOREKEEP_MEMO") or tracking.root() / ".memo")


def remembered(
    function: Callable[..., Iterable[Any]], file: Path, *arguments: Any, engine: str = ""
) -> Iterator[Any]:
    """The items of `function(file, *arguments)` as JSON holds them (tuples are lists), computed only where they are not known.

    The function is one of a module of this project and depends on nothing but the file's content, not its name, the arguments,
    which JSON can hold, its code and libraries (`fingerprint`), and `engine`: the version of what it calls beside. Items come as
    they are computed; where it raises, those before the error have come, and nothing is remembered.
    """
    before = state(function, file)
    place = place_of(function, [*before, arguments, engine])
    known = load(place) if before else None
    counts["computed" if known is None else "reused"] += 1
    if known is not None:
        yield from map(json.loads, known.splitlines())
        return
    lines = []
    for item in function(file, *arguments):
        lines.append(json.dumps(item))
        yield json.loads(lines[-1])
    if (
        before and state(function, file) == before
    ):  # else somebody edited the file or the code in the meantime
        store(place, "\n".join(lines).encode())


def recalled(function: Callable[..., Any], text: str, engine: str, *arguments: Any) -> Any:
    """`function(text, *arguments)` as JSON holds it, which depends on the text and on `engine` alone, whatever the arguments are
    that find the engine, beside code and libraries. Nothing of the text is kept but its hash.
    """
    place = place_of(function, [function.__module__, code_of(function.__module__), text, engine])
    known = load(place)
    counts["computed" if known is None else "reused"] += 1
    if known is not None:
        return json.loads(known)
    content = json.dumps(function(text, *arguments)).encode()
    store(place, content)
    return json.loads(content)


def place_of(function: Callable[..., Any], key: list[Any]) -> Path:
    """The file of a function's result for a key that JSON can hold."""
    name = hashlib.sha256(json.dumps([function.__qualname__, *key]).encode()).hexdigest()
    return folder() / "results" / function.__qualname__ / name[:2] / name


@cache  # asked for with every text; this process runs the code that it has loaded
def code_of(module: str) -> str:
    """`fingerprint.of` a module."""
    return fingerprint.of(module)


def state(function: Callable[..., Any], file: Path) -> list[str]:
    """Digests of the code and of the file's content now; empty where the file cannot be read, as the function will say."""
    try:
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return []
    return [function.__module__, fingerprint.of(function.__module__), content]


def load(place: Path) -> bytes | None:
    """What was stored there, or None. What is damaged is removed."""
    try:
        checksum, _, content = place.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        unusable(error.strerror or "")
        return None
    whole = checksum == checksum_of(place.name, content)
    with suppress(OSError):  # a folder that is only read is as good
        if whole:
            os.utime(place)  # `prune` keeps what was used last
        else:
            place.unlink()
    return content if whole else None


def store(place: Path, content: bytes) -> None:
    """Keep a result, so that `load` finds it."""
    keep(place, lambda path: path.write_bytes(checksum_of(place.name, content) + b"\n" + content))


def keep(place: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` make a file under a name of its own, which then takes its place; where that fails, nothing is kept."""
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(8)}{PARTIAL}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.replace(place)
    except OSError as error:
        unusable(error.strerror or "")
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def checksum_of(name: str, content: bytes) -> bytes:
    """SHA-256 over name and content, so that a file under another's name counts as damaged."""
    return hashlib.sha256(name.encode() + b"\n" + content).hexdigest().encode()


@cache  # said once
def unusable(reason: str) -> None:
    """Say that results are not kept."""
    print(
        f"memo: {folder()}: {reason}; results are computed anew and not kept. Free some space there, make it writable, or name "
        "another folder in LOREKEEP_MEMO",
        file=sys.stderr,
    )


def prune(limit: int) -> tuple[int, int]:
    """Remove what was not used for longest until at most `limit` bytes are left, and what kills left; (files, bytes) removed."""
    found = []
    for path in files():
        with suppress(FileNotFoundError):  # a running stage has renamed it
            found.append((path, path.stat()))
    kept = removed = size = 0
    for path, status in sorted(found, key=lambda item: -item[1].st_mtime_ns):
        kept += status.st_size
        if kept > limit or (path.name.endswith(PARTIAL) and status.st_mtime < time.time() - STALE):
            path.unlink(missing_ok=True)
            removed, size = removed + 1, size + status.st_size
    return removed, size


def files() -> list[Path]:
    """All files of the memo."""
    return [path for path in folder().rglob("*") if path.is_file()] if folder().is_dir() else []
