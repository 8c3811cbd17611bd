"""Low information: free texts that say nothing particular.

    score(text) = Σ_t tf(t) · w(t) / Σ_t tf(t)
    w(t) = max(0, 1 - log df(t) / log cap)
    cap = max(3, common · N)

It is TF-IDF, scaled. tf(t) counts the word t in the text. df(t) is the number of subjects in whose
texts it occurs, and N the number of subjects. A text without a subject counts as a subject of its
own. A word of one subject alone weighs 1. A word that `common` of all subjects share weighs 0.

The score is a mean over the words of the text, so it lies in [0, 1], and a text repeated twice
scores as once. It is the share of the text that is about something in particular. Below the
threshold 0.05, fewer than one word in twenty is. Boilerplate recurs from subject to subject and
scores 0. Knowledge does not (docs/decisions/001-information-score.md).

Single words fail where the whole corpus shares one vocabulary. Phrases still tell menus and notices
from prose there: `particular` is the share of a text's phrases that are not common, and a phrase is
common if `share` of all texts have it. Common phrases are sought in a sample, drawn by the hash of
the id, so memory does not grow with the corpus.

Facts are not scored: the source gives them their form, and what they say is their value.
"""

import math
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.clean.terms import Array, Terms
from stages.core.project.params import STRICT

SCALE = 1 << 20
"""Weights are whole multiples of 1 / SCALE, so that sums do not depend on the order of adding."""
SAMPLE = 1 << 14
"""About how many texts common phrases are sought in."""
COUNTS = {"word": pl.UInt64, "count": pl.Int64}
PAIRS = {"word": pl.UInt64, "subject": pl.UInt64}
FEWEST = 10
"""Number of texts that must share a phrase before it can be common."""


@dataclass(frozen=True, config=STRICT)
class Boilerplate:
    """Which texts are made of phrases that recur."""

    share: float = 0.005
    """A phrase is common if at least this share of all texts have it. Lower rejects more."""
    particular: float = 0.2
    """Least share of a text's phrases that must not be common. Higher rejects more."""


