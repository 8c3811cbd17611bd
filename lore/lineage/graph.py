"""How an answer hangs together with its sources: place → extracted → cleaned or rejected → training records → answers.

The links are the records' own: `id`, `fact` and `parents` (`stages.core.records.record`). Nothing is guessed, but for a question,
which `lore.lineage.question` finds among the facts.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lore.comparison.facts import ANSWER, ANSWERS, RECORDS
from lore.lineage.question import match
from lore.lineage.raw_location import RAW, within
from lore.versions.version import Version
from stages.core.project.errors import InputError
from stages.core.records.record import fold

Row = dict[str, Any]
EXTRACTED, REJECTED, WORDINGS = (
    "data/extract/records.parquet",
    "data/clean/rejected.parquet",
    "data/augment/records.parquet",
)
SKIPPED, CONTRADICTIONS = "data/extract/skipped.parquet", "data/clean/contradictions.json"
STATED = [
    "id",
    "source",
    "locator",
    "kind",
    "text",
    "subject",
    "attribute",
    "value",
    "unit",
    "fact",
]
MADE = [*STATED, "question", "answer", "split", "parents"]
WHY = [*STATED, "phase", "reason", "evidence"]
ID = re.compile(r"[0-9a-f]{4,16}")
"""An id, or as much of its beginning as somebody copied."""
SHOWN = 5
"""Candidates that an ambiguous id is answered with."""


@dataclass(frozen=True)
class Tables:
    """Everything a version has between its sources and its answers, row by row."""

    extracted: list[Row]
    cleaned: list[Row]
    rejected: list[Row]
    made: list[Row]
    """Of augment; empty in a version that never got there."""
    answers: list[Row]
    """Of evaluate; empty in a version that was never evaluated."""
    disputes: dict[str, Row]
    """Contradictions by the id of the record that lost."""
    skipped: list[Row] = field(default_factory=list)
    """Units that a source's `where` does not ask for."""

    @classmethod
    def read(cls, version: Version) -> "Tables":
        """Read a version. Raises InputError where a table is missing or damaged."""
        later = [path for path in (WORDINGS, ANSWERS) if version.has(str(Path(path).parent))]
        version.demand([EXTRACTED, RECORDS, REJECTED, CONTRADICTIONS, *later])

        def rows(path: str, columns: list[str]) -> list[Row]:
            found: list[Row] = (
                version.table(path, columns).to_pylist()
                if path not in {WORDINGS, ANSWERS} - set(later)
                else []
            )
            return found

        disputes = json.loads(version.output(CONTRADICTIONS))
        return cls(
            rows(EXTRACTED, STATED),
            rows(RECORDS, STATED),
            rows(REJECTED, WHY),
            rows(WORDINGS, MADE),
            rows(ANSWERS, ANSWER),
            {entry["loser"]["record"]: entry for entry in disputes if "loser" in entry},
            rows(SKIPPED, WHY) if version.holds(SKIPPED) else [],
        )


@dataclass(frozen=True)
class Lineage:
    """The part of the tables that hangs together with one thing."""

    kind: str
    """fact, record, question or file."""
    name: str
    """Id, question or path."""
    forward: bool
    """Whether the thing is a source, to be followed to the answers; else it is an answer, to be followed to the sources."""
    facts: list[str]
    extracted: list[Row] = field(default_factory=list)
    cleaned: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)
    made: list[Row] = field(default_factory=list)
    answers: list[Row] = field(default_factory=list)
    skipped: list[Row] = field(default_factory=list)

    def places(self) -> list[str]:
        """Where in the raw files it stands."""
        return list(
            dict.fromkeys(
                row["locator"] for row in [*self.extracted, *self.rejected, *self.skipped]
            )
        )

    def head(self) -> Row | None:
        """The record that says best what it is about: what is trained, else what was read."""
        return next(iter([*self.cleaned, *self.extracted, *self.rejected]), None)


