"""Which records of a corpus are excluded: `exclusions.find`, with an executor."""

from functools import partial
from pathlib import Path
from typing import Any

from stages.clean import exclusions
from stages.clean.exclusions import Content, Excluded, Exclusions
from stages.clean.passes.corpus import Piece, pieces
from stages.clean.passes.filtering import NOTHING, PROCESSES_FROM
from stages.core.executors.executor import Executor

Row = dict[str, Any]


def excluded_in(
    source: Path, before: list[Row], listed: Exclusions, executor: Executor
) -> Excluded:
    """`exclusions.find` for the records of a file, and then for those that extract had set aside."""
    if not exclusions.some(listed):
        return NOTHING
    batches = pieces(source)
    many = len(batches) > PROCESSES_FROM

    # First pass: what the excluded records say, since every record that says the same is excluded
    # with them.
    same: dict[Content, str] = {}
    if listed.records:
        reading = partial(_same_words, listed=listed)
        for of_batch in executor.in_order(reading, batches, processes=many):
            same |= of_batch
    same |= exclusions.same_words(before, listed)

    # Second pass: the records that are named, in one way or another.
    excluded: dict[str, tuple[str, str]] = {}
    naming = partial(_named, listed=listed, same=same)
    for named in executor.in_order(naming, batches, processes=many):
        excluded |= named
    return excluded | exclusions.named(before, listed, same)


def _same_words(piece: Piece, listed: Exclusions) -> dict[Content, str]:
    rows = piece.extracted(NOTHING).iter_rows(named=True)
    return exclusions.same_words(rows, listed)


def _named(
    piece: Piece, listed: Exclusions, same: dict[Content, str]
) -> dict[str, tuple[str, str]]:
    rows = piece.extracted(NOTHING).iter_rows(named=True)
    return exclusions.named(rows, listed, same)
