"""Repeats: records that say what an earlier one says, word for word or nearly so. The earliest, in order of priority, stays.

Word for word: a free text is the same wherever it stands. A fact is the same only within its source (dates of review
aside): two sources that agree support each other, and both are kept.

Nearly so, for free texts, and for answers to one question (`questions.answered`): two texts are alike if the Jaccard similarity
of their sets of phrases, estimated by MinHash (Broder 1997; R-MinHash of rensa), reaches the least one that params name. Pairs
are found by locality-sensitive hashing in bands (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4): at
similarity 0.7 one pair in 80 is missed, at 0.8 one in 14,000. Within a group of texts that are alike, each stays that is not like
an earlier one that stays.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from stages.clean.terms import Array, Terms

BANDS, ROWS = 24, 5
SEED = 42
CHUNK = 1 << 16
"""Pairs or texts whose signatures are held at a time."""


def keys(frame: pl.DataFrame, folded: pl.Series, meta: pl.Series) -> Array:
    """128 bits that stand for what each record says: uint64 [records, 2].

    `folded` are the records' texts as they are compared, `meta` their further fields without dates of review.
    """
    of_fact = pl.col("fact").is_not_null()
    parts = [pl.col("kind"), pl.lit(folded), pl.col("question"), pl.col("answer")]
    parts += [pl.when(of_fact).then(pl.col(name)) for name in ("source", "fact", "value", "unit")]
    parts += [pl.when(of_fact).then(pl.lit(meta))]
    joined = pl.concat_str([part.fill_null("\x00") for part in parts], separator="\x1f")
    whole = frame.select(joined.hash(seed=4).alias("a"), joined.hash(seed=5).alias("b"))
    return np.column_stack([whole["a"].to_numpy(), whole["b"].to_numpy()])


def earlier(keys: Array, alive: Array) -> tuple[Array, Array]:
    """Those of the records `alive` that repeat an earlier one of them, and which."""
    rows = np.flatnonzero(alive)
    frame = pl.DataFrame({"row": rows, "a": keys[rows, 0], "b": keys[rows, 1]})
    frame = frame.with_columns(pl.col("row").min().over("a", "b").alias("first")).filter(pl.col("row") != pl.col("first"))
    return frame["row"].to_numpy(), frame["first"].to_numpy()


def signatures(phrases: Terms) -> Array:
    """MinHash signature of each text: uint32 [texts, BANDS · ROWS]."""
    from rensa import RMinHash

    starts = phrases.starts.astype(np.uint64)
    found = RMinHash.digest_matrix_from_flat_token_hashes(phrases.hashes, starts, BANDS * ROWS, SEED)
    return np.fromiter(chain.from_iterable(found.to_rows()), np.uint32, len(starts[:-1]) * BANDS * ROWS).reshape(-1, BANDS * ROWS)


class Signatures:
    """Signatures of a corpus, in files: one is read for a band or for a chunk of texts, never the whole."""

    def __init__(self, folder: Path) -> None:
        """`folder` must be there and be empty."""
        self.whole = folder / "signatures"
        self.bands = [folder / f"band-{band}" for band in range(BANDS)]
        for path in (self.whole, *self.bands):
            path.touch()

    def append(self, signatures: Array) -> None:
        """Add those of the next texts."""
        with self.whole.open("ab") as file:
            signatures.tofile(file)
        for band, path in enumerate(self.bands):
            with path.open("ab") as file:
                _band_keys(signatures[:, band * ROWS : (band + 1) * ROWS]).tofile(file)

    def of(self, texts: Array) -> Array:
        """Signatures of some texts. The file is mapped for this call alone, so that its pages do not stay in memory."""
        mapped: Array = np.memmap(self.whole, dtype=np.uint32, mode="r").reshape(-1, BANDS * ROWS)
        return np.array(mapped[texts])

    def alike(self, alive: Array, similarity: float) -> tuple[Array, Array, Array]:
        """Those of the texts `alive` that are like an earlier one that stays, which one, and how much, float64."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        left, right = self._pairs(alive, similarity)
        if not len(left):
            return left, right, np.zeros(0)
        texts, ends = np.unique(np.concatenate([left, right]), return_inverse=True)
        edges = (np.ones(len(left), dtype=bool), (ends[: len(left)], ends[len(left) :]))
        _, group = connected_components(coo_matrix(edges, shape=(len(texts), len(texts))), directed=False)
        order = np.argsort(group, kind="stable")
        cuts = np.flatnonzero(np.diff(group[order])) + 1
        losers = sorted(self._losers(np.split(texts[order], cuts), similarity))
        return (
            np.array([loser for loser, _, _ in losers], dtype=np.int64),
            np.array([winner for _, winner, _ in losers], dtype=np.int64),
            np.array([share for _, _, share in losers], dtype=np.float64),
        )

    def _pairs(self, alive: Array, similarity: float) -> tuple[Array, Array]:
        """Pairs of texts, the earlier one first, that share a band and are alike."""
        texts = np.flatnonzero(alive)
        found = np.zeros(0, dtype=np.uint64)
        for path in self.bands:
            band = np.fromfile(path, dtype=np.uint64)[texts]
            order = np.argsort(band, kind="stable")
            same = np.flatnonzero(band[order][1:] == band[order][:-1])
            pairs = (texts[order[same]] << 32) | texts[order[same + 1]]  # as one number, which is sorted much faster than two
            found = np.unique(np.concatenate([found, pairs.astype(np.uint64)]))
        left, right = (found >> np.uint64(32)).astype(np.int64), (found & np.uint64(0xFFFFFFFF)).astype(np.int64)
        good = self.similarity(left, right) >= similarity
        return left[good], right[good]

    def similarity(self, left: Array, right: Array) -> Array:
        """How much each of some texts is like another one: float64, from 0 to 1."""
        found = np.zeros(len(left))
        for start in range(0, len(left), CHUNK):
            chunk = slice(start, start + CHUNK)
            found[chunk] = (self.of(left[chunk]) == self.of(right[chunk])).mean(axis=1)
        return found

    def _losers(self, groups: list[Array], similarity: float) -> Iterator[tuple[int, int, float]]:
        """Text, the earlier one that it is like, and how much; the texts of a group are in their order."""
        ends = np.cumsum([len(group) for group in groups])
        for some in np.split(np.arange(len(groups)), np.flatnonzero(np.diff(ends // CHUNK)) + 1):
            own = np.cumsum([len(groups[at]) for at in some])
            signatures = np.split(self.of(np.concatenate([groups[at] for at in some])), own[:-1])
            for at, rows in zip(some, signatures, strict=True):
                yield from _losers(groups[at], rows, similarity)


def _losers(texts: Array, signatures: Array, similarity: float) -> Iterator[tuple[int, int, float]]:
    """Of one group."""
    while len(texts) > 1:
        share = (signatures[1:] == signatures[0]).mean(axis=1)
        like = share >= similarity
        yield from ((int(text), int(texts[0]), float(much)) for text, much in zip(texts[1:][like], share[like], strict=True))
        texts, signatures = texts[1:][~like], signatures[1:][~like]


def _band_keys(rows: Array) -> Array:
    """64 bits for the values of a band; that two bands fall together by chance costs one comparison."""
    mixed = np.zeros(len(rows), dtype=np.uint64)
    for column in range(ROWS):
        mixed = (mixed ^ rows[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
