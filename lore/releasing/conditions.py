"""What must be true before a release or a rollback begins."""

from lore.releasing import registered, restore_commit
from lore.releasing.listing import first_names
from lore.versions import version as versions
from lore.versions.version import Version
from stages.core.project import git
from stages.core.project.errors import InputError

LISTED = 5
"""Files that a message names."""


def require_clean_workspace() -> None:
    """Raise InputError if a file here differs from the last commit, or an output from dvc.lock."""
    printed = git.output("-c", "core.quotePath=off", "status", "--porcelain") or b""
    # Each line is a status of two letters, a space and the path: " M params.yaml".
    changed = [line[3:] for line in printed.decode().splitlines()]
    if changed:
        raise InputError(
            f"not as in the last commit: {first_names(changed, LISTED)}; "
            "git commit them, or git stash --include-untracked"
        )
    workspace = versions.workspace()
    for problem in workspace.edited(list(workspace.outs)):
        raise InputError(f"{problem}; or dvc checkout restores it")


def require_new_tag(tag: str) -> None:
    """Raise InputError if there is such a tag already."""
    if git.output("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}") is None:
        return
    raise InputError(
        f"{tag}: there is such a release already ({versions.revision(tag).short}), "
        "and releases do not move; take the next number (lore versions lists them)"
    )


def require_registered(version: Version) -> registered.Registration:
    """Return where MLflow has the version.

    Raises InputError if it is not there, or if the version is not the result of one whole run.
    """
    registration = registered.registration_of(version)
    # No output on disk counts here: the version need not be the one in this folder.
    for problem in version.doubts([]):
        raise InputError(f"{version.label}: {problem} there, and commit")
    return registration


def require_outputs(version: Version, remedy: str) -> None:
    """Raise InputError if an output of the version is neither in git nor in DVC's cache.

    The message names the missing files and ends with `remedy`, which says how to get them.
    """
    missing = restore_commit.missing_outputs(version)
    if missing:
        raise InputError(
            f"{version.label}: not in DVC's cache ({version.cache.folder}): "
            f"{first_names(missing, LISTED)}; {remedy}"
        )
