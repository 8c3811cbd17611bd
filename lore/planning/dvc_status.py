"""What DVC finds changed in a stage, in words: which dependency, setting, command or output, and both values of a setting."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lore.versions.version import Version

WORDS = {
    "modified": "changed",
    "deleted": "is missing",
    "new": "is new",
    "not in cache": "is not in DVC's cache",
}


@dataclass(frozen=True)
class Change:
    """One thing that DVC finds changed in a stage."""

    path: str
    """A dependency or output; empty for a setting or the command."""
    why: str
    restorable: bool = False
    """Whether DVC brings it back from its cache."""


def of_stage(found: list[Any], here: Version, stage: Any) -> Iterator[Change]:
    """What DVC's status says of a stage, in words."""
    if stage.name not in here.stages:
        yield Change("", "it never ran: dvc.lock has no entry")
        return
    cached = {out.def_path for out in stage.outs if out.use_cache}
    for change in found:
        if isinstance(change, str):
            yield Change("", "its command changed" if change == "changed command" else change)
            continue
        for path, how in change.get("changed deps", {}).items():
            if isinstance(how, Mapping):
                yield Change("", f"{path}: {', '.join(settings_of(here, stage.name, path, how))}")
            else:
                yield Change(path, f"{path} {WORDS.get(how, how)}{edited(path)}")
        for path, how in change.get("changed outs", {}).items():
            yield Change(
                path,
                f"its output {path} {WORDS.get(how, how)}",
                path in cached and how in ("deleted", "modified"),
            )


def settings_of(here: Version, stage: str, path: str, sections: Mapping[str, str]) -> Iterator[str]:
    """Each setting that changed, with both values."""
    from lore.comparison import settings

    was, now = here.stages[stage].get("params", {}).get(path, {}), here.document(path) or {}
    for section in sections:
        for change in settings.differences(
            settings.value(was, section), settings.value(now, section), section
        ):
            yield f"{change.key} {written(change.old)} → {written(change.new)}"


def written(value: Any) -> str:
    """A setting's value, or a dash where there is none."""
    from lore.comparison import settings

    return "–" if value is settings.ABSENT else settings.written(value)


def edited(path: str) -> str:
    """Which files of a folder are not as in the last commit, as far as git has them."""
    from lore.versions.version import git

    if not Path(path).is_dir():
        return ""
    said = (
        (git("-c", "core.quotePath=off", "status", "--porcelain", "--", path) or b"")
        .decode()
        .splitlines()
    )
    names = [line[3:] for line in said]
    return f" ({', '.join(names[:3])}{' …' if len(names) > 3 else ''})" if names else ""
