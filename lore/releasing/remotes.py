"""What other clones know: the remote of git and the remote of DVC, before a release.

A release is made for others. So the number must be free on the remote, the branch must not be behind
it, and the outputs must be where others can get them. Nothing here changes a file or fetches anything.
"""

import os
import re
import subprocess
from dataclasses import dataclass, field

from lore.releasing.listing import first_names
from lore.versions import tags
from lore.versions.version import Version
from stages.core.project import git
from stages.core.project.errors import InputError

PATIENCE = 60
"""Seconds after which a remote counts as one that cannot be reached."""
PRODUCT = "knowledge@v"
"""What every tag of a release holds, before its number."""
LISTED = 5
"""Tags or files that a message names."""
LOOK_HERE_ONLY = "repeat this when it can be reached, or add --local to look at this clone only"
# The user and password of an address: https://me:secret@host/ holds `me:secret@`.
CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+@")


@dataclass(frozen=True)
class Remote:
    """A remote of git, as it answered just now."""

    name: str
    branches: dict[str, str] = field(default_factory=dict)
    """Branch → commit."""
    tags: dict[str, str] = field(default_factory=dict)
    """Tag → commit that it means."""


def remote_name() -> str | None:
    """Return the remote that releases go to, or None where there is none.

    It is that of the branch's upstream, else `remote.pushDefault`, else origin, else the first.
    """
    known = (git.text("remote") or "").split()
    branch = git.text("symbolic-ref", "--quiet", "--short", "HEAD")
    wanted = [
        git.text("config", f"branch.{branch}.remote") if branch else None,
        git.text("config", "remote.pushDefault"),
        "origin",
        *known,
    ]
    for name in wanted:
        if name in known:
            return name
    return None


def ask(name: str) -> Remote:
    """Return what the remote has now. Raises InputError if it cannot be asked."""
    variables = {
        # Nobody is there to type a password into a pipe.
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
    }
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--heads", "--tags", "--", name],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{name}: no answer in {PATIENCE} seconds, so a release of the same number there would "
            f"not be seen; {LOOK_HERE_ONLY}"
        ) from None
    if done.returncode:
        said = CREDENTIALS.sub("", " ".join(done.stderr.split()))
        raise InputError(
            f"{name}: the remote cannot be asked ({said}), so a release of the same number there "
            f"would not be seen; {LOOK_HERE_ONLY}"
        )
    return parsed(name, done.stdout)


def parsed(name: str, listing: str) -> Remote:
    """Return the remote of a listing of `git ls-remote`: lines of hash, tab, name of the reference."""
    remote = Remote(name)
    for line in listing.splitlines():
        commit, _, reference = line.partition("\t")
        if reference.startswith("refs/heads/"):
            remote.branches[reference.removeprefix("refs/heads/")] = commit
        # An annotated tag has two lines. The second, `refs/tags/v1^{}`, has the commit.
        tag = reference.removeprefix("refs/tags/").removesuffix("^{}")
        if reference.startswith("refs/tags/"):
            remote.tags[tag] = commit
    return remote


def require_free_number(remote: Remote, tag: str) -> None:
    """Raise InputError if the remote has such a tag already."""
    commit = remote.tags.get(tag)
    if commit is None:
        return
    raise InputError(
        f"{tag}: {remote.name} has such a release already (commit {commit[:9]}); git fetch "
        f"{remote.name} --tags brings it here. Take the next number"
    )


