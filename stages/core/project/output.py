"""Outputs appear whole or not at all: written under a temporary name beside the target, then renamed."""

import ctypes
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`. On success it replaces `path`, else it is removed.

    The body creates a file or a folder under the yielded path. If the body raises, or creates nothing
    (FileNotFoundError), the old file or folder at `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    _remove(temporary)
    try:
        yield temporary
        if not os.path.lexists(temporary):
            raise FileNotFoundError(f"{path}: nothing was written to take its place")
        if os.path.lexists(path) and (path.is_dir() or temporary.is_dir()):
            _exchange(temporary, path)  # a rename replaces a file by a file, but no folder
        else:
            os.replace(temporary, path)
    finally:
        _remove(temporary)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that git can diff: keys as given, two spaces, UTF-8, a newline at the end."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _exchange(new: Path, old: Path) -> None:
    """Put `new` in the place of `old`, one of them a folder. A kill leaves the one or the other there, whole.

    Linux exchanges two names at once. Elsewhere, `old` is renamed first, so for a moment nothing lies there.
    """
    if sys.platform == "linux" and _exchanged_at_once(new, old):
        return
    aside = old.with_name(f".{old.name}.former")
    _remove(aside)
    os.replace(old, aside)
    try:
        os.replace(new, old)
    except OSError:
        os.replace(aside, old)
        raise
    _remove(aside)


def _exchanged_at_once(first: Path, second: Path) -> bool:
    """Exchange two names by renameat2. Returns False where the C library or the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    working_directory = -100  # AT_FDCWD, <fcntl.h>
    exchange = 2  # RENAME_EXCHANGE, <linux/fs.h>
    names = (os.fsencode(first), os.fsencode(second))
    failed = renameat2(working_directory, names[0], working_directory, names[1], exchange)
    return not failed


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
