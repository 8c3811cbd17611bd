"""Every error a person can meet, as a tree. Messages say what, where, and what to do next.

LorekeepError
├── ParamsError      params.yaml: unknown, missing or ill-typed keys, all in one message
├── InputError       a file or folder is missing, unreadable or not what it should be
├── GitError         git failed: a damaged or foreign repository, an object that cannot be had
├── UnknownStageError  no stage of this name; names the nearest one
├── RecordError      a record breaks the schema (a bug or a hand-edited file, never dirty data)
├── ModelError       a model folder or checkpoint cannot be used
├── ExecutorError    run.executor cannot be used: not installed, not reachable, other code on a node, or killed
├── ResourceError    the machine has too little disk or memory for a stage
├── LockError        the installed libraries are not those of the lock file
└── GateError        a registration gate failed: names the gate, its limit and the measured number

Dirty data raises nothing. The record is set aside with its reason: see `record.REJECTED`.
"""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# How libraries say the number of an error of the system: polars `(os error 28)`, Arrow `[errno 28]`.
NUMBER = re.compile(r"\(os error (\d+)\)|\[errno (\d+)\]", re.IGNORECASE)
# How NumPy says that a file could not take all: `100000 requested and 12484 written`.
CUT_SHORT = re.compile(r"\d+ requested and \d+ written")


class LorekeepError(Exception):
    """Base of all errors raised on purpose. The launcher prints it without a traceback and exits with 1."""


class ParamsError(LorekeepError):
    """The parameters cannot be used. Holds every problem found, one line each."""


class InputError(LorekeepError):
    """An input file or folder is missing, unreadable or malformed as a whole."""


class GitError(InputError):
    """Git failed to answer. This does not mean that a thing is absent: nobody knows whether it is."""


class UnknownStageError(InputError):
    """No stage has this name."""


class RecordError(LorekeepError):
    """A table does not follow the Record schema."""


class ModelError(LorekeepError):
    """A model, tokenizer or adapter cannot be loaded or does not fit."""


class ExecutorError(LorekeepError):
    """The executor, which shares work between processes or machines, cannot be used."""


class ResourceError(LorekeepError):
    """The machine has too little disk or memory."""


class LockError(LorekeepError):
    """The installed libraries differ from requirements.lock."""


class GateError(LorekeepError):
    """A registration gate failed."""


@contextmanager
def resources_explained(stage: str, folder: Path, needed: int = 0) -> Iterator[None]:
    """Raise ResourceError where the body runs out of disk or memory.

    `folder` is where the stage writes, and `needed` how many bytes it needs there, if that is known.
    Outputs take their place when they are whole, so the former ones are unchanged.
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        wanted = f", and {stage} needs about {in_words(needed)}" if needed else ""
        raise ResourceError(
            f"{stage}: no space left to write below {folder.absolute()}: "
            f"{in_words(free_space(folder))} are free{wanted}; free some space there and run "
            "dvc repro again; the former output is unchanged"
        ) from None
    except MemoryError as error:
        detail = f" ({error})" if str(error) else ""
        raise ResourceError(
            f"{stage}: too little memory{detail}; set run.threads lower, or use a machine with "
            "more memory, and run dvc repro again; the former output is unchanged"
        ) from None


def is_full(error: OSError) -> bool:
    """Whether an error says that a disk, a quota or a file is full, as any library says it."""
    text = str(error)
    number = NUMBER.search(text)
    if error.errno is None and number:
        return int(number[1] or number[2]) in FULL
    return error.errno in FULL or CUT_SHORT.fullmatch(text) is not None


def free_space(folder: Path) -> int:
    """Return the free bytes of the disk that a folder is on, or will be on."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def in_words(size: int) -> str:
    """Return a number of bytes as people write it: 1.5 GB."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"
