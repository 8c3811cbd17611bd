"""Make the version here a release.

Two things change, both or neither. Git gets an annotated tag knowledge@vX.Y.Z with the main scores.
MLflow's alias (register.alias of params.yaml) moves to the version's model. The version must be
committed and registered, and its scores must pass the gates of params.yaml. The number must be free
here, on git's remote and in MLflow. The branch must not be behind the remote, and DVC's remote must have
the outputs, if one is set. Example: `lore release 1.2.0 --dry-run` shows the plan, `lore release 1.2.0`
does it, `lore release 1.2.0 --push` publishes outputs, branch and tag in the same act. `lore versions`
lists releases, `lore rollback` goes back.
"""

import argparse
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.releasing.registered import Registration
    from lore.releasing.remotes import Remote
    from lore.versions.version import Version


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore release`."""
    parser.add_argument("version", help="such as 1.2.0, v1.2.0 or knowledge@v1.2.0")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything and print what would be done"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--push",
        action="store_true",
        help="also push the outputs (dvc push), the branch and the tag; all is undone if git's remote "
        "refuses",
    )
    where.add_argument(
        "--local",
        action="store_true",
        help="look at this clone and MLflow only, where the remotes cannot be reached",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Release, or print the plan.

    Raises InputError if a condition is not met. Nothing has changed then.
    """
    if not options.json:
        released(options)
        return 0
    # Lines for people go to standard error, so that standard output is JSON alone.
    with contextlib.redirect_stdout(sys.stderr):
        document = released(options)
    print(json.dumps(document, ensure_ascii=False, indent=2), flush=True)
    return 0


def released(options: argparse.Namespace) -> dict[str, Any]:
    """Check, print the plan, and release unless it is a dry run. Returns what --json prints."""
    from lore.releasing import conditions, release_steps, remotes, steps, transaction
    from lore.versions import tags, version

    tag = tags.tag_of(options.version)
    with transaction.opened() as journal:
        steps.undo_interrupted(journal, options.dry_run)
        head = version.revision("HEAD")
        conditions.require_new_tag(tag)
        remotes.require_released_once(head, tag)
        remotes.require_a_branch(head)
        conditions.require_clean_workspace()
        remote = remote_asked(options, tag, head)
        registration = conditions.require_registered(head)
        conditions.require_gates(head)
        conditions.require_free_in_mlflow(registration, tag)
        document = document_of(tag, head, registration, remote, options)
        say(options, plan_lines(tag, head, registration))
        say(options, document["notes"])
        if options.dry_run:
            say(options, ["dry run: nothing was changed"])
            return document
        text = message(tag, head, registration)
        pushed_to = remote if options.push else None
        plan = release_steps.plan_of(tag, text, head, registration, pushed_to)
        journal.perform(plan, steps.steps_of(journal, plan))
    document["released"] = True
    document["pushed"] = options.push
    say(options, [closing_line(tag, head, remote, options)])
    return document


def say(options: argparse.Namespace, lines: list[str]) -> None:
    """Print lines for people, unless JSON was asked for."""
    if lines and not options.json:
        print("\n".join(lines))


def remote_asked(options: argparse.Namespace, tag: str, head: "Version") -> "Remote | None":
    """Return git's remote as it answers now, or None with --local or without a remote.

    Raises InputError if the remote forbids this release.
    """
    from lore.releasing import remotes

    if options.local:
        return None
    name = remotes.remote_name()
    if name is None:
        if options.push:
            raise InputError("--push: no remote is set; git remote add origin ADDRESS adds one")
        return None
    remote = remotes.ask(name)
    remotes.require_free_number(remote, tag)
    remotes.require_unmoved_tags(remote)
    remotes.require_up_to_date(remote, head)
    return remote


def document_of(
    tag: str,
    head: "Version",
    registration: "Registration",
    remote: "Remote | None",
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return what --json prints, before anything is done."""
    return {
        "tag": tag,
        "commit": head.commit,
        "model": registration.model,
        "version": registration.number,
        "identity": registration.identity,
        "alias": registration.alias,
        "alias_before": registration.alias_now,
        "remote": None if remote is None else remote.name,
        "released": False,
        "pushed": False,
        "notes": notes(head, remote, options),
    }


def notes(head: "Version", remote: "Remote | None", options: argparse.Namespace) -> list[str]:
    """Return lines about what others will get. Raises InputError if DVC's remote lacks an output."""
    from lore.releasing import remotes

    if options.local:
        return ["! --local: no remote was asked, so the same number may exist elsewhere"]
    if options.push and remotes.dvc_remote_name() is not None:
        return []
    if remotes.require_outputs_in_remote(head) is None and remote is not None:
        return [
            "! no DVC remote is set, so others cannot get the outputs, only make them again: "
            "dvc remote add --default NAME ADDRESS, then dvc push"
        ]
    return []


def closing_line(
    tag: str, head: "Version", remote: "Remote | None", options: argparse.Namespace
) -> str:
    """Return the line that says that it is done, and how it is published."""
    from lore.releasing import remotes

    if options.push and remote is not None:
        return f"released and pushed to {remote.name}"
    if remote is None:
        return f"released; git push origin {tag} publishes the tag"
    branch = remotes.branch_to_push(remote, head)
    references = f"{branch} {tag}" if branch else tag
    return f"released; git push {remote.name} {references} publishes it"


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
