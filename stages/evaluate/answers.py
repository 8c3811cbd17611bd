"""What is asked, and whether the answers are right: one row per question and variant.

An answer ends as `conversation.answer_of` says. Of an answer of several lines, the whole or its first line may
be right: a chat model may go on to explain a right answer.

- stated: the answer is one of the accepted ones (`scores.is_right`).
- reversed: it is, or the subject stands in it.
- comparison: the right subject stands in it, and the other one does not.
- general: the answer is one of the accepted ones, or one of them stands in it.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from stages.core.models.conversation import first_answer
from stages.core.records.record import Record
from stages.core.repeatable.seeding import derive
from stages.evaluate import scores

Row = dict[str, Any]
STATED = "stated"
COLUMNS = (
    "fact",
    "subject",
    "attribute",
    "variant",
    "question",
    "expected",
    "answer",
    "correct",
    "wording",
    "probe",
    "near",
)
"""The columns of judged answers, one row per question and variant."""
PROBE_COLUMNS = (*COLUMNS, "confidence")
"""The columns of probes.parquet."""
FACT_COLUMNS = (*COLUMNS[:8], "share")
"""The columns of facts.parquet, one row per fact and variant."""


def own_questions(path: Path, most: int, seed: int) -> list[Row]:
    """Return up to `most` questions of each kind about what the base knows, chosen by a hash of their id.

    The questions that were never replayed come first.
    """
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        rows.append(json.loads(line))
    rows.sort(key=lambda row: derive(seed, "general", row["id"]))
    never_replayed = [row for row in rows if not row["replayed"]]
    replayed = [row for row in rows if row["replayed"]]
    return never_replayed[:most] + replayed[:most]


def fact_row(variant: str, probe: Record, answer: str, tolerances: "Tolerances") -> Row:
    """Return one judged answer, as in probes.parquet.

    It has two further fields: the full sentence that was expected, and whether the value stands in the
    answer.
    """
    meta = json.loads(probe["meta"])
    kind = meta.get("probe", STATED)
    contained = scores.contains(answer, meta["accepted"])
    right = is_right(answer, meta["accepted"])
    if kind == "reversed":
        right = right or contained
    elif kind == "comparison":
        right = contained and not scores.contains(answer, [meta["wrong"]])

    amount = " ".join(part for part in (probe["value"], probe["unit"]) if part)
    near = right
    if kind == STATED:
        expected = amount or probe["answer"]
        relative = tolerances.of(probe["attribute"])
        value, subject = probe["value"] or "", probe["subject"] or ""
        near = right or scores.is_near(answer, value, subject, relative)
    else:
        expected = meta["accepted"][-1]
    return {
        "fact": probe["fact"],
        "subject": probe["subject"],
        "attribute": probe["attribute"],
        "variant": variant,
        "question": probe["question"],
        "expected": expected,
        "answer": answer,
        "correct": right,
        "wording": meta.get("wording", ""),
        "probe": kind,
        "near": near,
        "expected_sentence": probe["answer"],
        "contained": contained or right,
    }


class Tolerances:
    """How far a number may lie from the expected one, as a share of it."""

    def __init__(self, relative: float, by_attribute: dict[str, float]) -> None:
        """`by_attribute` has the attributes with another share."""
        self._relative = relative
        self._by_attribute = by_attribute

    def of(self, attribute: str | None) -> float:
        """Return the share of an attribute."""
        return self._by_attribute.get(attribute or "", self._relative)


def general_hit(row: Row, text: str) -> bool:
    """Return whether a question about what the base knows was answered right."""
    accepted = row.get("accepted") or [row["answer"]]
    # Only in the first line may one stand among other words: an answer that lists several is no answer.
    return is_right(text, accepted) or scores.contains(first_answer(text), accepted)


def is_right(answer: str, accepted: list[str]) -> bool:
    """Return whether an answer, or its first line, is one of the accepted ones."""
    return scores.is_right(answer, accepted) or scores.is_right(first_answer(answer), accepted)


def key_of(row: Row) -> str:
    """Return the name of the thing that an answer is about: its fact, or the expected answer of a free pair."""
    return str(row["fact"] or row["expected"])


def stated(rows: list[Row]) -> list[Row]:
    """Return the answers to stated probes."""
    return [row for row in rows if row["probe"] == STATED]


def right_facts(rows: list[Row]) -> dict[str, bool]:
    """Return for each fact whether more than half of its stated wordings were answered right."""
    hits: defaultdict[str, list[bool]] = defaultdict(list)
    for row in stated(rows):
        hits[key_of(row)].append(row["correct"])
    return {fact: 2 * sum(judged) > len(judged) for fact, judged in hits.items()}


def one_per_fact(rows: list[Row]) -> list[Row]:
    """Return one row for each fact of one variant, in the order of the facts' first answers.

    `correct` is that of `right_facts`. Question and answer are those of the first stated wording with this
    verdict. `share` is the share of the stated wordings that were answered right.
    """
    verdicts = right_facts(rows)
    answers_of: defaultdict[str, list[Row]] = defaultdict(list)
    for row in stated(rows):
        answers_of[key_of(row)].append(row)
    facts = []
    for key, answers in answers_of.items():
        verdict = verdicts[key]
        example = next(row for row in answers if row["correct"] == verdict)
        share = sum(row["correct"] for row in answers) / len(answers)
        facts.append(example | {"share": round(share, 4)})
    return facts


def majority_share(rows: list[Row]) -> float:
    """Return the share of the most frequent expected value: the score of always giving that value."""
    expected = Counter(row["expected"] for row in rows)
    _, most_frequent = expected.most_common(1)[0]
    return most_frequent / len(rows)
