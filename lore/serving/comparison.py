"""What two versions did side by side: requests, times, agreement with the facts, abstentions, answers that differ.

A shadow question is one that the candidate answers too, after the version whose answer the caller sees. These
pairs are compared answer by answer. Everything is only counted: no question and no answer is kept.
"""

import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

from lore.comparison.significance import mcnemar
from lore.serving.generations import Generation
from lore.serving.schemas import ComparisonAnswer, PairsInfo, VersionInfo, VersionNumbers
from stages.core.records.abstention import PHRASES, Phrases
from stages.core.records.record import fold

MOST_KEPT = 16
"""Generations whose numbers are kept. Those of the oldest one are forgotten first."""
MOST_TIMES = 10_000
"""Newest answers of a generation from which its times are told."""
ABSTENTION = Phrases(PHRASES)
AGREES = {True: "yes", False: "no", None: "no fact"}


@dataclass
class Tally:
    """What one generation did."""

    version: VersionInfo
    answers: int = 0
    failed: int = 0
    abstained: int = 0
    agrees: Counter[str] = field(default_factory=Counter)
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_TIMES))

    def numbers(self) -> VersionNumbers:
        """Return the numbers, with the times in milliseconds."""
        times = sorted(self.seconds)
        version = self.version
        return VersionNumbers(
            name=version.name,
            identity=version.identity,
            generation=version.generation,
            answers=self.answers,
            failed=self.failed,
            p50_ms=milliseconds(times, 0.5),
            p95_ms=milliseconds(times, 0.95),
            abstained=self.abstained,
            agrees=self.agrees["yes"],
            disagrees=self.agrees["no"],
            without_fact=self.agrees["no fact"],
        )


class Comparison:
    """The numbers of all generations, and of the pairs of answers. Any thread may add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: OrderedDict[int, Tally] = OrderedDict()
        self._pairs: Counter[str] = Counter()

    def answered(
        self, generation: Generation, text: str, agrees: bool | None, seconds: float
    ) -> None:
        """Count an answer. `agrees`: whether it states the fact, None without a fact."""
        with self._lock:
            tally = self._tally(generation)
            tally.answers += 1
            tally.seconds.append(seconds)
            tally.agrees[AGREES[agrees]] += 1
            if ABSTENTION.is_abstention(text):
                tally.abstained += 1

    def failed(self, generation: Generation) -> None:
        """Count an answer that the engine did not give."""
        with self._lock:
            self._tally(generation).failed += 1

    def skipped(self) -> None:
        """Count a shadow question that was not asked, because too many were being answered."""
        with self._lock:
            self._pairs["skipped"] += 1

    def paired(
        self, shown: str, shadow: str, shown_agrees: bool | None, shadow_agrees: bool | None
    ) -> None:
        """Count a pair of answers to one question: the one that the caller saw, and that of the candidate."""
        with self._lock:
            is_same = fold(shown) == fold(shadow)
            self._pairs["same" if is_same else "different"] += 1
            if shown_agrees is None or shadow_agrees is None:
                return
            if shown_agrees and not shadow_agrees:
                self._pairs["lost"] += 1
            elif shadow_agrees and not shown_agrees:
                self._pairs["gained"] += 1

    def report(self, candidate: Generation | None) -> ComparisonAnswer:
        """Return all numbers."""
        with self._lock:
            versions = [tally.numbers() for tally in self._tallies.values()]
            lost = self._pairs["lost"]
            gained = self._pairs["gained"]
            pairs = PairsInfo(
                compared=self._pairs["same"] + self._pairs["different"],
                different=self._pairs["different"],
                skipped=self._pairs["skipped"],
                lost=lost,
                gained=gained,
                p=round(mcnemar(lost, gained), 6) if lost + gained else None,
            )
        name = None if candidate is None else candidate.version.name
        return ComparisonAnswer(candidate=name, versions=versions, shadow=pairs)

    def _tally(self, generation: Generation) -> Tally:
        number = generation.number
        if number not in self._tallies:
            self._tallies[number] = Tally(generation.version)
            if len(self._tallies) > MOST_KEPT:
                self._tallies.popitem(last=False)
        return self._tallies[number]


def milliseconds(times: list[float], share: float) -> float | None:
    """Return the time that a share of the answers took at most. None without answers."""
    if not times:
        return None
    place = min(len(times) - 1, int(share * len(times)))
    return round(times[place] * 1000, 1)


def table(report: ComparisonAnswer) -> str:
    """Return a report as lines for a terminal."""
    lines = ["answers by version:"]
    for row in report.versions:
        mark = " (candidate)" if row.name == report.candidate else ""
        lines.append(
            f"  {row.name}{mark}, generation {row.generation}: {row.answers} answers, {row.failed} failed, "
            f"p50 {row.p50_ms} ms, p95 {row.p95_ms} ms, {row.agrees} agree with the fact, {row.disagrees} do not, "
            f"{row.without_fact} without a fact, {row.abstained} abstain"
        )
    pairs = report.shadow
    if pairs.compared or pairs.skipped:
        lines.append(
            f"  shadow: {pairs.compared} pairs, {pairs.different} differ, {pairs.lost} facts lost, "
            f"{pairs.gained} gained, p {pairs.p}, {pairs.skipped} skipped"
        )
    return "\n".join(lines)
