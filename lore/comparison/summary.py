"""Summarise one version in a row: commit, date, number of facts, main scores, registered model, state.

Reasons to doubt the version stand behind its state.
"""

from typing import TYPE_CHECKING, Any

from lore.comparison.declared_sources import undeclared
from lore.versions import tags
from stages.core.project import artifacts, git

if TYPE_CHECKING:
    from lore.versions.version import Version

Row = dict[str, Any]


def row_of(version: "Version") -> Row:
    """Return a summary of the version, from the files that git holds. A value is None where it has none.

    Raises InputError where one of these files cannot be read.
    """
    from lore.comparison.significance import look_up, scores_of

    scores = scores_of(version)
    augmented = version.document(artifacts.AUGMENT_METRICS) or {}
    registered = version.document(artifacts.REGISTER_METRICS) or {}
    state, doubts = state_of(version)
    return {
        "version": version.name,
        "commit": version.short or None,
        "date": date_of(version),
        "facts": augmented.get("facts"),
        "probes": look_up(scores, "train", "probes", "exact_match"),
        "general": look_up(scores, "train", "general", "exact_match"),
        "identity": registered.get("identity"),
        "state": state,
        "doubts": doubts,
    }


def broken_row(version: "Version", reason: str) -> Row:
    """Return the summary of a version that cannot be read: its name, and why as its state."""
    row: Row = {"version": version.name, "commit": version.short or None}
    for name in ("date", "facts", "probes", "general", "identity"):
        row[name] = None
    row["state"] = "cannot be read"
    row["doubts"] = [reason]
    return row


def date_of(version: "Version") -> str | None:
    """Return the day of the commit, such as 2026-07-01, or None for the workspace."""
    if version.commit is None:
        return None
    return git.read_text("show", "--no-patch", "--format=%cs", version.commit) or ""


def state_of(version: "Version") -> tuple[str, list[str]]:
    """Return `clean` for one whole run that is committed, else what is wrong, and the reasons."""
    outputs = [artifacts.CLEAN, artifacts.EVALUATE, artifacts.EVALUATE_METRICS]
    mixed = [*version.outrun(), *version.unset()]
    never_run = [*version.edited(outputs), *version.redeclared(), *undeclared(version)]
    doubts = [*mixed, *never_run]
    if version.commit is None and git.read("status", "--porcelain", "--", "."):
        return "changed since HEAD", doubts
    if mixed:
        return "not one whole run", doubts
    if never_run:
        return "edited, never run", doubts
    if version.name in tags.deprecated():
        return "deprecated", []
    return "clean", []
