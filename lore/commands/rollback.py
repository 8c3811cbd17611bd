"""Go back to an earlier knowledge version: settings, data, the stages' code, metrics, models and MLflow's alias, together or not
at all. The files come as a new commit, so history stays, and a rollback to what was left goes forward again; what the version
does not declare, such as documents, stays. Before anything changes, everything needed is looked for. Afterwards the model is
asked about facts that differ. Example: `lore rollback knowledge@v1.1.0 --reason "melting points were in kelvin"`; with
`--dry-run` first, to see the plan. A rollback that is cut off is undone by the next call."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.releasing.registered import Registered
    from lore.releasing.transaction import Journal, Plan, Step
    from lore.versions.version import Version

SHOWN = 6
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
    """Roll back, or print the plan. Raises InputError where a condition is not met; nothing has then changed."""
    from lore.releasing import canaries, conditions, restore_commit, transaction
    from lore.versions import version

    if not options.reason.strip():
        raise InputError(
            "--reason: empty; say in a few words why, for those who read the log later"
        )
    with transaction.opened() as book:
        conditions.settle(book, options.dry_run)
        here, target = version.revision("HEAD"), found(options.version)
        conditions.demand_clean()
        place = conditions.whole(target)
        restore_commit.demand(
            target,
            "dvc fetch --all-commits brings them, where a remote is set (dvc pull: of this version alone)",
        )
        restore_commit.demand(
            here,
            "dvc commit puts what lies here into the cache, so that the rollback can be undone",
        )
        new = restore_commit.commit_of(here, target, message(here, target, place, options.reason))
        files = restore_commit.changed(str(here.commit), new)
        if not files and place.alias_now == place.number:
            raise InputError(
                f"{target.label} is what is here already, and {place.model}@{place.alias} means it; nothing to do"
            )
        print("\n".join(plan_lines(here, target, place, files)))
        if options.dry_run:
            print("dry run: nothing was changed")
            return 0
        plan = {
            "act": "rollback", "title": f"the rollback to {target.label}", "before": here.commit, "after": new,
            "model": place.model, "alias": place.alias, "number": place.number, "was": place.alias_now,
        }  # fmt: skip
        book.perform(plan, conditions.steps_of(book)(plan))
    print(
        f"rolled back, commit {new[:9]}; lore rollback {here.short} --reason … goes forward again"
    )
    if not options.no_canaries:
        print("\n".join(canaries.ask(here, target)))
    return 0


def found(name: str) -> "Version":
    """The version that is meant: a release by its number, or what git means by it. Raises InputError where there is none."""
    from lore.commands import release
    from lore.versions import version

    number = release.FORM.fullmatch(name)
    return version.revision(f"knowledge@v{number[1]}" if number else name)


def message(here: "Version", target: "Version", place: "Registered", reason: str) -> str:
    """The commit's message. Who and when stand in the commit itself."""
    return (
        f"Roll back to {target.name}\n\nReason: {reason.strip()}\n\nFrom: {here.commit}\nTo: {target.commit}\n"
        f"Model: {place.model} version {place.number}\nIdentity: {place.identity}\n"
    )


def plan_lines(
    here: "Version", target: "Version", place: "Registered", files: Sequence[str]
) -> list[str]:
    """What a rollback comes to."""
    outs = [
        path
        for path, digest in target.outs.items()
        if here.outs.get(path) != digest and path not in files
    ]
    now = "none" if place.alias_now is None else place.alias_now
    moved = f"version {now} → {place.number}" if now != place.number else f"version {now}, as it is"
    return [
        f"back to  {target.label}, from {here.short}",
        f"files    {listed(files)}",
        f"outputs  {listed(outs)}",
        f"alias    {place.model}@{place.alias}: {moved}",
        *(
            ["then     make setup, since requirements.lock is another"]
            if "requirements.lock" in files
            else []
        ),
    ]


def listed(names: Sequence[str]) -> str:
    """How many, and the first of them."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} change: {', '.join(names[:SHOWN])}{more}" if names else "none changes"


def steps(book: "Journal", plan: "Plan") -> "Sequence[Step]":
    """The steps of a rollback."""
    from lore.releasing import restore_commit
    from lore.releasing.conditions import alias_step
    from lore.releasing.transaction import Step
    from lore.versions.version import git

    before, after = plan["before"], plan["after"]

    def forward() -> None:
        book.call("git", "merge", "--quiet", "--ff-only", after)

    def checkout() -> None:
        book.call(sys.executable, "-m", "dvc", "checkout", "--quiet")

    def back() -> None:
        head = (git("rev-parse", "HEAD") or b"").decode().strip()
        if head not in (before, after):
            raise InputError(
                f"HEAD has moved to {head[:9]} since; git reset --keep {before[:9]} first"
            )
        if head == after:
            book.call("git", "reset", "--quiet", "--keep", before)
        for path in restore_commit.begun(before, after):
            book.call("git", "checkout", "--quiet", before, "--", path)
        checkout()

    return [Step("files", forward, back), Step("outputs", checkout, lambda: None), alias_step(plan)]
