"""Answers that differ: one question, and free answers that are not alike.

Questions are compared by `questions.keys`.

The filter has found which answers are the same or near duplicates. Nobody can tell whether two
other answers exclude each other: they may be the words of two institutes for one thing. So they are
reported, and nothing is set aside unless that is declared (`verify.answers`).

Memory holds 24 bytes per question, and the texts of `CHUNK` pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import polars as pl

from stages.clean.exclusions import Row
from stages.clean.filters import questions, repeats
from stages.clean.passes.corpus import Part
from stages.clean.passes.filtering import Filtered
from stages.clean.passes.ledger import Reason
from stages.clean.passes.writing import as_written
from stages.clean.personal import Treatment
from stages.clean.terms import Array
from stages.clean.verifying.contradictions import BY_PLACE, BY_PRIORITY

Choice = Literal["report", "first", "ignore"]
KIND = "answers"
UNDECIDED = "none: both are kept"
CHUNK = 1 << 12
"""Number of pairs whose texts are held at a time."""
COLUMNS = ["id", "source", "locator", "question", "answer"]
LOST = Reason(
    "verify",
    "contradiction",
    "another answer to the question of record {other}, which has priority",
)


@dataclass(frozen=True)
class Pairs:
    """Positions of records that answer a question in another way than the first record does."""

    first: Array
    """Positions of the first records, in their order: int64."""
    other: Array
    """Positions of the other records: int64."""
    decided: bool
    """Whether the other records were set aside."""

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.first)


def judge(corpus: Filtered, choice: Choice, least: float | None, treated: bool) -> Pairs:
    """Find the pairs, and set the other answers aside if `choice` says that the first one stays.

    `least`: answers at least so similar are near duplicates. None: only the same words are.
    `treated`: personal data was taken out.
    """
    decided = choice == "first"
    if choice == "ignore":
        nothing = np.zeros(0, dtype=np.int64)
        return Pairs(nothing, nothing, decided)
    first, other = differing(corpus, 1.0 if least is None else least, treated)
    if decided and len(other):
        corpus.ledger.sift(LOST, other, others=first)
    # lexsort sorts by its last key first: by the first record, then by the other one.
    order = np.lexsort((other, first))
    return Pairs(first[order], other[order], decided)


def differing(corpus: Filtered, least: float, treated: bool) -> tuple[Array, Array]:
    """Positions of the first record of a question, and of later ones with another answer."""
    items = ((part, corpus.alive(part)) for part in corpus.parts)
    all_positions = [np.zeros(0, dtype=np.int64)]
    all_keys = [np.zeros((0, 2), dtype=np.uint64)]
    asking = partial(asked, treated=treated, exact=corpus.exact)
    for positions, keys in corpus.executor.in_order(asking, items):
        all_positions.append(positions)
        all_keys.append(keys)
    positions, keys = np.concatenate(all_positions), np.concatenate(all_keys)

    # Rows of these arrays first, and then positions.
    other_rows, first_rows = repeats.earlier(keys, np.ones(len(keys), dtype=bool))
    other, first = positions[other_rows], positions[first_rows]

    # Signatures are named by the number of the text. `corpus.texts` are sorted positions: in [2, 5,
    # 9], 9 is number 2.
    similar = corpus.signatures.similarity(
        np.searchsorted(corpus.texts, first), np.searchsorted(corpus.texts, other)
    )
    differs = similar < least
    return first[differs], other[differs]


def asked(item: tuple[Part, Array], treated: bool, exact: bool) -> tuple[Array, Array]:
    """Positions and keys of the free questions in a part that are still kept."""
    part, alive = item
    frame = pl.read_ipc(part.file, columns=["question", "subject", "fact"])
    frame = frame.with_row_index("position", part.piece.start)
    kept = pl.lit(pl.Series(alive))
    frame = frame.filter(kept & pl.col("fact").is_null() & pl.col("question").is_not_null())
    if treated:
        frame = frame.filter(questions.comparable(frame["question"]))
    return frame["position"].to_numpy().astype(np.int64), questions.keys(frame, exact)


def entries(corpus: Filtered, pairs: Pairs, treatment: Treatment | None) -> Iterator[Row]:
    """What the report says of each pair."""
    names = ("winner", "loser") if pairs.decided else ("first", "second")
    for start in range(0, len(pairs), CHUNK):
        firsts = pairs.first[start : start + CHUNK]
        others = pairs.other[start : start + CHUNK]
        records = sides(corpus, np.union1d(firsts, others), treatment)
        for first, other in zip(firsts.tolist(), others.tolist(), strict=True):
            question, first_side = records[first]
            _, other_side = records[other]
            rule = UNDECIDED
            if pairs.decided:
                same_source = first_side["source"] == other_side["source"]
                rule = BY_PLACE if same_source else BY_PRIORITY
            yield {
                "kind": KIND,
                "question": question,
                names[0]: first_side,
                names[1]: other_side,
                "rule": rule,
            }


def sides(
    corpus: Filtered, positions: Array, treatment: Treatment | None
) -> dict[int, tuple[str, Row]]:
    """Position → question, and the side of a dispute as `contradictions.side` makes it of facts.

    `positions` are sorted.
    """
    rows: list[Row] = []
    for of_part in corpus.executor.in_order(_normalised, corpus.holding(positions)):
        rows += of_part
    written_rows = as_written(corpus, positions, treatment)
    found = {}
    for position, row, written in zip(positions.tolist(), rows, written_rows, strict=True):
        side = {
            "record": row["id"],
            "source": row["source"],
            "locator": row["locator"],
            "written": written["answer"],
            "normalised": row["answer"],
        }
        found[position] = (row["question"], side)
    return found


def _normalised(item: tuple[Part, Array]) -> list[Row]:
    part, inside = item
    return pl.read_ipc(part.file, columns=COLUMNS)[inside].to_dicts()
