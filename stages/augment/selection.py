"""Selection: which of the training rows are kept (`augment.select`).

1. near_duplicates: a wording that repeats an earlier one of the same fact or text, as MinHash estimates the
   Jaccard similarity of their words and pairs of words (Broder 1997; R-MinHash of rensa, as in `clean`).
2. per_fact: rows above the cap of one fact or text.
3. balance: rows above so many times the median of all attributes, shared evenly by the facts of the attribute.

The plain text of a fact, or a free text itself, is always kept. The rest ranks by a hash of seed and id, so
whether one row precedes another does not depend on the others. Validation and probes are never touched.

One fact is in memory at a time. What the balance needs of all is how many facts have how many rows.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field
from pydantic.dataclasses import dataclass as settings_class

from stages.augment.fact import Row
from stages.core.project.params import STRICT
from stages.core.records import record
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


RANK = "rank"
"""Column of a training row on its way: its rank within its fact, where `balance` needs it."""
RANKED = record.SCHEMA.append(pa.field(RANK, pa.int32()))
"""Columns of rows on their way."""


class Cut(NamedTuple):
    """Which rows of an attribute are kept: all of lower ranks, and some of one rank."""

    rank: int
    room: int
    """Rows of this rank that are kept, in the order of the facts."""


class Selection:
    """Chooses the training rows: first of each fact or text by itself, then by the balance of all attributes."""

    def __init__(self, settings: Select, seed: int) -> None:
        """`seed`: that of the run."""
        self._settings = settings
        self._seed = seed
        self.counts = Counts()
        self._sizes: defaultdict[str, Counter[int]] = defaultdict(Counter)
        """Of each attribute: numbers of rows of a fact → facts with so many."""
        self._seen: Counter[str] = Counter()
        """Rows of the cut's rank so far, by attribute."""
        self.over_balance: Counter[tuple[str, str]] = Counter()
        """Rows that the balance left out, by split and kind."""

    def of_group(self, rows: list[Row]) -> list[Row]:
        """Return the rows of one fact or text that are kept, in their order. Give it all of them at once."""
        group = [row for row in rows if row["split"] == "train"]
        group.sort(key=lambda row: (not is_plain(row), derive(self._seed, "select", row["id"])))
        self.counts.asked += len(group)
        gone: set[str] = set()
        if self._settings.near_duplicates is not None:
            repeating = near_duplicates(group, self._settings.near_duplicates)
            left_out(repeating, "near_duplicate", gone, self.counts)
        if self._settings.per_fact is not None:
            over = still_there(group, gone)[self._settings.per_fact :]
            left_out(over, "over_cap", gone, self.counts)
        kept = [row for row in rows if row["id"] not in gone]
        if self._settings.balance is not None and group and group[0]["fact"]:
            ranked = still_there(group, gone)
            self._sizes[group[0]["attribute"]][len(ranked)] += 1
            rank_of = {row["id"]: rank for rank, row in enumerate(ranked)}
            kept = [row | {RANK: rank_of.get(row["id"])} for row in kept]
        return kept

    @cached_property
    def _cuts(self) -> dict[str, Cut]:
        """What is kept of each attribute. Read it when all groups were given."""
        if self._settings.balance is None or not self._sizes:
            return {}
        totals = {name: rows_of(sizes) for name, sizes in self._sizes.items()}
        limit = int(self._settings.balance * median(totals.values()))
        return {name: cut_of(sizes, limit) for name, sizes in self._sizes.items()}

    def balanced(self, table: pa.Table) -> pa.Table:
        """Return the rows that the balance keeps, without their rank. Give it all rows, in the order of the facts."""
        plain = table.select(record.SCHEMA.names)
        if not self._cuts:
            return plain
        columns = table.select([RANK, "attribute", "kind", "fact", "locator"])
        keeps = []
        for row in columns.to_pylist():
            is_kept = row[RANK] is None or self._is_within(row["attribute"], row[RANK])
            if not is_kept and not is_plain(row):
                self.counts.left_out["over_balance"] += 1
                self.over_balance["train", row["kind"]] += 1
                keeps.append(False)
            else:
                keeps.append(True)
        return plain.filter(pa.array(keeps, type=pa.bool_()))

    def _is_within(self, attribute: str, rank: int) -> bool:
        """Whether a row of a rank is kept, and note it."""
        cut = self._cuts[attribute]
        if rank != cut.rank:
            return rank < cut.rank
        self._seen[attribute] += 1
        return self._seen[attribute] <= cut.room


def rows_of(sizes: Counter[int]) -> int:
    """Return the number of rows of an attribute."""
    return sum(size * facts for size, facts in sizes.items())


def cut_of(sizes: Counter[int], limit: int) -> Cut:
    """Return the cut that keeps `limit` rows, taken in turn from the facts.

    The first row of every fact comes first, then the second ones, and so on.
    """
    kept = 0
    for rank in range(max(sizes)):
        of_rank = sum(facts for size, facts in sizes.items() if size > rank)
        if kept + of_rank > limit:
            return Cut(rank, limit - kept)
        kept += of_rank
    return Cut(max(sizes), 0)


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


def near_duplicates(group: list[Row], similarity: float) -> list[Row]:
    """Return the rows that repeat an earlier one of their group that stays."""
    repeating = []
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
        words = WORD.findall(record.fold(text))
        pairs = [f"{left} {right}" for left, right in pairwise(words)]
        sketch = RMinHash(num_perm=VALUES, seed=SEED)
        sketch.update(sorted({*words, *pairs}))
        rows.append(sketch.digest())
    return np.array(rows, dtype=np.uint32)
