"""The last pass: each part's records sorted into kept and rejected ones by whoever works on it, and written here in their order.

What is written passes this process once, part by part, as each of the two tables is one file.
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
from stages.clean.filters.terms import Array
from stages.clean.passes.corpus import Part
from stages.clean.passes.filtering import Filtered
from stages.clean.personal import Treatment
from stages.clean.values.columns import COLUMNS
from stages.core.records import record

Row = dict[str, Any]
WRITTEN = ["id", "value", "unit", "answer"]
WHY = dict.fromkeys(("phase", "reason", "evidence"), pl.String)


@dataclass
class Tally:
    """Records per source, counted as they are written."""

    kept: Counter[str]
    rejected: Counter[str]


def write(corpus: Filtered, before: list[Row], folder: Path, treatment: Treatment | None) -> Tally:
    """Write kept and rejected records, those that extract had set aside first, each in the order they were extracted."""
    before = treatment.rows(before) if treatment else before
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
        for good, bad in corpus.engine.in_order(sorting, judged(corpus)):
            taken = [
                pool.submit(kept.extend, good),
                pool.submit(rejected.extend, bad),
            ]  # compressing them is most of the work
            for table in taken:
                table.result()
            tally.kept.update(per_source(good))
            tally.rejected.update(per_source(bad))
    return tally


def judged(corpus: Filtered) -> Iterator[tuple[Part, Array, list[Row]]]:
    """Each part, which of its records are kept, and what is said of the others."""
    ids = names_of(corpus, corpus.ledger.others())
    for part in corpus.parts:
        alive = corpus.alive(part)
        yield (
            part,
            alive,
            [corpus.ledger.said(part.piece.start + int(at), ids) for at in np.flatnonzero(~alive)],
        )


def sort_out(
    item: tuple[Part, Array, list[Row]],
    spellings: dict[str, str],
    treatment: Treatment | None,
    excluded: Excluded,
) -> tuple[pa.Table, pa.Table]:
    """Kept records of a part in their one form; rejected ones as they were extracted, with what is said of them."""
    part, kept, said = item
    alive = pl.Series(kept, dtype=pl.Boolean)
    bad = pl.concat(
        [part.piece.extracted(excluded).filter(~alive), pl.DataFrame(said, schema=WHY)],
        how="horizontal",
    )
    if treatment:
        bad = pl.DataFrame(treatment.rows(bad.iter_rows(named=True)), schema=bad.schema)
    return part.normalised(spellings).filter(alive).to_arrow(), bad.to_arrow()


def per_source(table: pa.Table) -> dict[str, int]:
    """How many of the records each source gave."""
    return {
        entry["values"]: entry["counts"] for entry in pc.value_counts(table["source"]).to_pylist()
    }


def names_of(corpus: Filtered, places: Array) -> dict[int, str]:
    """Ids of the records at `places`, which are sorted."""
    found = [
        name for names in corpus.engine.in_order(_names, corpus.holding(places)) for name in names
    ]
    return dict(zip(places.tolist(), found, strict=True))


def _names(item: tuple[Part, Array]) -> list[str]:
    part, inside = item
    return pl.read_ipc(part.file, columns=["id"])["id"].gather(inside).to_list()


def as_written(corpus: Filtered, places: Array, treatment: Treatment | None) -> Iterator[Row]:
    """What the records at `places`, which are sorted, said before normalising (`WRITTEN`), without their personal data."""
    reading = partial(_as_written, treatment=treatment, excluded=corpus.excluded)
    for rows in corpus.engine.in_order(reading, corpus.holding(places)):
        yield from rows


def _as_written(
    item: tuple[Part, Array], treatment: Treatment | None, excluded: Excluded
) -> list[Row]:
    part, inside = item
    frame = part.piece.extracted(excluded)[inside]
    return (
        treatment.rows(frame.iter_rows(named=True))
        if treatment
        else frame.select(WRITTEN).to_dicts()
    )
