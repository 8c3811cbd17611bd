"""Wordings that the model does not understand, and facts that it gets wrong in most wordings."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class WeakWording:
    """A wording whose score lies below the limit with its whole interval."""

    attribute: str
    wording: str
    probe: str
    """`stated`, `reversed` or `comparison`."""
    score: float
    high: float
    """Upper end of the 95 % interval."""
    questions: int
    of_attribute: float
    """Mean score of the attribute's other wordings of the same kind of probe."""


@dataclass(frozen=True)
class LostFact:
    """A fact that the model gets wrong in most of the wordings in which it was asked."""

    fact: str
    subject: str
    attribute: str
    expected: str
    answer: str
    share: float
    """Share of the wordings with a right answer."""


def weak_wordings(rows: Sequence[Row], variant: str, limit: float) -> list[WeakWording]:
    """Return the wordings of metrics/evaluate/wordings.csv that score below `limit`, worst first."""
    scores: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    own = [row for row in rows if row["variant"] == variant]
    for row in own:
        scores[row["probe"], row["attribute"]].append(float(row["exact_match"]))

    found = []
    for row in own:
        score = float(row["exact_match"])
        if float(row["high"]) >= limit:
            continue
        others = list(scores[row["probe"], row["attribute"]])
        others.remove(score)
        mean = sum(others) / len(others) if others else 0.0
        found.append(
            WeakWording(
                attribute=row["attribute"],
                wording=row["wording"],
                probe=row["probe"],
                score=score,
                high=float(row["high"]),
                questions=int(row["n"]),
                of_attribute=round(mean, 4),
            )
        )
    return sorted(found, key=lambda one: (one.score, one.attribute, one.wording))


def lost_facts(rows: Sequence[Row], variant: str, limit: float) -> list[LostFact]:
    """Return the facts of data/evaluate/facts.parquet that are right in fewer wordings than `limit`."""
    found = []
    for row in rows:
        if row["variant"] == variant and row["share"] < limit:
            found.append(
                LostFact(
                    fact=row["fact"],
                    subject=row["subject"],
                    attribute=row["attribute"],
                    expected=row["expected"],
                    answer=row["answer"],
                    share=row["share"],
                )
            )
    return sorted(found, key=lambda one: (one.share, one.attribute, one.subject))
