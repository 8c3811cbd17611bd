"""Words of many texts at once, as 64-bit hashes: what frequencies and similarities are counted in.

A word is a run of letters, marks and digits, in lower case and NFKC; runs of Chinese are cut into words by jieba
(github.com/fxsjy/jieba, in the Rust implementation). A phrase is three words that follow each other.

Hashes are those of polars, whose version the lock file pins; tests hold one of them fast.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, np.dtype[Any]]
HAN = r"[\x{3400}-\x{9fff}]"
COMPATIBLE = r"[^\x00-\x7f\x{2013}\x{2014}\x{2018}-\x{201d}\x{3001}\x{3002}\x{3400}-\x{9fff}]"
"""What NFKC may change; coarse."""
WORD = r"[\p{L}\p{M}\p{N}]+"
BETWEEN = r"[^\p{L}\p{M}\p{N} ]"
"""What is between words, but blanks."""
NUMBER = r"\p{N}+(?:[.,/:-]\p{N}+)*"
PHRASE = 3
"""Words of a phrase: long enough to be particular, short enough to survive a changed word nearby."""
ODD = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)
"""Odd constants of SplitMix64 (Steele, Lea, Flood 2014), which make the order of a phrase's words count."""


@dataclass(frozen=True)
class Terms:
    """Hashes of all texts' terms, one text behind the other; text i has those from `starts[i]` to `starts[i + 1]`."""

    hashes: Array
    """uint64."""
    starts: Array
    """int64, one more than there are texts."""

    @property
    def counts(self) -> Array:
        """Number of terms of each text."""
        return np.diff(self.starts)

    def once(self) -> "Terms":
        """Each term of a text once, in the order of the hashes."""
        texts = self.texts
        order = np.lexsort((self.hashes, texts))
        hashes = self.hashes[order]
        new = np.ones(len(hashes), dtype=bool)
        new[1:] = (hashes[1:] != hashes[:-1]) | (
            texts[1:] != texts[:-1]
        )  # texts are in their order already
        return Terms(hashes[new], np.concatenate(([0], np.cumsum(self.sums(new)))))

    def of(self, chosen: Array) -> "Terms":
        """Those of the chosen texts: bool [texts]."""
        return Terms(
            self.hashes[np.repeat(chosen, self.counts)],
            np.concatenate(([0], np.cumsum(self.counts[chosen]))),
        )

    @property
    def texts(self) -> Array:
        """Number of the text that each term stands in."""
        return np.repeat(np.arange(len(self.starts) - 1), self.counts)

    def sums(self, values: Array) -> Array:
        """Sum over each text's terms of one whole number a term. Whole, so that no order of adding shows."""
        whole = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
        return whole[self.starts[1:]] - whole[self.starts[:-1]]


def fold(texts: pl.Series) -> pl.Series:
    """NFKC in lower case: the form in which clean texts are compared."""
    other = texts.str.contains(COMPATIBLE).fill_null(value=False)
    return changed(texts, other, lambda some: some.str.normalize("NFKC")).str.to_lowercase()


def changed(
    texts: pl.Series, where: pl.Series, change: Callable[[pl.Series], pl.Series]
) -> pl.Series:
    """Texts of which those `where` says so are changed; the others cost nothing."""
    return (
        texts.clone().scatter(where.arg_true(), change(texts.filter(where)))
        if where.any()
        else texts
    )  # scatter works in place


def numbers(folded: pl.Series) -> Array:
    """64 bits for the numbers in digits that each text says, in their order: uint64. `fold` has made the texts."""
    return folded.str.extract_all(NUMBER).list.join(" ").hash(seed=10).to_numpy()


def words(folded: pl.Series) -> Terms:
    """Words of each text, which `fold` has made."""
    cut = (
        _chinese_apart(folded).str.replace_all(BETWEEN, " ").str.split(" ")
    )  # a third faster than finding each `WORD`
    every = cut.explode(empty_as_null=False)
    at = np.flatnonzero((every != "").to_numpy())
    bounds = np.concatenate(([0], np.cumsum(cut.list.len().to_numpy(), dtype=np.int64)))
    return Terms(every.hash(seed=1).to_numpy()[at], np.searchsorted(at, bounds))


def phrases(words: Terms) -> Terms:
    """Phrases of each text; one of fewer words than a phrase has is one phrase."""
    mixed = words.hashes * ODD[0]
    for place in range(1, PHRASE):
        mixed[:-place] += words.hashes[place:] * ODD[place]
    mixed ^= mixed >> np.uint64(31)
    counts = np.maximum(words.counts - (PHRASE - 1), np.minimum(words.counts, 1))
    starts = np.concatenate(([0], np.cumsum(counts)))
    begun = np.ones(len(mixed), dtype=bool)
    for back in range(1, PHRASE):
        begun[words.starts[1:][words.counts > back] - back] = False
    found = mixed[begun]
    for text in np.flatnonzero(
        (words.counts > 0) & (words.counts < PHRASE)
    ):  # what follows belongs to the next text
        found[starts[text]] = _mix(words.hashes[words.starts[text] : words.starts[text + 1]])
    return Terms(found, starts)


def _mix(hashes: Array) -> Any:
    mixed = np.sum(hashes * ODD[: len(hashes)], dtype=np.uint64)
    return mixed ^ (mixed >> np.uint64(31))


def _chinese_apart(texts: pl.Series) -> pl.Series:
    """Texts with a blank between Chinese words."""
    import rjieba

    return changed(
        texts,
        texts.str.contains(HAN),
        lambda some: pl.Series([" ".join(rjieba.cut(text)) for text in some]),
    )
