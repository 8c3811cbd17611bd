"""The records of a version: which fact a question is about, its sources, and what the records answer."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lore.retrieval import search
from lore.retrieval.search import NotWholeError, Place
from lore.serving.errors import ApiError
from lore.serving.schemas import FactInfo, SourceInfo
from stages.core.records.stated import states
from stages.core.retrieval.question import Matcher

LOG = logging.getLogger("lore.serving")
Row = dict[str, Any]
NO_INDEX = (
    "no fact is named by the question, and this version has no index to look further "
    "(index.encoder of params.yaml); ask the model instead (lorekeep.answer_from: model)"
)


@dataclass(frozen=True)
class RecordAnswer:
    """What the records say about a question."""

    rows: list[Row]
    """The record that answers, then others about the same fact. Empty: nothing is near enough."""
    by: str
    """`records`: the question names the fact. `index`: the nearest record of the index."""
    similarity: float | None


class Knowledge:
    """The records of one version, in memory."""

    def __init__(self, root: Path, threads: int, least: float) -> None:
        """Read the records below a project's `root`, and open the index where there is one.

        `least` is the lowest cosine at which a record of the index answers. In the project's own folder, the
        version that dvc.lock records is read where a stage makes records or index anew. Raises InputError where
        records are missing or damaged.
        """
        self._least = least
        self._index: Any = None
        self._encoder: Any = None
        place = search.here(root)
        try:
            self._read(place, root, threads)
        except NotWholeError as error:
            # Only the project's own folder may change while it is read: a stage makes its outputs anew.
            if root != Path():
                raise
            place = search.former(error)
            self._read(place, root, threads)
            LOG.warning(search.former_line(error))

    def _read(self, place: Place, root: Path, threads: int) -> None:
        """Read what lies at a place. Raises NotWholeError where it is missing, or of two versions."""
        rows = search.read_table(place.records)
        wordings = search.read_table(place.wordings) if place.wordings is not None else []
        self._by_id = {row["id"]: row for row in rows}
        self._by_fact: dict[str, list[Row]] = {}
        for row in rows:
            if row["fact"]:
                self._by_fact.setdefault(row["fact"], []).append(row)
        facts = [row for row in rows if row["fact"]]
        self._matcher = Matcher(facts, wordings)
        if search.has_index(place, root):
            self._index, self._encoder = search.index_at(place, self._by_id, threads)
            # Callers ask what they like: their questions must not fill the memo on the disk.
            self._encoder.remembers = False
            # It is loaded now, and not while the first caller waits.
            self._encoder.vector("")

    @property
    def has_index(self) -> bool:
        """Whether there is an index."""
        return self._index is not None

    def record(self, name: str) -> Row | None:
        """Return a record by its id, or None."""
        return self._by_id.get(name)

    def behind(self, question: str) -> list[Row]:
        """Return the records of the fact that a question is about, that of highest priority first."""
        fact = self._matcher.match(question)
        return [] if fact is None else self._by_fact[fact]

    def answer(self, question: str) -> RecordAnswer:
        """Return what the records say. Raises ApiError where an index is needed and there is none."""
        rows = self.behind(question)
        if rows:
            return RecordAnswer(rows, "records", None)
        if self._index is None:
            raise ApiError(404, NO_INDEX, param="lorekeep.answer_from", code="no_index")
        from stages.core.retrieval import vectors

        hits = vectors.search(self._index, self._encoder.vector(question), 1)
        if not hits or hits[0].similarity < self._least:
            return RecordAnswer([], "index", hits[0].similarity if hits else None)
        nearest = self._by_id[hits[0].record]
        others = []
        for row in self._by_fact.get(nearest["fact"] or "", []):
            if row["id"] != nearest["id"]:
                others.append(row)
        return RecordAnswer([nearest, *others], "index", hits[0].similarity)


def value_of(row: Row) -> str:
    """Return a record's value with its unit."""
    unit = row["unit"] or ""
    return f"{row['value']} {unit}".strip()


def agrees(answer: str, rows: list[Row]) -> bool | None:
    """Return whether an answer states the value of one of the records, or is it without its unit.

    None where no record states a fact.
    """
    facts = [row for row in rows if row["fact"]]
    if not facts:
        return None
    bare = answer.rstrip(" .。")
    return any(states(answer, value_of(row)) or bare == row["value"] for row in facts)


def fact_info(rows: list[Row]) -> FactInfo | None:
    """Return the fact that records state, or None."""
    if not rows or not rows[0]["fact"]:
        return None
    row = rows[0]
    return FactInfo(
        id=row["fact"],
        subject=row["subject"],
        attribute=row["attribute"],
        value=row["value"],
        unit=row["unit"],
    )


def source_infos(rows: list[Row]) -> list[SourceInfo]:
    """Return where records come from."""
    infos = []
    for row in rows:
        infos.append(SourceInfo(record=row["id"], source=row["source"], locator=row["locator"]))
    return infos
