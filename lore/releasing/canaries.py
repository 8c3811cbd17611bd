"""Questions to the model after a rollback, about facts that the two versions tell differently: which of them does it know?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stages.core.project.errors import LorekeepError

if TYPE_CHECKING:
    import pandas as pd

    from lore.versions.version import Version

MOST = 5
MODEL = "train"


def ask(left: "Version", entered: "Version") -> list[str]:
    """What the model here says about facts that differ, a line each; why not, where it cannot be asked. Raises nothing."""
    from lore.commands.ask import answers
    from lore.rendering import report

    try:
        asked = questions(left, entered)
        if not asked:
            return ["canaries: no fact with a question differs between the two versions"]
        said = answers([question for question, *_ in asked], MODEL)
    except LorekeepError as error:
        return [f"canaries: not asked: {error}"]
    rows: list[tuple[str, ...]] = [
        (question, was, now, answer)
        for (question, was, now), answer in zip(asked, said, strict=True)
    ]
    section = report.Section(
        "", columns=("question", "value left", "value now", f"the model ({MODEL}) says"), rows=rows
    )
    return ["canaries:", *(f"  {line}" for line in report.aligned(section))]


def questions(left: "Version", entered: "Version") -> list[tuple[str, str, str]]:
    """Question, value in the version that was left, value now; a dash where there is none. At most MOST, changed facts first."""
    from lore.comparison import facts

    tables = [
        facts.answers_of(version.table(facts.ANSWERS, facts.ANSWER), MODEL)
        for version in (left, entered)
    ]
    found = facts.compare(facts.read_facts(left), facts.read_facts(entered))
    content = [bool(facts.CONTENT & set(kinds)) for kinds in found.changed["kinds"]]
    differing = [*found.changed["fact"][content], *found.added["fact"], *found.removed["fact"]]
    rows = [(value_in(tables[0], fact), value_in(tables[1], fact)) for fact in differing]
    return list(chosen(rows))[:MOST]


def value_in(table: "pd.DataFrame", fact: str) -> tuple[str, str] | None:
    """The question about a fact and its right answer, or None where it was not asked."""
    return (
        (str(table["question"][fact]), str(table["expected"][fact]))
        if fact in table.index
        else None
    )


def chosen(
    rows: list[tuple[tuple[str, str] | None, tuple[str, str] | None]],
) -> Iterator[tuple[str, str, str]]:
    """Those facts that one of the versions asks, in the words of the version now where it does."""
    for left, entered in rows:
        if pair := entered or left:
            yield pair[0], left[1] if left else "–", entered[1] if entered else "–"
