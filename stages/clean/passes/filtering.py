"""The first two phases of `clean`: every record normalised, and those set aside that say too little or nothing new.

Two passes over the corpus: the first normalises and counts (`corpus.prepare`), the second scores each free text by what was
counted. Then repeats are sought: exact ones, and near ones among what is left. Where recurring lines are taken out (`lines.py`),
one pass before these seeks them. Whatever reads texts or words is the work of an `engine`; here is gathered what it found.
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
from stages.clean.filters.terms import Array, phrases
from stages.clean.passes.corpus import Found, Part, Piece, pieces, prepare
from stages.clean.passes.ledger import Ledger, Reason
from stages.clean.personal import Treatment
from stages.clean.values import columns, normalise
from stages.core.executors.local import Engine

NOTHING: Excluded = {}
PROCESSES_FROM = 6
"""Batches from which on starting processes pays: each takes about two seconds."""


@dataclass(frozen=True)
class Filtered:
    """A corpus after two phases: what became of every record, and where its normalised form is."""

    engine: Engine
    excluded: Excluded
    ledger: Ledger
    parts: list[Part]
    spellings: dict[str, str]
    personal: Counter[str]
    """How many values of each kind of personal data, and in how many records."""
    texts: Array
    """Places of all usable free texts, in their order: int64."""
    signatures: repeats.Signatures
    """Of these texts."""
    cut: lines.Cut = field(default_factory=lines.Cut)
    """The recurring lines that were taken out."""

    def alive(self, part: Part) -> Array:
        """Which records of a part are kept so far."""
        return self.ledger.kept(part.piece.start, part.piece.rows)

    def holding(self, places: Array) -> Iterator[tuple[Part, Array]]:
        """The parts that hold the records at `places`, which are sorted, each with where in it they stand."""
        cuts = np.searchsorted(places, [part.piece.start for part in self.parts])
        for part, inside in zip(self.parts, np.split(places, cuts)[1:], strict=True):
            if len(inside):
                yield part, inside - part.piece.start

    def facts(self) -> pl.DataFrame:
        """The facts among the kept records, with their `place` in the corpus."""
        items = ((part, self.alive(part)) for part in self.parts)
        found = list(self.engine.in_order(partial(facts_of, spellings=self.spellings), items))
        return (
            pl.concat(found)
            if found
            else pl.DataFrame(schema={"place": pl.UInt32, **columns.COLUMNS})
        )


def facts_of(item: tuple[Part, Array], spellings: dict[str, str]) -> pl.DataFrame:
    """The facts among the records of a part that are kept, with their `place` in the corpus."""
    part, alive = item
    frame = part.normalised(spellings).with_row_index("place", part.piece.start)
    return frame.filter(pl.lit(pl.Series(alive)) & pl.col("fact").is_not_null())


def filtered(
    source: Path,
    reading: normalise.Params,
    params: information.Params,
    engine: Engine,
    folder: Path,
    treatment: Treatment | None = None,
    excluded: Excluded = NOTHING,
) -> Filtered:
    """Normalise and filter the records of the file `source`; `folder`, empty, takes what lies between the passes, and all workers
    of the engine must see it.

    `excluded` are set aside before all else; `treatment` is what happens to personal data, between the two.

    Raises InputError or RecordError where the file cannot be read, ParamsError where `reading` names an unknown unit.
    """
    normalise.check_units(reading)
    batches = pieces(source)
    records = sum(piece.rows for piece in batches)
    ledger, common = Ledger(records), Common(records)
    preparing = partial(
        prepare,
        records=records,
        params=reading,
        counted=params.threshold > 0,
        apart=params.numbers == "apart",
        folder=folder.absolute(),
        treatment=treatment,
        excluded=excluded,
        recurring=_recurring(batches, params.lines, engine, excluded) if params.lines else None,
    )
    for found in engine.in_order(preparing, batches, processes=len(batches) > PROCESSES_FROM):
        common.add(found)
    if excluded:
        ledger.begin("exclude")
        for part in common.parts:
            ledger.note("exclude", part.excluded)
    ledger.begin("normalise")
    for part in common.parts:
        ledger.note("normalise", part.unusable)
    if treatment:
        ledger.begin("personal")
        for part in common.parts:
            ledger.note("personal", part.personal)
    ledger.begin("filter")
    if params.lines:
        for part in common.parts:
            ledger.sift(
                Reason("filter", "boilerplate", "nothing but lines that recur in its source"),
                part.emptied,
            )
    _low_information(ledger, common, params, engine)
    _repeats(ledger, common, params)
    texts, signatures = common.texts, common.signatures
    return Filtered(
        engine,
        excluded,
        ledger,
        common.parts,
        common.spellings,
        common.personal,
        texts,
        signatures,
        common.cut,
    )


def _recurring(
    batches: list[Piece], params: information.Lines, engine: Engine, excluded: Excluded
) -> lines.Recurring:
    """The lines that recur, by source."""
    sizes = lines.sizes(batches[0].source) if batches else {}
    counting = partial(_lines, words=params.words, sizes=sizes, excluded=excluded)
    return lines.recurring(engine.in_order(counting, batches), params)


def _lines(piece: Piece, words: int, sizes: dict[str, int], excluded: Excluded) -> lines.Counts:
    return lines.counted(piece.extracted(excluded), words, sizes, excluded)


class Common:
    """What the records of a corpus are judged by: gathered in their order, whatever batch is ready first."""

    def __init__(self, records: int) -> None:
        """Nothing yet, of so many records."""
        self.parts: list[Part] = []
        self.spellings: dict[str, str] = {}
        self.keys = np.empty((records, 2), dtype=np.uint64)
        self.frequencies = information.Frequencies()
        self.sampled = 0
        self.phrases: list[pl.DataFrame] = []
        self.signatures = repeats.Signatures()
        self.personal: Counter[str] = Counter()
        self.cut = lines.Cut()

    def add(self, found: Found) -> None:
        """Add the next batch."""
        self.parts.append(found.part)
        for folded, spelling in found.spellings.items():
            self.spellings.setdefault(folded, spelling)
        start = found.part.piece.start
        self.keys[start : start + len(found.keys)] = found.keys
        self.frequencies.add(found.frequencies)
        self.sampled += found.sampled
        self.phrases.append(found.phrases)
        self.signatures.append(found.part.signatures)
        self.personal += found.personal
        self.cut.add(found.cut)

    @property
    def texts(self) -> Array:
        """Places of all usable free texts, in their order."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *(part.places for part in self.parts)])


