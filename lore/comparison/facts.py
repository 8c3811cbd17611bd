"""Two versions' facts side by side, and what the model made of each: added, removed, changed, moved, and what befell the rest.

A version's fact is the first record of its id in data/clean/records.parquet, the one of highest priority, which is what the
model is trained on. Whole columns are compared; only facts that differ are looked at one by one.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lore.versions.version import Version
from stages.core.records.record import fold

RECORDS, ANSWERS = "data/clean/records.parquet", "data/evaluate/facts.parquet"
FACT = ["fact", "subject", "attribute", "value", "unit", "source", "locator"]
ANSWER = ["fact", "subject", "attribute", "variant", "question", "expected", "answer", "correct"]
KINDS = {
    "value": ["value"],
    "unit": ["unit"],
    "source": ["source"],
    "name": ["subject", "attribute"],
    "locator": ["locator"],
}
"""What may change of a fact, and the columns that show it. A locator alone has only moved."""
CONTENT = {"value", "unit", "name"}
"""Kinds of change that give the model something else to learn."""
NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Facts:
    """How two fact tables differ. Columns of `added` and `removed` are FACT; of `changed` and `moved` they are `fact`, each other
    column with the suffix _a and _b, and `kinds`. To the first three `with_outcomes` adds what the model did."""

    added: pd.DataFrame
    removed: pd.DataFrame
    changed: pd.DataFrame
    moved: pd.DataFrame
    same: int
    """Facts of which nothing but perhaps the locator differs."""


@dataclass(frozen=True)
class Collateral:
    """The model on facts whose content is the same in both versions and which both were asked."""

    kept: int
    newly_wrong: pd.DataFrame
    newly_right: pd.DataFrame
    still_wrong: pd.DataFrame
    reworded: int
    """Of all these, asked with another question."""


def read_facts(version: Version) -> pd.DataFrame:
    """The version's fact table. Raises InputError where it cannot be had."""
    frame: pd.DataFrame = version.table(RECORDS, FACT).to_pandas()
    frame = frame[frame["fact"].notna()].drop_duplicates("fact", ignore_index=True)
    return frame.fillna("")


def answers_of(table: pa.Table, variant: str) -> pd.DataFrame:
    """One variant's answers by fact id; a question about no fact stands under its own text, as in evaluate."""
    frame: pd.DataFrame = table.filter(pc.equal(table["variant"], variant)).to_pandas()
    frame.index = pd.Index(
        frame["fact"].where(frame["fact"].notna(), frame["question"]), name="key"
    )
    return frame[~frame.index.duplicated(keep="last")]


def compare(a: pd.DataFrame, b: pd.DataFrame) -> Facts:
    """What turns the fact table `a` into `b`: nothing else differs between them."""
    at = pd.Index(a["fact"]).get_indexer(pd.Index(b["fact"]))
    left, right = a.take(at[at >= 0]).reset_index(drop=True), b[at >= 0].reset_index(drop=True)
    differs = {
        kind: np.logical_or.reduce(
            [(left[name] != right[name]).to_numpy(dtype=bool) for name in names]
        )
        for kind, names in KINDS.items()
    }
    changed = np.logical_or.reduce([differs[kind] for kind in KINDS if kind != "locator"])
    moved = differs["locator"] & ~changed

    def both(rows: np.ndarray) -> pd.DataFrame:
        joined = left[rows].merge(
            right[rows], on="fact", suffixes=("_a", "_b"), validate="one_to_one"
        )
        flags = zip(*(differs[kind][rows] for kind in KINDS), strict=True)
        joined["kinds"] = [
            [kind for kind, flag in zip(KINDS, row, strict=True) if flag] for row in flags
        ]
        return joined.sort_values(["subject_b", "attribute_b", "fact"], ignore_index=True)

    kept = np.zeros(len(a), dtype=bool)
    kept[at[at >= 0]] = True
    return Facts(
        ordered(b[at < 0]),
        ordered(a[~kept]),
        both(changed),
        both(moved),
        len(left) - int(changed.sum()),
    )


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by subject and attribute."""
    return frame.sort_values(["subject", "attribute", "fact"], ignore_index=True)


def with_outcomes(facts: Facts, before: pd.DataFrame | None, after: pd.DataFrame | None) -> Facts:
    """The same with columns `outcome`, `question`, `answer_a` and `answer_b`. `before` and `after` are of `answers_of`, None
    where a version was never evaluated."""

    def told(frame: pd.DataFrame, outcome: Callable[..., str]) -> pd.DataFrame:
        rows_a, rows_b = (
            told_rows(frame, answers, side) for answers, side in ((before, "a"), (after, "b"))
        )
        kinds: Iterable[list[str]] = frame["kinds"] if "kinds" in frame else [[]] * len(frame)
        asked = [
            row_b or row_a or Asked("", "", "", right=False)
            for row_a, row_b in zip(rows_a, rows_b, strict=True)
        ]
        return frame.assign(
            outcome=[outcome(*row) for row in zip(kinds, rows_a, rows_b, strict=True)],
            question=[row.question for row in asked],
            answer_a=[row.answer if row else "" for row in rows_a],
            answer_b=[row.answer if row else "" for row in rows_b],
        )

    told_of = (
        told(facts.added, of_added),
        told(facts.removed, of_removed),
        told(facts.changed, of_changed),
    )
    return Facts(*told_of, facts.moved, facts.same)


def asked_again(removed: pd.DataFrame, before: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Answers, as of `answers_of`, of the model in this folder to the questions about facts that are gone. It is right where it
    states the value that was right. Raises ModelError where the model is not there."""
    from lore.commands import ask

    rows = before.loc[before.index.intersection(pd.Index(removed["fact"]))]
    answers = ask.answers(rows["question"].tolist(), variant) if len(rows) else []
    stated = [
        Asked("", expected, said, right=False).says(expected)
        for expected, said in zip(rows["expected"], answers, strict=True)
    ]
    return rows.assign(answer=answers, correct=stated)


