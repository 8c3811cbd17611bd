"""DVC's status of a stage in words: the dependency, setting, command or output that changed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lore.checking.pipeline import MADE_BY_SETUP
from lore.comparison import settings
from lore.versions import dotted_key, inputs, pointers
from lore.versions.dvc_private import Stage
from lore.versions.version import Version
from stages.core.project import git

WORDS = {
    "modified": "changed",
    "deleted": "is missing",
    "new": "is new",
    "not in cache": "is not in DVC's cache",
}
"""DVC's word for a change, and ours."""
# The three lines of a conflict: `<<<<<<< HEAD`, `=======` and `>>>>>>> branch`.
CONFLICT_MARKS = (
    re.compile(rb"^<{7} ", re.MULTILINE),
    re.compile(rb"^={7}\r?$", re.MULTILINE),
    re.compile(rb"^>{7} ", re.MULTILINE),
)
SHOWN_FILES = 3
"""Edited files of a folder that are named."""


@dataclass(frozen=True)
class Change:
    """One thing that DVC finds changed in a stage."""

    path: str
    """A dependency or output. Empty for a setting and for the command."""
    why: str
    restorable: bool = False
    """Whether DVC brings it back from its cache."""
    stops: bool = False
    """Whether `dvc repro` fails on it: an input is missing, or has the conflicts of a merge."""


def of_stage(status: list[Any], here: Version, stage: Stage) -> Iterator[Change]:
    """Yield the changes in a stage.

    `status` is DVC's list for it: texts such as "changed command", and mappings such as
    {"changed deps": {"params.yaml": {"clean": "modified"}, "data/raw": "modified"}}.
    """
    if stage.name not in here.stages:
        yield Change("", "it never ran: dvc.lock has no entry")
        return
    for entry in status:
        if isinstance(entry, str):
            why = "its command changed" if entry == "changed command" else entry
            yield Change("", why)
            continue
        for path, how in entry.get("changed deps", {}).items():
            if isinstance(how, Mapping):  # a file of parameters: section → how it changed
                changed = ", ".join(settings_of(here, stage.name, path, how))
                yield Change("", f"{path}: {changed}")
            else:
                yield changed_dependency(path, how)
        for path, how in entry.get("changed outs", {}).items():
            word = WORDS.get(how, how)
            # DVC says "not in cache" where it cannot bring the output back.
            restorable = path in stage.cached_outs and how in ("deleted", "modified")
            yield Change(path, f"its output {path} {word}", restorable)


def changed_dependency(path: str, how: str) -> Change:
    """Return the change of a file or folder that the stage reads. `how` is DVC's word for it."""
    conflicted = conflicts(path)
    if conflicted:
        return Change(
            path,
            f"{', '.join(conflicted)}: conflicts of a merge; finish it, then git add",
            stops=True,
        )
    word = WORDS.get(how, how)
    pointer = Path(f"{path}{pointers.ENDING}")
    if how == "deleted" and pointer.is_file():
        return Change(
            path, f"{path} {word}; dvc checkout {pointer} or dvc pull brings it", stops=True
        )
    if how == "deleted" and path in MADE_BY_SETUP:
        return Change(path, f"{path} {word}; make setup fetches it", stops=True)
    if how == "deleted":
        return Change(
            path,
            f"{path} {word}; git checkout or dvc pull brings it back, or remove it from the deps",
            stops=True,
        )
    return Change(path, f"{path} {word}{edited(path)}")


def conflicts(path: str) -> list[str]:
    """Return the files at or below a path in which git has left the conflicts of a merge."""
    found = set()
    for entry in git.names(git.read("ls-files", "--unmerged", "-z", "--", path)):
        # "100644 7898… 2\tdata/raw/a.csv", a line for each side of the merge.
        _, _, name = entry.partition("\t")
        found.add(name)
    if found:
        return sorted(found)
    # Somebody may have called git add on a file that still has the marks of a conflict.
    if Path(path).is_file() and Path(path).stat().st_size <= inputs.CHEAP:
        content = Path(path).read_bytes()
        if all(mark.search(content) for mark in CONFLICT_MARKS):
            return [path]
    return []


def settings_of(here: Version, stage: str, path: str, sections: Mapping[str, str]) -> Iterator[str]:
    """Yield each setting that changed, with both values: `clean.min_chars 1 → 2`."""
    recorded = here.stages[stage].get("params", {})
    was = recorded.get(path, {})
    now = here.document(path) or {}
    for section in sections:
        old = dotted_key.value(was, section)
        new = dotted_key.value(now, section)
        for change in settings.differences(old, new, section):
            values = f"{written(change.old)} → {written(change.new)}"
            yield f"{change.key} {values}"


def written(value: Any) -> str:
    """Return a setting's value as text, or a dash where there is none."""
    return "–" if value is dotted_key.ABSENT else settings.written(value)


def edited(path: str) -> str:
    """Return which files of a folder differ from the last commit: ` (data/raw/a.csv, …)`.

    The text is empty for a file, and where git finds none.
    """
    if not Path(path).is_dir():
        return ""
    printed = git.read("-c", "core.quotePath=off", "status", "--porcelain", "--", path)
    if not printed:
        return ""
    # Each line of git is two letters of state, a space, and the path: ` M data/raw/a.csv`.
    names = [line[3:] for line in printed.decode("utf-8", "replace").splitlines()]
    more = " …" if len(names) > SHOWN_FILES else ""
    return f" ({', '.join(names[:SHOWN_FILES])}{more})"
