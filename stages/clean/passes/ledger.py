"""What becomes of every record.

A record costs a few bytes here, so the verdicts on a corpus of any size fit in memory.

The position of a record is its number in the corpus, from 0, in the order in which it was
extracted.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.clean.terms import Array

Row = dict[str, Any]
OTHER = "{other}"
PHASES = ("extract", "exclude", "normalise", "personal", "filter", "verify")


@dataclass(frozen=True)
class Reason:
    """Why records are set aside."""

    phase: str
    name: str
    evidence: str = ""
    """A template: {number} is a score, {other} the id of the record that stays. Empty: each record
    has its own evidence."""


class Ledger:
    """The verdict on each record of a corpus, by its position."""

    def __init__(self, records: int) -> None:
        """Nothing is set aside yet."""
        self.verdict = np.zeros(records, dtype=np.uint16)
        """0: the record is kept. Otherwise one more than the index of its reason in `reasons`."""
        self.number = np.zeros(records, dtype=np.float32)
        self.other = np.zeros(records, dtype=np.int32)
        self.notes: dict[int, str] = {}
        """Position → evidence, of records that have their own."""
        self.reasons: list[Reason] = []
        self.phases: dict[str, dict[str, int]] = {}

    @property
    def alive(self) -> Array:
        """Which records are still kept: bool [records]."""
        alive: Array = self.verdict == 0
        return alive

    def begin(self, phase: str) -> None:
        """Count the records that go into a phase."""
        kept = int(self.alive.sum())
        self.phases[phase] = {"in": kept, "out": kept, "rejected": 0}

    def sift(self, reason: Reason, positions: Array, numbers: Any = 0.0, others: Any = 0) -> None:
        """Set aside the records at `positions`. Each of them must still be kept."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        self.verdict[positions] = self.reasons.index(reason) + 1
        self.number[positions] = numbers
        self.other[positions] = others
        counts = self.phases[reason.phase]
        counts["rejected"] += len(positions)
        counts["out"] -= len(positions)

    def note(self, phase: str, notes: dict[int, tuple[str, str]]) -> None:
        """Set records aside, each with its own evidence: position → reason, evidence."""
        by_reason: dict[str, list[int]] = {}
        for position, (name, evidence) in notes.items():
            by_reason.setdefault(name, []).append(position)
            self.notes[position] = evidence
        for name in sorted(by_reason):
            self.sift(Reason(phase, name), np.array(by_reason[name], dtype=np.int64))

    def kept(self, start: int, rows: int) -> Array:
        """Which of the `rows` records from position `start` on are still kept: bool [rows]."""
        kept: Array = self.verdict[start : start + rows] == 0
        return kept

    def others(self) -> Array:
        """Positions of the records that the evidence of other records names: sorted, each once."""
        verdicts_with_other = []
        for verdict, reason in enumerate(self.reasons, start=1):
            if OTHER in reason.evidence:
                verdicts_with_other.append(verdict)
        return np.unique(self.other[np.isin(self.verdict, verdicts_with_other)])

    def said(self, position: int, ids: Mapping[int, str]) -> Row:
        """Phase, reason and evidence of a record that was set aside.

        `ids` has those of the positions in `others`.
        """
        reason = self.reasons[self.verdict[position] - 1]
        other = None
        if OTHER in reason.evidence:
            other = ids[int(self.other[position])]
        evidence = reason.evidence.format(number=float(self.number[position]), other=other)
        return {
            "phase": reason.phase,
            "reason": reason.name,
            "evidence": evidence or self.notes[position],
        }

    def counts(self) -> Counter[str]:
        """How many records were set aside for each reason."""
        counts: Counter[str] = Counter()
        for verdict, reason in enumerate(self.reasons, start=1):
            counts[reason.name] += int((self.verdict == verdict).sum())
        return counts
