"""A release as a transaction: the tag in git, with --push the remotes, then MLflow's alias."""

import sys
from collections.abc import Sequence
from typing import Any

from lore.releasing import remotes
from lore.releasing.alias import alias_plan, alias_step, release_name
from lore.releasing.registered import Registration
from lore.releasing.transaction import Journal, Plan, Step
from lore.versions.version import Version
from stages.core.project import git


def plan_of(
    tag: str,
    message: str,
    head: Version,
    registration: Registration,
    remote: remotes.Remote | None = None,
) -> Plan:
    """Return the plan that tags the version `head`; `message` is the tag's message.

    With a `remote`, outputs, branch and tag are pushed too.
    """
    moved = alias_plan(registration)
    plan: dict[str, Any] = {
        "command": "release",
        "title": f"the release of {tag}",
        "tag": tag,
        "commit": head.commit,
        # Two clones could make equal tags in one second. Git would take the second push for the
        # first, and its undo would delete the tag of the other.
        "message": f"{message}\nact: {moved['token']}",
        "release": release_name(tag),
        **moved,
    }
    if remote is not None:
        plan["remote"] = remote.name
        plan["branch"] = remotes.branch_to_push(remote, head)
    return plan


def steps(journal: Journal, plan: Plan) -> Sequence[Step]:
    """Return the steps of a release."""
    tag = plan["tag"]
    commit = plan["commit"]
    remote = plan.get("remote")

    def create_tag() -> None:
        journal.call("git", "tag", "--annotate", tag, "-m", plan["message"], commit)

    def delete_tag() -> None:
        # A tag on another commit is somebody else's.
        tagged = git.text("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
        if tagged == commit:
            journal.call("git", "tag", "--delete", tag)

    def push_outputs() -> None:
        journal.call(sys.executable, "-m", "dvc", "push", "--quiet")
        remotes.require_outputs_in_remote(Version("HEAD", commit, commit[:9]))

    def keep_outputs() -> None:
        # Objects that more people have do no harm, and others may use them already.
        return

    def push() -> None:
        references = [f"refs/tags/{tag}"]
        if plan.get("branch"):
            references.append(f"{commit}:refs/heads/{plan['branch']}")
        # Both or neither. Of two people who push one number, the remote takes the first.
        journal.call("git", "push", "--quiet", "--atomic", str(remote), *references)

    def withdraw() -> None:
        ours = git.text("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}")
        listed = journal.call("git", "ls-remote", "--tags", str(remote), f"refs/tags/{tag}")
        if ours is None or not listed.startswith(f"{ours}\t"):
            return
        # The remote deletes the tag only if it is still the one that this release pushed.
        journal.call(
            "git", "push", "--quiet", f"--force-with-lease=refs/tags/{tag}:{ours}",
            str(remote), f":refs/tags/{tag}",
        )  # fmt: skip

    made = [Step("tag", create_tag, delete_tag)]
    if remote:
        if remotes.dvc_remote_name() is not None:
            made.append(Step("outputs", push_outputs, keep_outputs))
        made.append(Step("push", push, withdraw))
    made.append(alias_step(plan))
    return made
