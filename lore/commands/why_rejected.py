"""Why `clean` set a record aside, and what it did to it before: every operation that changed something, with the value before
and after, then phase, reason and evidence, and the record that stayed in its place. The operations are run again with the
settings as they stand now. The beginning of an id is enough; ids are in data/clean/rejected.parquet, and `lore trace FILE`
lists them. A kept record is shown too, and a unit that its source's `where` skips. Example: `lore why-rejected 3f2a`. Exit
code 0, 1 for an error."""

import argparse
import json
from pathlib import Path
from typing import Any

RECORDS, EXTRACTED, REJECTED = (
    Path("data/clean/records.parquet"), Path("data/extract/records.parquet"), Path("data/clean/rejected.parquet")
)  # fmt: skip
SKIPPED = Path("data/extract/skipped.parquet")
"""Units that a source does not ask for, where one says what it wants."""
LINES = Path("data/clean/lines.json")
"""The recurring lines, where they were taken out."""
SHOWN = ("text", "question", "answer", "subject", "attribute", "value", "unit", "meta")
SHORTEST = 4
"""Characters of an id that may name a record."""
Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore why-rejected`."""
    parser.add_argument(
        "record", metavar="RECORD", help="a record's id, or its beginning (4 characters or more)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the verdict and what led to it. Raises InputError where no record, or more than one, has such an id."""
    row = found(options.record)
    verdict = (
        {name: row[name] for name in ("phase", "reason", "evidence")} if "reason" in row else None
    )
    written = {row["id"]: row for row in matching(EXTRACTED, row["id"])}.get(row["id"])
    steps = [] if written is None else operations(written)
    about = {name: row[name] for name in ("id", "source", "locator")} | {
        "verdict": verdict,
        "operations": steps,
    }
    if options.json:
        print(json.dumps(about, ensure_ascii=False, indent=2))
        return 0
    print(f"{row['id']} · {row['source']}: {row['locator']}")
    if verdict and verdict["reason"] == "where":
        print(f"  skipped by where: {verdict['evidence']}")
        return 0
    print(f"  as extracted: {(written or row)['text']}")
    for step in steps:
        print(f"  {step['operation']}, {step['column']}: {step['before']!r} → {step['after']!r}")
    print(
        f"  rejected by {verdict['phase']}: {verdict['reason']}: {verdict['evidence']}"
        if verdict
        else "  kept"
    )
    return 0


def found(name: str) -> Row:
    """The row of a record in the table where it ended: with its reason, unless it was kept. Raises InputError."""
    from stages.core.project.errors import InputError

    if len(name) < SHORTEST:
        raise InputError(f"{name}: give at least {SHORTEST} characters of a record's id")
    rows = [
        row
        for path in (REJECTED, RECORDS, SKIPPED)
        if path != SKIPPED or path.is_file()
        for row in matching(path, name)
    ]
    if not rows:
        raise InputError(
            f"{name}: no record has an id that begins so; ids are in {REJECTED}, and lore trace FILE lists them"
        )
    if len(rows) > 1:
        listed = ", ".join(sorted(row["id"] for row in rows)[:5])
        raise InputError(f"{name}: {len(rows)} records begin so: {listed}; give more of the id")
    return rows[0]


def matching(path: Path, name: str) -> list[Row]:
    """Rows of a table whose id begins with `name`, read batch by batch. Raises InputError where it cannot be read."""
    import pyarrow.compute as pc

    from stages.core.records.record import REJECTED as SCHEMA_OF_REJECTED
    from stages.core.records.record import SCHEMA, opened

    rows: list[Row] = []
    with opened(path, SCHEMA if path in (RECORDS, EXTRACTED) else SCHEMA_OF_REJECTED) as file:
        for batch in file.iter_batches():
            rows += batch.filter(pc.starts_with(batch["id"], name)).to_pylist()
    return rows


def operations(row: Row) -> list[Row]:
    """What `clean` changes in a record, in its order, up to where it would stop. Raises ParamsError for wrong settings."""
    from stages import clean
    from stages.clean.personal import treatment_of
    from stages.clean.values.normalise import clean_text, normalise_row
    from stages.clean.values.unusable import Unusable
    from stages.core.project.params import load

    params, _ = load("clean", clean.Params)
    cut = row if params.filter.lines is None else without_lines(row, params.filter.lines.words)
    steps = changes("recurring lines", row, cut)
    row = cut
    clean_row = row | {name: clean_text(row[name]) for name in SHOWN[:-2] if row[name] is not None}
    steps += changes("characters and spaces", row, clean_row)
    try:
        formed = normalise_row(row, params.normalise)
    except Unusable:
        return steps
    steps += changes("one form for values", clean_row, formed)
    treatment = treatment_of(params.personal)
    return steps + (
        changes("personal data", formed, treatment.rows([formed])[0]) if treatment else []
    )


def without_lines(row: Row, words: int) -> Row:
    """The record without the lines that the last run took out as recurring."""
    import polars as pl

    from stages.clean.filters import lines
    from stages.clean.values.columns import COLUMNS

    named = json.loads(LINES.read_text(encoding="utf-8")) if LINES.is_file() else []
    frame, _, _ = lines.without(pl.DataFrame([row], schema=COLUMNS), lines.named(named, words))
    return frame.row(0, named=True)


def changes(operation: str, before: Row, after: Row) -> list[Row]:
    """The columns that an operation changed."""
    return [
        {"operation": operation, "column": name, "before": before[name], "after": after[name]}
        for name in SHOWN
        if before[name] != after[name]
    ]
