"""Go back to an earlier knowledge version.

Settings, data, the stages' code, metrics, models and MLflow's alias change together or not at all.
The files come as a new commit, so the history stays, and a second rollback goes forward again.
Files that the version does not declare, such as documents, stay as they are. Before anything
changes, the command checks that everything it needs is there. Afterwards it asks the model about
facts that differ. A rollback that is cut off is undone by the next call. Example: `lore rollback
knowledge@v1.1.0 --reason "melting points were in kelvin" --dry-run` shows the plan. Without
`--dry-run`, the same command does it.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stages.core.project import git
from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.releasing.registered import Registration
    from lore.versions.version import Version

LISTED = 6
"""Changed files that the plan names."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore rollback`."""
    parser.add_argument(
        "version", help="a release, such as 1.1.0 or knowledge@v1.1.0, or any branch, tag or commit"
    )
    parser.add_argument("--reason", required=True, help="why; it goes into the commit's message")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything and print what would be done"
    )
    parser.add_argument(
        "--no-canaries", action="store_true", help="do not ask the model about facts that differ"
    )


def run(options: argparse.Namespace) -> int:
    """Roll back, or print the plan.

    Raises InputError if a condition is not met. Nothing has changed then.
    """
    from lore.releasing import (
        canaries,
        restore_commit,
        rollback_conditions,
        rollback_steps,
        steps,
        stored,
        transaction,
    )
    from lore.rendering import terminal
    from lore.versions import version

    if not options.reason.strip():
        raise InputError(
            "--reason: empty; say in a few words why, for those who read the log later"
        )
    with transaction.opened() as journal:
        steps.undo_interrupted(journal, options.dry_run)
        present = version.revision("HEAD")
        target = version.revision(options.version)
        registration = rollback_conditions.require_registered(target)
        # The commit is only an object of git yet: no branch and no file has changed.
        commit = restore_commit.create(
            present, target, message(present, target, registration, options.reason)
        )
        files = restore_commit.changed_files(str(present.commit), commit)
        rollback_conditions.require_saved(rollback_conditions.touched(present, target, files))
        rollback_conditions.require_outputs_on_disk(present)
        # Every object is read, also those of the present version: they are the way back.
        fetching = stored.fetching(target)
        stored.require_sound(target, fetching, fetching)
        commit_here = (
            "dvc commit puts what lies here into the cache, so that the rollback can be undone"
        )
        stored.require_sound(present, commit_here, commit_here)
        if not files and registration.alias_now == registration.number:
            raise InputError(
                f"{target.label} is what is here already, and "
                f"{registration.model}@{registration.alias} means it; nothing to do"
            )
        lines = plan_lines(present, target, registration, files)
        for warning in rollback_conditions.warnings(target):
            lines.append(f"! {target.label}: {warning}")
        print(terminal.shown_lines("\n".join(lines)))
        if options.dry_run:
            print("dry run: nothing was changed")
            return 0
        plan = rollback_steps.plan_of(present, target, commit, registration)
        journal.perform(plan, steps.steps_of(journal, plan))
    print(
        f"rolled back, commit {commit[:9]}; "
        f"lore rollback {present.short} --reason … goes forward again"
    )
    if git.read("symbolic-ref", "--quiet", "HEAD") is None:
        print(
            "! HEAD is on no branch, so nothing holds this commit: git switch --create NAME keeps it"
        )
    if not options.no_canaries:
        print("\n".join(canaries.ask(present, target)))
    return 0


def message(
    present: "Version", target: "Version", registration: "Registration", reason: str
) -> str:
    """Return the commit's message. Its author and date are in the commit itself."""
    return (
        f"Roll back to {target.name}\n"
        "\n"
        f"Reason: {reason.strip()}\n"
        "\n"
        f"From: {present.commit}\n"
        f"To: {target.commit}\n"
        f"Model: {registration.model} version {registration.number}\n"
        f"Identity: {registration.identity}\n"
    )


def plan_lines(
    present: "Version", target: "Version", registration: "Registration", files: Sequence[str]
) -> list[str]:
    """Return lines that say what a rollback would change; `files` are the changed files of git."""
    from lore.releasing import stored
    from lore.releasing.alias import alias_change

    outputs = []
    for path, digest in target.outs.items():
        if present.outs.get(path) != digest and path not in files:
            outputs.append(path)
    kept = stored.kept_by_dvc(present)
    sources = []
    for path, digest in stored.kept_by_dvc(target).items():
        if path not in target.outs and kept.get(path) != digest:
            sources.append(path)
    lines = [
        f"back to  {target.label}, from {present.short}",
        f"files    {change_count(files)}",
        f"outputs  {change_count(outputs)}",
        f"alias    {alias_change(registration)}",
    ]
    if sources:
        lines.insert(2, f"sources  {change_count(sources)}, which DVC keeps")
    if "requirements.lock" in files:
        lines.append("then     make setup, since requirements.lock is another")
    return lines


def change_count(names: Sequence[str]) -> str:
    """Return how many change, and the first of them: `3 change: a, b, c`."""
    from lore.releasing.listing import first_names

    if not names:
        return "none changes"
    return f"{len(names)} change: {first_names(names, LISTED)}"