def _low_information(
    ledger: Ledger, common: Common, params: information.Params, engine: Engine
) -> None:
    """Score every free text, and set those aside that say too little."""
    weights = common.frequencies.weights(params.common) if params.threshold > 0 else None
    limits = params.boilerplate
    recurring = (
        information.common_phrases(common.phrases, common.sampled, limits) if limits else None
    )
    if weights is None and recurring is None:
        return
    scored = engine.in_order(partial(_scores, weights=weights, recurring=recurring), common.parts)
    scores, own = zip(*scored, strict=True) if common.parts else ((), ())
    low = Reason("filter", "low_information", f"score {{number:.3f}} is below {params.threshold}")
    _below(ledger, low, common.texts, np.concatenate([*scores, []]), params.threshold)
    if limits:
        menu = Reason(
            "filter",
            "boilerplate",
            f"{{number:.3f}} of its phrases are particular; {limits.particular} is the least",
        )
        _below(ledger, menu, common.texts, np.concatenate([*own, []]), limits.particular)


def _scores(
    part: Part, weights: pl.DataFrame | None, recurring: pl.Series | None
) -> tuple[Array, Array]:
    """Score and share of particular phrases of each text of a part; 1 for what is not wanted."""
    words, whole = part.terms(), np.ones(len(part.places))
    scores = whole if weights is None else information.scores(words, weights)
    return scores, whole if recurring is None else information.particular(phrases(words), recurring)


def _below(ledger: Ledger, reason: Reason, texts: Array, scores: Array, least: float) -> None:
    """Set the texts aside that score below the least."""
    low = (scores < least) & ledger.alive[texts]
    ledger.sift(reason, texts[low], scores[low])


def _repeats(ledger: Ledger, common: Common, params: information.Params) -> None:
    """Set aside what repeats an earlier record that stays."""
    later, first = repeats.earlier(common.keys, ledger.alive)
    common.keys = np.empty(
        (0, 2), dtype=np.uint64
    )  # nobody needs them any more, and they are large
    ledger.sift(Reason("filter", "duplicate", "same as record {other}"), later, others=first)
    if params.near_duplicates is not None:
        texts = common.texts
        later, first, similarity = common.signatures.alike(
            ledger.alive[texts], params.near_duplicates
        )
        near = Reason("filter", "near_duplicate", "like record {other}: similarity {number:.2f}")
        ledger.sift(near, texts[later], similarity, texts[first])
