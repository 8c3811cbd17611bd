"""What DVC keeps of a version: its outputs, and the inputs that `dvc add` put into the cache.

Before anything is linked or copied back, each of these objects is read and its hash compared. DVC
itself gives out a damaged object as it lies there.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from lore.paths import touch
from lore.releasing.listing import first_names
from lore.rendering import terminal
from lore.versions.dvc_cache import DAMAGED, MISSING
from lore.versions.dvc_private import FOLDER_HASH
from lore.versions.pointers import Pointer
from lore.versions.version import Version
from stages.core.project import artifacts
from stages.core.project.errors import InputError

LISTED = 5
"""Objects that a message names."""
PIPELINE_FILES = (artifacts.PIPELINE, artifacts.LOCK_FILE, artifacts.PARAMS)


@dataclass(frozen=True)
class Problem:
    """An object that cannot be brought back."""

    path: str
    """The file that it is the content of."""
    digest: str
    kind: str
    """DAMAGED or MISSING."""


def declared_paths(version: Version) -> Iterator[str]:
    """Yield the path of each input and output of every stage."""
    for stage in version.stages.values():
        for entry in stage.get("deps", []):
            yield entry["path"]
        for entry in stage.get("outs", []):
            yield entry["path"]


def pointers_of_inputs(version: Version, declared: set[str]) -> list[Pointer]:
    """Return the pointers of DVC in a version that stand for a declared path, or for a part of one."""
    chosen = []
    for pointer in version.pointers:
        if any(touch(pointer.path, path) for path in declared):
            chosen.append(pointer)
    return chosen


def kept_by_dvc(version: Version) -> dict[str, str]:
    """Return path → hash of all that DVC must bring back: outputs, and inputs behind pointers."""
    kept = {}
    for path, digest in version.outs.items():
        if not is_in_git(version, path):
            kept[path] = digest
    for pointer in pointers_of_inputs(version, set(declared_paths(version))):
        kept[pointer.path] = pointer.digest
    return kept


def is_in_git(version: Version, path: str) -> bool:
    """Whether git keeps a file, or files of a folder, in a version."""
    if path in version.files:
        return True
    return any(name.startswith(f"{path}/") for name in version.files)


def checkout_targets(version: Version) -> list[str]:
    """Return what `dvc checkout` is told to bring back: outputs, and pointer files of inputs."""
    targets = [path for path in version.outs if not is_in_git(version, path)]
    for pointer in pointers_of_inputs(version, set(declared_paths(version))):
        targets.append(pointer.file)
    return list(dict.fromkeys(targets))


def problems(version: Version) -> Iterator[Problem]:
    """Read every object of a version and yield those that are missing or damaged.

    Of a folder, the files are named one by one.
    """
    for path, digest in kept_by_dvc(version).items():
        terminal.progress(f"reading {path} of {version.name}")
        kind = version.cache.problem(digest)
        if kind:
            yield Problem(path, digest, kind)
            continue
        if not digest.endswith(FOLDER_HASH):
            continue
        for name, single in version.cache.listing(digest, f"the list of {path}").items():
            kind = version.cache.problem(single)
            if kind:
                yield Problem(f"{path}/{name}", single, kind)
    terminal.progress("")


def require_sound(version: Version, missing_remedy: str, damaged_remedy: str) -> None:
    """Raise InputError that names the missing and the damaged objects of a version.

    The remedies say how to get them. Nothing has been changed then.
    """
    lacking = []
    damaged = []
    files = []
    for problem in problems(version):
        if problem.kind == MISSING:
            lacking.append(f"{problem.path} ({problem.digest})")
        elif problem.kind == DAMAGED:
            damaged.append(f"{problem.path} ({problem.digest})")
            files.append(str(version.cache.path(problem.digest)))
    lines = []
    if damaged:
        removal = " ".join(terminal.quoted(file) for file in files[:LISTED])
        more = " …" if len(files) > LISTED else ""
        lines.append(
            f"{version.label}: damaged in DVC's cache ({version.cache.folder}), its content has "
            f"another hash: {first_names(damaged, LISTED)}; nothing was changed. "
            f"Remove it (rm -f {removal}{more}), then {damaged_remedy}"
        )
    if lacking:
        lines.append(
            f"{version.label}: not in DVC's cache ({version.cache.folder}): "
            f"{first_names(lacking, LISTED)}; {missing_remedy}"
        )
    if lines:
        raise InputError("\n".join(lines))


def fetching(version: Version) -> str:
    """Return the commands that bring a version's objects from a remote."""
    from lore.versions import dvc_private

    remotes = dvc_private.remotes()
    if not remotes:
        return (
            "no remote of DVC is set here, so make them again: "
            f"git worktree add --detach ../{version.short} {version.short}, and dvc repro there"
        )
    if all(dvc_private.names_remote(version.text(".dvc/config") or "", name) for name in remotes):
        return (
            "dvc fetch --all-commits brings them from a remote, where it has them "
            "(dvc pull: of the version here alone)"
        )
    # DVC reads the remotes of each commit in that commit, so --all-commits finds none there.
    there = f"../{version.short}"
    cache = shlex.quote(str(version.cache.folder.resolve()))
    return (
        f"its commit names no remote yet, so fetch with today's settings: git worktree add --detach "
        f"{there} {version.short} && cp .dvc/config* {there}/.dvc/ && cd {there} && "
        f"dvc cache dir --local {cache} && dvc fetch"
    )
