"""Which version is to be served, and its files laid out in a private folder that nothing changes.

The files of a committed version are links to objects of DVC's cache, whose hashes are checked. So a checkout,
a rollback or a run of the pipeline in the project's folder never changes what a loaded version reads.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lore.releasing import registered
from lore.releasing.steps import steps_of
from lore.releasing.transaction import JOURNAL_FILE, Journal, Plan
from lore.versions import tags
from lore.versions.version import Version, at_commit, revision, workspace
from stages.core.project import artifacts, git
from stages.core.project.errors import GitError, InputError, ModelError
from stages.core.project.params import read_yaml

MODELS = {
    "base": (artifacts.BASE,),
    "train": (artifacts.BASE, artifacts.TRAIN),
    "align": (artifacts.BASE, artifacts.ALIGN),
    "distill": (artifacts.DISTILL,),
    "quantize": (artifacts.QUANTIZE,),
    "quantize_train": (artifacts.QUANTIZE,),
}
"""Outputs that each variant is loaded from."""
DATA = (artifacts.CLEAN, artifacts.AUGMENT, artifacts.EVALUATE)
EXPORT = "models/export"
"""The output of the stage `export`, from which the engine genai is loaded."""
OPTIONAL = (artifacts.INDEX, EXPORT)
MOST_COMMITS = 200
"""Commits that are searched for an identity, beside releases and HEAD. Each changed dvc.lock."""
MOST_HASHED = 2**30
"""A folder in the workspace of at most so many bytes is hashed before it is served."""


@dataclass(frozen=True)
class Target:
    """A version that is to be served."""

    version: Version
    identity: str | None
    tag: str | None

    @property
    def key(self) -> tuple[str | None, str | None]:
        """What tells two targets apart. The same outputs under another commit are the same."""
        return (self.identity, None if self.identity else self.version.commit)

    @property
    def name(self) -> str:
        """How people call it."""
        return self.tag or self.version.short or self.version.name


class Finder:
    """Finds commits by the identity of their outputs. What was found is remembered."""

    def __init__(self) -> None:
        self._identities: dict[str, str | None] = {}

    def find(self, identity: str) -> Target:
        """Return the version with an identity: a release if one has it, else HEAD, else an earlier commit.

        Raises InputError where no commit of this repository has it.
        """
        for version in self._candidates():
            if self.identity_of(version) == identity:
                tag = version.name if version.name in tags.release_tags() else None
                return Target(version, identity, tag)
        raise InputError(
            f"no commit here has the identity {identity[:12]}, which MLflow's alias means; "
            "git fetch --tags brings the commits of others"
        )

    def identity_of(self, version: Version) -> str | None:
        """Return the identity of a version's outputs, or None where it lacks some."""
        lock = version.files.get(artifacts.LOCK_FILE)
        if lock is None:
            return None
        if lock not in self._identities:
            try:
                self._identities[lock] = registered.identity_of_outputs(version)
            except InputError:
                self._identities[lock] = None
        return self._identities[lock]

    def _candidates(self) -> Iterator[Version]:
        yield from reversed(tags.tagged())
        yield revision("HEAD")
        changes = git.read_text(
            "log", "--all", "--format=%H", f"--max-count={MOST_COMMITS}", "--", artifacts.LOCK_FILE
        )
        for commit in (changes or "").split():
            yield at_commit(commit[:9], commit)


def workspace_target() -> Target:
    """Return what lies in the project's folder. It has an identity where it is as in dvc.lock."""
    from stages.register import identity

    version = workspace()
    try:
        changed = version.changed_outputs(list(version.outs), MOST_HASHED)
        name = None if changed else identity(Path(artifacts.LOCK_FILE))
    except InputError:
        name = None
    if name is None:
        return Target(version, None, None)
    tag = None
    for release in tags.tagged():
        if registered_identity(release) == name:
            tag = release.name
    return Target(version, name, tag)


def registered_identity(version: Version) -> str | None:
    """Return the identity of a version's outputs, or None where it lacks some."""
    try:
        return registered.identity_of_outputs(version)
    except InputError:
        return None


def alias_target(finder: Finder) -> Target | None:
    """Return the version that MLflow's alias of params.yaml means now, or None where there is no such alias.

    The alias is the last thing that a release or a rollback moves. Raises InputError where MLflow cannot be
    asked, or where no commit here is that version.
    """
    from stages.core.mlflow import registry

    section = read_yaml(Path(artifacts.PARAMS)).get("register") or {}
    model = section.get("model")
    alias = section.get("alias")
    if not model or not alias or not registry.is_there():
        return None
    number = registry.alias_of(model, alias)
    if number is None:
        return None
    return registered_target(model, number, finder)


