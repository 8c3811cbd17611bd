"""Repeats: records that say what an earlier one says, word for word or nearly so.

The earliest, in order of priority, stays.

Word for word: a free text is the same wherever it stands, if it names its subject. If it does not
("It melts easily."), it is the same only of one subject. A fact is the same only within its source
(dates of review aside). Two sources that agree support each other, and both are kept.

Nearly so, for free texts about one subject, and for answers to one question
(`questions.answered`): two texts are
alike if the Jaccard similarity of their sets of phrases, estimated by MinHash (Broder 1997;
R-MinHash of rensa), is at least a given one. Pairs are found by locality-sensitive hashing in bands
(Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4). At similarity 0.7 one pair
in 80 is missed, at 0.8 one in 14,000. Within a group of texts that are alike, a text stays if it is
not like an earlier one that stays.

A text is named by its number among the free texts of the corpus, a record by its position in the
corpus.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from stages.clean.terms import HAN, Array, Terms, names
from stages.core.records.picture import PICTURE

BANDS, ROWS = 24, 5
"""A signature has BANDS · ROWS values. Texts are compared if all ROWS values of one band are the
same."""
SEED = 42
CHUNK = 1 << 16
"""Number of pairs or texts whose signatures are held at a time."""
COMPARED = 1 << 20
"""About how many records' keys are compared at a time."""
SHORTEST_NAMED = 4
"""Characters of a subject that a text can be said to name: the `tin` of `continue` is no name."""
SEPARATOR, NULL = "\x1f", "\x00"
"""What stands between joined columns, and for a missing value. Clean text has neither."""


def keys(frame: pl.DataFrame, folded: pl.Series, meta: pl.Series, exact: bool = False) -> Array:
    """128 bits that stand for what each record says: uint64 [records, 2].

    `folded` are the records' texts as they are compared, `meta` their further fields without dates
    of review. `exact`: case counts in subjects.
    """
    of_fact = pl.col("fact").is_not_null()
    parts = [pl.col("kind"), pl.lit(folded), pl.col("question"), pl.col("answer")]
    # A text that does not name its subject is about that subject.
    subjects = names(frame["subject"], exact)
    is_long = (subjects.str.len_chars() >= SHORTEST_NAMED) | subjects.str.contains(HAN)
    subject = pl.lit(subjects)
    names_subject = pl.lit(is_long) & pl.lit(folded).str.contains(subject, literal=True)
    is_about = ~of_fact & (subject != "") & ~names_subject
    parts.append(pl.when(is_about).then(subject))
    for name in ("source", "fact", "value", "unit"):
        column = pl.col(name)
        parts.append(pl.when(of_fact).then(column))
    # Two pictures may have one caption, and their further fields tell them apart.
    further = pl.lit(meta)
    parts.append(pl.when(of_fact | (pl.col("kind") == PICTURE)).then(further))
    filled = [part.fill_null(NULL) for part in parts]
    joined = pl.concat_str(filled, separator=SEPARATOR)
    table = frame.select(a=joined.hash(seed=4), b=joined.hash(seed=5))
    return np.column_stack([table["a"].to_numpy(), table["b"].to_numpy()])


def earlier(keys: Array, alive: Array) -> tuple[Array, Array]:
    """The records `alive` that repeat an earlier one, and the first record that each repeats.

    `keys` is uint64 [records, 2], `alive` bool [records].
    """
    tables = []
    for chosen in lots(keys[:, 0], alive):
        first_half, second_half = keys[chosen, 0], keys[chosen, 1]
        table = pl.DataFrame({"row": chosen, "a": first_half, "b": second_half})
        first = pl.col("row").min().over("a", "b")
        table = table.select("row", first.alias("first"))
        repeats = pl.col("row") != pl.col("first")
        tables.append(table.filter(repeats))
    repeated = pl.concat(tables).sort("row")
    return repeated["row"].to_numpy(), repeated["first"].to_numpy()


