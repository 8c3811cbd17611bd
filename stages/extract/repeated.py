"""Records whose id is not unique: all of them are set aside, since none can be told from the others.

An id is the hash of source and locator. Two rows with one key have the same. A verdict on the one would
fall on the other, and a comparison of two versions would mix them up.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stages.core.project.errors import InputError
from stages.core.records import record

Entry = dict[str, Any]
REASON = "not_unique"
LISTED = 3
"""Locators that a message names."""


def set_aside(folder: Path, report: list[Entry]) -> None:
    """Move the records whose id is not unique to the rejected ones, and correct the counts.

    `folder` is the output of extract, and `report` the entries of its sources. A record is also
    moved if a rejected unit has its id. Raises InputError where a source has no other records.
    """
    records, rejected = folder / "records.parquet", folder / "rejected.parquet"
    repeated = record.repeated_ids({records: record.SCHEMA, rejected: record.REJECTED})
    if not repeated:
        return
    ids = pa.array(sorted(repeated))
    moved: list[pa.Table] = []
    with record.opened(records) as file, record.writing(records) as kept:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            is_repeated = pc.is_in(table["id"], value_set=ids)
            moved.append(with_reason(table.filter(is_repeated), repeated))
            kept.extend(table.filter(pc.invert(is_repeated)))
    set_aside_table = pa.concat_tables(moved)
    if not len(set_aside_table):
        return  # rejected units alone
    with (
        record.opened(rejected, record.REJECTED) as file,
        record.writing(rejected, record.REJECTED) as together,
    ):
        for group in range(file.num_row_groups):
            together.extend(file.read_row_group(group))
        together.extend(set_aside_table)
    correct(report, set_aside_table)


def with_reason(table: pa.Table, repeated: dict[str, int]) -> pa.Table:
    """Return records with the phase, the reason and the evidence of their rejection."""
    evidence = []
    for name in table["id"].to_pylist():
        evidence.append(
            f"{repeated[name]} units or facts have this locator, so their key is not unique: "
            "choose a `key` that tells every row from the others"
        )
    table = table.append_column(record.REJECTED.field("phase"), pa.array(["extract"] * len(table)))
    reasons = pa.array([REASON] * len(table), pa.string())
    table = table.append_column(record.REJECTED.field("reason"), reasons)
    return table.append_column(record.REJECTED.field("evidence"), pa.array(evidence, pa.string()))


def correct(report: list[Entry], moved: pa.Table) -> None:
    """Correct the counts of the sources whose records were moved.

    Raises InputError where a source has no record left.
    """
    rows = moved.select(["source", "locator", "lang"]).to_pylist()
    numbers = Counter(row["source"] for row in rows)
    for entry in report:
        number = numbers[entry["name"]]
        if not number:
            continue
        own = [row for row in rows if row["source"] == entry["name"]]
        if number == entry["records"]:
            locators = list(dict.fromkeys(row["locator"] for row in own))
            raise InputError(
                f"extract: {entry['name']}: no record has a locator of its own "
                f"({', '.join(locators[:LISTED])}); choose a `key` that tells every row from the "
                "others"
            )
        entry["records"] -= number
        entry["rejected"] += number
        if "languages" in entry:
            languages: Counter[str] = Counter(entry["languages"])
            languages.subtract(row["lang"] for row in own)
            left = {lang: count for lang, count in languages.items() if count}
            entry["languages"] = dict(sorted(left.items()))