def registered_target(model: str, number: str, finder: Finder) -> Target:
    """Return the version that is registered under a number. Raises InputError where no commit here is it."""
    from stages.core.mlflow import registry

    identity = registry.identity_of(model, number)
    if identity is None:
        raise InputError(
            f"{model} version {number} in MLflow has no identity; lore release sets one"
        )
    return finder.find(identity)


def is_moving() -> bool:
    """Return whether a release or a rollback is at work here, or was cut off and not undone yet.

    One that was cut off after its last step is complete.
    """
    try:
        return plan_at_work() is not None
    except (InputError, KeyError):
        return True


def plan_at_work() -> Plan | None:
    """Return the plan of the release or rollback that is at work here, or was cut off. None: there is none.

    Raises InputError or KeyError for a journal that cannot be read.
    """
    location = git.text("rev-parse", "--git-path", JOURNAL_FILE)
    if location is None:
        return None
    journal = Journal(Path(location), lock=None)  # type: ignore[arg-type]  # it is only read here
    interrupted = journal.interrupted()
    if interrupted is None:
        return None
    plan, step = interrupted
    return plan if step < len(steps_of(journal, plan)) else None


def target_before_act(finder: Finder) -> Target | None:
    """Return what the alias meant before the release or rollback that is at work here, or was cut off.

    None where none is at work, or the alias meant nothing before. Raises InputError where no commit here is
    that version.
    """
    try:
        plan = plan_at_work()
    except (InputError, KeyError):
        return None
    if plan is None or plan.get("alias_before") is None:
        return None
    return registered_target(plan["model"], str(plan["alias_before"]), finder)


def named_target(name: str, finder: Finder) -> Target:
    """Return the version that a person names: a release, branch, tag or commit. Raises InputError where there is none."""
    version = revision(name)
    tag = version.name if version.name in tags.release_tags() else None
    return Target(version, finder.identity_of(version), tag)


def laid_out(target: Target, variant: str, folder: Path) -> Path:
    """Lay out the files of a version below `folder`, and return the root to read them from.

    For the workspace that is the project's folder itself. Raises InputError where DVC's cache lacks a file or
    holds a damaged one, ModelError where the version has no such variant.
    """
    version = target.version
    if version.commit is None:
        return Path()
    for path in MODELS[variant]:
        if path not in version.outs:
            raise ModelError(f"{target.name}: it has no {path}, which the variant {variant} needs")
    wanted = [*MODELS[variant]]
    wanted += [path for path in (*DATA, *OPTIONAL) if path in version.outs]
    for path in wanted:
        link_output(version, path, folder)
    return folder


def link_output(version: Version, path: str, folder: Path) -> None:
    """Link the files of an output folder from DVC's cache. Raises InputError where one is not sound."""
    cache = version.cache
    digest = version.outs[path]
    remedy = "dvc fetch --all-commits, where a remote is set"
    if not cache.has(digest):
        raise InputError(
            f"{path} of {version.label}: not in DVC's cache ({cache.folder}); {remedy}"
        )
    for name, single in cache.listing(digest, f"the list of {path} of {version.label}").items():
        problem = cache.problem(single)
        if problem:
            raise InputError(
                f"{path}/{name} of {version.label}: {problem} in DVC's cache ({cache.folder}); {remedy}"
            )
        link = folder / path / name
        link.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(cache.path(single).resolve(), link)


def changed_while_loading(target: Target, before: bytes | None) -> bool:
    """Return whether the workspace became another version since `before` was read by `lock_bytes`."""
    return target.version.commit is None and lock_bytes() != before


def lock_bytes() -> bytes | None:
    """Return the content of dvc.lock here, or None."""
    path = Path(artifacts.LOCK_FILE)
    return path.read_bytes() if path.is_file() else None


def commit_of(target: Target) -> str | None:
    """Return the commit of a version. Of the workspace with an identity, that of HEAD if it has the same lock."""
    if target.version.commit is not None:
        return target.version.commit
    if target.identity is None:
        return None
    try:
        head = revision("HEAD")
        is_same = head.content(artifacts.LOCK_FILE) == lock_bytes()
    except (GitError, InputError):
        return None
    return head.commit if is_same else None
