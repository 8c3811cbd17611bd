"""Where a project begins: the nearest folder that holds dvc.yaml and params.yaml."""

from pathlib import Path

from stages.core.project.errors import InputError

MARKS = ("dvc.yaml", "params.yaml")


def is_root(folder: Path) -> bool:
    """Tell whether a folder is the root of a project."""
    return all((folder / mark).is_file() for mark in MARKS)


def find_root(start: Path) -> Path:
    """Return the nearest project root: `start`, or the closest folder above it.

    Raises InputError where there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if is_root(folder):
            return folder
    names = " and ".join(MARKS)
    raise InputError(
        f"{start}: no project here, and in no folder above; a project's root holds {names}. "
        "Go there, or name it with --project FOLDER"
    )
