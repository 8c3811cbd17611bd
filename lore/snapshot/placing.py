"""New files that take their places together: all of them, even where the program is killed between two.

Each new file is written beside the one that it will replace. When all are written, their list is
written in one step. From then on the new files count: each takes its place, and the list is removed.
A list that a later call finds belongs to a call that was killed meanwhile, so that call goes on with
it. Without a list nothing has taken its place.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lore.snapshot.unfinished import LIST
from stages.core.project.errors import InputError
from stages.core.project.output import write_json


class Placement:
    """The new files of one call."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        """New file → the place that it will take, in this order."""

    def new(self, path: Path) -> Path:
        """Return where to write the file that will take the place of `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.partial")
        self.places[str(temporary)] = str(path)
        return temporary


@contextmanager
def together() -> Iterator[Placement]:
    """Yield a Placement. On success its files take their places, else they are removed."""
    placement = Placement()
    try:
        yield placement
        if placement.places:
            write_json(LIST, placement.places)
    except BaseException:
        for temporary in placement.places:
            Path(temporary).unlink(missing_ok=True)
        raise
    # If this fails, the list and the files stay, so that the next call can go on.
    finish()


def finish() -> list[str]:
    """Put the files of the list into their places, and return these. Without a list, do nothing.

    Raises InputError where the list cannot be read.
    """
    try:
        text = LIST.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    try:
        places: dict[str, str] = json.loads(text)
        pairs = list(places.items())
    except (ValueError, AttributeError):
        raise InputError(
            f"{LIST}: not a list of files; git checkout data/raw data/snapshots brings back the "
            "snapshots of the last commit, then remove this file"
        ) from None
    for temporary, path in pairs:
        # What took its place before the kill is no longer there.
        if Path(temporary).exists():
            os.replace(temporary, path)
    LIST.unlink()
    return [path for _, path in pairs]
