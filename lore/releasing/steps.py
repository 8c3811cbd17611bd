"""The steps of each kind of transaction, and how an interrupted one is undone."""

from collections.abc import Sequence

from lore.releasing import release_steps, rollback_steps
from lore.releasing.transaction import Journal, Plan, Step
from stages.core.project.errors import InputError


def steps_of(journal: Journal, plan: Plan) -> Sequence[Step]:
    """Return the steps of a plan. Raises InputError if its command is unknown."""
    if plan["command"] == "release":
        return release_steps.steps(journal, plan)
    if plan["command"] == "rollback":
        return rollback_steps.steps(journal, plan)
    raise InputError(
        f"{journal.path}: a transaction of the unknown command '{plan['command']}'; "
        "finish it with the version of lore that began it"
    )


def undo_interrupted(journal: Journal, dry_run: bool) -> None:
    """Undo a transaction that was interrupted and say so. In a dry run, say only that there is one.

    Raises InputError if it cannot be undone.
    """
    if dry_run:
        interrupted = journal.interrupted()
        if interrupted is not None:
            plan, _ = interrupted
            print(f"{plan['title']} was cut off; the next lore release or rollback first undoes it")
        return
    message = journal.recover(lambda plan: steps_of(journal, plan))
    if message:
        print(message)
