"""A full disk and too little memory are messages that name the folder, whichever library meets them."""

import errno
import os
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from stages.core.project.errors import ResourceError, in_words, is_full, resources_explained


def full_by_polars() -> None:
    pl.DataFrame({"text": ["iron" * 100] * 5000}).write_ipc("/dev/full")


def full_by_arrow() -> None:
    with pa.OSFile("/dev/full", "wb") as file:
        file.write(b"iron" * 100_000)


def full_by_numpy() -> None:
    with open("/dev/full", "wb") as file:
        np.zeros(100_000).tofile(file)


def full_by_python() -> None:
    with open("/dev/full", "w", encoding="utf-8") as file:
        file.write("iron")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize("write", [full_by_polars, full_by_arrow, full_by_numpy, full_by_python])
def test_a_full_disk_names_the_folder(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "data" / "clean"
    message = (
        rf"clean: no space left to write below {folder}: .* are free, and clean needs about 2 GB"
    )
    with (
        pytest.raises(ResourceError, match=message),
        resources_explained("clean", folder, 2 * 10**9),
    ):
        write()


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError("No space left on device (os error 28)"), True),
        (OSError("Error writing bytes to file. Detail: [errno 28] No space left"), True),
        (OSError("800000 requested and 12484 written"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (OSError("Permission denied (os error 13)"), False),
        (FileNotFoundError(errno.ENOENT, "no", "a [errno 28] b"), False),
        (OSError("something else"), False),
    ],
)
def test_which_errors_mean_a_full_disk(error: OSError, full: bool) -> None:
    assert is_full(error) == full


def test_other_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="denied"), resources_explained("extract", tmp_path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.mark.parametrize("error", [MemoryError(), pa.ArrowMemoryError("malloc of size 5 failed")])
def test_too_little_memory(error: MemoryError, tmp_path: Path) -> None:
    message = r"extract: too little memory.*; set run.threads lower"
    with pytest.raises(ResourceError, match=message), resources_explained("extract", tmp_path):
        raise error


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (2 * 10**9, "2 GB"),
        (5 * 10**13, "50 TB"),
    ],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words
