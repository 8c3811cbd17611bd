"""How an answer is connected to its sources.

The chain is: locator in a raw file → extracted record → cleaned or rejected record → training
records → answers. The links are the records' own `id`, `fact` and `parents`
(`stages.core.records.record`). Nothing is guessed except for a question: `stages.core.retrieval.question`
looks for the fact that it is about.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lore.comparison.facts import ANSWER
from lore.lineage.raw_location import names_with_hash, within
from lore.versions.version import Version
from stages.core.project.artifacts import (
    ANSWERS,
    CLEAN_RECORDS,
    CONTRADICTIONS,
    EXTRACTED_RECORDS,
    RAW,
    REJECTED_RECORDS,
    SKIPPED_RECORDS,
    TRAINING_RECORDS,
)
from stages.core.project.errors import InputError
from stages.core.records.record import fold
from stages.core.retrieval.question import match

Row = dict[str, Any]
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
"""Columns of every record."""
MADE = [*STATED, "question", "answer", "split", "parents"]
"""Columns of a training record."""
WHY = [*STATED, "phase", "reason", "evidence"]
"""Columns of a rejected or skipped record."""

SIDE_OF_DISPUTE = ("record", "source", "locator", "normalised")
"""What clean writes of both sides of a contradiction, and a trace shows."""

# An id, or the beginning of one that somebody copied: `3fa9`, `3fa9c1d2e4b5a697`.
ID = re.compile(r"[0-9a-f]{4,16}")
SHOWN = 5
"""Ids that the message about an ambiguous beginning names."""


@dataclass(frozen=True)
class Tables:
    """Everything that a version has between its sources and its answers, row by row."""

    extracted: list[Row]
    cleaned: list[Row]
    rejected: list[Row]
    made: list[Row]
    """Training records. Empty in a version where `augment` never ran."""
    answers: list[Row]
    """Empty in a version where `evaluate` never ran."""
    disputes: dict[str, Row]
    """Id of the record that lost → the contradiction."""
    skipped: list[Row] = field(default_factory=list)
    """Units that a source's `where` does not ask for."""
    names_with_hash: list[str] = field(default_factory=list)
    """Raw files whose path holds a `#`, the longest first."""

    @classmethod
    def read(cls, version: Version) -> "Tables":
        """Read a version. Raises InputError where a table or a file is missing or damaged."""
        has_made = version.has(str(Path(TRAINING_RECORDS).parent))
        has_answers = version.has(str(Path(ANSWERS).parent))
        needed = [EXTRACTED_RECORDS, CLEAN_RECORDS, REJECTED_RECORDS, CONTRADICTIONS]
        if has_made:
            needed.append(TRAINING_RECORDS)
        if has_answers:
            needed.append(ANSWERS)
        version.demand(needed)  # so that one message names all that is missing

        def rows(path: str, columns: list[str]) -> list[Row]:
            table: list[Row] = version.table(path, columns).to_pylist()
            return table

        return cls(
            extracted=rows(EXTRACTED_RECORDS, STATED),
            cleaned=rows(CLEAN_RECORDS, STATED),
            rejected=rows(REJECTED_RECORDS, WHY),
            made=rows(TRAINING_RECORDS, MADE) if has_made else [],
            answers=rows(ANSWERS, ANSWER) if has_answers else [],
            disputes=disputes_in(version),
            # Versions of an earlier Lorekeep lack this table.
            skipped=rows(SKIPPED_RECORDS, WHY) if version.holds(SKIPPED_RECORDS) else [],
            names_with_hash=names_with_hash(version),
        )


def disputes_in(version: Version) -> dict[str, Row]:
    """Return the id of each record that lost, with its contradiction.

    Raises InputError for a file that clean did not write so.
    """
    disputes = {}
    try:
        for entry in version.output_document(CONTRADICTIONS):
            if "loser" in entry:
                # Each of these is shown later, so a file that lacks one is named here.
                for side in (entry["winner"], entry["loser"]):
                    for name in SIDE_OF_DISPUTE:
                        side[name]
                entry["rule"]
                disputes[entry["loser"]["record"]] = entry
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{CONTRADICTIONS} of {version.label}: not as clean writes it ({error}); "
            "make it again with dvc repro"
        ) from None
    return disputes


@dataclass(frozen=True)
class Lineage:
    """The rows that are connected to one fact, record, question or file."""

    kind: str
    """fact, record, question or file."""
    name: str
    """Id, question or path."""
    forward: bool
    """Whether the thing is a source that is followed to the answers.

    Else it is an answer that is followed to the sources.
    """
    facts: list[str]
    extracted: list[Row] = field(default_factory=list)
    cleaned: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)
    made: list[Row] = field(default_factory=list)
    answers: list[Row] = field(default_factory=list)
    skipped: list[Row] = field(default_factory=list)

    def locators(self) -> list[str]:
        """Return where in the raw files it stands, each locator once."""
        rows = [*self.extracted, *self.rejected, *self.skipped]
        return list(dict.fromkeys(row["locator"] for row in rows))

    def head(self) -> Row | None:
        """Return the record to name it by: the first cleaned one, else the first extracted one."""
        for row in [*self.cleaned, *self.extracted, *self.rejected]:
            return row
        return None


