"""List the knowledge versions: releases, oldest first, then HEAD and the files here.

Releases are git tags of the form knowledge@v1.2.0. Each version is shown with its date, its number of
facts, its main scores, and the identity under which `register` put it into MLflow (the tag
knowledge_version of the model version). Example: `lore versions`, then `lore diff knowledge@v1.0.0`.
"""

import argparse
import json
from typing import Any

from lore.comparison.summary import row_of
from lore.versions import tags

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
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the list. Raises InputError where a file of a version cannot be read."""
    from lore.rendering import report
    from lore.versions import version

    known = [*tags.tagged(), version.revision("HEAD"), version.workspace()]
    rows = [row_of(knowledge_version) for knowledge_version in known]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2), flush=True)
        return 0
    cells: list[tuple[str, ...]] = []
    for row in rows:
        cells.append(tuple(cell(value) for value in row.values()))
    table = report.Section("", columns=COLUMNS, rows=cells)
    print("\n".join(report.aligned(table)))
    return 0


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
