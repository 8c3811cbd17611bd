"""A corpus on its way through `clean`: read and normalised batch by batch, with files in between.

A batch is given to a worker as a `Piece`, which says where its records stand; whoever works on it reads them. What comes back is
small beside them. Memory holds a few batches per worker, the words with their frequencies, the facts, and some tens of bytes a
record; never all texts. How large a batch is and who works on it changes no byte of what comes out.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from secrets import token_hex

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from stages.clean.exclusions import Excluded
from stages.clean.filters import information, lines, questions, repeats
from stages.clean.filters.terms import Array, Terms, fold, phrases, words
from stages.clean.personal import Treatment
from stages.clean.values import columns, normalise
from stages.core.records.record import opened

BATCH_BYTES, BATCH_ROWS = 12 << 20, 1 << 15
"""Most of a batch. Whoever works on one reads the row group that it stands in as a whole, so it is cut only if it must be."""


@dataclass(frozen=True)
class Piece:
    """Records of a file that follow each other: where they stand, so that a worker anywhere can read them."""

    source: Path
    start: int
    """Place of the first record in the corpus."""
    rows: int
    group: int
    """The row group of the file that holds them."""
    skipped: int
    """Records of the group that stand before them."""

    def extracted(self, excluded: Excluded) -> pl.DataFrame:
        """The records as they were extracted; excluded ones are empty. Raises InputError or RecordError as `record.opened`."""
        with opened(self.source, footer=_footer(self.source)) as file:
            table = file.read_row_group(self.group).slice(self.skipped, self.rows).combine_chunks()
        frame = pl.DataFrame(table, schema=columns.COLUMNS)
        return columns.redacted(frame, excluded) if excluded else frame


@dataclass(frozen=True)
class Part:
    """One batch that was worked on: the files that hold it, and what the corpus is judged by."""

    piece: Piece
    file: Path
    """Normalised records."""
    words: Path
    """Words of its free texts."""
    signatures: repeats.Stored
    """Signatures of its free texts."""
    places: Array
    """Places of the free texts, as far as they are usable: int64."""
    unusable: dict[int, tuple[str, str]]
    """Place → reason, evidence."""
    personal: dict[int, tuple[str, str]]
    """The same of records set aside for the personal data they hold."""
    excluded: dict[int, tuple[str, str]]
    """The same of records that must not be learned."""
    emptied: Array
    """Places of the records that were nothing but recurring lines: int64."""

    def normalised(self, spellings: dict[str, str]) -> pl.DataFrame:
        """Its records in their one form, subjects spelt as in the first record about them."""
        return columns.spelt(pl.read_ipc(self.file), spellings)

    def terms(self) -> Terms:
        """Words of its free texts."""
        with np.load(self.words) as arrays:
            return Terms(arrays["hashes"], arrays["starts"])


@dataclass(frozen=True)
class Found:
    """What one batch adds to what the corpus is judged by."""

    part: Part
    spellings: dict[str, str]
    keys: Array
    frequencies: information.Frequencies
    sampled: int
    """Free texts that belong to the sample."""
    phrases: pl.DataFrame
    """In how many of them each phrase occurs."""
    personal: Counter[str]
    """How many values of each kind of personal data, and in how many records."""
    cut: lines.Cut
    """The recurring lines that were taken out."""


def pieces(source: Path) -> list[Piece]:
    """The batches of a file, in the order of its records: each row group in as many equal parts as it needs."""
    with opened(source) as file:
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    found, first = [], 0
    for number, group in enumerate(groups):
        parts = max(1, -(-group.total_byte_size // BATCH_BYTES), -(-group.num_rows // BATCH_ROWS))
        cuts = [group.num_rows * part // parts for part in range(parts + 1)]
        found += [
            Piece(source.absolute(), first + a, b - a, number, a)
            for a, b in pairwise(cuts)
            if b > a
        ]
        first += group.num_rows
    return found


def _footer(source: Path) -> pq.FileMetaData | None:
    """The footer of a file, which is too large in a large one to be read for every batch; None where it cannot be read."""
    try:
        return _kept_footer(source, source.stat().st_mtime_ns)
    except (OSError, pa.ArrowInvalid):
        return None  # whoever opens the file says why


@lru_cache(maxsize=1)
def _kept_footer(source: Path, _changed: int) -> pq.FileMetaData:
    return pq.read_metadata(source)


def prepare(
    piece: Piece,
    records: int,
    params: normalise.Params,
    counted: bool,
    apart: bool,
    folder: Path,
    treatment: Treatment | None,
    excluded: Excluded,
    recurring: lines.Recurring | None = None,
) -> Found:
    """Normalise one of the `pieces` of a corpus of so many records, and count what is in it (words only if `counted`).

    `apart`: texts that say other numbers are no near duplicates.
    `recurring` are the lines that are taken out of it before. Once more, after a worker died, it writes the same files again.
    """
    start, frame = piece.start, piece.extracted(excluded)
    gone = (
        {at: excluded[name] for at, name in enumerate(frame["id"]) if name in excluded}
        if excluded
        else {}
    )
    emptied, cut = np.zeros(0, dtype=np.int64), lines.Cut()
    if recurring is not None:
        frame, emptied, cut = lines.without(frame, recurring, gone, treatment)
    normal = columns.normalise(frame, params, gone)
    personal: dict[int, tuple[str, str]] = {}
    counts: Counter[str] = Counter()
    if treatment:
        normal, personal, counts = columns.without_personal(normal, params.dates, treatment)
    usable = np.ones(len(frame), dtype=bool)
    usable[[*gone, *normal.unusable, *personal]] = False
    emptied = emptied[usable[emptied]]
    usable[emptied] = False
    texts = normal.frame.filter(pl.col("fact").is_null() & pl.lit(pl.Series(usable)))
    places = start + np.flatnonzero(normal.frame["fact"].is_null().to_numpy() & usable)
    folded = fold(normal.frame["text"])
    found = words(folded.gather(places - start))
    said = phrases(found)
    chosen = information.sampled(texts["id"], records)
    part = Part(
        piece=piece,
        file=folder / f"{start}.arrow",
        words=folder / f"{start}.words.npz",
        signatures=repeats.Stored(
            folder / f"{start}.signatures.npy", folder / f"{start}.bands", len(places)
        ),
        places=places,
        unusable={start + at: problem for at, problem in normal.unusable.items()},
        personal={start + at: problem for at, problem in personal.items()},
        excluded={start + at: problem for at, problem in gone.items()},
        emptied=start + emptied,
    )
    store(part, normal.frame, found, repeats.signatures(questions.answered(texts, said, apart)))
    return Found(
        part=part,
        spellings=columns.spellings(normal.frame.filter(pl.lit(pl.Series(usable)))),
        keys=repeats.keys(normal.frame, folded, normal.meta),
        frequencies=information.frequencies(found, fold(texts["subject"]))
        if counted
        else information.Frequencies(),
        sampled=int(chosen.sum()),
        phrases=information.text_counts(said.of(chosen)),
        personal=counts,
        cut=cut,
    )


def store(part: Part, frame: pl.DataFrame, words: Terms, signatures: Array) -> None:
    """Write the files of a part."""
    with whole(part.file) as path:
        frame.write_ipc(path)
    with whole(part.words) as path:
        np.savez(path, hashes=words.hashes, starts=words.starts)
    with whole(part.signatures.values) as values, whole(part.signatures.bands) as bands:
        repeats.store(signatures, values, bands)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write under; the file takes its place at `path` when it is whole. Two who write the same do not meet."""
    temporary = path.with_name(f"{token_hex(8)}-{path.name}")
    yield temporary
    os.replace(temporary, path)
