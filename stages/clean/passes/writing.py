"""The last pass: records are sorted into kept and rejected ones, and written in their order.

Workers sort. This process writes, since each of the two tables is one file. What is written passes
through it once, part by part.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from stages.clean.exclusions import Excluded
from stages.clean.passes.corpus import Part
from stages.clean.passes.filtering import Filtered
from stages.clean.personal import Treatment
from stages.clean.terms import Array
from stages.clean.values.columns import COLUMNS
from stages.core.records import record

Row = dict[str, Any]
WRITTEN = ["id", "value", "unit", "answer"]
"""Columns of a record that a report shows as they were written."""
WHY = dict.fromkeys(("phase", "reason", "evidence"), pl.String)


@dataclass
class Tally:
    """Records per source, counted as they are written."""

    kept: Counter[str]
    rejected: Counter[str]


def write(corpus: Filtered, before: list[Row], folder: Path, treatment: Treatment | None) -> Tally:
    """Write kept and rejected records, each in the order in which they were extracted.

    `before` are those that extract had set aside. They come first among the rejected ones.
    """
    if treatment:
        before = treatment.rows(before)
    tally = Tally(Counter(), Counter(row["source"] for row in before))
    sorting = partial(
        sort_out, spellings=corpus.spellings, treatment=treatment, excluded=corpus.excluded
    )
    with (
        record.writing(folder / "records.parquet") as kept,
        record.writing(folder / "rejected.parquet", record.REJECTED) as rejected,
        ThreadPoolExecutor(2) as pool,
    ):
        rejected.extend(pl.DataFrame(before, schema=COLUMNS | WHY))
        for good, bad in corpus.executor.in_order(sorting, judged(corpus)):
            # Most of the work is to compress the two tables, so they are written in two threads.
            writing_good = pool.submit(kept.extend, good)
            writing_bad = pool.submit(rejected.extend, bad)
            writing_good.result()
            writing_bad.result()
            tally.kept.update(per_source(good))
            tally.rejected.update(per_source(bad))
    return tally


def judged(corpus: Filtered) -> Iterator[tuple[Part, Array, list[Row]]]:
    """Each part, which of its records are kept, and phase, reason and evidence of the others."""
    ids = ids_of(corpus, corpus.ledger.others())
    for part in corpus.parts:
        alive = corpus.alive(part)
        rejected = part.piece.start + np.flatnonzero(~alive)
        reasons = [corpus.ledger.said(position, ids) for position in rejected.tolist()]
        yield part, alive, reasons


def sort_out(
    item: tuple[Part, Array, list[Row]],
    spellings: dict[str, str],
    treatment: Treatment | None,
    excluded: Excluded,
) -> tuple[pa.Table, pa.Table]:
    """The kept records of a part, normalised, and the rejected ones as extracted, with reasons."""
    part, kept, reasons = item
    alive = pl.Series(kept, dtype=pl.Boolean)
    good = part.normalised(spellings).filter(alive)
    rejected = part.piece.extracted(excluded).filter(~alive)
    bad = pl.concat([rejected, pl.DataFrame(reasons, schema=WHY)], how="horizontal")
    if treatment:
        rows = treatment.rows(bad.iter_rows(named=True))
        bad = pl.DataFrame(rows, schema=bad.schema)
    return good.to_arrow(), bad.to_arrow()


def per_source(table: pa.Table) -> dict[str, int]:
    """How many of the records each source gave."""
    counts = pc.value_counts(table["source"]).to_pylist()
    return {entry["values"]: entry["counts"] for entry in counts}


def ids_of(corpus: Filtered, positions: Array) -> dict[int, str]:
    """Position → id of the records at `positions`, which are sorted."""
    ids: list[str] = []
    for of_part in corpus.executor.in_order(_ids, corpus.holding(positions)):
        ids += of_part
    return dict(zip(positions.tolist(), ids, strict=True))


def _ids(item: tuple[Part, Array]) -> list[str]:
    part, inside = item
    return pl.read_ipc(part.file, columns=["id"])["id"].gather(inside).to_list()


def as_written(corpus: Filtered, positions: Array, treatment: Treatment | None) -> Iterator[Row]:
    """The records at `positions`, which are sorted, as they were before normalising.

    They have at least the columns `WRITTEN`.

    With a treatment, they are without their personal data.
    """
    reading = partial(_as_written, treatment=treatment, excluded=corpus.excluded)
    for rows in corpus.executor.in_order(reading, corpus.holding(positions)):
        yield from rows


def _as_written(
    item: tuple[Part, Array], treatment: Treatment | None, excluded: Excluded
) -> list[Row]:
    part, inside = item
    frame = part.piece.extracted(excluded)[inside]
    if treatment:
        return treatment.rows(frame.iter_rows(named=True))
    return frame.select(WRITTEN).to_dicts()