def lots(keys: Array, alive: Array) -> Iterator[Array]:
    """The row numbers of `alive` in lots of about `COMPARED`.

    Rows with the same key are in one lot.

    So memory holds one lot at a time.
    """
    many = np.uint64(1 + np.count_nonzero(alive) // COMPARED)
    if many == 1:
        yield np.flatnonzero(alive)
        return
    lot_of_key = keys % many
    for lot in range(int(many)):
        yield np.flatnonzero(alive & (lot_of_key == lot))


def signatures(phrases: Terms) -> Array:
    """MinHash signature of each text: uint32 [texts, BANDS · ROWS]."""
    from rensa import RMinHash

    starts = phrases.starts.astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        phrases.hashes, starts, BANDS * ROWS, SEED
    )
    texts = len(starts) - 1
    values = chain.from_iterable(matrix.to_rows())
    flat = np.fromiter(values, np.uint32, texts * BANDS * ROWS)
    return flat.reshape(-1, BANDS * ROWS)


@dataclass(frozen=True)
class Stored:
    """Signatures of some texts that follow each other, in two files."""

    values: Path
    """uint32 [texts, BANDS · ROWS], in NumPy's format."""
    bands: Path
    """uint64 [BANDS, texts], the bytes alone: 64 bits that stand for the values of each band."""
    texts: int


def store(signatures: Array, values: Path, bands: Path) -> None:
    """Write the two files of `Stored`."""
    np.save(values, signatures)
    keys_of_bands = []
    for band in range(BANDS):
        rows = slice(band * ROWS, (band + 1) * ROWS)
        keys_of_bands.append(_band_keys(signatures[:, rows]))
    np.array(keys_of_bands).tofile(bands)


