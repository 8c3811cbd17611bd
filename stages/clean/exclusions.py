"""Exclusions: what must not be learned any more.

A YAML file names it by ids and holds no content (data/raw/exclusions.yaml).

An exclusion holds for as long as the file names it. Whatever it names is set aside wherever a
source states it, now or later. That happens before any other phase sees the record, so it enters no
count, no duplicate and no contradiction. The source, the locator and the reason of such a record
are kept, and nothing of what it says (`redacted`).
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from stages.core.project.errors import ParamsError
from stages.core.project.params import STRICT, parse, read_yaml
from stages.core.records import record

Row = dict[str, Any]
Excluded = Mapping[str, tuple[str, str]]
"""Id of a record → reason, evidence."""
Content = tuple[str, str | None, str | None]
"""What a record says: its folded text, question and answer."""
REASON = "excluded"
KINDS = ("facts", "subjects", "records", "sources")
ID = re.compile(r"[0-9a-f]{16}")
"""An id of a fact, subject or record: 0123456789abcdef."""
CONTENT = ("question", "answer", "subject", "attribute", "value", "unit")
"""Columns that say something, beside `text` and `meta`. The fact's id stays, since it is a hash."""


@dataclass(frozen=True, config=STRICT)
class Entry:
    """One thing that is excluded."""

    id: str
    """16 hex digits. For a source: its name in params.yaml."""
    reason: str
    """Why, such as the number of a request. It goes into data/clean/rejected.parquet: no personal
    data."""


@dataclass(frozen=True, config=STRICT)
class Exclusions:
    """The file."""

    facts: list[Entry]
    """Ids of facts. A fact is excluded whichever source states it."""
    subjects: list[Entry]
    """Ids of subjects (`subject_id`): every record about one, facts and texts."""
    records: list[Entry]
    """Ids of records. Every other record that says the same in the same words is excluded with
    them."""
    sources: list[Entry]
    """Names of sources. What another source states too is still learned from that source."""


def read(path: Path) -> Exclusions:
    """Parse the file.

    Raises ParamsError with every problem: unknown or missing keys, malformed ids, empty reasons.
    """
    problems: list[str] = []
    listed = parse(read_yaml(path), Exclusions, "exclusions", problems)
    if listed is not None:
        for kind in KINDS:
            for number, entry in enumerate(getattr(listed, kind)):
                where = f"exclusions.{kind}.{number}"
                if kind != "sources" and not ID.fullmatch(entry.id):
                    problems.append(
                        f"{where}.id: not an id of 16 hex digits; "
                        "lore forget finds it, with --apply it writes the entry"
                    )
                if not entry.reason.strip():
                    problems.append(
                        f"{where}.reason: empty; say why in a few words that name nobody"
                    )
    if listed is None or problems:
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))
    return listed


def subject_id(subject: str) -> str:
    """16 hex digits that name the subject of records: the id of a fact without an attribute."""
    return record.fact_id(subject, "")


def find(rows: Iterable[Row], listed: Exclusions) -> dict[str, tuple[str, str]]:
    """id → (reason, evidence) of the records that are excluded."""
    if not some(listed):
        return {}
    rows = list(rows)
    return named(rows, listed, same_words(rows, listed))


def some(listed: Exclusions) -> bool:
    """Whether anything is excluded."""
    return any(getattr(listed, kind) for kind in KINDS)


def same_words(rows: Iterable[Row], listed: Exclusions) -> dict[Content, str]:
    """What the excluded records say → reason.

    Every record of the corpus that says it is excluded with them.
    """
    reasons = _reasons(listed.records)
    same: dict[Content, str] = {}
    for row in rows:
        if row["id"] in reasons and row["text"]:
            same[said(row)] = reasons[row["id"]]
    return same


def named(
    rows: Iterable[Row], listed: Exclusions, same: Mapping[Content, str]
) -> dict[str, tuple[str, str]]:
    """id → (reason, evidence) of the excluded records among `rows`.

    `same` is the `same_words` of the whole corpus.
    """
    records = _reasons(listed.records)
    facts = _reasons(listed.facts)
    subjects = _reasons(listed.subjects)
    sources = _reasons(listed.sources)
    excluded = {}
    for row in rows:
        # The first kind that has a reason is the evidence.
        by_kind = {
            "record": records.get(row["id"]),
            "fact": facts.get(row["fact"]),
            "subject": subjects.get(subject_id(row["subject"])) if row["subject"] else None,
            "source": sources.get(row["source"]),
            "same words as an excluded record": same.get(said(row)) if same else None,
        }
        for kind, reason in by_kind.items():
            if reason:
                excluded[row["id"]] = (REASON, f"{kind}: {reason}")
                break
    return excluded


def _reasons(entries: Iterable[Entry]) -> dict[str, str]:
    """Id → reason."""
    return {entry.id: entry.reason for entry in entries}


def said(row: Row) -> Content:
    """What a record says, whatever its source and locator."""
    text = record.fold(row["text"])
    return text, row["question"], row["answer"]


def redacted(row: Row, excluded: Excluded) -> Row:
    """The record as it is set aside: without its content if it is excluded, otherwise as it is.

    A record that extract had rejected gets the reason of the exclusion.
    """
    if row["id"] not in excluded:
        return row
    redacted_row = row | dict.fromkeys(CONTENT) | {"text": f"[{REASON}]", "meta": "{}"}
    if "reason" in row:
        redacted_row["reason"], redacted_row["evidence"] = excluded[row["id"]]
    return redacted_row
