"""What is to be forgotten: which entries of data/raw/exclusions.yaml name it, which records those mean in every version, and the
words by which it is known again wherever no id stands beside them.

Records are chosen as the stage clean chooses them (stages/clean/exclusions.py), in each version anew, since a value may have been
another there. A record with a fact stands for the fact, else its value would still be learned from the next source.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lore.versions.version import Version
from stages.clean import exclusions
from stages.clean.exclusions import Entry, Exclusions, subject_id
from stages.core.project.errors import InputError
from stages.core.records.record import SCHEMA, fold

Row = dict[str, Any]
Entries = dict[str, list[str]]
"""Kind of exclusion (facts, subjects, records, sources) → ids."""
ID = re.compile(r"[0-9a-f]{4,16}")
TABLES = {
    "extract": ("data/extract/records.parquet", "data/extract/rejected.parquet"),
    "clean": ("data/clean/records.parquet", "data/clean/rejected.parquet"),
    "augment": ("data/augment/records.parquet",),
}


@dataclass(frozen=True)
class Rows:
    """The records of one version, before and after cleaning, and what augment made of them."""

    version: Version
    stated: list[Row]
    made: list[Row]

    @classmethod
    def read(cls, version: Version) -> "Rows":
        """Raises InputError where a table of a stage that ran is not kept here."""
        found: dict[str, list[Row]] = {stage: [] for stage in TABLES}
        for stage, paths in TABLES.items():
            if version.has(f"data/{stage}"):
                version.demand(paths)
                found[stage] = [
                    row for path in paths for row in version.table(path, SCHEMA.names).to_pylist()
                ]
        stated = [
            row
            for row in found["extract"] + found["clean"]
            if row["text"] != f"[{exclusions.REASON}]"
        ]
        return cls(version, stated, found["augment"])


@dataclass(frozen=True)
class Target:
    """What is to be forgotten, over all versions that could be read."""

    name: str
    entries: Entries
    records: dict[str, Row]
    """Record id → the record as a source states it, of the newest version that has it."""
    facts: dict[str, list[Row]]
    """Fact id → everything that was stated of it; only facts of which nothing stays in learning."""
    probes: dict[str, Row]
    """Fact id → its probe in the newest version that was trained on it: a question, and the value that was right."""
    kept: list[str]
    """Facts that another source states too, so that they go on being learned from there."""
    forms: Mapping[str, list[tuple[str, ...]]] = field(repr=False)
    """First word that must stand in a passage → further words that must stand there too, all folded."""

    @property
    def ids(self) -> set[str]:
        """Ids that must no longer stand anywhere but where the exclusion is accounted for."""
        return self.records.keys() | self.facts.keys()

    def entries_option(self) -> str:
        """How to name it on the command line without its content."""
        names = [name for ids in self.entries.values() for name in ids]
        kinds = {kind for kind, ids in self.entries.items() if ids}
        return (
            (names[0] if kinds != {"sources"} else f"--source {names[0]}")
            if len(names) == 1 and "subjects" not in kinds
            else ""
        )

    def stated_in(self, text: str) -> bool:
        """Whether a passage states any of it in words: every word of one form stands in it whole."""
        folded = fold(text)
        return any(
            first in folded
            and whole(first, folded)
            and any(all(whole(word, folded) for word in rest) for rest in forms)
            for first, forms in self.forms.items()
        )


def whole(word: str, text: str) -> bool:
    """Whether the word stands in the text, both folded, and not as a part of another word or number."""
    return word in text and bool(re.search(rf"(?<![-.\da-z]){re.escape(word)}(?!\.?[\da-z])", text))


def entries_of(what: str, tables: Sequence[Rows]) -> Entries | None:
    """What a subject, a fact, a record or the beginning of an id means. Returns None for nothing, raises InputError for several.

    `tables` are the versions in which it is looked for, the newest first.
    """
    stated = [row for rows in tables for row in rows.stated]
    if any(row["subject"] and fold(row["subject"]) == fold(what) for row in stated):
        return {"subjects": [subject_id(what)]} | mentions(
            ((fold(what),),), stated, subject_id(what)
        )
    if not ID.fullmatch(what):
        return None
    by_id = {
        row["id"]: row
        for row in reversed([*stated, *(row for rows in tables for row in rows.made)])
    }
    facts = {row["fact"] for row in by_id.values() if row["fact"]}
    near = sorted(name for name in by_id.keys() | facts if name.startswith(what))
    if len(near) > 1:
        raise InputError(
            f"{what}: the beginning of {len(near)} ids: {', '.join(near[:5])}; write more of its digits"
        )
    if not near:
        return None
    return of_fact(near[0], stated) if near[0] in facts else of_record(by_id[near[0]], stated)


def of_fact(fact: str, stated: Sequence[Row]) -> Entries:
    """A fact, and the texts that state it in words."""
    forms = {form for row in stated if row["fact"] == fact for form in forms_of(row)}
    return {"facts": [fact]} | mentions(forms, stated)


def of_record(row: Row, stated: Sequence[Row]) -> Entries:
    """A record's fact; without a fact the record, or what a training record was made of."""
    if row["fact"]:
        return of_fact(row["fact"], stated)
    return {"records": sorted({row["id"]} if not row["parents"] else set(row["parents"]))}


