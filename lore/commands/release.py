"""Make the version here a release.

Two things change, both or neither. Git gets an annotated tag knowledge@vX.Y.Z with the main scores.
MLflow's alias (register.alias of params.yaml) moves to the version's model. The version must have
passed its gates, be registered and be committed. Example: `lore release 1.2.0 --dry-run` shows the
plan, `lore release 1.2.0` does it, `git push origin knowledge@v1.2.0` publishes the tag. `lore
versions` lists releases, `lore rollback` goes back.
"""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lore.releasing.registered import Registration
    from lore.versions.version import Version


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore release`."""
    parser.add_argument("version", help="such as 1.2.0, v1.2.0 or knowledge@v1.2.0")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything and print what would be done"
    )


def run(options: argparse.Namespace) -> int:
    """Release, or print the plan.

    Raises InputError if a condition is not met. Nothing has changed then.
    """
    from lore.releasing import conditions, release_steps, steps, transaction
    from lore.versions import tags, version

    tag = tags.tag_of(options.version)
    with transaction.opened() as journal:
        steps.undo_interrupted(journal, options.dry_run)
        head = version.revision("HEAD")
        conditions.require_new_tag(tag)
        conditions.require_clean_workspace()
        registration = conditions.require_registered(head)
        print("\n".join(plan_lines(tag, head, registration)))
        if options.dry_run:
            print("dry run: nothing was changed")
            return 0
        plan = release_steps.plan_of(tag, message(tag, head, registration), head, registration)
        journal.perform(plan, steps.steps_of(journal, plan))
    print(f"released; git push origin {tag} publishes the tag")
    return 0


def plan_lines(tag: str, head: "Version", registration: "Registration") -> list[str]:
    """Return lines that say what a release would change."""
    from lore.releasing.alias import alias_change

    return [f"tag    {tag} on {head.short}", f"alias  {alias_change(registration)}"]


def message(tag: str, head: "Version", registration: "Registration") -> str:
    """Return the tag's message: number of facts, main scores, and where the model is."""
    from lore.comparison.summary import row_of
    from lore.rendering.report import score_cell

    row = row_of(head)
    lines = [tag, ""]
    if row["facts"] is not None:
        lines.append(f"facts: {row['facts']}")
    lines.append(f"train, probes: {score_cell(row['probes'])}")
    lines.append(f"train, general: {score_cell(row['general'])}")
    lines.append(f"model: {registration.model} version {registration.number}")
    lines.append(f"identity: {registration.identity}")
    return "\n".join(lines)
