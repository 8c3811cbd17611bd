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
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from stages.clean.filters.terms import Array, Terms

BANDS, ROWS = 24, 5
SEED = 42
CHUNK = 1 << 16
"""Pairs or texts whose signatures are held at a time."""
COMPARED = 1 << 20
"""About how many records' keys are compared at a time."""


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
    found = []
    for chosen in lots(keys[:, 0], alive):
        frame = pl.DataFrame({"row": chosen, "a": keys[chosen, 0], "b": keys[chosen, 1]})
        found.append(
            frame.select("row", first=pl.col("row").min().over("a", "b")).filter(
                pl.col("row") != pl.col("first")
            )
        )
    repeated = pl.concat(found).sort("row")
    return repeated["row"].to_numpy(), repeated["first"].to_numpy()


def lots(keys: Array, alive: Array) -> Iterator[Array]:
    """The places of `alive` in lots of about `COMPARED`, of which one holds all that share a key, so that memory holds one at a
    time.
    """
    many = np.uint64(1 + np.count_nonzero(alive) // COMPARED)
    for lot in range(int(many)):
        yield np.flatnonzero(alive & (keys % many == lot) if many > 1 else alive)


def signatures(phrases: Terms) -> Array:
    """MinHash signature of each text: uint32 [texts, BANDS · ROWS]."""
    from rensa import RMinHash

    starts = phrases.starts.astype(np.uint64)
    found = RMinHash.digest_matrix_from_flat_token_hashes(
        phrases.hashes, starts, BANDS * ROWS, SEED
    )
    return np.fromiter(
        chain.from_iterable(found.to_rows()), np.uint32, len(starts[:-1]) * BANDS * ROWS
    ).reshape(-1, BANDS * ROWS)


@dataclass(frozen=True)
class Stored:
    """Signatures of some texts that follow each other, in two files."""

    values: Path
    """uint32 [texts, BANDS · ROWS], in NumPy's format."""
    bands: Path
    """uint64 [BANDS, texts], nothing but the bytes: 64 bits for the values of each band."""
    texts: int


def store(signatures: Array, values: Path, bands: Path) -> None:
    """Write the two files of `Stored`."""
    np.save(values, signatures)
    np.array(
        [_band_keys(signatures[:, band * ROWS : (band + 1) * ROWS]) for band in range(BANDS)]
    ).tofile(bands)


class Signatures:
    """Signatures of a corpus, in files: one is read for a band or for a chunk of texts, never the whole."""

    def __init__(self) -> None:
        """None yet."""
        self.files: list[Stored] = []
        self.ends = [0]

    def append(self, stored: Stored) -> None:
        """Add those of the next texts."""
        self.files.append(stored)
        self.ends.append(self.ends[-1] + stored.texts)

    def of(self, texts: Array) -> Array:
        """Signatures of some texts. Files are mapped for this call alone, so that their pages do not stay in memory."""
        found = np.empty((len(texts), BANDS * ROWS), dtype=np.uint32)
        owners = np.searchsorted(self.ends, texts, side="right") - 1
        order = np.argsort(owners, kind="stable")
        for run in (
            np.split(order, np.flatnonzero(np.diff(owners[order])) + 1) if len(texts) else ()
        ):
            owner = owners[run[0]]
            found[run] = np.load(self.files[owner].values, mmap_mode="r")[
                texts[run] - self.ends[owner]
            ]
        return found

    def band(self, number: int) -> Array:
        """64 bits for the values of one band, of all texts."""
        found = np.empty(self.ends[-1], dtype=np.uint64)
        for stored, start in zip(self.files, self.ends, strict=False):
            offset = number * stored.texts * found.itemsize
            found[start : start + stored.texts] = np.fromfile(
                stored.bands, np.uint64, stored.texts, offset=offset
            )
        return found

    def alike(self, alive: Array, similarity: float) -> tuple[Array, Array, Array]:
        """Those of the texts `alive` that are like an earlier one that stays, which one, and how much, float64."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        left, right, share = self._pairs(alive, similarity)
        if not len(left):
            return left, right, share
        texts, ends = np.unique(np.concatenate([left, right]), return_inverse=True)
        edges = (np.ones(len(left), dtype=bool), (ends[: len(left)], ends[len(left) :]))
        _, group = connected_components(
            coo_matrix(edges, shape=(len(texts), len(texts))), directed=False
        )
        sizes = np.bincount(group)
        pairs = sizes[group[ends[: len(left)]]] == 2  # most groups: nothing is left to be compared
        losers = list(
            zip(right[pairs].tolist(), left[pairs].tolist(), share[pairs].tolist(), strict=True)
        )
        texts, group = texts[sizes[group] > 2], group[sizes[group] > 2]
        order = np.argsort(group, kind="stable")
        cuts = np.flatnonzero(np.diff(group[order])) + 1
        groups = self._signed(np.split(texts[order], cuts)) if len(texts) else ()
        losers += [
            loser
            for members, signatures in groups
            for loser in _losers(members, signatures, similarity)
        ]
        losers.sort()
        return (
            np.array([loser for loser, _, _ in losers], dtype=np.int64),
            np.array([winner for _, winner, _ in losers], dtype=np.int64),
            np.array([share for _, _, share in losers], dtype=np.float64),
        )

    def _pairs(self, alive: Array, similarity: float) -> tuple[Array, Array, Array]:
        """Pairs of texts, the earlier one first, that share a band and are alike, and how much."""
        found = np.zeros(0, dtype=np.uint64)
        for number in range(BANDS):
            band = self.band(number)
            for lot in lots(band, alive):
                texts = lot[np.argsort(band[lot], kind="stable")]
                keys = band[texts]
                same = np.flatnonzero(keys[1:] == keys[:-1])
                pairs = (texts[same] << 32) | texts[
                    same + 1
                ]  # as one number, which is sorted much faster than two
                found = np.unique(np.concatenate([found, pairs.astype(np.uint64)]))
        left, right = (
            (found >> np.uint64(32)).astype(np.int64),
            (found & np.uint64(0xFFFFFFFF)).astype(np.int64),
        )
        share = self.similarity(left, right)
        good = share >= similarity
        return left[good], right[good], share[good]

    def similarity(self, left: Array, right: Array) -> Array:
        """How much each of some texts is like another one: float64, from 0 to 1."""
        found = np.zeros(len(left))
        for start in range(0, len(left), CHUNK):
            chunk = slice(start, start + CHUNK)
            found[chunk] = (self.of(left[chunk]) == self.of(right[chunk])).mean(axis=1)
        return found

    def _signed(self, groups: list[Array]) -> Iterator[tuple[Array, Array]]:
        """Each group with the signatures of its members, which are read for many groups at once."""
        sizes = np.cumsum([0, *map(len, groups)])
        start = 0
        while start < len(groups):
            stop = max(
                start + 1, int(np.searchsorted(sizes, sizes[start] + CHUNK, side="right")) - 1
            )
            signatures = self.of(np.concatenate(groups[start:stop]))
            yield from zip(
                groups[start:stop],
                np.split(signatures, sizes[start + 1 : stop] - sizes[start]),
                strict=True,
            )
            start = stop


def _losers(
    members: Array, signatures: Array, similarity: float
) -> Iterator[tuple[int, int, float]]:
    """Text, the earlier one that it is like, and how much; `members` are a group in their order."""
    rest = members
    while len(rest) > 1:
        share = (signatures[1:] == signatures[0]).mean(axis=1)
        like = share >= similarity
        yield from (
            (int(text), int(rest[0]), float(much))
            for text, much in zip(rest[1:][like], share[like], strict=True)
        )
        rest, signatures = rest[1:][~like], signatures[1:][~like]


def _band_keys(rows: Array) -> Array:
    """64 bits for the values of a band; that two bands fall together by chance costs one comparison."""
    mixed = np.zeros(len(rows), dtype=np.uint64)
    for column in range(ROWS):
        mixed = (mixed ^ rows[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
