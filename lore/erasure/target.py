"""What is to be forgotten: its entries for data/raw/exclusions.yaml, its records, and its words.

The entries name it by ids. They mean certain records in every version. The words find it wherever
no id stands beside it.

Records are chosen as the stage clean chooses them (stages/clean/exclusions.py), separately for each
version, because a value may differ between versions. A record with a fact stands for the fact.
Otherwise the model would still learn the value from the next source.
"""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lore.versions.version import Version
from stages.clean import exclusions
from stages.clean.exclusions import Entry, Exclusions, subject_id
from stages.core.project import artifacts
from stages.core.project.errors import InputError
from stages.core.records.record import SCHEMA, compared_name, fold

Row = dict[str, Any]
Entries = dict[str, list[str]]
"""Kind of exclusion (facts, subjects, records, sources) → ids."""
Words = tuple[str, ...]
"""Folded words or sentences that state something together: `("iron", "1538")`."""
ID = re.compile(r"[0-9a-f]{4,16}")
"""An id or its beginning: `9076763205dc2ba9`, `9076`."""
SOURCE_TABLES = {
    artifacts.EXTRACT: (artifacts.EXTRACTED_RECORDS, artifacts.UNREADABLE_RECORDS),
    artifacts.CLEAN: (artifacts.CLEAN_RECORDS, artifacts.REJECTED_RECORDS),
}
TRAINING_TABLES = {artifacts.AUGMENT: (artifacts.TRAINING_RECORDS,)}


@dataclass(frozen=True)
class VersionRecords:
    """The records of one version."""

    version: Version
    source: list[Row]
    """Records as the sources state them, before and after cleaning."""
    training: list[Row]
    """Records that augment made of them."""

    @classmethod
    def read(cls, version: Version, known: dict[str, list[Row]]) -> "VersionRecords":
        """Read them. Raises InputError if a table of a stage that ran is not kept here.

        `known` holds the rows of tables that were read before, by the hash of the table.
        """
        rows = read_tables(version, SOURCE_TABLES, known)
        # Excluded records are kept without their content, so they state nothing.
        source = [row for row in rows if row["text"] != f"[{exclusions.REASON}]"]
        return cls(version, source, read_tables(version, TRAINING_TABLES, known))


def read_tables(
    version: Version, tables: Mapping[str, Sequence[str]], known: dict[str, list[Row]]
) -> list[Row]:
    """Return the rows of the tables in those output folders that the version has."""
    rows: list[Row] = []
    for folder, paths in tables.items():
        if not version.has(folder):
            continue
        version.demand(paths)
        for path in paths:
            digest = version.digest_of_output(path)
            if digest not in known:
                known[digest] = version.table(path, SCHEMA.names).to_pylist()
            rows += known[digest]
    return rows


@dataclass(frozen=True)
class Target:
    """What is to be forgotten, over all versions that could be read."""

    name: str
    entries: Entries
    records: dict[str, Row]
    """Record id → the record as a source states it, in the newest version that has it."""
    facts: dict[str, list[Row]]
    """Fact id → all records that state it. Facts that are still learned are not here."""
    probes: dict[str, Row]
    """Fact id → its probe in the newest version that was trained on it.

    A probe has a question and the value that was right.
    """
    kept: list[str]
    """Ids of facts that another source states too, so that they are still learned from there."""
    words: Mapping[str, list[Words]] = field(repr=False)
    """First word of a statement → the further words that must stand in the same passage."""

    @property
    def ids(self) -> set[str]:
        """Ids that may remain only where the exclusion is accounted for."""
        return self.records.keys() | self.facts.keys()

    def entries_option(self) -> str:
        """Return how to name it on the command line without its content, or an empty string."""
        kinds = [kind for kind, ids in self.entries.items() if ids]
        if len(kinds) != 1 or kinds == ["subjects"]:
            return ""
        names = self.entries[kinds[0]]
        if len(names) != 1:
            return ""
        if kinds == ["sources"]:
            return f"--source {shlex.quote(names[0])}"
        return names[0]

    def stated_in(self, text: str) -> bool:
        """Whether a passage states any of it: all words of one statement stand in it."""
        folded = fold(text)
        for first, statements in self.words.items():
            # Most passages end here, so the other words are not looked for.
            if not contains(folded, first):
                continue
            for rest in statements:
                if all(contains(folded, word) for word in rest):
                    return True
        return False


def contains(text: str, word: str) -> bool:
    """Whether a word stands in a text, both folded, and not as a part of another word or number."""
    if word not in text:
        return False
    # Before the word: no letter, digit, minus or decimal point. "538" is not in "1538" or "-538".
    # After it: no letter or digit, also not behind a point. "15" is not in "15.5", but in "15."
    # Chinese characters may stand on both sides: "1538" is in "铁1538度".
    pattern = rf"(?<![-.\da-z]){re.escape(word)}(?!\.?[\da-z])"
    return re.search(pattern, text) is not None


