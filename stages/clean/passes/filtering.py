"""The first two phases of `clean`: normalise, and filter.

Every record is normalised. Records that say too little or nothing new are set aside.

There are two passes over the corpus. The first one normalises and counts (`corpus.prepare`). The
second one scores each free text by these counts. Then repeats are sought: exact ones, and near ones
among the rest. Where recurring lines are taken out (`lines.py`), a pass before these finds them. An
executor does all that reads texts or words, batch by batch. This module gathers the results.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from stages.clean.exclusions import Excluded
from stages.clean.filters import information, lines, repeats
from stages.clean.passes.corpus import Part, Piece, Prepared, pieces, prepare
from stages.clean.passes.ledger import Ledger, Reason
from stages.clean.personal import Treatment
from stages.clean.terms import Array, phrases
from stages.clean.values import columns, normalise
from stages.clean.values.source_forms import NO_FORMS, Forms
from stages.core.executors.executor import Executor

NOTHING: Excluded = {}
PROCESSES_FROM = 6
"""Number of batches above which processes pay. Starting each one takes about two seconds."""


@dataclass(frozen=True)
class Filtered:
    """A corpus after two phases: the verdict on every record, and its normalised form in files."""

    executor: Executor
    excluded: Excluded
    ledger: Ledger
    parts: list[Part]
    spellings: dict[str, str]
    personal: Counter[str]
    """How many values of each kind of personal data there were, and under `records` in how many
    records."""
    texts: Array
    """Positions of all usable free texts, in their order: int64."""
    signatures: repeats.Signatures
    """Of these texts."""
    exact: bool = False
    """Whether names that differ by case are different."""
    cut: lines.Cut = field(default_factory=lines.Cut)
    """The recurring lines that were taken out."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """How many dates of each further field are left as they are written."""

    def alive(self, part: Part) -> Array:
        """Which records of a part are kept so far: bool."""
        return self.ledger.kept(part.piece.start, part.piece.rows)

    def holding(self, positions: Array) -> Iterator[tuple[Part, Array]]:
        """Each part that holds records at `positions`, with their row numbers in it.

        `positions` are sorted.
        """
        # The parts start at 0, 100 and 200, and the positions are [7, 150, 160]. Then the cuts are
        # [0, 1, 3], and the positions are split into [] (before the first part), [7], [150, 160]
        # and [].
        starts = [part.piece.start for part in self.parts]
        cuts = np.searchsorted(positions, starts)
        of_parts = np.split(positions, cuts)[1:]
        for part, inside in zip(self.parts, of_parts, strict=True):
            if len(inside):
                yield part, inside - part.piece.start

    def kept_facts(self) -> pl.DataFrame:
        """The facts among the kept records, with their `position` in the corpus."""
        items = ((part, self.alive(part)) for part in self.parts)
        reading = partial(facts_of, spellings=self.spellings)
        frames = list(self.executor.in_order(reading, items))
        if not frames:
            return pl.DataFrame(schema={"position": pl.UInt32, **columns.COLUMNS})
        return pl.concat(frames)


def facts_of(item: tuple[Part, Array], spellings: dict[str, str]) -> pl.DataFrame:
    """The facts among the kept records of a part, with their `position` in the corpus."""
    part, alive = item
    frame = part.normalised(spellings).with_row_index("position", part.piece.start)
    kept = pl.lit(pl.Series(alive))
    return frame.filter(kept & pl.col("fact").is_not_null())


def filtered(
    source: Path,
    reading: normalise.Params,
    params: information.Params,
    executor: Executor,
    folder: Path,
    treatment: Treatment | None = None,
    excluded: Excluded = NOTHING,
    exact: bool = False,
    forms: Forms = NO_FORMS,
) -> Filtered:
    """Normalise and filter the records of the file `source`.

    `folder` is empty and takes the files between the passes. All workers of the executor must see
    it. `excluded` are set aside before all else. `treatment` is applied to personal data, between
    normalising and filtering. `exact`: names that differ by case are different. `forms` is how the
    sources write numbers and lines.

    Raises InputError or RecordError where the file cannot be read, ParamsError where `reading`
    names an unknown unit.
    """
    normalise.check_units(reading)
    batches = pieces(source)
    records = sum(piece.rows for piece in batches)
    recurring = None
    if params.lines:
        recurring = _recurring_lines(batches, params.lines, executor, excluded)

    # First pass: normalise and count.
    preparing = partial(
        prepare,
        records=records,
        params=reading,
        counted=params.threshold > 0,
        apart=params.numbers == "apart",
        folder=folder.absolute(),
        treatment=treatment,
        excluded=excluded,
        recurring=recurring,
        exact=exact,
        forms=forms,
    )
    many = len(batches) > PROCESSES_FROM
    statistics = Statistics(records)
    for prepared in executor.in_order(preparing, batches, processes=many):
        statistics.add(prepared)

    ledger = Ledger(records)
    if excluded:
        ledger.begin("exclude")
        for part in statistics.parts:
            ledger.note("exclude", part.excluded)
    ledger.begin("normalise")
    for part in statistics.parts:
        ledger.note("normalise", part.unusable)
    if treatment:
        ledger.begin("personal")
        for part in statistics.parts:
            ledger.note("personal", part.personal)
    ledger.begin("filter")
    if params.lines:
        emptied = Reason("filter", "boilerplate", "nothing but lines that recur in its source")
        for part in statistics.parts:
            ledger.sift(emptied, part.emptied)
    _set_aside_low_information(ledger, statistics, params, executor)
    _set_aside_repeats(ledger, statistics, params)
    return Filtered(
        executor=executor,
        excluded=excluded,
        ledger=ledger,
        parts=statistics.parts,
        spellings=statistics.spellings,
        personal=statistics.personal,
        texts=statistics.texts,
        signatures=statistics.signatures,
        exact=exact,
        cut=statistics.cut,
        unreadable=statistics.unreadable,
    )


def _recurring_lines(
    batches: list[Piece], params: information.Lines, executor: Executor, excluded: Excluded
) -> lines.Recurring:
    """The lines that recur, by source."""
    sizes = lines.sizes(batches[0].source) if batches else {}
    counting = partial(_lines_of, words=params.words, sizes=sizes, excluded=excluded)
    return lines.recurring(executor.in_order(counting, batches), params)


def _lines_of(piece: Piece, words: int, sizes: dict[str, int], excluded: Excluded) -> lines.Counts:
    return lines.counted(piece.extracted(excluded), words, sizes, excluded)


class Statistics:
    """What the records of a corpus are judged by. Batches are added in their order."""

    def __init__(self, records: int) -> None:
        """Of a corpus of so many records. No batch is added yet."""
        self.parts: list[Part] = []
        self.spellings: dict[str, str] = {}
        self.keys = np.empty((records, 2), dtype=np.uint64)
        self.frequencies = information.Frequencies()
        self.sampled = 0
        self.phrases: list[pl.DataFrame] = []
        self.signatures = repeats.Signatures()
        self.personal: Counter[str] = Counter()
        self.cut = lines.Cut()
        self.unreadable: Counter[str] = Counter()

    def add(self, prepared: Prepared) -> None:
        """Add the next batch."""
        part = prepared.part
        self.parts.append(part)
        for folded, spelling in prepared.spellings.items():
            self.spellings.setdefault(folded, spelling)
        start = part.piece.start
        self.keys[start : start + len(prepared.keys)] = prepared.keys
        self.frequencies.add(prepared.frequencies)
        self.sampled += prepared.sampled
        self.phrases.append(prepared.phrases)
        self.signatures.append(part.signatures)
        self.personal += prepared.personal
        self.cut.add(prepared.cut)
        self.unreadable += prepared.unreadable

    @property
    def texts(self) -> Array:
        """Positions of all usable free texts, in their order: int64."""
        positions = [np.zeros(0, dtype=np.int64)]
        for part in self.parts:
            positions.append(part.positions)
        return np.concatenate(positions)


def _set_aside_low_information(
    ledger: Ledger, statistics: Statistics, params: information.Params, executor: Executor
) -> None:
    """The second pass: score every free text, and set aside those that say too little."""
    weights, recurring = None, None
    if params.threshold > 0:
        weights = statistics.frequencies.weights(params.common)
    if params.boilerplate:
        recurring = information.common_phrases(
            statistics.phrases, statistics.sampled, params.boilerplate
        )
    if weights is None and recurring is None:
        return

    scores_of_parts, shares_of_parts = [np.zeros(0)], [np.zeros(0)]
    scoring = partial(_scores, weights=weights, recurring=recurring)
    for scores, shares in executor.in_order(scoring, statistics.parts):
        scores_of_parts.append(scores)
        shares_of_parts.append(shares)

    texts = statistics.texts
    low = Reason("filter", "low_information", f"score {{number:.3f}} is below {params.threshold}")
    _set_aside_below(ledger, low, texts, np.concatenate(scores_of_parts), params.threshold)
    if params.boilerplate:
        least = params.boilerplate.particular
        common = Reason(
            "filter",
            "boilerplate",
            f"{{number:.3f}} of its phrases are particular; {least} is the least",
        )
        _set_aside_below(ledger, common, texts, np.concatenate(shares_of_parts), least)


def _scores(
    part: Part, weights: pl.DataFrame | None, recurring: pl.Series | None
) -> tuple[Array, Array]:
    """Score, and share of particular phrases, of each free text of a part.

    Both are 1 where they are not asked for.
    """
    words = part.terms()
    scores = shares = np.ones(len(part.positions))
    if weights is not None:
        scores = information.scores(words, weights)
    if recurring is not None:
        shares = information.particular(phrases(words), recurring)
    return scores, shares


def _set_aside_below(
    ledger: Ledger, reason: Reason, texts: Array, scores: Array, least: float
) -> None:
    """Set aside the texts that score below the least."""
    alive = ledger.alive[texts]
    low = alive & (scores < least)
    ledger.sift(reason, texts[low], scores[low])


def _set_aside_repeats(ledger: Ledger, statistics: Statistics, params: information.Params) -> None:
    """Set aside what repeats an earlier record that stays: word for word, and then nearly so."""
    later, first = repeats.earlier(statistics.keys, ledger.alive)
    statistics.keys = np.empty((0, 2), dtype=np.uint64)  # frees memory: 16 bytes a record
    ledger.sift(Reason("filter", "duplicate", "same as record {other}"), later, others=first)
    if params.near_duplicates is None:
        return
    texts = statistics.texts
    later, first, similarity = statistics.signatures.alike(
        ledger.alive[texts], params.near_duplicates
    )
    near = Reason("filter", "near_duplicate", "like record {other}: similarity {number:.2f}")
    ledger.sift(near, texts[later], similarity, texts[first])
