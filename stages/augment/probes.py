"""Probes of facts: questions that evaluate asks, in wordings that are never trained.

- stated: the subject is given, the value is asked for. Every fact is asked in all stated wordings.
- reversed: the value is given, the subject is asked for. Asked where one subject alone has the value.
  A model that learned "A is B" often cannot answer what B is (the reversal curse: Berglund et al. 2023,
  arXiv 2309.12288).
- comparison: two subjects are given, and the one with the larger (or smaller) value is asked for.

`meta` of a probe holds `probe` (its kind), `wording` (its template) and `accepted` (answers that are right).
A comparison has `wrong` too: the name of the other subject.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stages.augment.fact import Fact, Row, draw
from stages.augment.hashes import Hashes
from stages.augment.wordings import Attribute
from stages.core.records import record
from stages.core.records.prompt import REVERSED
from stages.core.records.wording import fill
from stages.core.repeatable.seeding import derive

STATED = "stated"
COMPARISON = "comparison"


@dataclass
class Counts:
    """Numbers for metrics/augment.json."""

    asked: Counter[str] = field(default_factory=Counter)
    """Probes by their kind."""
    value_not_unique: int = 0
    """Facts that are not asked backwards, because another subject has the same value."""
    not_comparable: int = 0
    """Facts of attributes with comparison wordings that cannot be compared: their value is no number, or
    its unit is not that of most others."""

    def report(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return {
            "asked": dict(sorted(self.asked.items())),
            "value_not_unique": self.value_not_unique,
            "not_comparable": self.not_comparable,
        }


def stated(fact: Fact, wording: Attribute, wanted: int | None, seed: int) -> Iterator[Row]:
    """Yield one probe per wording. `wanted`: number of wordings, drawn for each fact. None: all."""
    templates = wording.probe.questions
    if wanted is not None:
        templates = draw(templates, wanted, seed, fact.id)
    # Of a quantity, the number alone is enough.
    accepted = [fact.answer, fact.amount]
    if fact.number is not None:
        accepted.append(fact.value)
    for number, template in enumerate(templates):
        probe = fact.question("probe", number, template)
        yield probe | {"meta": meta_of(STATED, template, accepted)}


class Survey:
    """What reversed questions and comparisons must know of all facts, in some 40 bytes a fact.

    First every fact is added. Then `wanted` names the facts that are compared, and `know` takes them.
    """

    def __init__(self, bank: dict[str, Attribute], pairs: int, seed: int, counts: Counts) -> None:
        """`pairs`: of each attribute that has comparison wordings. The counts are raised as the facts are asked."""
        self._bank = bank
        self._pairs = pairs
        self._seed = seed
        self._counts = counts
        self._values = Hashes()
        """Attribute and value of each fact that may be asked backwards."""
        self._candidates: dict[str, Candidates] = {}
        """Facts that may be compared, by attribute."""
        self._partner: dict[str, str] = {}
        """Fact that is named first → fact that it is compared with."""
        self._known: dict[str, Fact] = {}

    def add(self, fact: Fact) -> None:
        """Take a fact."""
        wording = self._bank[fact.attribute]
        probe = wording.probe
        if probe.reversed or wording.train.reversed:
            self._values.add(fact.attribute, fact.amount)
        if probe.comparison.larger or probe.comparison.smaller:
            candidates = self._candidates.setdefault(fact.attribute, Candidates())
            candidates.add(fact, derive(self._seed, COMPARISON, fact.id))

    def wanted(self) -> set[str]:
        """Choose the pairs that are compared, and return the facts of all of them."""
        self._counts.value_not_unique = self._values.repeated()
        for attribute in sorted(self._candidates):
            candidates = self._candidates[attribute]
            comparable = candidates.with_one_unit()
            self._counts.not_comparable += len(candidates) - len(comparable)
            for first, second in candidates.drawn_pairs(comparable, self._pairs):
                self._partner[first] = second
        return {*self._partner.keys(), *self._partner.values()}

    def know(self, fact: Fact) -> None:
        """Take a fact that is wanted."""
        self._known[fact.id] = fact

    def rows(self, fact: Fact) -> Iterator[Row]:
        """Yield the reversed questions of a fact, and the comparisons that name it first."""
        wording = self._bank[fact.attribute]
        if wording.probe.reversed and self.has_own_value(fact):
            yield from reversed_questions(fact, wording)
        if fact.id in self._partner:
            other = self._known[self._partner[fact.id]]
            yield from comparisons(fact, other, wording)

    def trained_rows(self, fact: Fact, wanted: int) -> Iterator[Row]:
        """Yield up to `wanted` reversed questions that are learned, in wordings drawn for each fact."""
        templates = self._bank[fact.attribute].train.reversed
        if not templates or not self.has_own_value(fact):
            return
        for number, template in enumerate(draw(templates, wanted, self._seed, fact.id)):
            question = fill(template, value=fact.amount)
            yield fact.pair("train", f"{REVERSED}/{number:02d}", question, fact.answer)

    def has_own_value(self, fact: Fact) -> bool:
        """Whether no other subject has the value of a fact. Only of attributes with reversed wordings."""
        return self._values.count(fact.attribute, fact.amount) == 1


class Candidates:
    """The facts of an attribute that may be compared, as columns of numbers."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.ids = bytearray()
        """The facts' ids, one behind the other."""
        self.ends = array("Q")
        """Where each of these ends."""
        self.ranks = array("Q")
        """A hash of the seed and the fact, which decides the order."""
        self.numbers = array("d")
        """The values. Not a number (NaN) where a value is in words."""
        self.units = array("q")
        """Which of `names` the unit is."""
        self.names: dict[str, int] = {}

    def __len__(self) -> int:
        """Return the number of facts."""
        return len(self.ends)

    def add(self, fact: Fact, rank: int) -> None:
        """Take a fact and its rank."""
        self.ids += fact.id.encode()
        self.ends.append(len(self.ids))
        self.ranks.append(rank)
        self.numbers.append(math.nan if fact.number is None else fact.number)
        self.units.append(self.names.setdefault(fact.unit or "", len(self.names)))

    def with_one_unit(self) -> Any:
        """Return the places of the facts whose value is a number in the unit that most of them have: [facts]."""
        units = np.array(self.units, dtype=np.int64)
        is_number = ~np.isnan(np.array(self.numbers, dtype=np.float64))
        uses = np.bincount(units[is_number], minlength=len(self.names))
        if not uses.any():
            return np.zeros(0, dtype=np.int64)
        # Of two units that are equally frequent, the first by name.
        unit = min(self.names, key=lambda name: (-uses[self.names[name]], name))
        return np.flatnonzero(is_number & (units == self.names[unit]))

    def drawn_pairs(self, places: Any, wanted: int) -> list[tuple[str, str]]:
        """Return up to `wanted` pairs of facts with different values: neighbours in the order of the ranks."""
        ranks = np.array(self.ranks, dtype=np.uint64)[places]
        ranked = places[np.argsort(ranks, kind="stable")]
        pairs: list[tuple[str, str]] = []
        for first, second in zip(ranked[::2], ranked[1::2], strict=False):
            if len(pairs) == wanted:
                break
            if self.numbers[first] != self.numbers[second]:
                pairs.append((self.id_at(first), self.id_at(second)))
        return pairs

    def id_at(self, place: int) -> str:
        """Return the id of the fact at a place."""
        begin = self.ends[place - 1] if place else 0
        return self.ids[begin : self.ends[place]].decode()