def entries_of(what: str, versions: Sequence[VersionRecords]) -> Entries | None:
    """Return the entries for a subject, a fact, a record or the beginning of an id.

    `versions` are searched, the newest first. Returns None if nothing matches. Raises InputError if
    several ids begin so.
    """
    source = each_once(row for records in versions for row in records.source)
    training = each_once(row for records in versions for row in records.training)
    subjects = {compared_name(row["subject"]) for row in source if row["subject"]}
    if compared_name(what) in subjects:
        subject = subject_id(what)
        texts = texts_stating([(fold(what),)], source, subject)
        return {"subjects": [subject]} | texts
    if not ID.fullmatch(what):
        return None
    by_id: dict[str, Row] = {}
    facts: set[str] = set()
    for row in [*source, *training]:
        by_id.setdefault(row["id"], row)
        if row["fact"]:
            facts.add(row["fact"])
    matching = [name for name in sorted(by_id.keys() | facts) if name.startswith(what)]
    if not matching:
        return None
    if len(matching) > 1:
        raise InputError(
            f"{what}: the beginning of {len(matching)} ids: {', '.join(matching[:5])}; "
            "write more of its digits"
        )
    name = matching[0]
    if name in facts:
        return entries_of_fact(name, source)
    return entries_of_record(by_id[name], source)


def each_once(rows: Iterable[Row]) -> list[Row]:
    """Return the rows, of those that versions share only the first: they are the same objects."""
    seen: dict[int, Row] = {}
    for row in rows:
        seen.setdefault(id(row), row)
    return list(seen.values())


def entries_of_fact(fact: str, source: Sequence[Row]) -> Entries:
    """Return the entries for a fact and for the texts that state it in words."""
    statements: set[Words] = set()
    for row in source:
        if row["fact"] == fact:
            statements.update(statements_of(row))
    return {"facts": [fact]} | texts_stating(statements, source)


def entries_of_record(row: Row, source: Sequence[Row]) -> Entries:
    """Return the entries for a record: its fact, or without a fact the record itself.

    A training record without a fact stands for the records that it was made of.
    """
    if row["fact"]:
        return entries_of_fact(row["fact"], source)
    if row["parents"]:
        return {"records": sorted(set(row["parents"]))}
    return {"records": [row["id"]]}


def texts_stating(statements: Iterable[Words], source: Sequence[Row], subject: str = "") -> Entries:
    """Return the entries for records without a fact whose text makes one of the statements.

    Records about `subject`, an id, need no entry of their own, since the subject has one.
    """
    statements = list(statements)
    ids = set()
    for row in source:
        if row["fact"]:
            continue
        if row["subject"] and subject_id(row["subject"]) == subject:
            continue
        text = fold(row["text"])
        for statement in statements:
            if all(contains(text, word) for word in statement):
                ids.add(row["id"])
                break
    if not ids:
        return {}
    return {"records": sorted(ids)}


def target_of(name: str, entries: Entries, versions: Sequence[VersionRecords]) -> Target:
    """Return everything that the entries mean in the versions, of which the newest comes first."""
    records: dict[str, Row] = {}
    chosen: list[Row] = []
    still_stated: set[str] = set()
    listed = exclusions_of(entries)
    for number, version in enumerate(versions):
        excluded = exclusions.find(version.source, listed)
        for row in version.source:
            if row["id"] in excluded:
                records.setdefault(row["id"], row)
                chosen.append(row)
            elif row["fact"] and number == 0:
                # Only the newest version counts: the model will learn from it.
                still_stated.add(row["fact"])
    by_fact: dict[str, list[Row]] = defaultdict(list)
    for row in chosen:
        if row["fact"]:
            by_fact[row["fact"]].append(row)
    forgotten = {}
    for fact in sorted(by_fact.keys() - still_stated):
        forgotten[fact] = by_fact[fact]
    kept = sorted(by_fact.keys() & still_stated)
    # The words of a kept fact may stand anywhere, since it is still learned.
    forgotten_records = [row for row in chosen if not row["fact"] or row["fact"] in forgotten]
    words = statements_by_first_word(forgotten_records)
    # Of an excluded subject, the name alone is enough.
    subjects = entries.get("subjects", [])
    for row in chosen:
        if row["subject"] and subject_id(row["subject"]) in subjects:
            words[fold(row["subject"])] = [()]
    return Target(name, entries, records, forgotten, probes_of(forgotten, versions), kept, words)


def exclusions_of(entries: Entries) -> Exclusions:
    """Return the exclusions file that would have exactly these entries."""
    listed = {}
    for kind in exclusions.KINDS:
        # The reason does not matter here, but the file may have no empty one.
        listed[kind] = [Entry(name, "-") for name in entries.get(kind, [])]
    return Exclusions(**listed)


def probes_of(facts: Iterable[str], versions: Sequence[VersionRecords]) -> dict[str, Row]:
    """Return fact id → one of its probes in the newest version that was trained on it."""
    wanted = set(facts)
    probes = {}
    # From the oldest to the newest, so that the newest replaces the others.
    for version in reversed(versions):
        for row in version.training:
            if row["fact"] in wanted and row["split"] == "probe":
                probes[row["fact"]] = row
    return probes


def statements_by_first_word(rows: Iterable[Row]) -> dict[str, list[Words]]:
    """Return the statements of records: first word → the further words of each statement."""
    by_first: dict[str, set[Words]] = defaultdict(set)
    for row in rows:
        for first, *rest in statements_of(row):
            by_first[first].add(tuple(rest))
    return {first: sorted(statements) for first, statements in by_first.items()}


def statements_of(row: Row) -> Iterator[Words]:
    """Yield the words that state a record's content.

    For a fact, these are its subject and its value. For a text, the whole text is one statement,
    and its question and answer are another.
    """
    if row["fact"]:
        if row["subject"] and row["value"]:
            yield fold(row["subject"]), fold(row["value"])
        return
    text = fold(row["text"])
    if not text:
        return
    yield (text,)
    if row["question"] and row["answer"]:
        yield fold(row["question"]), fold(row["answer"])