def mentions(forms: Iterable[tuple[str, ...]], stated: Sequence[Row], subject: str = "") -> Entries:
    """Records without a fact whose text states it; those of an excluded subject need no entry of their own."""
    forms = list(forms)
    texts = [
        row
        for row in stated
        if not row["fact"] and not (row["subject"] and subject_id(row["subject"]) == subject)
    ]
    found = {
        row["id"]
        for row in texts
        if any(all(whole(word, fold(row["text"])) for word in form) for form in forms)
    }
    return {"records": sorted(found)} if found else {}


def target_of(name: str, entries: Entries, tables: Sequence[Rows]) -> Target:
    """All that the entries mean in the versions, the newest first."""
    listed = Exclusions(
        **{
            kind: [Entry(entry, "-") for entry in entries.get(kind, [])]
            for kind in exclusions.KINDS
        }
    )
    records: dict[str, Row] = {}
    everything: list[Row] = []
    others: dict[str, list[Row]] = defaultdict(list)
    for rows in tables:
        hit = exclusions.find(rows.stated, listed)
        for row in rows.stated:
            if row["id"] in hit:
                records.setdefault(row["id"], row)
                everything.append(row)
            elif row["fact"] and rows is tables[0]:
                others[row["fact"]].append(row)
    named: dict[str, list[Row]] = defaultdict(list)
    for row in everything:
        if row["fact"]:
            named[row["fact"]].append(row)
    gone = {fact: named[fact] for fact in sorted(named.keys() - others.keys())}
    forms = forms_of_all([row for row in everything if not row["fact"] or row["fact"] in gone])
    whose = {
        fold(row["subject"])
        for row in everything
        if row["subject"] and subject_id(row["subject"]) in entries.get("subjects", [])
    }
    probes = {
        row["fact"]: row
        for rows in reversed(tables)
        for row in rows.made
        if row["fact"] in gone and row["split"] == "probe"
    }
    return Target(
        name,
        entries,
        records,
        gone,
        probes,
        sorted(named.keys() & others.keys()),
        forms | {subject: [()] for subject in whose},
    )


def forms_of_all(rows: Iterable[Row]) -> dict[str, list[tuple[str, ...]]]:
    """Their forms by the first word."""
    forms: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for row in rows:
        for first, *rest in forms_of(row):
            forms[first].add(tuple(rest))
    return {first: sorted(rest) for first, rest in forms.items()}


def forms_of(row: Row) -> Iterator[tuple[str, ...]]:
    """The words by which what a record says is known: subject and value of a fact, else its text."""
    if row["fact"]:
        if row["subject"] and row["value"]:
            yield fold(row["subject"]), fold(row["value"])
    elif fold(row["text"]):
        yield (fold(row["text"]),)
        if row["question"] and row["answer"]:
            yield fold(row["question"]), fold(row["answer"])
