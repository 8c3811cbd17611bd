"""Selection: which of the training rows are kept (`augment.select`).

1. near_duplicates: a wording that repeats an earlier one of the same fact or text, as MinHash estimates the
   Jaccard similarity of their words and pairs of words (Broder 1997; R-MinHash of rensa, as in `clean`).
2. per_fact: rows above the cap of one fact or text.
3. balance: rows above so many times the median of all attributes, shared evenly by the facts of the attribute.

The plain text of a fact, or a free text itself, is always kept. The rest ranks by a hash of seed and id, so
whether one row precedes another does not depend on the others. Validation and probes are never touched.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as settings_class

from stages.augment.fact import Row
from stages.core.project.params import STRICT
from stages.core.records.record import fold
from stages.core.repeatable.seeding import derive

VALUES = 128
"""Values of a signature. The estimate of a similarity s has a standard error of √(s(1 - s) / 128): 0.04 at 0.8."""
SEED = 42
# A Chinese character, or a run of other letters and digits.
WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")


@settings_class(frozen=True, config=STRICT)
class Select:
    """Which training rows are kept. Everything is null by default: all are."""

    near_duplicates: float | None = Field(default=None, gt=0, le=1)
    """Least similarity, in (0, 1], at which a wording repeats an earlier one of its fact or text. null: none
    is left out."""
    per_fact: int | None = Field(default=None, ge=1)
    """Most training rows of a fact or text, with its plain text. null: no limit."""
    balance: float | None = Field(default=None, ge=1)
    """Most training rows of an attribute, as a multiple of the median of all attributes. null: no limit."""

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return not (self.near_duplicates is self.per_fact is self.balance is None)


@dataclass
class Counts:
    """Numbers for metrics/augment.json."""

    asked: int = 0
    """Training rows before."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Training rows left out, by reason."""

    def report(self) -> dict[str, Any]:
        """Return the numbers by name."""
        left_out = sum(self.left_out.values())
        return {
            "asked": self.asked,
            "kept": self.asked - left_out,
            "left_out": dict(sorted(self.left_out.items())),
        }


def selected(rows: list[Row], settings: Select, seed: int, counts: Counts) -> list[Row]:
    """Return the rows that are kept, in their order."""
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["split"] == "train":
            groups[row["fact"] or row["parents"][0]].append(row)
    counts.asked = sum(len(group) for group in groups.values())
    for key in groups:
        groups[key].sort(key=lambda row: (not is_plain(row), derive(seed, "select", row["id"])))

    gone: set[str] = set()
    if settings.near_duplicates is not None:
        left_out(near_duplicates(groups, settings.near_duplicates), "near_duplicate", gone, counts)
    if settings.per_fact is not None:
        over = []
        for group in groups.values():
            over += still_there(group, gone)[settings.per_fact :]
        left_out(over, "over_cap", gone, counts)
    if settings.balance is not None:
        left_out(unbalanced(groups, settings.balance, gone), "over_balance", gone, counts)
    return [row for row in rows if row["id"] not in gone]


def is_plain(row: Row) -> bool:
    """Whether a row is the plain text of its fact, a free text itself, or a free pair in its own words."""
    is_own_words = row["kind"] == "qa" and not row["fact"]
    return is_own_words or row["locator"].endswith("/train/statement/00")


def left_out(rows: list[Row], reason: str, gone: set[str], counts: Counts) -> None:
    """Note that rows are left out for a reason. Plain ones never are."""
    for row in rows:
        if not is_plain(row):
            gone.add(row["id"])
            counts.left_out[reason] += 1


def still_there(group: list[Row], gone: set[str]) -> list[Row]:
    """Return the rows of a group that nothing has left out."""
    return [row for row in group if row["id"] not in gone]


def near_duplicates(groups: dict[str, list[Row]], similarity: float) -> list[Row]:
    """Return the rows that repeat an earlier one of their group that stays."""
    repeating = []
    for group in groups.values():
        values = signatures([row["question"] or row["text"] for row in group])
        kept: list[int] = []
        for number, row in enumerate(group):
            # Questions and statements are no repeats of each other.
            same_kind = [other for other in kept if group[other]["kind"] == row["kind"]]
            alike = (values[same_kind] == values[number]).mean(axis=1)  # (earlier rows)
            if (alike >= similarity).any():
                repeating.append(row)
            else:
                kept.append(number)
    return repeating


def signatures(texts: list[str]) -> Any:
    """Return the MinHash signatures of texts: uint32 [texts, VALUES]."""
    from rensa import RMinHash

    rows = []
    for text in texts:
        words = WORD.findall(fold(text))
        pairs = [f"{left} {right}" for left, right in pairwise(words)]
        sketch = RMinHash(num_perm=VALUES, seed=SEED)
        sketch.update(sorted({*words, *pairs}))
        rows.append(sketch.digest())
    return np.array(rows, dtype=np.uint32)


def unbalanced(groups: dict[str, list[Row]], most: float, gone: set[str]) -> list[Row]:
    """Return the rows of each attribute beyond `most` times the median, taken in turn from its facts."""
    by_attribute: defaultdict[str, list[list[Row]]] = defaultdict(list)
    for group in groups.values():
        if group[0]["fact"]:
            by_attribute[group[0]["attribute"]].append(still_there(group, gone))
    if not by_attribute:
        return []
    sizes = {name: sum(map(len, facts)) for name, facts in by_attribute.items()}
    limit = int(most * median(sizes.values()))
    over = []
    for facts in by_attribute.values():
        # The first row of every fact comes first, then the second ones, and so on.
        ranked = []
        for rank in range(max(map(len, facts))):
            ranked += [fact[rank] for fact in facts if rank < len(fact)]
        over += ranked[limit:]
    return over