def require_unmoved_tags(remote: Remote) -> None:
    """Raise InputError if a release means one commit here and another on the remote."""
    moved = []
    for tag in release_tags():
        here = git.text("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
        there = remote.tags.get(tag)
        if there is not None and here is not None and there != here:
            moved.append(f"{tag} is {here[:9]} here and {there[:9]} there")
    if moved:
        raise InputError(
            f"releases do not move, but here and on {remote.name} they differ: "
            f"{first_names(moved, LISTED)}; git fetch {remote.name} --tags --force takes those of "
            f"{remote.name}"
        )


def release_tags(*options: str) -> list[str]:
    """Return the tags of releases here. `options` are those of `git tag --list`."""
    printed = git.text("tag", "--list", *options) or ""
    releases = []
    for tag in printed.splitlines():
        if PRODUCT in tag and tags.FORM.fullmatch(tag):
            releases.append(tag)
    return releases


def beginning_of(tag: str) -> str:
    """Return what stands before the number of a tag: `knowledge@v` of `knowledge@v1.2.0`."""
    before, _, _ = tag.rpartition(PRODUCT)
    return f"{before}{PRODUCT}"


def require_up_to_date(remote: Remote, head: Version) -> None:
    """Raise InputError if the branch lacks commits that the remote's branch has."""
    branch = branch_there(remote)
    if branch is None:
        return
    there = remote.branches.get(branch)
    if there is None or there == head.commit:
        return
    is_known = git.output("cat-file", "-e", f"{there}^{{commit}}") is not None
    if is_known:
        common = git.text("merge-base", there, str(head.commit))
        if common == there:
            return
        if common == head.commit:
            # The older commit is what is to be released, which a branch may hold on purpose.
            how = "is behind"
        else:
            how = "has parted from"
    else:
        how = "is behind"
    raise InputError(
        f"{head.label}: this branch {how} {remote.name}/{branch} ({there[:9]}), so the release would "
        f"lack what others added; git pull {remote.name} {branch}, dvc repro, commit. To release the "
        "older commit on purpose: git switch --detach, and release from there"
    )


def branch_there(remote: Remote) -> str | None:
    """Return the branch of the remote that belongs to the branch here, or None.

    It is the upstream, else the branch of the same name. A detached HEAD has none.
    """
    branch = git.text("symbolic-ref", "--quiet", "--short", "HEAD")
    if not branch:
        return None
    upstream = git.text("config", f"branch.{branch}.merge") or ""
    is_of_remote = git.text("config", f"branch.{branch}.remote") == remote.name
    if upstream and is_of_remote:
        return upstream.removeprefix("refs/heads/")
    return branch


def branch_to_push(remote: Remote, head: Version) -> str | None:
    """Return the branch of the remote that lacks the commit and shall get it, or None."""
    for there in remote.branches.values():
        if there == head.commit or is_ancestor(str(head.commit), there):
            return None
    return branch_there(remote)


def is_ancestor(commit: str, other: str) -> bool:
    """Tell whether `other` holds the commit. One that is not known here holds nothing known."""
    return git.output("merge-base", "--is-ancestor", commit, other) is not None


def dvc_remote_name() -> str | None:
    """Return the name of DVC's default remote, or None."""
    from lore.versions import dvc_remote

    return dvc_remote.name()


def require_a_branch(head: Version) -> None:
    """Raise InputError if no branch holds the commit, here or as a remote's branch."""
    holding = git.text(
        "for-each-ref", f"--contains={head.commit}", "--format=%(refname)", "refs/heads", "refs/remotes"
    )  # fmt: skip
    if holding:
        return
    raise InputError(
        f"{head.label}: no branch holds this commit, so only the tag would keep it; "
        "git switch --create NAME gives it one"
    )


def require_released_once(head: Version, tag: str) -> None:
    """Raise InputError if the commit is a release already, under another number than that of `tag`."""
    releases = []
    for other in release_tags("--points-at", str(head.commit)):
        # Another project of the same repository may release the commit too.
        if other.startswith(beginning_of(tag)):
            releases.append(other)
    if releases:
        raise InputError(
            f"{head.short} is released already, as {first_names(releases, LISTED)}; a second number for "
            f"it would say that something changed. If that number was a mistake and was never pushed: "
            f"git tag --delete {releases[0]}"
        )


def require_outputs_in_remote(head: Version) -> str | None:
    """Return the name of DVC's remote, which has every object of the version; None if none is set.

    Raises InputError if an object is not there, or if the remote cannot be asked.
    """
    from lore.versions import dvc_remote

    asked = dvc_remote.missing_objects()
    if asked is None:
        return None
    if asked.problem:
        raise InputError(
            f"DVC's remote {asked.remote} cannot be asked ({CREDENTIALS.sub('', asked.problem)}), so "
            f"nobody knows whether others could get the outputs; {LOOK_HERE_ONLY}"
        )
    if asked.missing:
        raise InputError(
            f"{head.label}: DVC's remote {asked.remote} lacks {len(asked.missing)} objects of it: "
            f"{first_names(asked.missing, LISTED)}; dvc push brings them there (so does --push). If it "
            "says that everything is up to date, delete those folders' .dir objects there first, "
            "since DVC looks at them alone"
        )
    return asked.remote
