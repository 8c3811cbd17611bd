"""A release as a transaction: the tag in git, then MLflow's alias."""

from collections.abc import Sequence

from lore.releasing.alias import alias_step
from lore.releasing.registered import Registration
from lore.releasing.transaction import Journal, Plan, Step
from lore.versions.version import Version
from stages.core.project import git


def plan_of(tag: str, message: str, head: Version, registration: Registration) -> Plan:
    """Return the plan that tags the version `head`; `message` is the tag's message."""
    return {
        "command": "release",
        "title": f"the release of {tag}",
        "tag": tag,
        "commit": head.commit,
        "message": message,
        "model": registration.model,
        "alias": registration.alias,
        "number": registration.number,
        "alias_before": registration.alias_now,
    }


def steps(journal: Journal, plan: Plan) -> Sequence[Step]:
    """Return the steps of a release."""
    tag = plan["tag"]
    commit = plan["commit"]

    def create_tag() -> None:
        journal.call("git", "tag", "--annotate", tag, "-m", plan["message"], commit)

    def delete_tag() -> None:
        # A tag on another commit is somebody else's.
        tagged = git.text("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
        if tagged == commit:
            journal.call("git", "tag", "--delete", tag)

    return [Step("tag", create_tag, delete_tag), alias_step(plan)]
