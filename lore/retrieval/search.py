"""Find what the records say about a question: by words where it names a fact, else by meaning.

A fact whose subject and attribute stand in the question is found by words. This needs no index, and is
exact. Any other question is encoded, and the nearest record of the index answers it, unless it is less
similar than a limit.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.project import artifacts
from stages.core.project.errors import InputError
from stages.core.retrieval import vectors
from stages.core.retrieval.encoder import Encoder
from stages.core.retrieval.question import match

Row = dict[str, Any]
NEAREST = 8
"""Records that are fetched. The first one answers. Of equally near ones it is that with the lowest id."""


@dataclass(frozen=True)
class Found:
    """What the records say."""

    rows: list[Row]
    """The record that answers, then others about the same fact. Empty: nothing is near enough."""
    by: str
    """`words`: the question names the fact. `meaning`: the nearest record of the index."""
    similarity: float
    """Cosine of question and record. 1 by words."""
    nearest: Row | None = None
    """The nearest record, also where it is not near enough."""


def find(
    question: str, records: Sequence[Row], wordings: Sequence[Row], threads: int, least: float
) -> Found:
    """Return what the records say about a question.

    `least` is the lowest cosine at which a record answers. Raises InputError where there is no index, or
    where it is of another version than the records.
    """
    facts = [row for row in records if row["fact"]]
    fact = match(question, facts, wordings)
    if fact is not None:
        return Found([row for row in facts if row["fact"] == fact], "words", 1.0)

    by_id = {row["id"]: row for row in records}
    index, encoder = opened(threads)
    check_version(index, by_id)
    hits = vectors.search(index, encoder.vector(question), NEAREST)
    if not hits:
        return Found([], by="meaning", similarity=0.0)
    best = hits[0]
    nearest = by_id[best.record]
    if best.similarity < least:
        return Found([], by="meaning", similarity=best.similarity, nearest=nearest)
    same_fact = []
    for row in facts:
        if row["fact"] == nearest["fact"] and row["id"] != nearest["id"]:
            same_fact.append(row)
    return Found([nearest, *same_fact], "meaning", best.similarity, nearest)


def opened(threads: int, root: Path = Path()) -> tuple[Any, Encoder]:
    """Return the index here, or below another `root`, and its encoder.

    Raises InputError where there is none, or where the encoder's files are not those that made it.
    """
    manifest_file = root / artifacts.INDEX_MANIFEST
    if not manifest_file.is_file():
        raise InputError(f"{manifest_file}: not found; run dvc repro index, or dvc checkout")
    manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
    if not manifest["encoder"]:
        raise InputError(
            "there is no index: index.encoder is null; "
            "lore overlay docs/profiles/index.yaml sets one, and dvc repro index makes the index"
        )
    encoder = Encoder(manifest["encoder"], threads)
    if encoder.identity != manifest["encoder_sha256"]:
        raise InputError(
            f"index.encoder: {manifest['encoder']} has other files than when the index was made; "
            "run dvc repro index"
        )
    return vectors.read(root / artifacts.INDEX_VECTORS), encoder


def check_version(index: Any, by_id: dict[str, Row]) -> None:
    """Raise InputError where index and records do not hold the same ids."""
    indexed = vectors.ids_of(index)
    if indexed == sorted(by_id):
        return
    more = len(set(indexed) - set(by_id))
    fewer = len(set(by_id) - set(indexed))
    raise InputError(
        f"{artifacts.INDEX_VECTORS} and {artifacts.CLEAN_RECORDS} are of two versions: {more:,} ids stand in the index "
        f"alone, {fewer:,} in the records alone; run dvc repro index, or dvc checkout"
    )