@dataclass(frozen=True)
class Asked:
    """One answer."""

    question: str
    expected: str
    answer: str
    right: bool

    def says(self, expected: str) -> bool:
        """Whether the answer states a value: it stands there whole, not as a part of another number or word."""
        return bool(
            re.search(
                rf"(?<![-.\dA-Za-z]){re.escape(fold(expected))}(?!\.?[\dA-Za-z])", fold(self.answer)
            )
        )


def told_rows(frame: pd.DataFrame, answers: pd.DataFrame | None, side: str) -> list[Asked | None]:
    """The answer on one side to each fact; None where it was not asked, or asked when its value was another than this side has:
    such an answer is of an earlier run, and would be taken for right."""
    if answers is None:
        return [None] * len(frame)
    rows = answers.reindex(frame["fact"])
    value, unit = (
        (f"{name}_{side}" if f"{name}_{side}" in frame else name) for name in ("value", "unit")
    )
    amounts = (frame[value] + " " + frame[unit]).str.strip()
    columns = (rows[name] for name in ("question", "expected", "answer", "correct"))
    told = (
        None if pd.isna(row[2]) else Asked(row[0], row[1], row[2], right=bool(row[3]))
        for row in zip(*columns, strict=True)
    )
    return [
        row if row and row.expected == amount else None
        for row, amount in zip(told, amounts, strict=True)
    ]


def of_added(kinds: list[str], a: Asked | None, b: Asked | None) -> str:
    """What the model did with a fact that is new."""
    del kinds, a
    return NOT_ASKED if b is None else "learned" if b.right else "not learned"


def of_removed(kinds: list[str], a: Asked | None, b: Asked | None) -> str:
    """What the model did with a fact that is gone. evaluate asks no such facts; `asked_again` does."""
    del kinds
    if b is None:
        return NOT_ASKED
    if b.right or b.says((a or b).expected):
        return "still answers it"
    return "forgotten" if a and a.right else "never knew it"


def of_changed(kinds: list[str], a: Asked | None, b: Asked | None) -> str:
    """What the model did with a fact of which these kinds changed."""
    if b is None or (a is None and not CONTENT & set(kinds)):
        return NOT_ASKED
    if CONTENT & set(kinds):
        return (
            "learned"
            if b.right
            else "still says the old value"
            if a and b.says(a.expected)
            else "not learned"
        )
    assert a is not None
    return (
        ("kept right" if b.right else "newly wrong")
        if a.right
        else ("newly right" if b.right else "still wrong")
    )


def collateral(facts: Facts, before: pd.DataFrame, after: pd.DataFrame) -> Collateral:
    """What became of everything that was asked in both versions and whose content did not change."""
    content = [bool(CONTENT & set(kinds)) for kinds in facts.changed["kinds"]]
    touched = pd.concat(
        [facts.added["fact"], facts.removed["fact"], facts.changed["fact"][content]]
    )
    at = before.index.get_indexer(after.index)
    inside = (at >= 0) & ~after.index.isin(touched)
    a, b = at[inside], np.flatnonzero(inside)
    was, now = before["correct"].to_numpy(dtype=bool)[a], after["correct"].to_numpy(dtype=bool)[b]

    def listed(chosen: np.ndarray) -> pd.DataFrame:
        found = after.take(b[chosen])[
            ["fact", "subject", "attribute", "question", "expected", "answer"]
        ]
        found = found.rename(columns={"answer": "answer_b"})
        found.insert(5, "answer_a", before["answer"].take(a[chosen]).to_numpy())
        return found.fillna("").sort_values(["subject", "attribute", "question"], ignore_index=True)

    reworded = int((before["question"].array.take(a) != after["question"].array.take(b)).sum())
    return Collateral(
        int((was & now).sum()),
        listed(was & ~now),
        listed(~was & now),
        listed(~was & ~now),
        reworded,
    )
