"""Compare two versions' facts: added, removed, changed, moved, and how the model answers them.

A version's fact is the first record of its id in data/clean/records.parquet. That is the record of
highest priority, which the model is trained on. Whole columns are compared. Only facts that differ
are looked at one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from stages.core.project import artifacts
from stages.core.records.stated import states

if TYPE_CHECKING:
    from lore.versions.version import Version

RECORDS, ANSWERS = artifacts.CLEAN_RECORDS, artifacts.ANSWERS
FACT = ["fact", "subject", "attribute", "value", "unit", "source", "locator"]
"""Columns of a fact table, as `read_facts` returns it."""
ANSWER = ["fact", "subject", "attribute", "variant", "question", "expected", "answer", "correct"]
"""Columns of data/evaluate/facts.parquet that are read."""
KINDS = {
    "value": ["value"],
    "unit": ["unit"],
    "source": ["source"],
    "name": ["subject", "attribute"],
    "locator": ["locator"],
}
"""What may change of a fact, and the columns that show it. Where only the locator differs, the fact moved."""
CONTENT = {"value", "unit", "name"}
"""Kinds of change that give the model something else to learn."""
NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Facts:
    """How two fact tables differ.

    `added` and `removed` have the columns FACT. `changed` and `moved` have `fact`, each other column
    with the suffix _a and _b, and `kinds`. `with_outcomes` adds to the first three how the model
    answers.
    """

    added: pd.DataFrame
    removed: pd.DataFrame
    changed: pd.DataFrame
    moved: pd.DataFrame
    same: int
    """Number of facts of which nothing differs, or the locator alone."""


@dataclass(frozen=True)
class Collateral:
    """How the model answers the facts that both versions asked and whose content is the same in both."""

    kept: int
    """Number of facts that it answers right in both versions."""
    newly_wrong: pd.DataFrame
    newly_right: pd.DataFrame
    still_wrong: pd.DataFrame
    reworded: int
    """Number of all these facts that were asked with another question."""


@dataclass(frozen=True)
class Answer:
    """One answer of the model to the question about a fact."""

    question: str
    expected: str
    answer: str
    right: bool

    def says(self, expected: str) -> bool:
        """Return whether the answer states a value."""
        return states(self.answer, expected)


def read_facts(version: "Version") -> pd.DataFrame:
    """Read the version's fact table. Raises InputError where it cannot be had."""
    frame: pd.DataFrame = version.table(RECORDS, FACT).to_pandas()
    # A statement such as "Iron rusts." has no fact id.
    states_a_fact = frame["fact"].notna()
    frame = frame[states_a_fact]
    # The records stand in the order of their sources' priority, so the first one of a fact counts.
    frame = frame.drop_duplicates("fact", ignore_index=True)
    # A fact without a unit has null there. As "" it compares like any other text.
    return frame.fillna("")


def answers_of(table: pa.Table, variant: str) -> pd.DataFrame:
    """Return one variant's answers, by fact id.

    A question about no fact stands under its own text, as in evaluate.
    """
    of_variant = pc.equal(table["variant"], variant)
    frame: pd.DataFrame = table.filter(of_variant).to_pandas()
    has_fact = frame["fact"].notna()
    keys = frame["fact"].where(has_fact, frame["question"])
    frame.index = pd.Index(keys, name="key")
    is_repeated = frame.index.duplicated(keep="last")
    return frame[~is_repeated]


def compare(a: pd.DataFrame, b: pd.DataFrame) -> Facts:
    """Return the changes that turn the fact table `a` into `b`. Nothing else differs between them."""
    # For each row of b, the row of a with the same fact, or -1. Example: facts x, y, z in a and
    # z, x, w in b give [2, 0, -1]: w was added, and row 1 of a, which no number names, was removed.
    row_in_a = pd.Index(a["fact"]).get_indexer(pd.Index(b["fact"]))
    in_both = row_in_a >= 0
    left = a.take(row_in_a[in_both]).reset_index(drop=True)
    right = b[in_both].reset_index(drop=True)
    removed = np.ones(len(a), dtype=bool)
    removed[row_in_a[in_both]] = False

    differs = {kind: any_differs(left, right, columns) for kind, columns in KINDS.items()}
    changed = np.zeros(len(left), dtype=bool)
    for kind in KINDS:
        if kind != "locator":  # a row more in front of it moves a fact and changes nothing
            changed |= differs[kind]
    moved = differs["locator"] & ~changed
    return Facts(
        added=ordered(b[~in_both]),
        removed=ordered(a[removed]),
        changed=side_by_side(left, right, differs, changed),
        moved=side_by_side(left, right, differs, moved),
        same=len(left) - int(changed.sum()),
    )