@dataclass(frozen=True, config=STRICT)
class Lines:
    """Which lines recur in the texts of a source, and are taken out (`lines.py`).

    All three conditions must hold.
    """

    share: Annotated[float, Field(gt=0, le=1)]
    """Least share of the source's texts that hold the line. A low share also removes what many subjects
    share."""
    least: Annotated[int, Field(ge=3)]
    """Least number of these texts, 3 or more."""
    words: Annotated[int, Field(ge=1)]
    """Least number of words of the line. Each Chinese character counts as one. Shorter lines may be values
    or headings."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """When a free text says too little, or repeats an earlier one."""

    threshold: float = 0.05
    """Least information score of a free text, in [0, 1]: the share of it that is about something in
    particular. Higher rejects more. 0 keeps everything."""
    common: float = 0.03
    """A word that at least this share of all subjects have (and at least three of them) carries no
    information. Raise it for long prose, such as to 0.2."""
    boilerplate: Boilerplate | None = field(default_factory=Boilerplate)
    """Rejects free texts made of phrases (three words) that recur. null keeps them all."""
    near_duplicates: float | None = 0.8
    """Least similarity, in (0, 1], from which on a free text about the same subject, or an answer to the
    same question, repeats an earlier one. Lower rejects more. null: only a text that is the same word for
    word."""
    lines: Lines | None = None
    """Removes lines that recur in the texts of a source, such as headers and notices. In a text without
    line breaks, sentences are the lines. A text of nothing else is rejected. `metrics/clean.json` names
    the removed lines: look at them. null leaves texts whole. Example:
    `{share: 0.05, least: 3, words: 3}`."""
    numbers: Literal["ignore", "apart"] = "ignore"
    """Whether texts that differ in a number, or in a negation, may be near duplicates. `ignore`: they may,
    as copies of a web page differ in a date. `apart`: they are kept, as a leaflet that says 5 mg is not one
    that says 50 mg, two tablets are not three, and "safe" is not "not safe". Answers to one question then
    count as different (`verify.answers`)."""


def _no_counts() -> pl.DataFrame:
    return pl.DataFrame(schema=COUNTS)


def _no_pairs() -> pl.DataFrame:
    return pl.DataFrame(schema=PAIRS)


@plain_dataclass
class Frequencies:
    """In how many subjects each word occurs, counted batch by batch."""

    lone: pl.DataFrame = field(default_factory=_no_counts)
    """word, count: in how many texts without a subject each word occurs."""
    pairs: pl.DataFrame = field(default_factory=_no_pairs)
    """word, subject: each word with each subject in whose texts it occurs."""
    texts: int = 0
    """Number of texts without a subject."""
    waiting: list["Frequencies"] = field(default_factory=list)
    """Batches that are not merged yet. They are merged once they are larger than the rest, so that
    the rest is read seldom."""

    def __len__(self) -> int:
        """Rows of both tables."""
        return len(self.lone) + len(self.pairs)

    def add(self, batch: "Frequencies") -> None:
        """Add the counts of another batch."""
        self.waiting.append(batch)
        self.texts += batch.texts
        if sum(len(waiting) for waiting in self.waiting) > len(self):
            self.merge()

    def merge(self) -> None:
        """Merge the batches that wait."""
        batches = [self, *self.waiting]
        self.lone = total_counts([batch.lone for batch in batches])
        self.pairs = pl.concat([batch.pairs for batch in batches]).unique()
        self.waiting = []

    def weights(self, common: float) -> pl.DataFrame:
        """A table word, weight: w of every word, in units of 1 / SCALE."""
        self.merge()
        subjects = self.texts + self.pairs["subject"].n_unique()
        cap = math.log(max(3.0, common * subjects))
        subjects_of_word = pl.len().cast(pl.Int64)
        in_subjects = self.pairs.group_by("word").agg(subjects_of_word.alias("count"))
        counts = total_counts([self.lone, in_subjects])
        frequency = pl.col("count").cast(pl.Float64)
        weight = (1 - frequency.log() / cap).clip(0)
        whole = (weight * SCALE).round().cast(pl.Int64)
        return counts.select("word", whole.alias("weight"))


def total_counts(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """word, count: the sum of several such tables."""
    together = pl.concat(tables)
    total = pl.col("count").sum()
    return together.group_by("word").agg(total)


def frequencies(words: Terms, subjects: pl.Series) -> Frequencies:
    """Count the words of the texts of one batch.

    `subjects` are folded, and null where a text has none.
    """
    has_subject = subjects.is_not_null().to_numpy()
    about = words.of(has_subject).once()
    # The hash of each text's subject, once for each of its words: texts of 2 and 1 words about iron
    # and gold give [iron, iron, gold].
    subject_hashes = subjects.drop_nulls().hash(seed=2).to_numpy()
    subject_of_word = np.repeat(subject_hashes, about.counts)
    return Frequencies(
        lone=text_counts(words.of(~has_subject)),
        pairs=pl.DataFrame({"word": about.hashes, "subject": subject_of_word}).unique(),
        texts=int((~has_subject).sum()),
    )


def scores(words: Terms, weights: pl.DataFrame) -> Array:
    """The score of each text, float64."""
    table = pl.DataFrame({"word": words.hashes})
    table = table.join(weights, on="word", how="left", maintain_order="left")
    weight_of_word = table["weight"].to_numpy()
    weight_of_text = words.sums(weight_of_word) / SCALE
    return weight_of_text / np.maximum(words.counts, 1)


def sampled(ids: pl.Series, records: int) -> Array:
    """Which texts of a corpus of so many records belong to the sample: bool [texts].

    The upper 32 bits of the hash of an id are as good as a random number. The sample has the texts
    whose number is below the share that is wanted.
    """
    share = min(1.0, SAMPLE / max(1, records))
    random = ids.hash(seed=3).to_numpy() >> np.uint64(32)
    chosen: Array = random < share * (1 << 32)
    return chosen


def text_counts(terms: Terms) -> pl.DataFrame:
    """A table word, count: in how many texts each term occurs, ordered by word."""
    pairs = pl.DataFrame({"word": terms.hashes, "text": terms.texts.astype(np.uint32)})
    pairs = pairs.sort("word", maintain_order=True)
    words, texts = pairs["word"].to_numpy(), pairs["text"].to_numpy()
    # Sorted by word, with the texts of each word in order, equal pairs are neighbours. Example:
    #   words        a  a  a  b      (the text 0 has the word a twice)
    #   texts        0  0  2  0
    #   first_of_word  1  0  0  1
    #   new          1  0  1  1      (the pair differs from the one before)
    first_of_word = np.ones(len(words), dtype=bool)
    first_of_word[1:] = words[1:] != words[:-1]
    new = np.ones(len(words), dtype=bool)
    new[1:] = first_of_word[1:] | (texts[1:] != texts[:-1])
    # before[i] counts the different pairs before row i: 0 1 1 2 3. Words begin at rows 0 and 3, and
    # the table ends at 4. before[[0, 3, 4]] is [0, 2, 3], so a is in 2 texts and b in 1.
    before = np.concatenate(([0], np.cumsum(new)))
    begins = np.flatnonzero(first_of_word)
    counts = np.diff(before[np.append(begins, len(words))])
    return pl.DataFrame({"word": words[begins], "count": counts}, schema=COUNTS)


def common_phrases(counts: list[pl.DataFrame], texts: int, params: Boilerplate) -> pl.Series:
    """Hashes of the phrases that are common among so many sampled texts, sorted.

    `counts` are those of all batches.
    """
    total = total_counts([_no_counts(), *counts])
    least = max(FEWEST, params.share * texts)
    common = total.filter(pl.col("count") >= least)
    return common["word"].sort()


def particular(phrases: Terms, common: pl.Series) -> Array:
    """Share of each text's phrases that are not common, float64. 1 for a text without words."""
    hashes = pl.Series(phrases.hashes)
    is_common = hashes.is_in(common.implode()).to_numpy()
    number = phrases.sums(is_common)
    return 1 - number / np.maximum(phrases.counts, 1)
