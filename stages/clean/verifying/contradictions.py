"""Contradictions: one fact, two values.

The source of higher priority wins. Both sides stay in the report.

Free answers to one question are another matter (`answers.py`).

Values are compared after normalisation, so two sources that differ only in the unit agree. So do
1000 and 1000.0 (`comparison.py`). Only attributes with a tolerance, or declared `single_valued`, can
contradict: an element has one melting point and many uses. A value that is no number has no distance
from another one. It is compared as words, also where the attribute has a tolerance.
"""

from dataclasses import field
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.clean.verifying import comparison
from stages.core.project.params import STRICT
from stages.core.records.record import Names, fold

Row = dict[str, Any]
BY_PRIORITY = "priority of the source"
BY_PLACE = "first in the source"
"""Why a side won: by the order of the sources, or by the order within one source."""


@dataclass(frozen=True, config=STRICT)
class Tolerance:
    """How far two measurements of one thing may lie apart. The larger of the two limits counts."""

    absolute: float = 0.0
    """Largest difference, in the attribute's unit."""
    relative: float = 0.0
    """Largest difference, as a share of the winner's value: 0.01 is 1 %."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """Which attributes can contradict."""

    tolerance: dict[str, Tolerance] = field(default_factory=dict)
    """Attributes that are quantities, and how far two values of one fact may lie apart. Of the two limits
    the larger counts. Example: `{melting point: {absolute: 2.0, relative: 0.005}}`. Values that are no
    numbers, such as `n/a`, are compared as words."""
    single_valued: list[str] = field(default_factory=list)
    """Attributes with one true value in words or whole numbers, such as `[symbol, discovery year]`. Any
    difference is a contradiction, but for the form of a number: 1000, 1000.0 and 1,000 agree."""
    answers: Literal["report", "first", "ignore"] = "report"
    """Treatment of different free answers to one question. Case, width, spaces, final punctuation and
    near duplicates do not count as different. `report`: all are kept, and
    `data/clean/contradictions.json` shows each beside the first. `first`: the answer of the source of
    higher priority stays, within a source the first one, and the others are set aside
    (`contradiction`). `ignore`: they are not looked for."""


def find(
    rows: list[Row], original: dict[str, Row], params: Params, names: Names = "fold"
) -> tuple[dict[str, tuple[str, str]], list[dict[str, Any]]]:
    """id → (reason, evidence) of the losing records, and one report entry per losing record.

    `rows` are in order of priority. The first record of a fact wins, also within one source.
    `original`: id → the record as it was before normalising. Ids are unique: `clean` checks that.
    `names`: how words are compared.
    """
    winners: dict[str, Row] = {}
    reasons = {}
    report = []
    for row in rows:
        if not row["fact"]:
            continue
        winner = winners.setdefault(row["fact"], row)
        if agree(winner, row, params, names):
            continue
        evidence = (
            f"{shown(row)} against {shown(winner)} in {winner['locator']}, which has priority"
        )
        reasons[row["id"]] = ("contradiction", evidence)
        same_source = winner["source"] == row["source"]
        report.append(
            {
                "fact": row["fact"],
                "subject": row["subject"],
                "attribute": row["attribute"],
                "winner": side(winner, original),
                "loser": side(row, original),
                "rule": BY_PLACE if same_source else BY_PRIORITY,
            }
        )
    return reasons, report


def agree(winner: Row, other: Row, params: Params, names: Names = "fold") -> bool:
    """Whether two records of one fact may stand side by side."""
    attribute = winner["attribute"]
    tolerance = params.tolerance.get(attribute)
    if not tolerance and attribute not in params.single_valued:
        return True
    unit, other_unit = winner["unit"], other["unit"]
    if unit and other_unit and fold(unit) != fold(other_unit):
        return False  # 5 m is not 5 km, where no setting brings both into one unit
    value, other_value = winner["value"], other["value"]
    if tolerance:
        close = comparison.within(value, other_value, tolerance.absolute, tolerance.relative)
        if close is not None:
            return close
    return comparison.same(value, other_value, names)


def side(row: Row, original: dict[str, Row]) -> dict[str, Any]:
    """One side of a contradiction: locator, value as written there, and normalised value."""
    return {
        "record": row["id"],
        "source": row["source"],
        "locator": row["locator"],
        "written": shown(original[row["id"]]),
        "normalised": shown(row),
    }


def shown(row: Row) -> str:
    """Value with unit."""
    parts = [part for part in (row["value"], row["unit"]) if part]
    return " ".join(parts)
