"""What a page tells of contradictions.json: the entries counted and kept as far as they are shown, how far the two sides of each
lie apart, how far they may, and why one was kept.

A long list is cut, and says so: data/clean/contradictions.json has all of it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stages import clean
from stages.clean.verifying.answers import KIND
from stages.clean.verifying.contradictions import BY_PRIORITY

Row = dict[str, Any]
Pair = tuple[str, str]
"""Two sources: of what comes first, and of what says otherwise."""
LISTED = 500
"""Facts of an attribute, and questions, that are shown."""
ENDINGS = {1: "st", 2: "nd", 3: "rd"}


@dataclass
class Report:
    """The entries of contradictions.json, counted, and as many of them as are shown."""

    params: clean.Params
    sources: list[str]
    """In order of priority."""
    attributes: Counter[str] = field(default_factory=Counter)
    pairs: Counter[Pair] = field(default_factory=Counter)
    facts: dict[str, list[Row]] = field(default_factory=dict)
    """By attribute."""
    questions: dict[str, list[Row]] = field(default_factory=dict)
    """By the record that answers first."""

    def add(self, entry: Row) -> None:
        """Count an entry, and keep it where there is room."""
        first, other = sides(entry)
        self.pairs[first["source"], other["source"]] += 1
        if entry.get("kind") == KIND:
            if first["record"] in self.questions or len(self.questions) < LISTED:
                keep(self.questions, first["record"], entry)
        else:
            self.attributes[entry["attribute"]] += 1
            keep(self.facts, entry["attribute"], entry)

    @property
    def answers(self) -> int:
        """How many of the entries are about answers."""
        return self.pairs.total() - self.attributes.total()

    @cached_property
    def places(self) -> dict[Pair, int]:
        """The pairs of sources, the most frequent first, once all entries are counted."""
        return {
            pair: place
            for place, (pair, _) in enumerate(
                sorted(self.pairs.items(), key=lambda item: (-item[1], item[0]))
            )
        }

    def classes(self, entries: Iterable[Row]) -> str:
        """What the choice of a pair of sources knows them by."""
        found = {
            self.places[first["source"], other["source"]] for first, other in map(sides, entries)
        }
        return " ".join(["dispute", *(f"p{place}" for place in sorted(found))])

    def limit(self, entry: Row) -> float:
        """How far the two values of a quantity may lie apart."""
        tolerance = self.params.verify.tolerance[entry["attribute"]]
        return max(tolerance.absolute, tolerance.relative * abs(number(sides(entry)[0])))

    def apart(self, entry: Row) -> str:
        """How far the two values of a quantity lie apart, and how far they may."""
        unit = sides(entry)[0]["normalised"].partition(" ")[2]
        return (
            f"{distance(entry):.4g} {unit}".strip()
            + "; allowed "
            + f"{self.limit(entry):.4g} {unit}".strip()
        )

    def allowed(self, attribute: str) -> str:
        """How far two values of an attribute may lie apart, in words."""
        if not (tolerance := self.params.verify.tolerance.get(attribute)):
            return "nothing: it has one value"
        unit = self.params.normalise.units.get(attribute, "")
        return f"{tolerance.absolute:g} {unit}".strip() + f" or {tolerance.relative * 100:g} %"

    def rank(self, source: str) -> str:
        """A source with its place in the order of priority."""
        place = self.sources.index(source) + 1
        return f"{source} ({place}{'th' if 10 < place % 100 < 14 else ENDINGS.get(place % 10, 'th')} source)"

    def decided(self, entry: Row) -> str:
        """Why the kept side was kept."""
        winner, loser = sides(entry)
        if entry["rule"] == BY_PRIORITY:
            return f"{self.rank(winner['source'])} before {self.rank(loser['source'])}"
        return str(entry["rule"])


def keep(room: dict[str, list[Row]], name: str, entry: Row) -> None:
    """Put an entry to those of its kind unless they are many."""
    if len(kept := room.setdefault(name, [])) < LISTED:
        kept.append(entry)


def sides(entry: Row) -> tuple[Row, Row]:
    """What was kept, or comes first, and the other."""
    return (
        (entry["winner"], entry["loser"])
        if "winner" in entry
        else (entry["first"], entry["second"])
    )


def number(side: Row) -> float:
    """The value of a quantity."""
    return float(side["normalised"].partition(" ")[0])


def distance(entry: Row) -> float:
    """How far the two values of a quantity lie apart."""
    first, other = sides(entry)
    return abs(number(first) - number(other))
