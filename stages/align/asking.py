"""What the policy is asked: questions about facts in train wordings, and the same about unknown subjects."""

import json
from pathlib import Path
from typing import Any

from stages.align.rewards import Asked
from stages.core.project.errors import InputError
from stages.core.records.abstention import Phrases, value_shown
from stages.core.records.record import Record, read_records
from stages.core.records.unknown import invented, with_subject
from stages.core.repeatable.seeding import derive, rng_for


def records_of(augment: Path, split: str) -> list[Record]:
    """Return the questions about facts of a split, in the order of the file.

    They have a subject, a value, and an answer that is whole. Raises InputError where there is none.
    """
    found = []
    for record in read_records(augment / "records.parquet"):
        is_fact = bool(record["fact"] and record["subject"] and record["value"])
        if record["split"] == split and record["kind"] == "qa" and is_fact:
            found.append(record)
    if not found:
        raise InputError(
            f"{augment}: no question about a fact in split {split!r}, so there is nothing to align on; "
            "write align.method: null, or give the records subjects and values"
        )
    return found


def chosen(records: list[Record], number: int, seed: int, purpose: str) -> list[Record]:
    """Return so many of the records, chosen by a hash of their ids. Fewer where there are fewer."""
    ordered = sorted(records, key=lambda record: derive(seed, purpose, record["id"]))
    return ordered[:number]


def known(record: Record, phrases: Phrases) -> Asked:
    """Return the question of a record, with its accepted answers and its abstention."""
    question, answer = str(record["question"]), str(record["answer"])
    accepted = tuple(json.loads(record["meta"]).get("accepted", [answer]))
    value = value_shown(record["value"], record["unit"])
    abstention = phrases.sentence(answer, value, record["lang"])
    return Asked(question, accepted, abstention, str(record["fact"]))


def unknown(
    records: list[Record], number: int, phrases: Phrases, taken: set[str], seed: int, purpose: str
) -> list[Asked]:
    """Return so many questions about invented subjects, in the wordings of the records.

    `taken` are further names that no invented subject may have, such as those that the base knows.
    """
    subjects = {str(record["subject"]) for record in records}
    rng = rng_for(seed, purpose)
    names = invented(number, sorted(subjects | taken), rng)
    found = []
    for place, name in enumerate(names):
        record = rng.choice(records)
        asked = known(record, phrases)
        subject = str(record["subject"])
        question = with_subject(asked.question, subject, name)
        abstention = with_subject(asked.abstention, subject, name)
        # A question that does not name its subject asks about no other one.
        if question is not None:
            found.append(Asked(question, (), abstention or asked.abstention, f"unknown {place}"))
    return found


def names_in(texts: list[str]) -> set[str]:
    """Return all words of texts, in lower case: names that the base's own texts may be about."""
    words = set()
    for text in texts:
        for word in text.split():
            words.add(word.strip(".,:;?!()").lower())
    return words


def own_subjects(base: Path) -> set[str]:
    """Return the subjects of the questions that the base could answer."""
    found = set()
    for line in (base / "skill.jsonl").read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        if row.get("subject"):
            found.add(str(row["subject"]))
    return found
