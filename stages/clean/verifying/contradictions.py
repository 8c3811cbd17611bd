"""Contradictions: one fact, two values. The source of higher priority wins; both sides stay in the report. Free answers to one
question are another matter (`answers.py`).

Values are compared after normalisation, so sources that differ in unit only agree. Only attributes with a tolerance or
declared `single_valued` can contradict: an element has one melting point and many uses.
"""

from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.core.project.params import STRICT
from stages.core.records.record import fold

Row = dict[str, Any]
BY_PRIORITY, BY_PLACE = "priority of the source", "first in the source"
"""Why a side won."""


@dataclass(frozen=True, config=STRICT)
class Tolerance:
    """How far two measurements of one thing may lie apart: the larger of the two limits counts."""

    absolute: float
    """In the attribute's unit."""
    relative: float
    """As a share of the winner's value."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """Which attributes can contradict."""

    tolerance: dict[str, Tolerance]
    """Attributes that are quantities."""
    single_valued: list[str]
    """Attributes that are words or whole numbers: any difference is a contradiction."""
    answers: Literal["report", "first", "ignore"]
    """What becomes of free answers to one question that differ: both kept and reported, the first kept, or not looked for."""


def find(
    rows: list[Row], original: dict[str, Row], params: Params
) -> tuple[dict[str, tuple[str, str]], list[dict[str, Any]]]:
    """id → (reason, evidence) of the losing records, and one report entry per losing record.

    `rows` are in order of priority; the first record of a fact wins, also within one source.
    """
    winners: dict[str, Row] = {}
    reasons, report = {}, []
    for row in rows:
        if not row["fact"]:
            continue
        winner = winners.setdefault(row["fact"], row)
        if agree(winner, row, params):
            continue
        evidence = (
            f"{shown(row)} against {shown(winner)} in {winner['locator']}, which has priority"
        )
        reasons[row["id"]] = ("contradiction", evidence)
        report.append(
            {
                "fact": row["fact"],
                "subject": row["subject"],
                "attribute": row["attribute"],
                "winner": side(winner, original),
                "loser": side(row, original),
                "rule": BY_PRIORITY if winner["source"] != row["source"] else BY_PLACE,
            }
        )
    return reasons, report


def agree(winner: Row, other: Row, params: Params) -> bool:
    """Whether two records of one fact may stand side by side."""
    attribute = winner["attribute"]
    if tolerance := params.tolerance.get(attribute):
        a, b = float(winner["value"]), float(other["value"])
        return abs(a - b) <= max(tolerance.absolute, tolerance.relative * abs(a))
    return attribute not in params.single_valued or fold(winner["value"]) == fold(other["value"])


def side(row: Row, original: dict[str, Row]) -> dict[str, Any]:
    """One side of a dispute: where it stands, what it said there, and what that means."""
    return {
        "record": row["id"],
        "source": row["source"],
        "locator": row["locator"],
        "written": shown(original[row["id"]]),
        "normalised": shown(row),
    }


def shown(row: Row) -> str:
    """Value with unit."""
    return " ".join(filter(None, (row["value"], row["unit"])))
