"""Results of expensive functions, kept between runs: same file, arguments, code and libraries, same result.

They lie in `.memo` in the project's root. An experiment that DVC runs in a temporary folder uses the
same one. LOREKEEP_MEMO names another folder, which clones may share. The folder is no output: without
it every byte of every output is the same, and the run takes longer.

One result is one file, named by its key. It is written under a temporary name, then renamed, so that
neither a kill nor a second process leaves half a result. A file whose checksum is wrong is dropped and
computed again. Values are JSON, never pickle. A folder that cannot be used costs time and one warning,
never the result. Why it works this way: docs/decisions/009-memo.md.
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
"""Ending of a temporary file."""
STALE = 3600
"""Age in seconds from which on a temporary file is taken for the rest of a killed process."""
counts: Counter[str] = Counter()
"""Numbers of results in this process: `computed` and `reused`."""


def folder() -> Path:
    """Return the folder of the results."""
    named = os.environ.get("LOREKEEP_MEMO")
    if named:
        return Path(named)
    return tracking.root() / ".memo"


def remembered(
    function: Callable[..., Iterable[Any]], file: Path, *arguments: Any, engine: str = ""
) -> Iterator[Any]:
    """Yield the items of `function(file, *arguments)`, computed only where they are not known.

    `function` must belong to a module of this project. Its result may depend on the file's content (not
    its name), on the arguments, on its code and libraries (see `fingerprint`), and on `engine`: the
    version of an external program that it calls. Arguments and items must be JSON values; tuples come
    back as lists. Items come as they are computed. If the function raises, the items before the error
    have been yielded, and nothing is kept.
    """
    before = state(function, file)
    path = path_of(function, [*before, arguments, engine])
    known = load(path) if before else None
    if known is not None:
        counts["reused"] += 1
        for known_line in known.splitlines():
            yield json.loads(known_line)
        return

    counts["computed"] += 1
    lines = []
    for item in function(file, *arguments):
        line = json.dumps(item)
        lines.append(line)
        yield json.loads(line)
    edited_meanwhile = state(function, file) != before
    if before and not edited_meanwhile:
        store(path, "\n".join(lines).encode())


def recalled(function: Callable[..., Any], text: str, engine: str, *arguments: Any) -> Any:
    """Return `function(text, *arguments)`, computed only where it is not known.

    The result may depend on the text, on `engine` (the version of a model or program), and on code and
    libraries. The arguments only say where to find that engine, so they are no part of the key. The
    text itself is not stored, only its hash.
    """
    module = function.__module__
    path = path_of(function, [module, code_of(module), text, engine])
    known = load(path)
    if known is not None:
        counts["reused"] += 1
        return json.loads(known)
    counts["computed"] += 1
    content = json.dumps(function(text, *arguments)).encode()
    store(path, content)
    return json.loads(content)


def path_of(function: Callable[..., Any], key: list[Any]) -> Path:
    """Return the file of a function's result for a key of JSON values."""
    name = hashlib.sha256(json.dumps([function.__qualname__, *key]).encode()).hexdigest()
    # Two digits of the name make 256 folders, so that none of them holds too many files.
    return folder() / "results" / function.__qualname__ / name[:2] / name


@cache  # it is asked for every text, and this process runs the code that it loaded
def code_of(module: str) -> str:
    """Return `fingerprint.of` a module."""
    return fingerprint.of(module)


def state(function: Callable[..., Any], file: Path) -> list[str]:
    """Return the module and the digests of its code and of the file's content now.

    Empty where the file cannot be read; the function will raise the error for that.
    """
    try:
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return []
    module = function.__module__
    return [module, fingerprint.of(module), content]


def load(path: Path) -> bytes | None:
    """Return what was stored there, or None. A damaged file is removed."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        unusable(error.strerror or "")
        return None
    # The first line is the checksum of the rest.
    checksum, _, content = stored.partition(b"\n")
    if checksum != checksum_of(path.name, content):
        with suppress(OSError):
            path.unlink()
        return None
    with suppress(OSError):  # a read-only folder can be used too
        os.utime(path)  # `prune` keeps the results that were used last
    return content


def store(path: Path, content: bytes) -> None:
    """Keep a result, so that `load` returns it."""
    checksum = checksum_of(path.name, content)

    def write(temporary: Path) -> None:
        temporary.write_bytes(checksum + b"\n" + content)

    keep(path, write)


def keep(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` make a file under a temporary name, then rename it to `path`.

    Where that fails, nothing is kept.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.replace(path)
    except OSError as error:
        unusable(error.strerror or "")
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def checksum_of(name: str, content: bytes) -> bytes:
    """Return the SHA-256 over name and content: a file under the name of another counts as damaged."""
    return hashlib.sha256(name.encode() + b"\n" + content).hexdigest().encode()


@cache  # printed once
def unusable(reason: str) -> None:
    """Print that results are not kept."""
    print(
        f"memo: {folder()}: {reason}; results are computed anew and not kept. Free some space there, "
        "make it writable, or name another folder in LOREKEEP_MEMO",
        file=sys.stderr,
    )


def prune(limit: int) -> tuple[int, int]:
    """Remove the results used longest ago until at most `limit` bytes are left.

    Also removes what killed processes left. Returns the numbers of files and bytes removed.
    """
    statuses: list[tuple[Path, os.stat_result]] = []
    for path in files():
        with suppress(FileNotFoundError):  # a running stage has renamed it
            statuses.append((path, path.stat()))
    statuses.sort(key=lambda item: item[1].st_mtime_ns, reverse=True)

    now = time.time()
    total = 0
    removed_files = 0
    removed_bytes = 0
    for path, status in statuses:
        total += status.st_size
        left_by_a_kill = path.name.endswith(PARTIAL) and status.st_mtime < now - STALE
        if total > limit or left_by_a_kill:
            path.unlink(missing_ok=True)
            removed_files += 1
            removed_bytes += status.st_size
    return removed_files, removed_bytes


def files() -> list[Path]:
    """Return all files of the memo."""
    if not folder().is_dir():
        return []
    return [path for path in folder().rglob("*") if path.is_file()]
