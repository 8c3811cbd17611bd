"""Make the version here a release: an annotated git tag knowledge@vX.Y.Z with its main scores, and MLflow's alias (register.alias
of params.yaml) on its model, both or neither. The version must have passed its gates, be registered and be committed. Example:
`lore release 1.2.0`, then `git push origin knowledge@v1.2.0`. `lore versions` lists releases, `lore rollback` goes back."""

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.releasing.registered import Registered
    from lore.releasing.transaction import Journal, Plan, Step
    from lore.versions.version import Version

FORM = re.compile(r"(?:knowledge@)?v?((?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*))")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore release`."""
    parser.add_argument("version", help="such as 1.2.0, v1.2.0 or knowledge@v1.2.0")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything and print what would be done"
    )


def run(options: argparse.Namespace) -> int:
    """Release, or print the plan. Raises InputError where a condition is not met; nothing has then changed."""
    from lore.releasing import conditions, transaction
    from lore.versions import version

    tag = tag_of(options.version)
    with transaction.opened() as book:
        conditions.settle(book, options.dry_run)
        head = version.revision("HEAD")
        unused(tag)
        conditions.demand_clean()
        place = conditions.whole(head)
        print("\n".join(plan_lines(tag, head, place)))
        if options.dry_run:
            print("dry run: nothing was changed")
            return 0
        plan = {
            "act": "release", "title": f"the release of {tag}",
            "tag": tag, "commit": head.commit, "message": message(tag, head, place),
            "model": place.model, "alias": place.alias, "number": place.number, "was": place.alias_now,
        }  # fmt: skip
        book.perform(plan, conditions.steps_of(book)(plan))
    print(f"released; git push origin {tag} publishes the tag")
    return 0


def tag_of(name: str) -> str:
    """The git tag of a version number. Raises InputError for another form."""
    found = FORM.fullmatch(name)
    if not found:
        raise InputError(
            f"{name}: not a version; write three numbers, such as 1.2.0 (lore versions lists those there are)"
        )
    return f"knowledge@v{found[1]}"


def unused(tag: str) -> None:
    """Raise InputError where there is such a tag already."""
    from lore.versions.version import git, revision

    if git("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}") is not None:
        raise InputError(
            f"{tag}: there is such a release already ({revision(tag).short}), and releases do not move; take the next number "
            "(lore versions lists them)"
        )


def plan_lines(tag: str, head: "Version", place: "Registered") -> list[str]:
    """What a release comes to."""
    now = "none" if place.alias_now is None else place.alias_now
    moved = f"version {now} → {place.number}" if now != place.number else f"version {now}, as it is"
    return [f"tag    {tag} on {head.short}", f"alias  {place.model}@{place.alias}: {moved}"]


def message(tag: str, head: "Version", place: "Registered") -> str:
    """The tag's message: main scores, and where the model is."""
    from lore.commands.versions import row_of
    from lore.rendering.report import score_cell

    row = row_of(head)
    scores = [
        f"{name}: {score_cell(row[key])}"
        for name, key in (("train, probes", "probes"), ("train, general", "general"))
    ]
    facts = [] if row["facts"] is None else [f"facts: {row['facts']}"]
    return "\n".join(
        [
            tag,
            "",
            *facts,
            *scores,
            f"model: {place.model} version {place.number}",
            f"identity: {place.identity}",
        ]
    )


def steps(book: "Journal", plan: "Plan") -> "Sequence[Step]":
    """The steps of a release."""
    from lore.releasing.conditions import alias_step
    from lore.releasing.transaction import Step
    from lore.versions.version import git

    tag = plan["tag"]

    def mark() -> None:
        book.call("git", "tag", "--annotate", tag, "-m", plan["message"], plan["commit"])

    def unmark() -> None:
        if (
            git("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
            == f"{plan['commit']}\n".encode()
        ):
            book.call("git", "tag", "--delete", tag)

    return [Step("tag", mark, unmark), alias_step(plan)]
