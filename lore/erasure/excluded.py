"""What the project excludes now, by its exclusions file."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lore.erasure.target import Entries
from stages.core.project import artifacts

EXCLUSIONS = Path(artifacts.EXCLUSIONS)
NOTHING = 3
"""Exit code if nothing matches."""


def excluded_now() -> Entries:
    """Return everything that the exclusions file names. Raises ParamsError if it is broken."""
    from stages.clean import exclusions

    listed = exclusions.read(EXCLUSIONS)
    return {kind: [entry.id for entry in getattr(listed, kind)] for kind in exclusions.KINDS}


@contextmanager
def locked() -> Iterator[None]:
    """Wait until no other process changes the exclusions file, and let the others wait meanwhile.

    The file is read, extended and replaced. Of two processes that did this at once, the second one
    would write over what the first one added.
    """
    # The folder is locked, since the file itself is replaced by another one.
    folder = os.open(EXCLUSIONS.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        # The lock ends with the descriptor, so also where the process is killed.
        os.close(folder)
