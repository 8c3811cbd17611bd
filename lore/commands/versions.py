"""List the knowledge versions: releases, oldest first, then HEAD and the files here.

Releases are git tags of the form knowledge@v1.2.0. Each version is shown with its date, its number of
facts, its main scores, and the identity under which `register` put it into MLflow (the tag
knowledge_version of the model version). The state says whether the version is one whole run, and what
was edited and committed without a run. With names, these versions alone are listed. Example: `lore
versions`, `lore versions main my-branch`, then `lore diff knowledge@v1.0.0`.
"""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from lore.comparison.summary import broken_row, row_of
from lore.rendering import terminal
from stages.core.project import git
from stages.core.project.errors import LorekeepError

if TYPE_CHECKING:
    from lore.versions.version import Version

COLUMNS = (
    "version",
    "commit",
    "date",
    "facts",
    "train: probes",
    "train: general",
    "registered as",
    "state",
)
SHORT = 12
"""Digits of an identity that are shown."""
SHA256_DIGITS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore versions`."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="releases, branches, tags, commits or experiments; default: all releases, HEAD and "
        "the files here",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the list. A version that cannot be read is a row that says why.

    Raises InputError where there is no such version.
    """
    from lore.rendering import report

    known, problems = versions_of(options.names)
    rows = [row_or_reason(knowledge_version) for knowledge_version in known]
    if git.is_shallow():
        problems.append(
            "this clone is shallow, so older versions and tags may be missing: "
            "git fetch --unshallow --tags brings them"
        )
    if options.json:
        print(terminal.json_text(rows), flush=True)
        for problem in problems:
            print(f"! {terminal.shown(problem)}", file=sys.stderr)
        return 0
    cells: list[tuple[str, ...]] = []
    for row in rows:
        doubts = row.pop("doubts")
        cells.append(tuple(cell(value) for value in row.values()))
        problems += [f"{row['version']}: {doubt}" for doubt in doubts]
    table = report.Section("", columns=COLUMNS, rows=cells)
    print("\n".join(report.aligned(table)))
    for line in alias_lines(rows):
        print(terminal.shown(line))
    for problem in problems:
        print(f"! {terminal.shown(problem)}")
    return 0


def alias_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return what each alias of MLflow means: the released version, and the last that passed its gates."""
    from lore.releasing.alias import meanings
    from lore.versions.version import workspace

    names: dict[str, str] = {}
    for row in rows:
        if row.get("identity"):
            names.setdefault(row["identity"], row["version"])
    return meanings(workspace(), names)


def versions_of(names: list[str]) -> "tuple[list[Version], list[str]]":
    """Return the versions to list, and a line for each tag that names no commit."""
    from lore.versions import tags, version

    if names:
        return [version.revision(name) for name in names], []
    releases, problems = tags.listed()
    return [*releases, version.revision("HEAD"), version.workspace()], problems


def row_or_reason(version: "Version") -> dict[str, Any]:
    """Return the summary of a version. One that cannot be read does not hide the others."""
    try:
        return row_of(version)
    except LorekeepError as error:
        return broken_row(version, " ".join(str(error).split()))


def cell(value: Any) -> str:
    """Write a value of a row as a cell: a score with its interval, an identity by its first digits."""
    from lore.rendering.report import score_cell

    if value is None:
        return "–"
    if isinstance(value, dict):
        return score_cell(value)
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return text[:SHORT] if len(text) == SHA256_DIGITS else text
