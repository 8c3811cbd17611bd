"""Show why `clean` set a record aside, and what it did to it before.

It shows every operation that changed something, with the value before and after, then phase, reason and
evidence. Where another record was kept instead, the evidence names it. The last line names the setting or
the file that decided. A kept record is shown too, and a unit that its source's `where` skips. A record
that is excluded is shown without its content.

The command reads what `clean` wrote. It makes the values between two operations again, with the settings
as they are now. So run `dvc repro` first where they changed.

The beginning of an id is enough. Ids are in data/clean/rejected.parquet, and `lore trace FILE` lists
them. Example: `lore why-rejected 3f2a`. Exit code 0, 1 for an error.
"""

import argparse
from typing import TYPE_CHECKING, Any

from lore.rendering.terminal import json_text, shown_lines

if TYPE_CHECKING:
    from stages.clean.explaining import Explanation, Phase

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore why-rejected`."""
    parser.add_argument(
        "record",
        metavar="RECORD",
        help="a record's id, or its beginning (4 characters or more)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the verdict and the operations before it.

    Raises InputError where `clean` has not run, and where no record, or more than one, has such an id.
    """
    from lore.data_docs.cleaning import inputs
    from stages.clean.explaining import explain

    params, files = inputs()
    explanation = explain(options.record, params, files)
    if options.json:
        print(json_text(as_json(explanation)))
    else:
        print(shown_lines("\n".join(lines(explanation))))
    return 0


def lines(explanation: "Explanation") -> list[str]:
    """Return the explanation as lines of text."""
    verdict = explanation.verdict
    heading = f"{explanation.id} · {explanation.source}: {explanation.locator}"
    if verdict and verdict.reason == "where":
        return [heading, f"  skipped by where: {verdict.evidence}"]

    written = [heading, f"  as extracted: {extracted_text(explanation)}"]
    for change in changes(explanation):
        written.append(
            f"  {change['operation']}, {change['column']}: "
            f"{change['before']!r} → {change['after']!r}"
        )
    if verdict is None:
        written.append("  kept")
        return written
    written.append(f"  rejected by {verdict.name}: {verdict.reason}: {verdict.evidence}")
    if verdict.setting:
        written.append(f"  decided by: {verdict.setting}")
    return written


def extracted_text(explanation: "Explanation") -> str:
    """Return the text of the record before `clean`."""
    row = explanation.extracted
    if row is None and explanation.verdict:
        # The record was set aside by extract. What could not be read is its text.
        row = explanation.verdict.before
    return str(row["text"]) if row else ""


def changes(explanation: "Explanation") -> list[Row]:
    """Return a row for each column that an operation changed: operation, column, before, after."""
    rows = []
    for step in explanation.steps:
        for change in step.changes:
            rows.append(
                {
                    "operation": step.operation,
                    "column": change.column,
                    "before": change.before,
                    "after": change.after,
                }
            )
    return rows


def as_json(explanation: "Explanation") -> Row:
    """Return the explanation for `--json`. Its `verdict` is null where the record was kept."""
    return {
        "id": explanation.id,
        "source": explanation.source,
        "locator": explanation.locator,
        "verdict": verdict_as_json(explanation.verdict),
        "operations": changes(explanation),
        "violations": explanation.violations,
        "contradictions": explanation.contradictions,
    }


def verdict_as_json(verdict: "Phase | None") -> Row | None:
    """Return the phase that set the record aside, with its reason."""
    if verdict is None:
        return None
    return {
        "phase": verdict.name,
        "reason": verdict.reason,
        "evidence": verdict.evidence,
        "setting": verdict.setting,
    }
