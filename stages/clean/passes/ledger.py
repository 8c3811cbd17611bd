"""What becomes of every record: a few bytes each, so that the verdicts on a corpus of any size fit."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.clean.filters.terms import Array

Row = dict[str, Any]
OTHER = "{other}"
PHASES = ("extract", "exclude", "normalise", "personal", "filter", "verify")


@dataclass(frozen=True)
class Reason:
    """Why records are set aside."""

    phase: str
    name: str
    evidence: str = ""
    """How it reads: {number} is a score, {other} the id of the record that stays. Empty: each record has its own."""


class Ledger:
    """The verdict on each record of a corpus, by its place."""

    def __init__(self, records: int) -> None:
        """Nothing is set aside yet."""
        self.verdict = np.zeros(records, dtype=np.uint16)
        """0 where the record is kept, else one more than the place of its reason."""
        self.number = np.zeros(records, dtype=np.float32)
        self.other = np.zeros(records, dtype=np.int32)
        self.notes: dict[int, str] = {}
        """Evidence of those that have their own."""
        self.reasons: list[Reason] = []
        self.phases: dict[str, dict[str, int]] = {}

    @property
    def alive(self) -> Array:
        """Which records are still kept: bool [records]."""
        found: Array = self.verdict == 0
        return found

    def begin(self, phase: str) -> None:
        """Count what goes into a phase."""
        kept = int(self.alive.sum())
        self.phases[phase] = {"in": kept, "out": kept, "rejected": 0}

    def sift(self, reason: Reason, places: Array, numbers: Any = 0.0, others: Any = 0) -> None:
        """Set the records at `places`, each of them kept so far, aside."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        self.verdict[places] = self.reasons.index(reason) + 1
        self.number[places], self.other[places] = numbers, others
        self.phases[reason.phase]["rejected"] += len(places)
        self.phases[reason.phase]["out"] -= len(places)

    def note(self, phase: str, notes: dict[int, tuple[str, str]]) -> None:
        """Set records aside, each with its own evidence: place → reason, evidence."""
        for name in sorted({name for name, _ in notes.values()}):
            places = [place for place, (reason, _) in notes.items() if reason == name]
            self.sift(Reason(phase, name), np.array(places, dtype=np.int64))
        self.notes |= {place: evidence for place, (_, evidence) in notes.items()}

    def kept(self, start: int, rows: int) -> Array:
        """Which of so many records from `start` on are still kept: bool [rows]."""
        found: Array = self.verdict[start : start + rows] == 0
        return found

    def others(self) -> Array:
        """Places of the records that the evidence of other ones names: sorted, each once."""
        naming = [
            number
            for number, reason in enumerate(self.reasons, start=1)
            if OTHER in reason.evidence
        ]
        return np.unique(self.other[np.isin(self.verdict, naming)])

    def said(self, place: int, ids: Mapping[int, str]) -> Row:
        """Phase, reason and evidence of a record that was set aside; `ids` are those of `others`."""
        reason = self.reasons[self.verdict[place] - 1]
        other = ids[int(self.other[place])] if OTHER in reason.evidence else None
        evidence = reason.evidence.format(number=float(self.number[place]), other=other)
        return {
            "phase": reason.phase,
            "reason": reason.name,
            "evidence": evidence or self.notes[place],
        }

    def counts(self) -> Counter[str]:
        """How many records were set aside for each reason."""
        found: Counter[str] = Counter()
        for place, reason in enumerate(self.reasons, start=1):
            found[reason.name] += int((self.verdict == place).sum())
        return found
