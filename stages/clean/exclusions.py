"""Exclusions: what must not be learned any more, named by ids in a YAML file that holds no content (data/raw/exclusions.yaml).

The rule stands for as long as the file names it: what is named is set aside wherever a source states it, now or later, before
any other phase sees it, so that no count, no duplicate and no contradiction is made of it. Of a record that is set aside so,
the place and the reason are kept, and nothing of what it says (`redacted`).
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
Said = tuple[str, str | None, str | None]
"""Folded text, question, answer."""
REASON = "excluded"
KINDS = ("facts", "subjects", "records", "sources")
ID = re.compile(r"[0-9a-f]{16}")
CONTENT = ("question", "answer", "subject", "attribute", "value", "unit")
"""Columns that say something, beside `text` and `meta`; the fact's id stays, which is a hash."""


@dataclass(frozen=True, config=STRICT)
class Entry:
    """One thing that is excluded."""

    id: str
    """16 hex digits; of a source, its name in params.yaml."""
    reason: str
    """Why, such as the number of a request. It goes into data/clean/rejected.parquet: no personal data."""


@dataclass(frozen=True, config=STRICT)
class Exclusions:
    """The file."""

    facts: list[Entry]
    """Ids of facts: whichever source states one."""
    subjects: list[Entry]
    """Ids of subjects (`subject_id`): every record about one, facts and texts."""
    records: list[Entry]
    """Ids of records, and with each every record that says the same in the same words."""
    sources: list[Entry]
    """Names of sources. What another source states too is still learned from that."""


def read(path: Path) -> Exclusions:
    """Parse the file. Raises ParamsError with every problem: unknown or missing keys, what is no id, an empty reason."""
    problems: list[str] = []
    found = parse(read_yaml(path), Exclusions, "exclusions", problems)
    for kind in KINDS if found else ():
        for number, entry in enumerate(getattr(found, kind)):
            where = f"exclusions.{kind}.{number}"
            if kind != "sources" and not ID.fullmatch(entry.id):
                problems.append(
                    f"{where}.id: not an id of 16 hex digits; lore forget finds it, with --apply it writes the entry"
                )
            if not entry.reason.strip():
                problems.append(f"{where}.reason: empty; say why in a few words that name nobody")
    if found is None or problems:
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))
    return found


def subject_id(subject: str) -> str:
    """16 hex digits naming whom or what a record is about: as of a fact without an attribute."""
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


def same_words(rows: Iterable[Row], listed: Exclusions) -> dict[Said, str]:
    """What the excluded ones among the records say → reason: whatever record of the corpus says it is excluded with them."""
    reasons = {entry.id: entry.reason for entry in listed.records}
    return {said(row): reasons[row["id"]] for row in rows if row["id"] in reasons and row["text"]}


def named(
    rows: Iterable[Row], listed: Exclusions, same: Mapping[Said, str]
) -> dict[str, tuple[str, str]]:
    """id → (reason, evidence) of the excluded ones among the records; `same` are the `same_words` of the whole corpus."""
    by = {kind: {entry.id: entry.reason for entry in getattr(listed, kind)} for kind in KINDS}
    found = {}
    for row in rows:
        told = (
            ("record", by["records"].get(row["id"])),
            ("fact", by["facts"].get(row["fact"])),
            ("subject", by["subjects"].get(subject_id(row["subject"])) if row["subject"] else None),
            ("source", by["sources"].get(row["source"])),
            ("same words as an excluded record", same.get(said(row)) if same else None),
        )
        if why := next((f"{kind}: {reason}" for kind, reason in told if reason), None):
            found[row["id"]] = (REASON, why)
    return found


def said(row: Row) -> Said:
    """What a record says, in whichever source and place it stands."""
    return record.fold(row["text"]), row["question"], row["answer"]


def redacted(row: Row, excluded: Excluded) -> Row:
    """The record as it is set aside: an excluded one without its content, any other as it is; rejected ones get the reason."""
    if row["id"] not in excluded:
        return row
    reason, evidence = excluded[row["id"]]
    why = {"reason": reason, "evidence": evidence} if "reason" in row else {}
    return row | dict.fromkeys(CONTENT) | {"text": f"[{REASON}]", "meta": "{}"} | why
