"""What `lore release` and `lore rollback` share: their conditions, the step that moves MLflow's alias, and what becomes of an act
that was cut off."""

from collections.abc import Callable, Sequence

from lore.releasing import registered
from lore.releasing.transaction import Journal, Plan, Step
from lore.versions.version import Version, git, workspace
from stages.core.project.errors import InputError


def settle(book: Journal, dry_run: bool) -> None:
    """Undo an act that was cut off; in a dry run say only that there is one."""
    if dry_run:
        if found := book.pending():
            print(
                f"{found[0]['title']} was cut off; the next lore release or rollback first undoes it"
            )
    elif said := book.recover(steps_of(book)):
        print(said)


def steps_of(book: Journal) -> Callable[[Plan], Sequence[Step]]:
    """The steps of a plan, whichever act it is of."""
    from lore.commands import release, rollback

    return lambda plan: {"release": release.steps, "rollback": rollback.steps}[plan["act"]](
        book, plan
    )


def demand_clean() -> None:
    """Raise InputError where a file here is not as in the last commit, or an output not as in dvc.lock."""
    changed = (
        (git("-c", "core.quotePath=off", "status", "--porcelain") or b"").decode().splitlines()
    )
    if changed:
        shown = ", ".join(line[3:] for line in changed[:5]) + (
            f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        )
        raise InputError(
            f"not as in the last commit: {shown}; git commit them, or git stash --include-untracked"
        )
    here = workspace()
    for doubt in here.edited(list(here.outs)):
        raise InputError(f"{doubt}; or dvc checkout restores it")


def whole(version: Version) -> registered.Registered:
    """The version's place in MLflow. Raises InputError where it is not one whole run, or not registered."""
    place = registered.registered(version)
    for doubt in version.doubts([]):
        raise InputError(f"{version.label}: {doubt} there, and commit")
    return place


def alias_step(plan: Plan) -> Step:
    """Move the alias to the plan's version of the model; back to where it was."""
    from stages.core.mlflow import registry

    def back() -> None:
        if registry.alias_of(plan["model"], plan["alias"]) != plan["was"]:
            registry.move_alias(plan["model"], plan["alias"], plan["was"])

    return Step(
        "alias", lambda: registry.move_alias(plan["model"], plan["alias"], plan["number"]), back
    )
