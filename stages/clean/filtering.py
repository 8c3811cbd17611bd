"""The first two phases of `clean`: every record normalised, and those set aside that say too little or nothing new.

Two passes over the corpus: the first normalises and counts (`corpus.prepare`), the second scores each free text by what was
counted. Then repeats are sought: exact ones, and near ones among what is left. Where recurring lines are taken out (`lines.py`),
one pass before these seeks them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from stages.clean import columns, information, lines, normalise, repeats
from stages.clean.corpus import PROCESSES_FROM, Found, Part, batch_rows, batches, in_order, prepare
from stages.clean.exclusions import Excluded, Row
from stages.clean.ledger import Ledger, Reason
from stages.clean.personal import Treatment
from stages.clean.terms import Array, phrases
from stages.core.record import opened

NOTHING: Excluded = {}
WRITTEN = ["id", "value", "unit", "answer"]


@dataclass(frozen=True)
class Filtered:
    """A corpus after two phases: what became of every record, and where its normalised form is."""

    source: Path
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

    def as_extracted(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Place of the first record, and the records as they were extracted, of each part."""
        return batches(self.source, self.excluded)

    def written(self, places: Array, treatment: Treatment | None) -> Iterator[Row]:
        """What the records at the `places`, in order, said before normalising (`WRITTEN`), without their personal data."""
        for start, frame in self.as_extracted():
            inside = places[np.searchsorted(places, start) : np.searchsorted(places, start + len(frame))] - start
            if treatment:
                yield from treatment.rows(frame[inside].iter_rows(named=True))
            else:
                yield from frame.select(WRITTEN)[inside].iter_rows(named=True)

    def normalised(self, part: Part) -> pl.DataFrame:
        """Records of a part in their one form, subjects spelt as in the first record about them."""
        return columns.spelt(part.normalised(), self.spellings)

    def alive(self, part: Part, length: int) -> Array:
        """Which records of a part are kept so far."""
        return self.ledger.alive[part.start : part.start + length]

    def facts(self) -> pl.DataFrame:
        """The facts among the kept records, with their `place` in the corpus."""
        found = []
        for part in self.parts:
            frame = self.normalised(part).with_row_index("place", part.start)
            found.append(frame.filter(pl.lit(pl.Series(self.alive(part, len(frame)))) & pl.col("fact").is_not_null()))
        return pl.concat(found) if found else pl.DataFrame(schema={"place": pl.UInt32, **columns.COLUMNS})


def filtered(
    source: Path,
    reading: normalise.Params,
    params: information.Params,
    threads: int,
    folder: Path,
    treatment: Treatment | None = None,
    excluded: Excluded = NOTHING,
) -> Filtered:
    """Normalise and filter the records of the file `source`; `folder`, empty, takes what lies between the passes.

    `excluded` are set aside before all else; `treatment` is what happens to personal data, between the two.

    Raises InputError or RecordError where the file cannot be read, ParamsError where `reading` names an unknown unit.
    """
    normalise.check_units(reading)
    with opened(source) as file:
        records = file.metadata.num_rows
        many = records > PROCESSES_FROM * batch_rows(file.metadata)
    ledger, common = Ledger(records), Common(folder)
    preparing = partial(
        prepare,
        records=records,
        params=reading,
        counted=params.threshold > 0,
        folder=folder,
        treatment=treatment,
        excluded=excluded,
        recurring=_recurring(source, params.lines, threads, excluded) if params.lines else None,
    )
    for found in in_order(preparing, batches(source, excluded), threads, processes=many and threads > 1):
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
            ledger.sift(Reason("filter", "boilerplate", "nothing but lines that recur in its source"), part.emptied)
    _low_information(ledger, common, params, threads)
    _repeats(ledger, common, params)
    texts, signatures = common.texts, common.signatures
    return Filtered(source, excluded, ledger, common.parts, common.spellings, common.personal, texts, signatures, common.cut)


def _recurring(source: Path, params: information.Lines, threads: int, excluded: Excluded) -> lines.Recurring:
    """The lines that recur, by source."""
    counting = partial(lines.counted, words=params.words, sizes=lines.sizes(source), excluded=tuple(excluded))
    return lines.recurring(in_order(counting, (frame for _, frame in batches(source, excluded)), threads), params)


class Common:
    """What the records of a corpus are judged by: gathered in their order, whatever batch is ready first."""

    def __init__(self, folder: Path) -> None:
        """`folder` takes signatures."""
        self.parts: list[Part] = []
        self.spellings: dict[str, str] = {}
        self.keys: list[Array] = []
        self.frequencies = information.Frequencies()
        self.sampled = 0
        self.phrases: list[pl.DataFrame] = []
        self.signatures = repeats.Signatures(folder)
        self.personal: Counter[str] = Counter()
        self.cut = lines.Cut()

    def add(self, found: Found) -> None:
        """Add the next batch."""
        self.parts.append(found.part)
        self.spellings = found.spellings | self.spellings
        self.keys.append(found.keys)
        self.frequencies.add(found.frequencies)
        self.sampled += found.sampled
        self.phrases.append(found.phrases)
        self.signatures.append(found.signatures)
        self.personal += found.personal
        self.cut.add(found.cut)

    @property
    def texts(self) -> Array:
        """Places of all usable free texts, in their order."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *(part.places for part in self.parts)])


def _low_information(ledger: Ledger, common: Common, params: information.Params, threads: int) -> None:
    """Score every free text, and set those aside that say too little."""
    weights = common.frequencies.weights(params.common) if params.threshold > 0 else None
    limits = params.boilerplate
    recurring = information.common_phrases(common.phrases, common.sampled, limits) if limits else None
    if weights is None and recurring is None:
        return
    scored = in_order(partial(_scores, weights=weights, recurring=recurring), iter(common.parts), threads)
    scores, own = zip(*scored, strict=True) if common.parts else ((), ())
    low = Reason("filter", "low_information", f"score {{number:.3f}} is below {params.threshold}")
    _below(ledger, low, common.texts, np.concatenate([*scores, []]), params.threshold)
    if limits:
        menu = Reason("filter", "boilerplate", f"{{number:.3f}} of its phrases are particular; {limits.particular} is the least")
        _below(ledger, menu, common.texts, np.concatenate([*own, []]), limits.particular)


def _scores(part: Part, weights: pl.DataFrame | None, recurring: pl.Series | None) -> tuple[Array, Array]:
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
    keys = np.concatenate([np.zeros((0, 2), dtype=np.uint64), *common.keys])
    later, first = repeats.earlier(keys, ledger.alive)
    ledger.sift(Reason("filter", "duplicate", "same as record {other}"), later, others=first)
    if params.near_duplicates is not None:
        texts = common.texts
        later, first, similarity = common.signatures.alike(ledger.alive[texts], params.near_duplicates)
        near = Reason("filter", "near_duplicate", "like record {other}: similarity {number:.2f}")
        ledger.sift(near, texts[later], similarity, texts[first])
