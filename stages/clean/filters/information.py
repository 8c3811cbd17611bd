"""Low information: free texts that say nothing particular, found by TF-IDF and by the phrases they share.

score(text) = Σ_t tf(t) · w(t) / Σ_t tf(t), with w(t) = max(0, 1 - log df(t) / log cap), cap = max(3, common · N).

tf(t) counts the word in the text; df(t) is the number of subjects whose texts hold it (a text without a subject is a
subject of its own), N the number of subjects. w is the usual inverse document frequency, scaled so that a word of one
subject alone weighs 1 and one that `common` of all subjects share weighs 0. The score is a mean over the text's words,
so it lies in [0, 1] and a text repeated twice scores as once. It reads: the share of the text that is about something
in particular. At the threshold 0.05 fewer than one word in twenty is; boilerplate recurs from subject to subject and
scores 0, knowledge does not (docs/decisions/001-information-score.md).

Words fail where the whole corpus shares one vocabulary; phrases still tell menus and notices from prose: `particular` is the
share of a text's phrases that are not common, and a phrase is common if `share` of all texts have it. Common phrases
are sought in a sample, drawn by the hash of the id, so memory does not grow with the corpus.

Facts are not scored: their form is the source's, and what they say is their value.
"""

import math
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.clean.filters.terms import Array, Terms
from stages.core.project.params import STRICT

SCALE = 1 << 20
"""Weights are whole multiples of 1 / SCALE, so that sums do not depend on the order of adding."""
SAMPLE = 1 << 14
"""About how many texts common phrases are sought in."""
COUNTS = {"word": pl.UInt64, "count": pl.Int64}
FEWEST = 10
"""Texts that share a phrase before it can be common."""


@dataclass(frozen=True, config=STRICT)
class Boilerplate:
    """Texts made of phrases that recur."""

    share: float
    """Share of all texts from which on a phrase is common."""
    particular: float
    """Least share of a text's phrases that are not common."""


@dataclass(frozen=True, config=STRICT)
class Lines:
    """Which lines recur in the texts of a source, and are taken out (`lines.py`): all must hold."""

    share: Annotated[float, Field(gt=0, le=1)]
    """Share of the source's texts that hold the line."""
    least: Annotated[int, Field(ge=3)]
    """Number of them."""
    words: Annotated[int, Field(ge=1)]
    """Fewest words of the line; each Chinese character counts as one."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """Where free texts say too little, or what an earlier one said."""

    threshold: float
    """Least score of a free text, in [0, 1]; 0 keeps everything."""
    common: float
    """Share of all subjects from which on a word tells nothing."""
    boilerplate: Boilerplate | None
    """None keeps everything."""
    near_duplicates: float | None
    """Least similarity, in (0, 1], from which on a free text repeats an earlier one; None keeps all but exact duplicates."""
    lines: Lines | None = None
    """None leaves texts whole."""
    numbers: Literal["ignore", "apart"] = "ignore"
    """Whether texts that say other numbers may be near duplicates: copies of a page differ in a date, leaflets in a dose."""


@plain_dataclass
class Frequencies:
    """In how many subjects each word occurs, counted batch by batch."""

    lone: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=COUNTS))
    """word, count: of texts without a subject."""
    pairs: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"word": pl.UInt64, "subject": pl.UInt64})
    )
    """Words with the subjects in whose texts they occur."""
    texts: int = 0
    """Texts without a subject."""
    waiting: list["Frequencies"] = field(default_factory=list)
    """Of batches that are still to be added: merged when they are as large as the rest, so that it is gone over seldom."""

    def __len__(self) -> int:
        """Rows of both tables."""
        return len(self.lone) + len(self.pairs)

    def add(self, found: "Frequencies") -> None:
        """Add what was counted in another batch."""
        self.waiting.append(found)
        self.texts += found.texts
        if sum(map(len, self.waiting)) > len(self):
            self.merge()

    def merge(self) -> None:
        """Add what waits."""
        every = [self, *self.waiting]
        self.lone = (
            pl.concat([one.lone for one in every]).group_by("word").agg(pl.col("count").sum())
        )
        self.pairs = pl.concat([one.pairs for one in every]).unique()
        self.waiting = []

    def weights(self, common: float) -> pl.DataFrame:
        """word, weight: w of every word, in units of 1 / SCALE."""
        self.merge()
        subjects = self.texts + self.pairs["subject"].n_unique()
        cap = math.log(max(3.0, common * subjects))
        of_subjects = self.pairs.group_by("word").agg(pl.len().cast(pl.Int64).alias("count"))
        counts = pl.concat([self.lone, of_subjects]).group_by("word").agg(pl.col("count").sum())
        weight = (1 - pl.col("count").cast(pl.Float64).log() / cap).clip(0)
        return counts.select("word", (weight * SCALE).round().cast(pl.Int64).alias("weight"))


def frequencies(words: Terms, subjects: pl.Series) -> Frequencies:
    """Count the words of one batch; `subjects` are folded, null where there is none."""
    with_subject = subjects.is_not_null().to_numpy()
    about = words.of(with_subject).once()
    known = np.repeat(subjects.drop_nulls().hash(seed=2).to_numpy(), about.counts)
    return Frequencies(
        text_counts(words.of(~with_subject)),
        pl.DataFrame({"word": about.hashes, "subject": known}).unique(),
        int((~with_subject).sum()),
    )


def scores(words: Terms, weights: pl.DataFrame) -> Array:
    """The score of each text, float64."""
    found = pl.DataFrame({"word": words.hashes}).join(
        weights, on="word", how="left", maintain_order="left"
    )["weight"]
    return words.sums(found.to_numpy()) / SCALE / np.maximum(words.counts, 1)


def sampled(ids: pl.Series, records: int) -> Array:
    """Which texts of a corpus of so many records belong to the sample."""
    limit = min(1.0, SAMPLE / max(1, records))
    return (ids.hash(seed=3).to_numpy() >> np.uint64(32)) < limit * (1 << 32)


def text_counts(terms: Terms) -> pl.DataFrame:
    """word, count: in how many texts each term occurs; by word."""
    ordered = pl.DataFrame({"word": terms.hashes, "text": terms.texts.astype(np.uint32)}).sort(
        "word", maintain_order=True
    )
    words, texts = ordered["word"].to_numpy(), ordered["text"].to_numpy()
    first, new = np.ones((2, len(words)), dtype=bool)
    first[1:] = words[1:] != words[:-1]
    new[1:] = first[1:] | (
        texts[1:] != texts[:-1]
    )  # a text's terms follow each other, and so do one term's texts
    at = np.flatnonzero(first)
    seen = np.concatenate(([0], np.cumsum(new)))
    return pl.DataFrame(
        {"word": words[at], "count": np.diff(seen[np.append(at, len(words))])}, schema=COUNTS
    )


def common_phrases(counts: list[pl.DataFrame], texts: int, params: Boilerplate) -> pl.Series:
    """Hashes of the phrases that are common among so many sampled texts."""
    whole = (
        pl.concat([pl.DataFrame(schema=COUNTS), *counts])
        .group_by("word")
        .agg(pl.col("count").sum())
    )
    return whole.filter(pl.col("count") >= max(FEWEST, params.share * texts))["word"].sort()


def particular(phrases: Terms, common: pl.Series) -> Array:
    """Share of each text's phrases that are not common, float64; 1 for a text without words."""
    known = pl.Series(phrases.hashes).is_in(common.implode()).to_numpy()
    return 1 - phrases.sums(known) / np.maximum(phrases.counts, 1)
