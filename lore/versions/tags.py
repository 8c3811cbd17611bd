"""Names of releases: the tags of git, and the numbers that people write for them.

The form of the tags, `knowledge@v1.2.0`, is the convention of GTO, which DVC ships with.
"""

import re

from lore.versions import version
from lore.versions.version import Version
from stages.core.project import git
from stages.core.project.errors import InputError

PATTERN = "knowledge@v*"
"""Tags of releases, as `git tag --list` takes it."""
FORM = re.compile(
    r"""
    (?:knowledge@)?  # the beginning of a tag, which may be left out
    v?
    (                # three numbers without leading zeros: 1.2.0, but neither 1.2 nor 01.2.0
        (?:0|[1-9]\d*) \. (?:0|[1-9]\d*) \. (?:0|[1-9]\d*)
    )
    """,
    re.VERBOSE,
)
"""A release as people write it: 1.2.0, v1.2.0 or knowledge@v1.2.0."""


def tag_of(name: str) -> str:
    """Return the git tag of a version number. Raises InputError for another form."""
    match = FORM.fullmatch(name)
    if not match:
        raise InputError(
            f"{name}: not a version; write three numbers, such as 1.2.0 "
            "(lore versions lists those there are)"
        )
    return f"knowledge@v{match[1]}"


def find(name: str) -> Version:
    """Return the release of that number, or else what git means by the name.

    Raises InputError if there is no such version.
    """
    if FORM.fullmatch(name):
        return version.revision(tag_of(name))
    return version.revision(name)


def tagged() -> list[Version]:
    """Return the releases, the oldest first."""
    printed = git.text("tag", "--list", PATTERN, "--sort=version:refname") or ""
    return [version.revision(tag) for tag in printed.split()]