def find(what: str, tables: Tables) -> Lineage | None:
    """Return the thing that `what` names, with everything connected to it.

    `what` is tried as a locator or path below data/raw, then as an id or its beginning, then as a
    question. Returns None where nothing matches. Raises InputError for the beginning of several ids.
    """
    locator = what.removeprefix("./").removeprefix(f"{RAW}/").rstrip("/")
    rows = [*tables.extracted, *tables.rejected, *tables.skipped]
    roots = {row["id"] for row in rows if within(row["locator"], locator, tables.names_with_hash)}
    if roots:
        return of_records("file", f"{RAW}/{locator}", roots, tables)
    if ID.fullmatch(what):
        lineage = of_id(what, tables)
        if lineage:
            return lineage
    return of_question(what, tables)


def of_id(digits: str, tables: Tables) -> Lineage | None:
    """Return the fact or record whose id begins with the digits.

    Raises InputError where there are several.
    """
    rows = [*tables.extracted, *tables.cleaned, *tables.rejected, *tables.skipped, *tables.made]
    kinds = {row["fact"]: "fact" for row in rows if row["fact"]}
    kinds |= {row["id"]: "record" for row in rows}
    matches = sorted(name for name in kinds if name.startswith(digits))
    if not matches:
        return None
    if len(matches) > 1:
        listed = ", ".join(f"{kinds[name]} {name}" for name in matches[:SHOWN])
        if len(matches) > SHOWN:
            listed += " …"
        raise InputError(
            f"{digits}: the beginning of {len(matches)} ids: {listed}; write more of its digits"
        )
    (name,) = matches
    if kinds[name] == "fact":
        return of_fact(name, tables)
    return of_record(name, tables)


def of_question(question: str, tables: Tables) -> Lineage | None:
    """Return the fact that a question is about.

    Where there is none, return the question–answer pair without a fact that asks exactly this.
    """
    facts = [row for row in tables.cleaned if row["fact"]]
    fact = match(question, facts, tables.made)
    if fact:
        return of_fact(fact, tables)
    wanted = fold(question)
    roots: set[str] = set()
    for row in tables.made:
        if row["question"] and fold(row["question"]) == wanted:
            roots.update(row["parents"])
    if not roots:
        return None
    return of_records("question", question, roots, tables)


def of_fact(fact: str, tables: Tables) -> Lineage:
    """Return everything about one fact, backward from the answers."""

    def about(rows: list[Row]) -> list[Row]:
        return [row for row in rows if row["fact"] == fact]

    return Lineage(
        kind="fact",
        name=fact,
        forward=False,
        facts=[fact],
        extracted=about(tables.extracted),
        cleaned=about(tables.cleaned),
        rejected=about(tables.rejected),
        made=about(tables.made),
        answers=about(tables.answers),
    )


def of_record(name: str, tables: Tables) -> Lineage:
    """Return one record forward, or one training record with the records that it was made of."""
    made = [row for row in tables.made if row["id"] == name]
    if not made:
        return of_records("record", name, {name}, tables)
    parents = of_records("record", name, set(made[0]["parents"]), tables)
    return Lineage(
        kind="record",
        name=name,
        forward=False,
        facts=parents.facts,
        extracted=parents.extracted,
        cleaned=parents.cleaned,
        rejected=parents.rejected,
        made=made,
        answers=answers_to(made, tables.answers),
    )


def of_records(kind: str, name: str, roots: set[str], tables: Tables) -> Lineage:
    """Return some extracted records and everything that was made of them. `roots` are their ids.

    For one record, rejected records of the same fact are included.
    """
    extracted = with_id(tables.extracted, roots)
    cleaned = with_id(tables.cleaned, roots)
    rejected = with_id(tables.rejected, roots)
    made = [row for row in tables.made if not roots.isdisjoint(row["parents"])]
    rows = [*cleaned, *extracted, *rejected]
    facts = list(dict.fromkeys(row["fact"] for row in rows if row["fact"]))
    if kind == "record":
        for row in tables.rejected:
            if row["fact"] in facts and row["id"] not in roots:
                rejected.append(row)
    return Lineage(
        kind=kind,
        name=name,
        forward=kind != "question",
        facts=facts,
        extracted=extracted,
        cleaned=cleaned,
        rejected=rejected,
        made=made,
        answers=answers_to(made, tables.answers),
        skipped=with_id(tables.skipped, roots),
    )


def with_id(rows: list[Row], ids: Collection[str]) -> list[Row]:
    """Return the rows that have one of the ids."""
    return [row for row in rows if row["id"] in ids]


def answers_to(made: list[Row], answers: list[Row]) -> list[Row]:
    """Return the answers to training records: by their fact, else by the question of a probe."""
    facts = {row["fact"] for row in made if row["fact"]}
    questions = {row["question"] for row in made if row["split"] == "probe" and not row["fact"]}
    chosen = []
    for row in answers:
        by_fact = row["fact"] in facts
        by_question = row["fact"] is None and row["question"] in questions
        if by_fact or by_question:
            chosen.append(row)
    return chosen
