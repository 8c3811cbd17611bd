"""Show why `clean` set a record aside, and what it did to it before.

It shows every operation that changed something, with the value before and after, then phase, reason and
evidence. Where another record was kept instead, the evidence names it. The operations are run again with the
settings as they are now. A kept record is shown too, and a unit that its source's `where` skips.
The beginning of an id is enough. Ids are in data/clean/rejected.parquet, and `lore trace FILE` lists
them. Example: `lore why-rejected 3f2a`. Exit code 0, 1 for an error.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from stages.core.project import artifacts

Row = dict[str, Any]
RECORDS = Path(artifacts.CLEAN_RECORDS)
EXTRACTED = Path(artifacts.EXTRACTED_RECORDS)
REJECTED = Path(artifacts.REJECTED_RECORDS)
SKIPPED = Path(artifacts.SKIPPED_RECORDS)
"""Units that a source does not ask for. It is there where a source says which units it wants."""
SHORTEST = 4
"""Characters of an id that may name a record."""
LISTED = 5
"""Ids that are named where more than one record has the beginning."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore why-rejected`."""
    parser.add_argument(
        "record",
        metavar="RECORD",
        help=f"a record's id, or its beginning ({SHORTEST} characters or more)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the verdict and the operations before it.

    Raises InputError where no record, or more than one, has such an id.
    """
    from lore.data_docs.cleaning import operations

    row = record_named(options.record)
    extracted: Row | None = None
    for candidate in matching(EXTRACTED, row["id"]):
        if candidate["id"] == row["id"]:
            extracted = candidate
    # A unit that was skipped, or could not be read, never became a record.
    steps = operations(extracted) if extracted else []
    verdict: Row | None = None
    if "reason" in row:
        verdict = {name: row[name] for name in ("phase", "reason", "evidence")}
    if options.json:
        about = {name: row[name] for name in ("id", "source", "locator")}
        about |= {"verdict": verdict, "operations": steps}
        print(json.dumps(about, ensure_ascii=False, indent=2))
        return 0
    print(f"{row['id']} · {row['source']}: {row['locator']}")
    if verdict and verdict["reason"] == "where":
        print(f"  skipped by where: {verdict['evidence']}")
        return 0
    as_extracted = extracted or row
    print(f"  as extracted: {as_extracted['text']}")
    for step in steps:
        print(f"  {step['operation']}, {step['column']}: {step['before']!r} → {step['after']!r}")
    if verdict:
        print(f"  rejected by {verdict['phase']}: {verdict['reason']}: {verdict['evidence']}")
    else:
        print("  kept")
    return 0


def record_named(name: str) -> Row:
    """Return the row of a record from the table where it ended: with its reason, unless it was kept.

    Raises InputError where no record, or more than one, has an id that begins with `name`.
    """
    from stages.core.project.errors import InputError

    if len(name) < SHORTEST:
        raise InputError(f"{name}: give at least {SHORTEST} characters of a record's id")
    rows = matching(REJECTED, name) + matching(RECORDS, name)
    if SKIPPED.is_file():
        rows += matching(SKIPPED, name)
    if not rows:
        raise InputError(
            f"{name}: no record has an id that begins so; ids are in {REJECTED}, "
            "and lore trace FILE lists them"
        )
    if len(rows) > 1:
        ids = sorted(row["id"] for row in rows)
        listed = ", ".join(ids[:LISTED])
        raise InputError(f"{name}: {len(rows)} records begin so: {listed}; give more of the id")
    return rows[0]


def matching(path: Path, name: str) -> list[Row]:
    """Return the rows of a table whose id begins with `name`. Raises InputError where it cannot be read."""
    import pyarrow.compute as pc

    from stages.core.records import record

    schema = record.SCHEMA if path in (RECORDS, EXTRACTED) else record.REJECTED
    rows: list[Row] = []
    with record.opened(path, schema) as file:
        for batch in file.iter_batches():
            rows += batch.filter(pc.starts_with(batch["id"], name)).to_pylist()
    return rows
