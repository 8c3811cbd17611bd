"""What must be true before a rollback begins. Whatever it would not touch may be as it is."""

from collections.abc import Iterable
from pathlib import Path

from lore.paths import touch
from lore.releasing import registered, stored
from lore.releasing.listing import first_names
from lore.rendering import terminal
from lore.versions import dvc_cache, inputs
from lore.versions.version import Version
from stages.core.project import git
from stages.core.project.errors import InputError

LISTED = 5
"""Files that a message names."""


def touched(present: Version, target: Version, files: Iterable[str]) -> set[str]:
    """Return the paths that a rollback changes, or that decide what the version here is.

    `files` are the files of git that it changes.
    """
    paths = {*files, *stored.PIPELINE_FILES}
    for version in (present, target):
        declared = set(stored.declared_paths(version))
        paths |= declared
        paths |= {pointer.file for pointer in stored.pointers_of_inputs(version, declared)}
    return paths


def require_saved(paths: Iterable[str]) -> None:
    """Raise InputError if one of these paths, or a file in one, differs from the last commit."""
    known = set(paths)
    changed = []
    for name in uncommitted():
        if any(touch(name, path) for path in known):
            changed.append(name)
    if changed:
        raise InputError(
            f"not as in the last commit: {first_names(changed, LISTED)}; "
            "git commit them, or git stash --include-untracked"
        )


def uncommitted() -> list[str]:
    """Return the files of the project that differ from the last commit, also untracked ones."""
    printed = git.read("status", "--porcelain", "-z", "--untracked-files=all", "--", ".")
    entries = git.names(printed)
    below = git.read_text("rev-parse", "--show-prefix") or ""
    paths = []
    while entries:
        # Two letters of state, a space and the path from the top of the repository:
        # "R  new.csv". Behind a renamed or copied file, the next entry is its old path alone.
        entry = entries.pop(0)
        paths.append(entry[3:])
        if "R" in entry[:2] or "C" in entry[:2]:
            paths.append(entries.pop(0))
    return [path.removeprefix(below) for path in paths]


def require_outputs_on_disk(present: Version) -> None:
    """Raise InputError if an output or a source behind a pointer was edited here.

    Outputs that are not here are no loss: DVC brings them.
    """
    for path, entry in output_entries(present).items():
        if inputs.edited_on_disk(entry):
            raise InputError(
                f"on disk, not as in dvc.lock: {path}; dvc repro brings the version up to date; "
                f"or dvc checkout --force {terminal.quoted(path)} restores it"
            )
    declared = set(stored.declared_paths(present))
    for pointer in stored.pointers_of_inputs(present, declared):
        here = Path(pointer.path)
        # Hashed whatever its size: where git keeps the file in the other version, git overwrites it.
        if here.exists() and dvc_cache.hash_of(here) != pointer.digest:
            raise InputError(
                f"{pointer.path}: not as its pointer {pointer.file} says; "
                f"dvc add {terminal.quoted(pointer.path)} and commit, or "
                f"dvc checkout --force {terminal.quoted(pointer.file)} restores it"
            )


def output_entries(version: Version) -> dict[str, dict[str, object]]:
    """Return path → entry in dvc.lock of every output that has a hash."""
    entries = {}
    for stage in version.stages.values():
        for out in stage.get("outs", []):
            if "md5" in out:
                entries[out["path"]] = out
    return entries


def require_registered(target: Version) -> registered.Registration:
    """Return where MLflow has the version.

    Raises InputError if it is not there, or if its outputs are not those of one whole run. Inputs
    that were edited after the run do not refuse it: a way back must stay open.
    """
    registration = registered.registration_of(target)
    for problem in [*target.outrun(), *target.unset()]:
        raise InputError(f"{target.label}: {problem} there, and commit")
    return registration


def warnings(target: Version) -> list[str]:
    """Return what a reader must know about the version that comes back, a line each."""
    return [*target.edited([]), *target.redeclared()]
