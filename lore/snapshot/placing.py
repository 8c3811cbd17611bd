"""New files that take their places together: all of them, even where the program is killed between two.

Each new file is written beside the one that it will replace. When all are written, their list is
written in one step. From then on the new files count: each takes its place, and the list is removed.
A list that a later call finds belongs to a call that was killed meanwhile, so that call goes on with
it. Without a list nothing has taken its place.

The list lies in the project, so it may come from somebody else. It names places alone, and a place outside
the folders of snapshots is refused.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from lore.paths import is_inside
from lore.snapshot.unfinished import LIST
from stages.core.project.artifacts import RAW, SNAPSHOTS
from stages.core.project.errors import InputError
from stages.core.project.output import write_json


class Placement:
    """The new files of one call."""

    def __init__(self) -> None:
        self.places: list[Path] = []
        """The places that new files will take, in this order."""

    def new(self, path: Path) -> Path:
        """Return where to write the file that will take the place of `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.places.append(path)
        return new_file_of(path)


def new_file_of(path: Path) -> Path:
    """Return the new file that will take a place: `.rows.json.partial` beside `rows.json`."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def together() -> Iterator[Placement]:
    """Yield a Placement. On success its files take their places, else they are removed."""
    placement = Placement()
    try:
        yield placement
        if placement.places:
            write_json(LIST, [path.as_posix() for path in placement.places])
    except BaseException:
        for path in placement.places:
            new_file_of(path).unlink(missing_ok=True)
        raise
    # If this fails, the list and the files stay, so that the next call can go on.
    finish()


def finish() -> list[str]:
    """Put the files of the list into their places, and return these. Without a list, do nothing.

    Raises InputError where the list cannot be read, or names a place that no snapshot has.
    """
    try:
        places = json.loads(LIST.read_bytes())
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError):
        places = None
    if not is_list_of_places(places):
        raise InputError(
            f"{LIST}: not a list of files; git checkout data/raw data/snapshots brings back the "
            "snapshots of the last commit, then remove this file"
        )
    for place in places:
        path = Path(place)
        new_file = new_file_of(path)
        # What took its place before the kill is no longer there.
        if new_file.exists():
            os.replace(new_file, path)
    LIST.unlink()
    return list(places)


def is_list_of_places(found: object) -> bool:
    """Whether a parsed list names nothing but places of snapshots and of their records."""
    if not isinstance(found, list):
        return False
    for place in found:
        if not isinstance(place, str) or ".." in PurePosixPath(place).parts or "\0" in place:
            return False
        if not is_inside(place, RAW) and not is_inside(place, SNAPSHOTS):
            return False
    return True
