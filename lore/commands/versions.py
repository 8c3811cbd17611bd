"""The knowledge versions there are: git tags of the form knowledge@v1.2.0 (GTO's, oldest first), then HEAD and the files here,
each with its date, number of facts and main scores, and the identity under which `register` put it into MLflow (tag
knowledge_version of the model version). Example: `lore versions`, then `lore diff knowledge@v1.0.0`."""

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lore.versions.version import Version

Row = dict[str, Any]
PATTERN = "knowledge@v*"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore versions`."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the list. Raises InputError where a file of a version cannot be read."""
    from lore.rendering import report
    from lore.versions import version

    rows = [row_of(found) for found in [*tagged(), version.revision("HEAD"), version.workspace()]]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2), flush=True)
        return 0
    columns = (
        "version",
        "commit",
        "date",
        "facts",
        "train: probes",
        "train: general",
        "registered as",
        "state",
    )
    cells = [tuple(map(cell, row.values())) for row in rows]
    print("\n".join(report.aligned(report.Section("", columns=columns, rows=cells))))
    return 0


def tagged() -> "list[Version]":
    """The versions that have a tag, oldest first."""
    from lore.versions import version

    tags = (version.git("tag", "--list", PATTERN, "--sort=version:refname") or b"").decode().split()
    return [version.revision(tag) for tag in tags]


def row_of(version: "Version") -> Row:
    """What is known of one version from the files that git holds."""
    from lore.comparison.significance import look_up

    metrics = version.document("metrics/evaluate.json") or {}
    return {
        "version": version.name,
        "commit": version.short or None,
        "date": dated(version),
        "facts": (version.document("metrics/augment.json") or {}).get("facts"),
        "probes": look_up(metrics, "train", "probes", "exact_match"),
        "general": look_up(metrics, "train", "general", "exact_match"),
        "identity": (version.document("metrics/register.json") or {}).get("identity"),
        "state": state(version),
    }


def dated(version: "Version") -> str | None:
    """The day of the commit."""
    from lore.versions.version import git

    if version.commit is None:
        return None
    return (git("show", "--no-patch", "--format=%cs", version.commit) or b"").decode().strip()


def state(version: "Version") -> str:
    """`clean`: one whole run, committed; else what is amiss."""
    from lore.versions.version import git

    if version.commit is None and git("status", "--porcelain"):
        return "changed since HEAD"
    return (
        "not one whole run"
        if version.doubts(["data/clean", "data/evaluate", "metrics/evaluate.json"])
        else "clean"
    )


def cell(value: Any) -> str:
    """A value of a row as a cell: a score with its interval, an identity by its first twelve digits."""
    from lore.rendering.report import score_cell

    if isinstance(value, dict):
        return score_cell(value)
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None else value[:12] if len(value) == 64 else value
