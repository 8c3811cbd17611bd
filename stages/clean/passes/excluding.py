"""Which records of a corpus are excluded: `exclusions.find`, with the corpus read by an engine."""

from functools import partial
from pathlib import Path
from typing import Any

from stages.clean import exclusions
from stages.clean.exclusions import Excluded, Exclusions, Said
from stages.clean.passes.corpus import Piece, pieces
from stages.clean.passes.filtering import NOTHING, PROCESSES_FROM
from stages.core.executors.local import Engine

Row = dict[str, Any]


def excluded_in(source: Path, before: list[Row], listed: Exclusions, engine: Engine) -> Excluded:
    """What `exclusions.find` gives for the records of a file and those that extract had set aside, which come last."""
    if not exclusions.some(listed):
        return NOTHING
    batches = pieces(source)
    many = len(batches) > PROCESSES_FROM
    same: dict[Said, str] = {}
    for words in engine.in_order(
        partial(_same_words, listed=listed), batches if listed.records else [], processes=many
    ):
        same |= words
    same |= exclusions.same_words(before, listed)
    found: dict[str, tuple[str, str]] = {}
    for named in engine.in_order(
        partial(_named, listed=listed, same=same), batches, processes=many
    ):
        found |= named
    return found | exclusions.named(before, listed, same)


def _same_words(piece: Piece, listed: Exclusions) -> dict[Said, str]:
    return exclusions.same_words(piece.extracted(NOTHING).iter_rows(named=True), listed)


def _named(piece: Piece, listed: Exclusions, same: dict[Said, str]) -> dict[str, tuple[str, str]]:
    return exclusions.named(piece.extracted(NOTHING).iter_rows(named=True), listed, same)
