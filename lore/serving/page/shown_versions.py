"""The versions that the page may show: those that are served, and the releases. No other revision of git."""

from dataclasses import dataclass

from lore.serving.errors import ApiError
from lore.serving.generations import Generation
from lore.versions import tags
from lore.versions.version import Version, at_commit, workspace
from stages.core.project import git

MOST = 100
"""Releases in the list, the newest first."""


@dataclass(frozen=True)
class Shown:
    """A version that the page may show."""

    name: str
    version: Version
    is_served: bool
    """Whether it is loaded, so that its model answers."""


def served(generation: Generation) -> Shown:
    """Return the version of a generation."""
    info = generation.version
    version = workspace() if info.commit is None else at_commit(info.name, info.commit)
    return Shown(info.name, version, is_served=True)


def find(name: str, generation: Generation) -> Shown:
    """Return the version of a name. An empty name means that of the generation.

    Raises ApiError where it is neither served nor released, InputError where its tag cannot be read.
    """
    if name in ("", generation.version.name):
        return served(generation)
    if name not in tags.release_tags():
        raise ApiError(
            404,
            f"version {name}: neither served nor released here; lore versions lists the releases",
            param="version",
            code="version_not_found",
        )
    return Shown(name, at_commit(name, tags.commit_of_tag(name)), is_served=False)


def listed(
    generation: Generation, candidate: Generation | None = None
) -> list[dict[str, str | bool]]:
    """Return name and day of each version: the served one, its candidate, then the releases, the newest first."""
    loaded = [served(generation)]
    if candidate is not None and candidate.version.name != generation.version.name:
        loaded.append(served(candidate))
    entries = [entry(shown) for shown in loaded]
    names = {shown.name for shown in loaded}
    for name in reversed(tags.release_tags()[-MOST:]):
        if name not in names:
            entries.append(entry(find(name, generation)))
    return entries


def entry(shown: Shown) -> dict[str, str | bool]:
    """Return the entry of a version in the list. The day is that of its commit, empty without one."""
    day = ""
    if shown.version.commit is not None:
        day = git.read_text("log", "-1", "--format=%cs", shown.version.commit) or ""
    return {"name": shown.name, "day": day, "is_served": shown.is_served}
