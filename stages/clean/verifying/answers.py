"""Answers that differ: one question (`questions.keys`), free answers that are neither the same nor near duplicates.

What is the same and what is near is what the filter found. Whether two answers exclude each other nobody knows: they may be two
institutes' words for one thing. So they are reported, and nothing is set aside unless it is declared (`verify.answers`).

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
from stages.clean.filters.terms import Array
from stages.clean.passes.corpus import Part
from stages.clean.passes.filtering import Filtered
from stages.clean.passes.ledger import Reason
from stages.clean.passes.writing import as_written
from stages.clean.personal import Treatment
from stages.clean.verifying.contradictions import BY_PLACE, BY_PRIORITY

Choice = Literal["report", "first", "ignore"]
KIND = "answers"
UNDECIDED = "none: both are kept"
CHUNK = 1 << 12
"""Pairs whose texts are held at a time."""
COLUMNS = ["id", "source", "locator", "question", "answer"]
LOST = Reason(
    "verify",
    "contradiction",
    "another answer to the question of record {other}, which has priority",
)


@dataclass(frozen=True)
class Pairs:
    """Places of records with another answer than the first one, in order of priority, to the same question."""

    first: Array
    """int64, in their order."""
    other: Array
    """int64."""
    decided: bool
    """Whether the others were set aside."""

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.first)


def judge(corpus: Filtered, choice: Choice, least: float | None, treated: bool) -> Pairs:
    """Find the pairs, and set the other answers aside where `choice` says that the first stays.

    `least` is the similarity from which on answers are near duplicates (None: the same words); `treated`: whether personal
    data was taken out.
    """
    nothing = np.zeros(0, dtype=np.int64)
    first, other = (
        (nothing, nothing)
        if choice == "ignore"
        else differing(corpus, 1.0 if least is None else least, treated)
    )
    if choice == "first" and len(other):
        corpus.ledger.sift(LOST, other, others=first)
    order = np.lexsort((other, first))
    return Pairs(first[order], other[order], decided=choice == "first")


def differing(corpus: Filtered, least: float, treated: bool) -> tuple[Array, Array]:
    """Places of the first record that asks a question, and of each later one whose answer is not like its answer."""
    items = ((part, corpus.alive(part)) for part in corpus.parts)
    found = list(corpus.engine.in_order(partial(asked, treated=treated), items))
    places = np.concatenate([np.zeros(0, dtype=np.int64), *(places for places, _ in found)])
    keys = np.concatenate([np.zeros((0, 2), dtype=np.uint64), *(keys for _, keys in found)])
    other, first = (places[rows] for rows in repeats.earlier(keys, np.ones(len(keys), dtype=bool)))
    similar = corpus.signatures.similarity(
        *(np.searchsorted(corpus.texts, side) for side in (first, other))
    )
    return first[similar < least], other[similar < least]


def asked(item: tuple[Part, Array], treated: bool) -> tuple[Array, Array]:
    """Places and keys of the free questions in a part that are still kept."""
    part, alive = item
    frame = pl.read_ipc(part.file, columns=["question", "subject", "fact"]).with_row_index(
        "place", part.piece.start
    )
    frame = frame.filter(
        pl.lit(pl.Series(alive)) & pl.col("fact").is_null() & pl.col("question").is_not_null()
    )
    if treated:
        frame = frame.filter(questions.comparable(frame["question"]))
    return frame["place"].to_numpy().astype(np.int64), questions.keys(frame)


def entries(corpus: Filtered, pairs: Pairs, treatment: Treatment | None) -> Iterator[Row]:
    """What the report says of each pair."""
    for start in range(0, len(pairs), CHUNK):
        chunk = slice(start, start + CHUNK)
        records = sides(corpus, np.union1d(pairs.first[chunk], pairs.other[chunk]), treatment)
        for first, other in zip(
            pairs.first[chunk].tolist(), pairs.other[chunk].tolist(), strict=True
        ):
            (question, one), (_, two) = records[first], records[other]
            by = BY_PRIORITY if one["source"] != two["source"] else BY_PLACE
            names = ("winner", "loser") if pairs.decided else ("first", "second")
            yield {
                "kind": KIND,
                "question": question,
                names[0]: one,
                names[1]: two,
                "rule": by if pairs.decided else UNDECIDED,
            }


def sides(
    corpus: Filtered, places: Array, treatment: Treatment | None
) -> dict[int, tuple[str, Row]]:
    """Place → question, and the side of a dispute as `contradictions.side` makes it of facts; `places` are sorted."""
    rows = (
        row for rows in corpus.engine.in_order(_normalised, corpus.holding(places)) for row in rows
    )
    found = {}
    for place, row, written in zip(
        places.tolist(), rows, as_written(corpus, places, treatment), strict=True
    ):
        side = {"record": row["id"], "source": row["source"], "locator": row["locator"]}
        found[place] = (
            row["question"],
            side | {"written": written["answer"], "normalised": row["answer"]},
        )
    return found


def _normalised(item: tuple[Part, Array]) -> list[Row]:
    part, inside = item
    return pl.read_ipc(part.file, columns=COLUMNS)[inside].to_dicts()
