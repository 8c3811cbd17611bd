"""Sort the entries of contradictions.json for the page: by attribute, by question, by pair of sources.

Every entry is counted. A long list is cut where it is shown, and the page says so:
data/clean/contradictions.json has all of it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stages.clean import Params
from stages.clean.verifying.answers import KIND as ANSWERS_KIND
from stages.clean.verifying.contradictions import BY_PRIORITY
from stages.core.project import artifacts
from stages.core.project.errors import InputError

Row = dict[str, Any]
Pair = tuple[str, str]
"""Two sources: that of the kept or first side, and that of the other side."""
LISTED = 500
"""Facts of an attribute, and questions, that are shown."""
ENDINGS = {1: "st", 2: "nd", 3: "rd"}
"""Endings of ordinal numbers: 1st, 2nd, 3rd. All others are `th`, and so are 11 to 13."""


@dataclass
class Report:
    """The entries of contradictions.json: all of them counted, and those that are shown."""

    params: Params
    sources: list[str]
    """Names of the sources, in order of priority."""
    attributes: Counter[str] = field(default_factory=Counter)
    """Number of contradictions of each attribute."""
    pairs: Counter[Pair] = field(default_factory=Counter)
    """Number of contradictions of each pair of sources."""
    facts: dict[str, list[Row]] = field(default_factory=dict)
    """Attribute → the entries about facts that are shown."""
    questions: dict[str, list[Row]] = field(default_factory=dict)
    """Record that answers first → the entries about its question that are shown."""

    def add(self, entry: Row) -> None:
        """Count an entry, and keep it where there is room."""
        first, other = sides(entry)
        self.pairs[first["source"], other["source"]] += 1
        if entry.get("kind") == ANSWERS_KIND:
            # All other answers to a shown question are shown with it.
            known = first["record"] in self.questions
            if known or len(self.questions) < LISTED:
                keep(self.questions, first["record"], entry)
        else:
            self.attributes[entry["attribute"]] += 1
            keep(self.facts, entry["attribute"], entry)

    @property
    def answers(self) -> int:
        """Number of the entries that are about answers."""
        about_facts = self.attributes.total()
        return self.pairs.total() - about_facts

    @cached_property
    def pair_numbers(self) -> dict[Pair, int]:
        """Pair of sources → its number, the most frequent first. Read it once all entries are counted."""
        # Pairs of the same frequency are in alphabetical order, so that the page is always the same.
        by_frequency = sorted(self.pairs, key=lambda pair: (-self.pairs[pair], pair))
        return {pair: number for number, pair in enumerate(by_frequency)}

    def classes(self, entries: Iterable[Row]) -> str:
        """Return the classes by which the choice of a pair of sources finds the entries: `dispute p0 p2`."""
        numbers = set()
        for entry in entries:
            first, other = sides(entry)
            pair = first["source"], other["source"]
            numbers.add(self.pair_numbers[pair])
        names = ["dispute"]
        for number in sorted(numbers):
            names.append(f"p{number}")
        return " ".join(names)

    def limit(self, entry: Row) -> float:
        """Return how far the two values of a quantity may lie apart, in its unit."""
        winner, _ = sides(entry)
        tolerance = self.params.verify.tolerance[entry["attribute"]]
        share = tolerance.relative * abs(number(winner))
        return max(tolerance.absolute, share)

    def apart(self, entry: Row) -> str:
        """Say how far the two values of a quantity lie apart, and how far they may."""
        winner, _ = sides(entry)
        unit = winner["normalised"].partition(" ")[2]
        actual = f"{distance(entry):.4g} {unit}".strip()
        allowed = f"{self.limit(entry):.4g} {unit}".strip()
        return f"{actual}; allowed {allowed}"

    def allowed(self, attribute: str) -> str:
        """Say how far two values of an attribute may lie apart."""
        tolerance = self.params.verify.tolerance.get(attribute)
        if tolerance is None:
            return "nothing: it has one value"
        unit = self.params.normalise.units.get(attribute, "")
        absolute = f"{tolerance.absolute:g} {unit}".strip()
        return f"{absolute} or {tolerance.relative * 100:g} %"

    def rank(self, source: str) -> str:
        """Name a source with its rank in the order of priority, such as `legacy (2nd source)`.

        Raises InputError for a source that extract did not read.
        """
        if source not in self.sources:
            raise InputError(
                f"{artifacts.CONTRADICTIONS}: made with a source {source} that {artifacts.SOURCES} "
                "does not have; run dvc repro"
            )
        rank = self.sources.index(source) + 1
        return f"{source} ({ordinal(rank)} source)"

    def decided(self, entry: Row) -> str:
        """Say why the kept side was kept."""
        winner, loser = sides(entry)
        if entry["rule"] == BY_PRIORITY:
            before = self.rank(winner["source"])
            after = self.rank(loser["source"])
            return f"{before} before {after}"
        return str(entry["rule"])


def ordinal(number: int) -> str:
    """Write a number as people count: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    if 10 < number % 100 < 14:
        return f"{number}th"
    return f"{number}{ENDINGS.get(number % 10, 'th')}"


def keep(shown: dict[str, list[Row]], name: str, entry: Row) -> None:
    """Put an entry to the others of that name, unless LISTED of them are there."""
    entries = shown.setdefault(name, [])
    if len(entries) < LISTED:
        entries.append(entry)


def sides(entry: Row) -> tuple[Row, Row]:
    """Return the side that was kept, or comes first, and the other one."""
    if "winner" in entry:
        return entry["winner"], entry["loser"]
    return entry["first"], entry["second"]


def number(side: Row) -> float:
    """Return the number of a quantity: 1538.0 of `1538 °C`.

    Raises InputError where it is not a quantity.
    """
    digits, _, _ = side["normalised"].partition(" ")
    try:
        return float(digits)
    except ValueError:
        raise InputError(
            f"{artifacts.CONTRADICTIONS}: {side['normalised']!r} of {side['locator']} is not a "
            "quantity, but clean.verify.tolerance has its attribute; run dvc repro"
        ) from None


def distance(entry: Row) -> float:
    """Return how far the two values of a quantity lie apart, in its unit."""
    first, other = sides(entry)
    difference = number(first) - number(other)
    return abs(difference)