def any_differs(left: pd.DataFrame, right: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return for each row whether any of the columns differs. Both frames hold the same facts."""
    differs = np.zeros(len(left), dtype=bool)
    for name in columns:
        differs |= (left[name] != right[name]).to_numpy(dtype=bool)
    return differs


def side_by_side(
    left: pd.DataFrame, right: pd.DataFrame, differs: dict[str, np.ndarray], rows: np.ndarray
) -> pd.DataFrame:
    """Join both sides of the chosen rows, with the kinds of change of each."""
    old = left[rows]
    new = right[rows]
    joined = old.merge(new, on="fact", suffixes=("_a", "_b"), validate="one_to_one")
    kinds: list[list[str]] = [[] for _ in range(len(joined))]
    for kind in KINDS:
        # Positions among the chosen rows: a mask of no, yes, yes gives 1 and 2.
        of_this_kind = np.flatnonzero(differs[kind][rows])
        for row in of_this_kind:
            kinds[row].append(kind)
    joined["kinds"] = kinds
    return joined.sort_values(["subject_b", "attribute_b", "fact"], ignore_index=True)


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by subject and attribute."""
    return frame.sort_values(["subject", "attribute", "fact"], ignore_index=True)


def with_outcomes(facts: Facts, before: pd.DataFrame | None, after: pd.DataFrame | None) -> Facts:
    """Add the columns `outcome`, `question`, `answer_a` and `answer_b`.

    `before` and `after` come from `answers_of`. They are None where a version was never evaluated.
    """
    return Facts(
        added=with_answers("added", facts.added, before, after),
        removed=with_answers("removed", facts.removed, before, after),
        changed=with_answers("changed", facts.changed, before, after),
        moved=facts.moved,
        same=facts.same,
    )


def with_answers(
    change: str, frame: pd.DataFrame, before: pd.DataFrame | None, after: pd.DataFrame | None
) -> pd.DataFrame:
    """Add to each fact how the model answered it in both versions, and the outcome."""
    answers_a = valid_answers(frame, before, "a")
    answers_b = valid_answers(frame, after, "b")
    # Facts that were added or removed have no kinds of change.
    kinds: list[list[str]] = [[] for _ in range(len(frame))]
    if "kinds" in frame:
        kinds = list(frame["kinds"])
    outcomes = []
    questions = []
    said_a = []
    said_b = []
    for kinds_of_row, a, b in zip(kinds, answers_a, answers_b, strict=True):
        outcome = outcome_of(change, kinds_of_row, a, b)
        outcomes.append(outcome)
        # The words of the newer version count where both asked.
        asked = b or a
        questions.append(asked.question if asked else "")
        said_a.append(a.answer if a else "")
        said_b.append(b.answer if b else "")
    return frame.assign(outcome=outcomes, question=questions, answer_a=said_a, answer_b=said_b)


def valid_answers(
    frame: pd.DataFrame, answers: pd.DataFrame | None, side: str
) -> list[Answer | None]:
    """Return the answer of one side to each fact, or None where it was not asked.

    An answer counts as not asked where another value was expected than this side has. It comes from
    an earlier run, and would be taken for right.
    """
    if answers is None:
        return [None] * len(frame)
    # Facts that changed have both versions' columns, such as value_a and value_b.
    value, unit = "value", "unit"
    if f"value_{side}" in frame:
        value, unit = f"value_{side}", f"unit_{side}"
    # evaluate writes the expected answer in the same form: `1538 °C`, or `Fe` without a unit.
    amounts = (frame[value] + " " + frame[unit]).str.strip()
    # One row per fact, in the order of `frame`. A fact that was not asked gets a row of NaN.
    rows = answers.reindex(frame["fact"])
    columns = rows[["question", "expected", "answer", "correct"]].itertuples(index=False, name=None)
    valid: list[Answer | None] = []
    for amount, (question, expected, answer, correct) in zip(amounts, columns, strict=True):
        is_asked = not pd.isna(answer)
        if is_asked and expected == amount:
            valid.append(Answer(question, expected, answer, right=bool(correct)))
        else:
            valid.append(None)
    return valid


def outcome_of(change: str, kinds: Sequence[str], a: Answer | None, b: Answer | None) -> str:
    """Say how the model took up a fact that was `added`, `removed` or `changed`."""
    if change == "added":
        return outcome_of_added(b)
    if change == "removed":
        return outcome_of_removed(a, b)
    return outcome_of_changed(kinds, a, b)


def outcome_of_added(b: Answer | None) -> str:
    """Say whether the model learned a new fact."""
    if b is None:
        return NOT_ASKED
    return "learned" if b.right else "not learned"


def outcome_of_removed(a: Answer | None, b: Answer | None) -> str:
    """Say whether the model forgot a removed fact. evaluate asks no such fact, `asked_again` does."""
    if b is None:
        return NOT_ASKED
    # The answer may state the old value in another sentence than the one that counts as right.
    old_value = a.expected if a else b.expected
    if b.right or b.says(old_value):
        return "still answers it"
    if a and a.right:
        return "forgotten"
    return "never knew it"


def outcome_of_changed(kinds: Sequence[str], a: Answer | None, b: Answer | None) -> str:
    """Say how the model took up a change of these kinds."""
    if b is None:
        return NOT_ASKED
    if CONTENT & set(kinds):
        return outcome_of_new_content(a, b)
    # Only the source changed, so the right answer is the same in both versions.
    if a is None:
        return NOT_ASKED
    return outcome_of_same_content(a, b)


def outcome_of_new_content(a: Answer | None, b: Answer) -> str:
    """Say whether the model learned the new value of a fact. `a` answers with the old one."""
    if b.right:
        return "learned"
    if a and b.says(a.expected):
        return "still says the old value"
    return "not learned"


def outcome_of_same_content(a: Answer, b: Answer) -> str:
    """Say how two answers to one question compare."""
    if a.right:
        return "kept right" if b.right else "newly wrong"
    return "newly right" if b.right else "still wrong"


def asked_again(removed: pd.DataFrame, before: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Ask the model in this folder about removed facts, in the words of the version that had them.

    Returns rows as `answers_of` does. An answer is correct where it states the value of that version.
    Raises ModelError where the model is not there.
    """
    from stages.core.models import variants

    rows = before.loc[before.index.intersection(pd.Index(removed["fact"]))]
    questions = rows["question"].tolist()
    answers = variants.answers(questions, variant) if questions else []
    stated = []
    for expected, answer in zip(rows["expected"], answers, strict=True):
        stated.append(states(answer, expected))
    return rows.assign(answer=answers, correct=stated)


def collateral(facts: Facts, before: pd.DataFrame, after: pd.DataFrame) -> Collateral:
    """Compare the answers to all questions that both versions asked and whose content did not change."""
    new_content = [not CONTENT.isdisjoint(kinds) for kinds in facts.changed["kinds"]]
    rewritten = facts.changed["fact"][new_content]
    touched = pd.concat([facts.added["fact"], facts.removed["fact"], rewritten])
    # For each answer in `after`, the row of the same question in `before`, or -1 (as in `compare`).
    row_in_before = before.index.get_indexer(after.index)
    comparable = (row_in_before >= 0) & ~after.index.isin(touched)
    rows_a = row_in_before[comparable]
    rows_b = np.flatnonzero(comparable)
    # From here on, place i of each array is the i-th comparable question.
    right_a = before["correct"].to_numpy(dtype=bool)[rows_a]
    right_b = after["correct"].to_numpy(dtype=bool)[rows_b]
    question_a = before["question"].array.take(rows_a)
    question_b = after["question"].array.take(rows_b)

    def listed(chosen: np.ndarray) -> pd.DataFrame:
        """Return the chosen questions with both answers."""
        columns = ["fact", "subject", "attribute", "question", "expected", "answer"]
        rows = after.take(rows_b[chosen])[columns]
        rows = rows.rename(columns={"answer": "answer_b"})
        old_answers = before["answer"].take(rows_a[chosen])
        rows.insert(columns.index("answer"), "answer_a", old_answers.to_numpy())
        rows = rows.fillna("")  # a question about no fact has neither subject nor attribute
        return rows.sort_values(["subject", "attribute", "question"], ignore_index=True)

    return Collateral(
        kept=int((right_a & right_b).sum()),
        newly_wrong=listed(right_a & ~right_b),
        newly_right=listed(~right_a & right_b),
        still_wrong=listed(~right_a & ~right_b),
        reworded=int((question_a != question_b).sum()),
    )
