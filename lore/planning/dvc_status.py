"""DVC's status of a stage in words: the dependency, setting, command or output that changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lore.comparison import settings
from lore.versions import dotted_key
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
                word = WORDS.get(how, how)
                yield Change(path, f"{path} {word}{edited(path)}")
        for path, how in entry.get("changed outs", {}).items():
            word = WORDS.get(how, how)
            # DVC says "not in cache" where it cannot bring the output back.
            restorable = path in stage.cached_outs and how in ("deleted", "modified")
            yield Change(path, f"its output {path} {word}", restorable)


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
    printed = git.output("-c", "core.quotePath=off", "status", "--porcelain", "--", path)
    if not printed:
        return ""
    # Each line of git is two letters of state, a space, and the path: ` M data/raw/a.csv`.
    names = [line[3:] for line in printed.decode().splitlines()]
    more = " …" if len(names) > SHOWN_FILES else ""
    return f" ({', '.join(names[:SHOWN_FILES])}{more})"
