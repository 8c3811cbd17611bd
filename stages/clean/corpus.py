"""A corpus on its way through `clean`: read and normalised batch by batch, with files in between.

Memory holds a few batches per worker, the words with their frequencies, the facts, and some tens of bytes a record; never all
texts. How large a batch is and how many threads work changes no byte of what comes out.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa

from stages.clean import columns, information, lines, normalise, questions, repeats
from stages.clean.exclusions import Excluded
from stages.clean.personal import Treatment
from stages.clean.terms import Array, Terms, fold, phrases, words
from stages.core.record import opened
from stages.core.runtime import die_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")
BATCH_BYTES, BATCH_ROWS = 16 << 20, 1 << 15
PROCESSES_FROM = 8
"""Batches from which on starting processes pays: each takes about two seconds."""


@dataclass(frozen=True)
class Part:
    """One batch: the files that hold it, and what the corpus is judged by."""

    start: int
    """Place of its first record in the corpus."""
    file: Path
    """Normalised records."""
    words: Path
    """Words of its free texts."""
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

    def normalised(self) -> pl.DataFrame:
        """Its records in their one form, each subject as it is spelt there."""
        return pl.read_ipc(self.file)

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
    signatures: Array
    personal: Counter[str]
    """How many values of each kind of personal data, and in how many records."""
    cut: lines.Cut
    """The recurring lines that were taken out."""


def batches(source: Path, excluded: Excluded) -> Iterator[tuple[int, pl.DataFrame]]:
    """Place of the first record, and the records as they were extracted, batch by batch; excluded ones are empty."""
    with opened(source) as file:
        start = 0
        for batch in file.iter_batches(batch_size=batch_rows(file.metadata)):
            frame = pl.DataFrame(pa.Table.from_batches([batch]), schema=columns.COLUMNS)
            yield start, columns.redacted(frame, excluded) if excluded else frame
            start += len(batch)


def batch_rows(metadata: Any) -> int:
    """Records that make up a batch."""
    size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES * metadata.num_rows / max(1, size))))


def prepare(
    batch: tuple[int, pl.DataFrame],
    records: int,
    params: normalise.Params,
    counted: bool,
    folder: Path,
    treatment: Treatment | None,
    excluded: Excluded,
    recurring: lines.Recurring | None = None,
) -> Found:
    """Normalise one of the `batches` of a corpus of so many records, and count what is in it (words only if `counted`).

    `recurring` are the lines that are taken out of it before.
    """
    start, frame = batch
    gone = {at: excluded[name] for at, name in enumerate(frame["id"]) if name in excluded} if excluded else {}
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
        start=start,
        file=folder / f"{start}.arrow",
        words=folder / f"{start}.npz",
        places=places,
        unusable={start + at: problem for at, problem in normal.unusable.items()},
        personal={start + at: problem for at, problem in personal.items()},
        excluded={start + at: problem for at, problem in gone.items()},
        emptied=start + emptied,
    )
    normal.frame.write_ipc(part.file)
    np.savez(part.words, hashes=found.hashes, starts=found.starts)
    return Found(
        part=part,
        spellings=columns.spellings(normal.frame.filter(pl.lit(pl.Series(usable)))),
        keys=repeats.keys(normal.frame, folded, normal.meta),
        frequencies=information.frequencies(found, fold(texts["subject"])) if counted else information.Frequencies(),
        sampled=int(chosen.sum()),
        phrases=information.text_counts(said.of(chosen)),
        signatures=repeats.signatures(questions.answered(texts, said)),
        personal=counts,
        cut=cut,
    )


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, processes: bool = False
) -> Iterator[Result]:
    """Results in the order of the items, few of them ahead of who takes them.

    Threads share what polars, Arrow and rensa do; what Python itself does, such as rewriting texts, only processes share.
    """
    waiting: deque[Future[Result]] = deque()
    with pool_of(workers, processes) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def pool_of(workers: int, processes: bool) -> Executor:
    """Threads, or processes that are made anew (a fork would copy the locks of polars' threads) and end with this one."""
    if not processes:
        return ThreadPoolExecutor(workers)
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=die_with_parent)
