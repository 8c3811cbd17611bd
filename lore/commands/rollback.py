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
        conditions,
        restore_commit,
        rollback_steps,
        steps,
        transaction,
    )
    from lore.versions import tags, version

    if not options.reason.strip():
        raise InputError(
            "--reason: empty; say in a few words why, for those who read the log later"
        )
    with transaction.opened() as journal:
        steps.undo_interrupted(journal, options.dry_run)
        present = version.revision("HEAD")
        target = tags.find(options.version)
        conditions.require_clean_workspace()
        registration = conditions.require_registered(target)
        conditions.require_outputs(
            target,
            "dvc fetch --all-commits brings them, where a remote is set "
            "(dvc pull: of this version alone)",
        )
        conditions.require_outputs(
            present,
            "dvc commit puts what lies here into the cache, so that the rollback can be undone",
        )
        # The commit is only an object of git yet: no branch and no file has changed.
        commit = restore_commit.create(
            present, target, message(present, target, registration, options.reason)
        )
        files = restore_commit.changed_files(str(present.commit), commit)
        if not files and registration.alias_now == registration.number:
            raise InputError(
                f"{target.label} is what is here already, and "
                f"{registration.model}@{registration.alias} means it; nothing to do"
            )
        print("\n".join(plan_lines(present, target, registration, files)))
        if options.dry_run:
            print("dry run: nothing was changed")
            return 0
        plan = rollback_steps.plan_of(present, target, commit, registration)
        journal.perform(plan, steps.steps_of(journal, plan))
    print(
        f"rolled back, commit {commit[:9]}; "
        f"lore rollback {present.short} --reason … goes forward again"
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
    from lore.releasing.alias import alias_change

    outputs = []
    for path, digest in target.outs.items():
        if present.outs.get(path) != digest and path not in files:
            outputs.append(path)
    lines = [
        f"back to  {target.label}, from {present.short}",
        f"files    {change_count(files)}",
        f"outputs  {change_count(outputs)}",
        f"alias    {alias_change(registration)}",
    ]
    if "requirements.lock" in files:
        lines.append("then     make setup, since requirements.lock is another")
    return lines


def change_count(names: Sequence[str]) -> str:
    """Return how many change, and the first of them: `3 change: a, b, c`."""
    from lore.releasing.listing import first_names

    if not names:
        return "none changes"
    return f"{len(names)} change: {first_names(names, LISTED)}"
