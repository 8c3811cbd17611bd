"""Where a project begins: the nearest folder that holds dvc.yaml and params.yaml."""

from pathlib import Path

from stages.core.project.errors import InputError

MARKS = ("dvc.yaml", "params.yaml")


def find_root(start: Path) -> Path:
    """Return the nearest project root: `start`, or the closest folder above it.

    A folder with only one of the two files counts where no folder has both: a project may just be
    beginning, or one file may have been lost. Raises InputError where there is none.
    """
    start = start.resolve()
    for required in (all, any):
        for folder in (start, *start.parents):
            if required((folder / mark).is_file() for mark in MARKS):
                return folder
    names = " and ".join(MARKS)
    raise InputError(
        f"{start}: no project here, and in no folder above; a project's root holds {names}. "
        "Go there, or name it with --project FOLDER"
    )
