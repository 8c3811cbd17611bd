"""Releases are git tags of the form knowledge@v1.2.0, the convention of GTO, which DVC ships with."""

import re

from lore.versions import version
from lore.versions.version import Version
from stages.core.project import git

PREFIX = "knowledge@v"
PATTERN = "knowledge@v*"
"""The tags of all releases, as `git tag --list` takes it."""
FORM = re.compile(
    r"(?:knowledge@)?v?"  # may be left out: 1.2.0, v1.2.0 and knowledge@v1.2.0 mean one release
    r"("
    r"(?:0|[1-9]\d*)\."  # three numbers without leading zeros: 1.10.0, but not 1.02.0
    r"(?:0|[1-9]\d*)\."
    r"(?:0|[1-9]\d*)"
    r")"
)
"""A version number as people write it. Group 1 is the number alone."""


def tagged() -> list[Version]:
    """Return the versions that have a release tag, the oldest first."""
    # Git sorts by version here, so 1.9.0 comes before 1.10.0.
    tags = git.text("tag", "--list", PATTERN, "--sort=version:refname") or ""
    versions = []
    for tag in tags.split():
        versions.append(version.revision(tag))
    return versions


def tag_of(name: str) -> str | None:
    """Return the tag of a version number, such as knowledge@v1.2.0 of 1.2.0, or None for another form."""
    number = FORM.fullmatch(name)
    return f"{PREFIX}{number[1]}" if number else None


def named(name: str) -> Version:
    """Return the version of that name: a release by its number, else what git means by the name.

    Raises InputError where there is none.
    """
    return version.revision(tag_of(name) or name)
