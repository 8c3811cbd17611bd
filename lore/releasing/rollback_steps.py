"""A rollback as a transaction: git's files, then DVC's outputs, then MLflow's alias."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lore.releasing import restore_commit
from lore.releasing.alias import alias_step
from lore.releasing.registered import Registration
from lore.releasing.transaction import Journal, Plan, Step
from lore.versions.version import Version
from stages.core.project import git
from stages.core.project.errors import InputError


def plan_of(present: Version, target: Version, commit: str, registration: Registration) -> Plan:
    """Return the plan that moves from the present version to `commit`, which restores `target`."""
    return {
        "command": "rollback",
        "title": f"the rollback to {target.label}",
        "before": present.commit,
        "after": commit,
        "model": registration.model,
        "alias": registration.alias,
        "number": registration.number,
        "alias_before": registration.alias_now,
    }


def steps(journal: Journal, plan: Plan) -> Sequence[Step]:
    """Return the steps of a rollback."""
    before = plan["before"]
    after = plan["after"]

    def move_files() -> None:
        journal.call("git", "merge", "--quiet", "--ff-only", after)

    def checkout_outputs() -> None:
        journal.call(sys.executable, "-m", "dvc", "checkout", "--quiet")

    def move_everything_back() -> None:
        head = git.text("rev-parse", "HEAD") or ""
        if head not in (before, after):
            raise InputError(
                f"HEAD has moved to {head[:9]} since; git reset --keep {before[:9]} first"
            )
        if head == after:
            journal.call("git", "reset", "--quiet", "--keep", before)
        move_files_back(journal, before, after)
        checkout_outputs()

    def nothing_to_undo() -> None:
        # The outputs follow dvc.lock, so the undo of the files, which comes next, restores both.
        return

    return [
        Step("files", move_files, move_everything_back),
        Step("outputs", checkout_outputs, nothing_to_undo),
        alias_step(plan),
    ]


def move_files_back(journal: Journal, before: str, after: str) -> None:
    """Move back each file that git had moved already when it was interrupted."""
    for path, is_new in restore_commit.files_moved(before, after):
        if is_new:
            Path(path).unlink()
        else:
            journal.call("git", "checkout", "--quiet", before, "--", path)
