"""A person's way through the pairs: which is next, what was chosen. Terminal and page share it."""

import threading
from collections import Counter
from collections.abc import Sequence

from lore.feedback import file
from lore.feedback.pairs import Pair
from stages.core.records.feedback import Better, Judgement

OF_KEY: dict[str, Better] = {"1": "first", "2": "second", "0": "neither"}
"""What the keys 1, 2 and 0 mean."""


class Session:
    """Pairs that one person judges, one after another. Several threads may call it."""

    def __init__(self, pairs: Sequence[Pair], who: str) -> None:
        """`pairs` in the order in which they are shown."""
        self.pairs = list(pairs)
        self.who = who
        self.made: list[Judgement] = []
        self._place = 0
        self._lock = threading.Lock()

    def current(self) -> tuple[int, Pair] | None:
        """Return the number and the pair to judge now, or None where all are through."""
        with self._lock:
            if self._place >= len(self.pairs):
                return None
            return self._place, self.pairs[self._place]

    def judge(self, number: int, better: Better, why: str) -> bool:
        """Keep a judgement of the pair `number`, and go on to the next one.

        Returns False where another pair is the present one, as after a second click: nothing is kept then.
        Raises InputError where the file cannot be written. The pair then stays the present one.
        """
        with self._lock:
            if number != self._place or number >= len(self.pairs):
                return False
            judgement = file.judged(self.pairs[number], better, self.who, why)
            file.add(judgement)
            self.made.append(judgement)
            self._place += 1
            return True

    def skip(self, number: int) -> bool:
        """Go on to the next pair without a judgement. Returns as `judge` does."""
        with self._lock:
            if number != self._place or number >= len(self.pairs):
                return False
            self._place += 1
            return True


def tally(judgements: Sequence[Judgement]) -> list[tuple[str, int]]:
    """Return how often the answers of each origin were preferred, the most frequent first."""
    counts: Counter[str] = Counter()
    for judgement in judgements:
        if judgement.better == "neither":
            counts["neither"] += 1
        elif judgement.origin:
            counts[judgement.origin[judgement.better == "second"]] += 1
        else:
            counts["unknown"] += 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
