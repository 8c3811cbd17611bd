"""Probes of facts: questions that evaluate asks, in wordings that are never trained.

- stated: the subject is given, the value is asked for. Every fact is asked in all stated wordings.
- reversed: the value is given, the subject is asked for. Asked where one subject alone has the value.
  A model that learned "A is B" often cannot answer what B is (the reversal curse: Berglund et al. 2023,
  arXiv 2309.12288).
- comparison: two subjects are given, and the one with the larger (or smaller) value is asked for.

`meta` of a probe holds `probe` (its kind), `wording` (its template) and `accepted` (answers that are right).
A comparison has `wrong` too: the name of the other subject.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from stages.augment.fact import Fact, Row, draw
from stages.augment.wordings import Attribute
from stages.core.records import record
from stages.core.records.wording import fill
from stages.core.repeatable.seeding import derive

STATED = "stated"
REVERSED = "reversed"
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


def reversed_questions(
    facts: Iterable[Fact], bank: dict[str, Attribute], counts: Counts
) -> Iterator[Row]:
    """Yield the reversed probes of all facts whose value is that of one subject alone."""
    facts_of_value: defaultdict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        if bank[fact.attribute].probe.reversed:
            facts_of_value[fact.attribute, fact.amount].append(fact)
    for sharing in facts_of_value.values():
        if len(sharing) > 1:
            counts.value_not_unique += len(sharing)
            continue
        (fact,) = sharing
        for number, template in enumerate(bank[fact.attribute].probe.reversed):
            question = fill(template, value=fact.amount)
            accepted = [fact.answer, fact.subject]
            probe = fact.pair("probe", f"reversed/{number:02d}", question, fact.answer)
            yield probe | {"meta": meta_of(REVERSED, template, accepted)}


def comparisons(
    facts: Iterable[Fact], bank: dict[str, Attribute], pairs: int, seed: int, counts: Counts
) -> Iterator[Row]:
    """Yield the comparison probes: so many pairs of facts of each attribute, each in all wordings.

    The pairs depend on the seed and on the ids of the facts. Another value of a fact keeps its pair.
    """
    by_attribute: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        comparison = bank[fact.attribute].probe.comparison
        if comparison.larger or comparison.smaller:
            by_attribute[fact.attribute].append(fact)
    for attribute in sorted(by_attribute):
        candidates = by_attribute[attribute]
        comparable = with_one_unit(candidates)
        counts.not_comparable += len(candidates) - len(comparable)
        comparison = bank[attribute].probe.comparison
        for first, second in drawn_pairs(comparable, pairs, seed):
            larger, smaller = by_number(first, second)
            for number, template in enumerate(comparison.larger):
                yield comparison_of(
                    first, second, larger, smaller, template, f"larger/{number:02d}"
                )
            for number, template in enumerate(comparison.smaller):
                yield comparison_of(
                    first, second, smaller, larger, template, f"smaller/{number:02d}"
                )


def with_one_unit(facts: list[Fact]) -> list[Fact]:
    """Return the facts whose value is a number in the unit that most of them have."""
    units = Counter(fact.unit or "" for fact in facts if fact.number is not None)
    if not units:
        return []
    # Of two units that are equally frequent, the first by name.
    unit = min(units, key=lambda name: (-units[name], name))
    return [fact for fact in facts if fact.number is not None and (fact.unit or "") == unit]


def drawn_pairs(facts: list[Fact], wanted: int, seed: int) -> list[tuple[Fact, Fact]]:
    """Return up to `wanted` pairs with different values: neighbours in the order of a hash."""
    ranked = sorted(facts, key=lambda fact: derive(seed, COMPARISON, fact.id))
    pairs: list[tuple[Fact, Fact]] = []
    for first, second in zip(ranked[::2], ranked[1::2], strict=False):
        if len(pairs) == wanted:
            break
        if first.number != second.number:
            pairs.append((first, second))
    return pairs


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
