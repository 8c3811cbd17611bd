"""What the records say about a question: the fact that its words name, else the nearest record of the index.

A fact whose subject and attribute stand in the question is found by words. This needs no index, and is exact.
Any other question is encoded, and the nearest record answers it, unless it is less similar than a limit.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError
from stages.core.retrieval import vectors
from stages.core.retrieval.encoder import Encoder
from stages.core.retrieval.question import Matcher

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


class Records:
    """The records of one version, in which many questions are looked up."""

    def __init__(self, rows: Sequence[Row], wordings: Sequence[Row]) -> None:
        """`wordings` are the questions that `augment` made of the records. They help to tell attributes apart."""
        self.by_id = {row["id"]: row for row in rows}
        self.by_fact: defaultdict[str, list[Row]] = defaultdict(list)
        facts = []
        for row in rows:
            if row["fact"]:
                self.by_fact[row["fact"]].append(row)
                facts.append(row)
        self._matcher = Matcher(facts, wordings)

    def named(self, question: str) -> Found | None:
        """Return the records of the fact that the words of a question name, or None."""
        fact = self._matcher.match(question)
        if fact is None:
            return None
        return Found(list(self.by_fact[fact]), "words", 1.0)

    def nearest(self, question: str, index: Any, encoder: Encoder, least: float) -> Found:
        """Return the nearest record of the index, with all others about its fact.

        `least` is the lowest cosine at which a record answers. The index must hold these records
        (`check_version`).
        """
        hits = vectors.search(index, encoder.vector(question), NEAREST)
        if not hits:
            return Found([], "meaning", 0.0)
        best = hits[0]
        nearest = self.by_id[best.record]
        if best.similarity < least:
            return Found([], "meaning", best.similarity, nearest)
        others = []
        for row in self.by_fact.get(nearest["fact"] or "", []):
            if row["id"] != nearest["id"]:
                others.append(row)
        return Found([nearest, *others], "meaning", best.similarity, nearest)


def opened(manifest_file: Path, vectors_file: Path, threads: int) -> tuple[Any, Encoder]:
    """Return an index and its encoder.

    Raises InputError where there is none, or where the encoder's files are not those that made it.
    """
    name, identity = encoder_of(manifest_file)
    if not name:
        raise InputError(
            "there is no index: index.encoder is null; "
            "lore overlay docs/profiles/index.yaml sets one, and dvc repro index makes the index"
        )
    encoder = Encoder(name, threads)
    if encoder.identity != identity:
        raise InputError(
            f"index.encoder: {name} has other files than when the index was made; "
            "run dvc repro index"
        )
    return vectors.read(vectors_file), encoder


def encoder_of(manifest_file: Path) -> tuple[str | None, str | None]:
    """Return name and SHA-256 of the encoder that made an index. None where no index was made.

    Raises InputError where the manifest is missing or damaged.
    """
    try:
        manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
        return manifest["encoder"], manifest.get("encoder_sha256")
    except FileNotFoundError:
        raise InputError(
            f"{manifest_file}: not found; run dvc repro index, or dvc checkout"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{manifest_file}: no manifest of an index; dvc checkout --force {manifest_file.parent} brings "
            "the recorded one back"
        ) from None


def difference(index: Any, ids: Collection[str]) -> str:
    """Return how many ids stand in an index alone and in the records alone, in words. Empty: none.

    `ids` are those of the records.
    """
    indexed = vectors.ids_of(index)
    if indexed == sorted(ids):
        return ""
    more = len(set(indexed) - set(ids))
    fewer = len(set(ids) - set(indexed))
    return f"{more:,} ids stand in the index alone, {fewer:,} in the records alone"
