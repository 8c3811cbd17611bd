"""A rollback as a transaction: git's files, then what DVC keeps, then MLflow's alias."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from lore.paths import touch
from lore.releasing import restore_commit, stored
from lore.releasing.alias import alias_plan, alias_step
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
        "targets_before": stored.checkout_targets(present),
        "targets_after": stored.checkout_targets(target),
        "surplus": surplus(present, target),
        **alias_plan(registration),
    }


def surplus(present: Version, target: Version) -> list[str]:
    """Return what DVC keeps of the present version alone, so that it is removed here."""
    kept = stored.kept_by_dvc(target)
    removed = []
    for path in stored.kept_by_dvc(present):
        is_kept = any(touch(path, other) for other in kept)
        # An input that came later stays, as any file that the target does not declare.
        if not is_kept and path in present.outs and not stored.is_in_git(target, path):
            removed.append(path)
    return removed


def steps(journal: Journal, plan: Plan) -> Sequence[Step]:
    """Return the steps of a rollback."""
    before = plan["before"]
    after = plan["after"]

    def move_files() -> None:
        journal.call("git", "merge", "--quiet", "--ff-only", after)

    def checkout_outputs() -> None:
        for path in plan.get("surplus", []):
            remove(Path(path))
        checkout(journal, plan.get("targets_after"))

    def move_everything_back() -> None:
        head = git.read_text("rev-parse", "HEAD") or ""
        if head not in (before, after):
            raise InputError(
                f"HEAD has moved to {head[:9]} since; git reset --keep {before[:9]} first"
            )
        if head == after:
            journal.call("git", "reset", "--quiet", "--keep", before)
        move_files_back(journal, before, after)
        checkout(journal, plan.get("targets_before"))

    def nothing_to_undo() -> None:
        # The outputs follow dvc.lock, so the undo of the files, which comes next, restores both.
        return

    return [
        Step("files", move_files, move_everything_back),
        Step("outputs", checkout_outputs, nothing_to_undo),
        alias_step(plan),
    ]


def checkout(journal: Journal, targets: Sequence[str] | None) -> None:
    """Have DVC bring back outputs and inputs, and nothing else.

    None stands for all that DVC keeps, as in a journal of an earlier Lorekeep. Raises InputError
    with DVC's message.
    """
    if targets is not None and not targets:
        return
    try:
        journal.call(sys.executable, "-m", "dvc", "checkout", "--quiet", *(targets or []))
    except InputError as error:
        # The error begins with the last words of the command, which are names of outputs.
        _, _, reason = str(error).partition(": ")
        raise InputError(f"dvc checkout --quiet: {reason}") from None


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there. A link goes, and what it leads to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def move_files_back(journal: Journal, before: str, after: str) -> None:
    """Move back each file that git had moved already when it was interrupted."""
    for path, is_new in restore_commit.files_moved(before, after):
        if is_new:
            Path(path).unlink()
        else:
            journal.call("git", "checkout", "--quiet", before, "--", path)