class Signatures:
    """Signatures of a corpus, in files.

    One band, or one chunk of texts, is read at a time, and never the whole.
    """

    def __init__(self) -> None:
        """Of no texts yet."""
        self.files: list[Stored] = []
        self.ends = [0]
        """The texts of file i have the numbers `ends[i]` to `ends[i + 1]` (exclusive)."""

    def append(self, stored: Stored) -> None:
        """Add those of the next texts."""
        self.files.append(stored)
        self.ends.append(self.ends[-1] + stored.texts)

    def of(self, texts: Array) -> Array:
        """Signatures of some texts: uint32 [texts, BANDS · ROWS].

        Files are mapped for this call alone, so that their pages do not stay in memory.
        """
        found = np.empty((len(texts), BANDS * ROWS), dtype=np.uint32)
        # With ends [0, 10, 20], the texts [12, 3, 15] are in the files [1, 0, 1].
        files = np.searchsorted(self.ends, texts, side="right") - 1
        for rows in grouped(files):
            file = files[rows[0]]
            values = np.load(self.files[file].values, mmap_mode="r")
            found[rows] = values[texts[rows] - self.ends[file]]
        return found

    def band(self, number: int) -> Array:
        """64 bits that stand for the values of one band, of all texts: uint64 [texts]."""
        found = np.empty(self.ends[-1], dtype=np.uint64)
        for stored, start in zip(self.files, self.ends, strict=False):
            offset = number * stored.texts * found.itemsize
            values = np.fromfile(stored.bands, np.uint64, stored.texts, offset=offset)
            found[start : start + stored.texts] = values
        return found

    def alike(self, alive: Array, similarity: float) -> tuple[Array, Array, Array]:
        """The texts `alive` that are like an earlier one that stays.

        Returns these texts in order, for each of them the one that stays, and how much they are
        alike (float64).
        """
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        left, right, share = self._pairs(alive, similarity)
        if not len(left):
            return left, right, share

        # Groups of texts that are connected by pairs. The texts that occur in pairs are numbered
        # anew, from 0: of the pairs (5, 9) and (9, 40), `texts` is [5, 9, 40], and the pairs are
        # (0, 1) and (1, 2).
        texts, numbers = np.unique(np.concatenate([left, right]), return_inverse=True)
        left_numbers, right_numbers = numbers[: len(left)], numbers[len(left) :]
        edges = (np.ones(len(left), dtype=bool), (left_numbers, right_numbers))
        graph = coo_matrix(edges, shape=(len(texts), len(texts)))
        _, group = connected_components(graph, directed=False)
        sizes = np.bincount(group)

        # Most groups are one pair. There the later text goes, and nothing is left to be compared.
        lone_pair = sizes[group[left_numbers]] == 2
        losers = list(
            zip(
                right[lone_pair].tolist(),
                left[lone_pair].tolist(),
                share[lone_pair].tolist(),
                strict=True,
            )
        )

        # In larger groups, the texts are compared in their order.
        in_larger = sizes[group] > 2
        texts, group = texts[in_larger], group[in_larger]
        members_of_groups = [texts[rows] for rows in grouped(group)]
        for members, signatures in self._signed(members_of_groups):
            losers += _losers(members, signatures, similarity)

        losers.sort()
        return (
            np.array([loser for loser, _, _ in losers], dtype=np.int64),
            np.array([winner for _, winner, _ in losers], dtype=np.int64),
            np.array([share for _, _, share in losers], dtype=np.float64),
        )

    def _pairs(self, alive: Array, similarity: float) -> tuple[Array, Array, Array]:
        """Pairs of texts that share a band and are alike.

        Returns the earlier texts, the later ones, and how much they are alike.
        """
        pairs = np.zeros(0, dtype=np.uint64)
        for number in range(BANDS):
            band = self.band(number)
            for lot in lots(band, alive):
                # Sorted by band, texts with the same band are neighbours, in the order of the
                # corpus.
                texts = lot[np.argsort(band[lot], kind="stable")]
                keys = band[texts]
                same = np.flatnonzero(keys[1:] == keys[:-1])
                # Two texts as one number, which is sorted much faster: the upper 32 bits are the
                # earlier one.
                new_pairs = (texts[same] << 32) | texts[same + 1]
                pairs = np.unique(np.concatenate([pairs, new_pairs.astype(np.uint64)]))
        left = (pairs >> np.uint64(32)).astype(np.int64)
        right = (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
        share = self.similarity(left, right)
        good = share >= similarity
        return left[good], right[good], share[good]

    def similarity(self, left: Array, right: Array) -> Array:
        """How much each text of `left` is like the one of `right`: float64, from 0 to 1.

        It is the share of the values of the two signatures that are the same.
        """
        found = np.zeros(len(left))
        for start in range(0, len(left), CHUNK):
            chunk = slice(start, start + CHUNK)
            same = self.of(left[chunk]) == self.of(right[chunk])
            found[chunk] = same.mean(axis=1)
        return found

    def _signed(self, groups: list[Array]) -> Iterator[tuple[Array, Array]]:
        """Each group with the signatures of its members.

        They are read for many groups at once, at least for one.
        """
        # Groups of 3, 4 and 5 texts have the ends [0, 3, 7, 12].
        ends = np.cumsum([0, *(len(group) for group in groups)])
        start = 0
        while start < len(groups):
            # The last group that ends within CHUNK texts from the start.
            limit = ends[start] + CHUNK
            stop = int(np.searchsorted(ends, limit, side="right")) - 1
            stop = max(start + 1, stop)
            signatures = self.of(np.concatenate(groups[start:stop]))
            cuts = ends[start + 1 : stop] - ends[start]
            yield from zip(groups[start:stop], np.split(signatures, cuts), strict=True)
            start = stop


def grouped(values: Array) -> list[Array]:
    """The row numbers of each different value, ordered by value: [7, 3, 7] gives [1] and [0, 2]."""
    if not len(values):
        return []
    order = np.argsort(values, kind="stable")
    # Cut where a value differs from the one before: sorted, [3, 7, 7] is cut before row 1.
    cuts = np.flatnonzero(np.diff(values[order])) + 1
    return np.split(order, cuts)


def _losers(
    members: Array, signatures: Array, similarity: float
) -> Iterator[tuple[int, int, float]]:
    """The texts of a group that go: text, the earlier one that it is like, and how much.

    `members` are in their order.
    """
    while len(members) > 1:
        # The first text stays, and those like it go. Then the same again with the rest.
        first = int(members[0])
        share = (signatures[1:] == signatures[0]).mean(axis=1)
        like = share >= similarity
        for text, much in zip(members[1:][like], share[like], strict=True):
            yield int(text), first, float(much)
        members, signatures = members[1:][~like], signatures[1:][~like]


def _band_keys(rows: Array) -> Array:
    """64 bits that stand for the ROWS values of a band: uint64 [texts].

    Two bands with other values may give the same bits by chance. That costs one comparison.
    """
    mixed = np.zeros(len(rows), dtype=np.uint64)
    for column in range(ROWS):
        # Multiply by an odd constant and fold the upper bits into the lower ones (as SplitMix64
        # does).
        mixed = (mixed ^ rows[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