def find(what: str, tables: Tables) -> Lineage | None:
    """What `what` means, with all that hangs on it: a place below data/raw, an id or its beginning, else a question.

    Returns None where nothing matches. Raises InputError for the beginning of several ids.
    """
    place = what.removeprefix("./").removeprefix(f"{RAW}/").rstrip("/")
    roots = {
        row["id"]
        for row in [*tables.extracted, *tables.rejected, *tables.skipped]
        if within(row["locator"], place)
    }
    if roots:
        return of_records("file", f"{RAW}/{place}", roots, tables)
    if ID.fullmatch(what) and (found := of_id(what, tables)):
        return found
    return of_question(what, tables)


def of_id(digits: str, tables: Tables) -> Lineage | None:
    """The fact or record whose id begins with the digits. Raises InputError where there are several."""
    rows = [*tables.extracted, *tables.cleaned, *tables.rejected, *tables.skipped, *tables.made]
    names = {row["fact"]: "fact" for row in rows if row["fact"]} | {
        row["id"]: "record" for row in rows
    }
    near = sorted(name for name in names if name.startswith(digits))
    if len(near) > 1:
        listed = ", ".join(f"{names[name]} {name}" for name in near[:SHOWN]) + (
            " …" if len(near) > SHOWN else ""
        )
        raise InputError(
            f"{digits}: the beginning of {len(near)} ids: {listed}; write more of its digits"
        )
    if not near:
        return None
    return of_fact(near[0], tables) if names[near[0]] == "fact" else of_record(near[0], tables)


def of_question(question: str, tables: Tables) -> Lineage | None:
    """The fact that a question is about; or the question–answer pair without a fact that asks just this."""
    if fact := match(question, [row for row in tables.cleaned if row["fact"]], tables.made):
        return of_fact(fact, tables)
    asked = [
        row for row in tables.made if row["question"] and fold(row["question"]) == fold(question)
    ]
    roots = {parent for row in asked for parent in row["parents"]}
    return of_records("question", question, roots, tables) if roots else None


def of_fact(fact: str, tables: Tables) -> Lineage:
    """Everything about one fact, backward from the answers."""

    def about(rows: list[Row]) -> list[Row]:
        return [row for row in rows if row["fact"] == fact]

    parts = (
        about(getattr(tables, name))
        for name in ("extracted", "cleaned", "rejected", "made", "answers")
    )
    return Lineage("fact", fact, False, [fact], *parts)


def of_record(name: str, tables: Tables) -> Lineage:
    """One record, forward; a training record, with those that it was made of."""
    made = [row for row in tables.made if row["id"] == name]
    found = of_records("record", name, {name} if not made else set(made[0]["parents"]), tables)
    if not made:
        return found
    return Lineage(
        "record",
        name,
        False,
        found.facts,
        found.extracted,
        found.cleaned,
        found.rejected,
        made,
        told(made, tables.answers),
    )


def of_records(kind: str, name: str, roots: set[str], tables: Tables) -> Lineage:
    """Some extracted records, and all that they feed; for one record also what was set aside about the same fact."""
    extracted, cleaned, rejected, skipped = (
        [row for row in rows if row["id"] in roots]
        for rows in (tables.extracted, tables.cleaned, tables.rejected, tables.skipped)
    )
    made = [row for row in tables.made if not roots.isdisjoint(row["parents"])]
    facts = list(
        dict.fromkeys(row["fact"] for row in [*cleaned, *extracted, *rejected] if row["fact"])
    )
    if kind == "record":
        rejected += [
            row for row in tables.rejected if row["fact"] in facts and row["id"] not in roots
        ]
    answers = told(made, tables.answers)
    return Lineage(
        kind, name, kind != "question", facts, extracted, cleaned, rejected, made, answers, skipped
    )


def told(made: list[Row], answers: list[Row]) -> list[Row]:
    """Answers to what was made of records: by fact, or where there is none by the probe's question."""
    facts = {row["fact"] for row in made if row["fact"]}
    asked = {row["question"] for row in made if row["split"] == "probe" and not row["fact"]}
    return [
        row
        for row in answers
        if row["fact"] in facts or (row["fact"] is None and row["question"] in asked)
    ]
