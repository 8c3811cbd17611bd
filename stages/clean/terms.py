"""Words of many texts at once, as 64-bit hashes. Frequencies and similarities are counted in these.

A word is a run of letters, marks and digits, in lower case and NFKC. Runs of Chinese are cut into
words by jieba (github.com/fxsjy/jieba, in the Rust implementation). A phrase is three consecutive
words.

The hashes are those of polars, whose version the lock file pins. A test pins one of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from stages.core.records.record import RAISED, SYMBOL_PATTERN

Array = np.ndarray[Any, np.dtype[Any]]
HAN = r"[\x{3400}-\x{9fff}]"
"""A Chinese character: 铁."""
COMPATIBLE = r"[^\x00-\x7f\x{2013}\x{2014}\x{2018}-\x{201d}\x{3001}\x{3002}\x{3400}-\x{9fff}]"
"""A character that NFKC might change, such as Ａ or ㎏. Coarse: it is any but ASCII, the
dashes –—, the quotes ‘’‚‛“”, the marks 、。 and Chinese characters, which are known to stay."""
WORD = r"[\p{L}\p{M}\p{N}]+"
"""A run of letters, marks and digits: iron, 铁在, H2O."""
BETWEEN = r"[^\p{L}\p{M}\p{N} ]"
"""A character between words that is no blank: , or - or a line break."""
NUMBER = r"\p{N}+(?:[.,/:-]\p{N}+)*"
"""A number with all its parts: 5, 2.5, 1,000, 120/80, 2024-05-01."""
RAISED_SIGN = f"[{RAISED}]"
"""A character that NFKC makes a digit of, such as ³."""
PHRASE = 3
"""Words of a phrase. Three are enough to be particular, and few enough to survive a changed word
nearby."""
ODD = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)
"""Odd constants of SplitMix64 (Steele, Lea, Flood 2014). Each word of a phrase is multiplied by
another one, so that their order counts."""


@dataclass(frozen=True)
class Terms:
    """Hashes of the terms of many texts, one text after the other.

    The terms of text i are `hashes[starts[i]:starts[i + 1]]`.

    The texts "a b", "" and "c" have the hashes [a, b, c] and the starts [0, 2, 2, 3].
    """

    hashes: Array
    """uint64 [terms]."""
    starts: Array
    """int64 [texts + 1]."""

    @property
    def counts(self) -> Array:
        """Number of terms of each text: the differences of the starts, in the example [2, 0, 1]."""
        return np.diff(self.starts)

    @property
    def texts(self) -> Array:
        """Number of the text of each term: in the example [0, 0, 2]."""
        counts = self.counts
        numbers = np.arange(len(counts))
        return np.repeat(numbers, counts)

    def once(self) -> "Terms":
        """Each term of a text once, in the order of the hashes."""
        # lexsort sorts by its last key first: by text, and within a text by hash. Equal terms of a
        # text are then neighbours, and a term is kept where it differs from the one before it.
        texts = self.texts
        order = np.lexsort((self.hashes, texts))
        hashes = self.hashes[order]
        # The numbers of the texts were sorted already, so sorting did not change them.
        same_text = texts[1:] == texts[:-1]
        same_hash = hashes[1:] == hashes[:-1]
        new = np.ones(len(hashes), dtype=bool)
        new[1:] = ~(same_text & same_hash)
        return Terms(hashes[new], starts_of(self.sums(new)))

    def of(self, chosen: Array) -> "Terms":
        """Those of the chosen texts: bool [texts]."""
        # [True, False, True] for texts with 2, 1 and 1 terms becomes [True, True, False, True] for
        # the terms.
        of_chosen = np.repeat(chosen, self.counts)
        return Terms(self.hashes[of_chosen], starts_of(self.counts[chosen]))

    def sums(self, values: Array) -> Array:
        """Sum of one whole number per term over each text: int64 [texts].

        Whole, since the sum of fractions depends on the order in which they are added.
        """
        # total[i] is the sum of the first i values, so the values of a text add up to the
        # difference of two totals. For the values [1, 2, 4] of the example, total is [0, 1, 3, 7]
        # and the sums are [3, 0, 4].
        sums = np.cumsum(values, dtype=np.int64)
        total = np.concatenate(([0], sums))
        return np.diff(total[self.starts])


def starts_of(counts: Array) -> Array:
    """The `starts` of texts with so many terms each: [2, 0, 1] becomes [0, 2, 2, 3]."""
    ends = np.cumsum(counts)
    return np.concatenate(([0], ends))


def fold(texts: pl.Series, exact: bool = False) -> pl.Series:
    """NFKC in lower case: the form in which clean texts are compared.

    Superscripts beside a digit stay apart from it, as in `record.fold`. `exact`: NFC, and case
    counts: CO and Co are two words.
    """
    compatible = texts.str.contains(COMPATIBLE).fill_null(value=False)
    if exact:
        return changed(texts, compatible, lambda some: some.str.normalize("NFC"))
    return changed(texts, compatible, _compatible).str.to_lowercase()


def names(subjects: pl.Series, exact: bool = False) -> pl.Series:
    """Subjects in the form in which they are compared, as `record.compared_name` does it.

    An empty text stands for a missing one.
    """
    spaced = subjects.fill_null("").str.replace_all(r"\s+", " ").str.strip_chars()
    if exact:
        return fold(spaced, exact)
    compatible = _compatible(spaced)
    is_symbol = compatible.str.contains(SYMBOL_PATTERN)
    return compatible.str.to_lowercase().zip_with(~is_symbol, compatible)


def _compatible(texts: pl.Series) -> pl.Series:
    apart = changed(texts, texts.str.contains(RAISED_SIGN), _apart_from_digits)
    return apart.str.normalize("NFKC")


def _apart_from_digits(texts: pl.Series) -> pl.Series:
    """As `record.apart_from_digits`: 10³ becomes 10^³."""
    behind = texts.str.replace_all(rf"(\d)({RAISED_SIGN})", "${1}^${2}")
    return behind.str.replace_all(rf"({RAISED_SIGN})(\d)", "${1}^${2}")


def changed(
    texts: pl.Series, where: pl.Series, change: Callable[[pl.Series], pl.Series]
) -> pl.Series:
    """The texts, changed where `where` says so. The others cost nothing."""
    if not where.any():
        return texts
    new = change(texts.filter(where))
    return texts.clone().scatter(where.arg_true(), new)  # scatter works in place, hence the clone


def words(folded: pl.Series) -> Terms:
    """Words of each text. The texts are folded."""
    # To blank what is between words and to split at blanks is a third faster than to find each
    # `WORD`. It leaves empty pieces: "a, b" becomes "a  b" and then [a, "", b].
    pieces = _chinese_apart(folded).str.replace_all(BETWEEN, " ").str.split(" ")
    all_pieces = pieces.explode(empty_as_null=False)
    at = np.flatnonzero((all_pieces != "").to_numpy())  # numbers of the pieces that are words
    hashes = all_pieces.hash(seed=1).to_numpy()
    # A text's pieces begin at `bounds`. As many words stand before it as there are smaller numbers
    # in `at`: of the texts "a, b" and "c" the pieces are [a, "", b, c], the bounds [0, 3, 4], at
    # [0, 2, 3], and the starts [0, 2, 3].
    lengths = pieces.list.len().to_numpy()
    bounds = starts_of(lengths.astype(np.int64))
    return Terms(hashes[at], np.searchsorted(at, bounds))


def phrases(words: Terms) -> Terms:
    """Phrases of each text. A text with fewer words than a phrase has is one phrase."""
    # For every word, mix it with the two that follow it, whatever text they belong to.
    mixed = words.hashes * ODD[0]
    for offset in range(1, PHRASE):
        mixed[:-offset] += words.hashes[offset:] * ODD[offset]
    mixed ^= mixed >> np.uint64(31)

    # A text of n words has n - 2 phrases, a text of one or two words one, an empty text none.
    at_least = np.minimum(words.counts, 1)
    counts = np.maximum(words.counts - (PHRASE - 1), at_least)
    starts = starts_of(counts)

    # The last two words of a text begin no phrase, unless they are its first word.
    begins = np.ones(len(mixed), dtype=bool)
    ends = words.starts[1:]
    for back in range(1, PHRASE):
        longer = words.counts > back
        begins[ends[longer] - back] = False
    found = mixed[begins]

    # In a text of one or two words, the mix above ran into the next text. Mix its own words alone.
    short = (words.counts > 0) & (words.counts < PHRASE)
    for text in np.flatnonzero(short):
        start, end = words.starts[text], words.starts[text + 1]
        own = words.hashes[start:end]
        found[starts[text]] = _mix(own)
    return Terms(found, starts)


def _mix(hashes: Array) -> Any:
    """The hash of one phrase of so many words."""
    factors = ODD[: len(hashes)]
    mixed = np.sum(hashes * factors, dtype=np.uint64)
    return mixed ^ (mixed >> np.uint64(31))


def _chinese_apart(texts: pl.Series) -> pl.Series:
    """Texts with a blank between Chinese words."""
    return changed(texts, texts.str.contains(HAN), _cut_chinese)


def _cut_chinese(texts: pl.Series) -> pl.Series:
    import rjieba

    return pl.Series([" ".join(rjieba.cut(text)) for text in texts])
