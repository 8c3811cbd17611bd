"""The names of versions, by one rule for every command.

A name is tried in this order:

1. A number, such as 1.2.0, v1.2.0 or knowledge@v1.2.0: the release of that number.
2. What git means by it: a branch, a tag, a commit, HEAD~1, origin/main.
3. The name of an experiment of DVC, such as `puffy-daks`.
4. A branch that only remotes have: `main` is then origin/main.

In a folder of a larger repository, the tags of releases begin with this folder, as GTO and DVC write
it: `teams/metals=knowledge@v1.2.0`. So two projects of one repository do not share their numbers.
"""

import re

from stages.core.project import git
from stages.core.project.errors import InputError

PRODUCT = "knowledge"
FORM = re.compile(
    r"""
    (?:(?:[^=\s]+=)?knowledge@)?  # the beginning of a tag, which may be left out
    v?
    (                # three numbers without leading zeros: 1.2.0, but neither 1.2 nor 01.2.0
        (?:0|[1-9]\d*) \. (?:0|[1-9]\d*) \. (?:0|[1-9]\d*)
    )
    """,
    re.VERBOSE,
)
"""A release as people write it: 1.2.0, v1.2.0, knowledge@v1.2.0 or metals=knowledge@v1.2.0."""
RANGE = re.compile(r"(?P<left>.*?)\.\.\.?(?P<right>.*)")
"""Two versions in one name, as git takes them: `main...feature`, `main..feature`, `main...`."""


def tag_of(name: str) -> str:
    """Return the git tag of a version number. Raises InputError for another form."""
    match = FORM.fullmatch(name)
    if not match:
        raise InputError(
            f"{name}: not a version; write three numbers, such as 1.2.0 "
            "(lore versions lists those there are)"
        )
    return f"{tag_prefix()}{PRODUCT}@v{match[1]}"


def tag_prefix() -> str:
    """Return how tags of this project begin: `teams/metals=`, or "" at the top of a repository."""
    below = git.read_text("rev-parse", "--show-prefix") or ""
    folder = below.rstrip("/")
    return f"{folder}=" if folder else ""


def resolve(name: str) -> tuple[str, str] | None:
    """Return what a version is called and the full hash of its commit, or None where there is none.

    Raises InputError where the name means several, GitError where git cannot say.
    """
    match = FORM.fullmatch(name)
    if match:
        # Tags without the project's folder were made before they had one.
        for tag in (tag_of(name), f"{PRODUCT}@v{match[1]}"):
            commit = git_commit(f"refs/tags/{tag}")
            if commit is not None:
                return tag, commit
    for commit_by in (git_commit, commit_of_experiment, commit_of_remote_branch):
        commit = commit_by(name)
        if commit is not None:
            return name, commit
    return None


def git_commit(name: str) -> str | None:
    """Return the commit that git itself means by a name, or None.

    Raises GitError where the name is known, and its commit is missing or damaged.
    """
    question = ("rev-parse", "--verify", "--quiet", "--end-of-options")
    commit = git.read_text(*question, f"{name}^{{commit}}")
    if commit is not None:
        return commit
    # A full hash is echoed by git even where there is no such object.
    named = None if re.fullmatch(r"[0-9a-f]{40}", name) else git.read_text(*question, name)
    if named is not None:
        # This fails with git's own words where the object is missing or damaged.
        git.read("cat-file", "-t", named)
    return None


def commit_of_experiment(name: str) -> str | None:
    """Return the commit of an experiment of DVC, or None. Raises InputError where several match."""
    if not name or "/" in name:
        return None
    # Experiments are refs such as refs/exps/ab/cdef…/puffy-daks, of the commit that they grew from.
    listed = git.read_text("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps") or ""
    commits = set()
    for line in listed.splitlines():
        commit, _, ref = line.partition(" ")
        parts = ref.split("/")
        is_own_ref_of_dvc = parts[2] in ("exec", "stash")
        if parts[-1] == name and not is_own_ref_of_dvc:
            commits.add(commit)
    return the_only(commits, f"{name}: several experiments have this name")


def commit_of_remote_branch(name: str) -> str | None:
    """Return the commit of a branch that only remotes have, or None.

    Raises InputError where remotes disagree about it.
    """
    if not name:
        return None
    listed = (
        git.read_text("for-each-ref", "--format=%(objectname) %(refname)", "refs/remotes") or ""
    )
    commits = set()
    for line in listed.splitlines():
        commit, _, ref = line.partition(" ")
        # refs/remotes/origin/team/iron is the branch team/iron of the remote origin.
        branch = ref.split("/", 3)[-1]
        if branch == name:
            commits.add(commit)
    return the_only(commits, f"{name}: several remotes have another branch of this name")


def the_only(commits: set[str], problem: str) -> str | None:
    """Return the single commit, or None of none. Raises InputError where there are several."""
    if len(commits) > 1:
        listed = ", ".join(sorted(commit[:9] for commit in commits))
        raise InputError(f"{problem}: {listed}; name the commit")
    return next(iter(commits), None)


def known_names() -> list[str]:
    """Return the branches, tags and experiments that there are, as people write them."""
    printed = git.read_text("for-each-ref", "--format=%(refname:short)") or ""
    names = []
    for name in printed.split():
        # An experiment's short name is exps/ab/cdef…/puffy-daks.
        names.append(name.rsplit("/", 1)[-1] if name.startswith("exps/") else name)
    return names
