"""Names of releases: the tags of git, and the numbers that people write for them.

The form of the tags, `knowledge@v1.2.0`, is the convention of GTO, which DVC ships with. A tag
`knowledge@v1.2.0!` or `knowledge@v1.2.0!2` says there that this release is deprecated.
"""

import re

from lore.versions import names, version
from lore.versions.names import FORM, tag_of
from lore.versions.version import Version
from stages.core.project import git
from stages.core.project.errors import InputError

__all__ = ["FORM", "deprecated", "find", "listed", "tag_of", "tagged"]

# A deprecation in the form of GTO: `knowledge@v1.2.0!`, `knowledge@v1.2.0!2`.
DEPRECATION = re.compile(r"(?P<release>.+)!\d*")


def find(name: str) -> Version:
    """Return the release of that number, or else what git means by the name.

    Raises InputError if there is no such version.
    """
    return version.revision(name)


def tagged() -> list[Version]:
    """Return the releases that can be read, the oldest first."""
    versions, _ = listed()
    return versions


def listed() -> tuple[list[Version], list[str]]:
    """Return the releases, the oldest first, and a line for each tag that names no commit."""
    versions = []
    problems = []
    for tag in release_tags():
        try:
            versions.append(version.at_commit(tag, commit_of_tag(tag)))
        except InputError as error:
            problems.append(f"{tag} cannot be read: {error}")
    return versions, problems


def commit_of_tag(tag: str) -> str:
    """Return the commit of a tag. Raises InputError where it names none."""
    commit = names.git_commit(f"refs/tags/{tag}")
    if commit is None:
        raise InputError(
            "the tag names no commit; git tag --delete removes it, and git fetch brings another"
        )
    return commit


def release_tags() -> list[str]:
    """Return the tags of this project's releases, the oldest number first.

    In a folder of a larger repository, they begin with this folder. Tags without a folder count
    there too if no tag of that number begins with it, and if the commit has this project.
    """
    prefix = names.tag_prefix()
    own = tags_like(prefix)
    if not prefix:
        return own
    numbers = {tag.removeprefix(prefix) for tag in own}
    shared = []
    for tag in tags_like(""):
        if tag not in numbers and has_this_project(tag):
            shared.append(tag)
    return sorted([*own, *shared], key=number_of)


def tags_like(prefix: str) -> list[str]:
    """Return the tags of releases that begin so, the oldest number first."""
    pattern = f"{prefix}{names.PRODUCT}@v*"
    printed = git.read_text("tag", "--list", pattern, "--sort=version:refname") or ""
    beginning = f"{prefix}{names.PRODUCT}@v"
    tags = []
    for tag in printed.splitlines():
        # Other tags of GTO have this beginning too: knowledge@v1.2.0! deprecates the release.
        if tag.startswith(beginning) and FORM.fullmatch(tag):
            tags.append(tag)
    return tags


def has_this_project(tag: str) -> bool:
    """Whether the commit of a tag holds a dvc.lock in this folder, and none at the top."""
    commit = f"refs/tags/{tag}"
    here = git.read("ls-tree", "-z", commit, "--", "dvc.lock")
    at_top = git.read("ls-tree", "-z", "--full-tree", commit, "--", "dvc.lock")
    return bool(here) and not at_top


def number_of(tag: str) -> tuple[int, ...]:
    """Return the number of a release as it is compared: `knowledge@v1.10.0` is (1, 10, 0)."""
    match = FORM.fullmatch(tag)
    assert match is not None
    return tuple(int(part) for part in match[1].split("."))


def deprecated() -> set[str]:
    """Return the tags of the releases that a tag of GTO deprecates."""
    printed = git.read_text("tag", "--list", f"*{names.PRODUCT}@v*!*") or ""
    releases = set()
    for tag in printed.splitlines():
        match = DEPRECATION.fullmatch(tag)
        if match:
            releases.add(match["release"])
    return releases