def reversed_questions(fact: Fact, wording: Attribute) -> Iterator[Row]:
    """Yield the reversed probes of a fact whose value is that of one subject alone."""
    for number, template in enumerate(wording.probe.reversed):
        question = fill(template, value=fact.amount)
        accepted = [fact.answer, fact.subject]
        probe = fact.pair("probe", f"{REVERSED}/{number:02d}", question, fact.answer)
        yield probe | {"meta": meta_of(REVERSED, template, accepted)}


def comparisons(first: Fact, second: Fact, wording: Attribute) -> Iterator[Row]:
    """Yield the comparison probes of two facts, in all wordings.

    The pairs depend on the seed and on the ids of the facts. Another value of a fact keeps its pair.
    """
    comparison = wording.probe.comparison
    larger, smaller = by_number(first, second)
    for number, template in enumerate(comparison.larger):
        yield comparison_of(first, second, larger, smaller, template, f"larger/{number:02d}")
    for number, template in enumerate(comparison.smaller):
        yield comparison_of(first, second, smaller, larger, template, f"smaller/{number:02d}")


def by_number(first: Fact, second: Fact) -> tuple[Fact, Fact]:
    """Return the fact with the larger value, then the other one. Both values are numbers."""
    if float(first.value) > float(second.value):
        return first, second
    return second, first


def comparison_of(
    first: Fact, second: Fact, right: Fact, wrong: Fact, template: str, place: str
) -> Row:
    """Return one probe that names `first`, then `second`. Its answer is the subject of `right`."""
    question = fill(template, subject=first.subject, other=second.subject)
    probe = first.pair("probe", f"{COMPARISON}/{place}", question, right.subject)
    parents = [*first.common["parents"], *second.common["parents"]]
    meta = meta_of(COMPARISON, template, [right.subject], wrong=wrong.subject)
    return probe | {"parents": parents, "meta": meta}


def meta_of(kind: str, template: str, accepted: list[str], **further: Any) -> str:
    """Return the further fields of a probe."""
    distinct = list(dict.fromkeys(accepted))
    return record.to_meta({"accepted": distinct, "probe": kind, "wording": template, **further})
