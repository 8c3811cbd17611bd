"""Questions to the model after a rollback, about facts that differ between the two versions.

The answers show which of the two versions the model here knows.
"""

from typing import TYPE_CHECKING

from stages.core.models import variants
from stages.core.project.errors import LorekeepError

if TYPE_CHECKING:
    import pandas as pd

    from lore.versions.version import Version

MOST = 5
"""Questions that are asked."""
MODEL = "train"
NONE = "–"
"""Stands for the value of a fact that a version does not have."""

Answer = tuple[str, str]
"""A question, and the right answer to it in one version."""


def ask(left: "Version", entered: "Version") -> list[str]:
    """Return lines that say what the model here answers about facts that differ.

    `left` is the version before the rollback, `entered` the one after it. If the model cannot be
    asked, the lines say why. Raises nothing, since the rollback is complete already.
    """
    from lore.rendering import report

    try:
        rows = questions(left, entered)
        if not rows:
            return ["canaries: no fact with a question differs between the two versions"]
        answers = variants.answers([question for question, *_ in rows], MODEL)
    except LorekeepError as error:
        return [f"canaries: not asked: {error}"]
    table: list[tuple[str, ...]] = []
    for row, answer in zip(rows, answers, strict=True):
        table.append((*row, answer))
    section = report.Section(
        "",
        columns=("question", "value left", "value now", f"the model ({MODEL}) says"),
        rows=table,
    )
    return ["canaries:", *(f"  {line}" for line in report.aligned(section))]


def questions(left: "Version", entered: "Version") -> list[tuple[str, str, str]]:
    """Return at most MOST rows of question, value in the version left, value now.

    Changed facts come first, then added ones, then removed ones.
    """
    from lore.comparison import facts

    answers_left = facts.answers_of(left.table(facts.ANSWERS, facts.ANSWER), MODEL)
    answers_now = facts.answers_of(entered.table(facts.ANSWERS, facts.ANSWER), MODEL)
    differences = facts.compare(facts.read_facts(left), facts.read_facts(entered))
    # A fact that only has another source gives the model nothing else to say.
    has_new_content = [bool(facts.CONTENT & set(kinds)) for kinds in differences.changed["kinds"]]
    differing = [
        *differences.changed["fact"][has_new_content],
        *differences.added["fact"],
        *differences.removed["fact"],
    ]
    rows = []
    for fact in differing:
        row = question_row(answer_in(answers_left, fact), answer_in(answers_now, fact))
        if row is not None:
            rows.append(row)
    return rows[:MOST]


def answer_in(answers: "pd.DataFrame", fact: str) -> Answer | None:
    """Return the question about a fact and its right answer, or None if it was not asked."""
    if fact not in answers.index:
        return None
    return str(answers["question"][fact]), str(answers["expected"][fact])


def question_row(left: Answer | None, now: Answer | None) -> tuple[str, str, str] | None:
    """Return question, value left, value now; None if neither version asks about the fact.

    The question is that of the version now, if it has one.
    """
    if now is not None:
        question, value_now = now
        value_left = NONE if left is None else left[1]
        return question, value_left, value_now
    if left is not None:
        question, value_left = left
        return question, value_left, NONE
    return None
