"""A corpus on its way through `clean`, read and normalised batch by batch.

Files hold it between the passes.

A worker gets a batch as a `Piece`, which says where its records stand, and reads them itself. The
results are small beside the records. Memory holds a few batches per worker, the words with their
frequencies, the facts, and some tens of bytes a record. It never holds all texts. Neither the size
of a batch nor the executor changes a byte of the output.
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
from stages.clean.personal import Treatment
from stages.clean.terms import Array, Terms, fold, phrases, words
from stages.clean.values import columns, normalise
from stages.clean.values.source_forms import NO_FORMS, Forms
from stages.core.records.picture import PICTURE
from stages.core.records.record import opened

BATCH_BYTES, BATCH_ROWS = 12 << 20, 1 << 15
"""Size of the largest batch. A worker reads the whole row group of its batch, so a row group is cut
only if it is larger."""


@dataclass(frozen=True)
class Piece:
    """Records of a file that follow each other: where they stand, so that a worker can read them."""

    source: Path
    start: int
    """Position of the first record in the corpus."""
    rows: int
    group: int
    """Number of the row group of the file that holds them."""
    skipped: int
    """Records of the row group that stand before them."""

    def extracted(self, excluded: Excluded) -> pl.DataFrame:
        """The records as they were extracted.

        Excluded ones are empty. Raises InputError or RecordError as `record.opened`.
        """
        with opened(self.source, footer=_footer(self.source)) as file:
            group = file.read_row_group(self.group)
            table = group.slice(self.skipped, self.rows).combine_chunks()
        frame = pl.DataFrame(table, schema=columns.COLUMNS)
        return columns.redacted(frame, excluded) if excluded else frame


@dataclass(frozen=True)
class Part:
    """A batch after the first pass: its files, and which of its records were set aside."""

    piece: Piece
    file: Path
    """Normalised records."""
    words: Path
    """Words of its free texts."""
    signatures: repeats.Stored
    """Signatures of its free texts."""
    positions: Array
    """Positions of its usable free texts in the corpus: int64."""
    unusable: dict[int, tuple[str, str]]
    """Position → reason, evidence, of records that cannot be normalised."""
    personal: dict[int, tuple[str, str]]
    """The same of records set aside for the personal data they hold."""
    excluded: dict[int, tuple[str, str]]
    """The same of records that must not be learned."""
    emptied: Array
    """Positions of the records that were nothing but recurring lines: int64."""

    def normalised(self, spellings: dict[str, str]) -> pl.DataFrame:
        """Its records in their one form, subjects spelt as in the first record about them."""
        return columns.spelt(pl.read_ipc(self.file), spellings)

    def terms(self) -> Terms:
        """Words of its free texts."""
        with np.load(self.words) as arrays:
            return Terms(arrays["hashes"], arrays["starts"])


@dataclass(frozen=True)
class Prepared:
    """A batch after the first pass, with what it adds to the statistics of the corpus."""

    part: Part
    spellings: dict[str, str]
    """The first spelling of each subject, by folded subject."""
    keys: Array
    """`repeats.keys` of all its records."""
    frequencies: information.Frequencies
    sampled: int
    """Number of free texts that belong to the sample."""
    phrases: pl.DataFrame
    """In how many of these texts each phrase occurs."""
    personal: Counter[str]
    """How many values of each kind of personal data there were, and under `records` in how many
    records."""
    cut: lines.Cut
    """The recurring lines that were taken out."""
    unreadable: Counter[str]
    """How many dates of each further field are left as they are written."""


def pieces(source: Path) -> list[Piece]:
    """The batches of a file, in the order of its records.

    Each row group is cut into as few equal parts as possible.
    """
    with opened(source) as file:
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    source = source.absolute()
    found: list[Piece] = []
    first = 0
    for number, group in enumerate(groups):
        # ceil(a / b) for whole numbers is -(-a // b).
        parts_by_bytes = -(-group.total_byte_size // BATCH_BYTES)
        parts_by_rows = -(-group.num_rows // BATCH_ROWS)
        parts = max(1, parts_by_bytes, parts_by_rows)
        # 10 rows in 3 parts are cut at 0, 3, 6 and 10.
        cuts = [group.num_rows * part // parts for part in range(parts + 1)]
        for start, end in pairwise(cuts):
            if end > start:
                found.append(Piece(source, first + start, end - start, number, start))
        first += group.num_rows
    return found


def _footer(source: Path) -> pq.FileMetaData | None:
    """The footer of a file, or None where it cannot be read.

    It is kept between batches, since the footer of a large file is too large to be read for every
    batch.
    """
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
    exact: bool = False,
    forms: Forms = NO_FORMS,
) -> Prepared:
    """Normalise a batch of a corpus of so many `records`, and count what is in it.

    `counted`: the frequencies of words are needed. `apart`: texts that say other numbers are no
    near duplicates. `recurring`: lines that are taken out first. `exact`: names that differ by case
    are different (`extract.names`). `forms`: how the sources write numbers and lines. If a worker
    dies, another one calls this again and writes the same files.
    """
    start = piece.start
    frame = piece.extracted(excluded)

    # Here `row` is a row number within the batch. The position in the corpus is start + row.
    gone: dict[int, tuple[str, str]] = {}
    if excluded:
        for row, name in enumerate(frame["id"]):
            if name in excluded:
                gone[row] = excluded[name]
    emptied = np.zeros(0, dtype=np.int64)
    cut = lines.Cut()
    if recurring is not None:
        frame, emptied, cut = lines.without(frame, recurring, gone, treatment)
    normal = columns.normalise(frame, params, gone, forms)
    personal: dict[int, tuple[str, str]] = {}
    personal_counts: Counter[str] = Counter()
    if treatment:
        normal, personal, personal_counts = columns.without_personal(
            normal, params.dates, treatment
        )

    usable = np.ones(len(frame), dtype=bool)
    usable[[*gone, *normal.unusable, *personal]] = False
    emptied = emptied[usable[emptied]]  # a record is set aside for one reason only, the first
    usable[emptied] = False
    # A caption is judged with its picture, by the stage `pictures`: many pictures may have like captions.
    is_of_picture = (normal.frame["kind"] == PICTURE).to_numpy()
    free_text = normal.frame["fact"].is_null().to_numpy() & usable & ~is_of_picture
    text_rows = np.flatnonzero(free_text)
    texts = normal.frame.filter(pl.Series(free_text))

    folded = fold(normal.frame["text"], exact)
    words_of_texts = words(folded.gather(text_rows))
    phrases_of_texts = phrases(words_of_texts)
    sampled = information.sampled(texts["id"], records)
    frequencies = information.Frequencies()
    if counted:
        frequencies = information.frequencies(words_of_texts, fold(texts["subject"], exact))

    part = Part(
        piece=piece,
        file=folder / f"{start}.arrow",
        words=folder / f"{start}.words.npz",
        signatures=repeats.Stored(
            folder / f"{start}.signatures.npy", folder / f"{start}.bands", len(text_rows)
        ),
        positions=start + text_rows,
        unusable=_positioned(normal.unusable, start),
        personal=_positioned(personal, start),
        excluded=_positioned(gone, start),
        emptied=start + emptied,
    )
    compared = questions.answered(texts, phrases_of_texts, apart, exact)
    store(part, normal.frame, words_of_texts, repeats.signatures(compared))
    return Prepared(
        part=part,
        # Without spellings, every subject stays as it is written.
        spellings={} if exact else columns.spellings(normal.frame.filter(pl.Series(usable))),
        keys=repeats.keys(normal.frame, folded, normal.meta, exact),
        frequencies=frequencies,
        sampled=int(sampled.sum()),
        phrases=information.text_counts(phrases_of_texts.of(sampled)),
        personal=personal_counts,
        cut=cut,
        unreadable=normal.unreadable,
    )


def _positioned(reasons: dict[int, tuple[str, str]], start: int) -> dict[int, tuple[str, str]]:
    """Reasons by position in the corpus, from reasons by row of a batch that begins at `start`."""
    return {start + row: reason for row, reason in reasons.items()}


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
    """A name to write under. The file appears at `path` once it is complete.

    Two workers that write the same file do not meet, since each name is random.
    """
    temporary = path.with_name(f"{token_hex(8)}-{path.name}")
    yield temporary
    os.replace(temporary, path)
