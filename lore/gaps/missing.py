"""Attributes that most subjects of a kind have, and some lack.

No file says which kind a subject is of. The attributes themselves tell: where 0.96 of the subjects with a
molar mass also have a melting point, a subject with a molar mass and without a melting point lacks one. This is
an association rule (Agrawal, Imielinski and Swami, 1993) of one attribute on each side. A project about several
kinds of subjects needs no further setting, because a drug shares its attributes with drugs.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
LEAST_SUBJECTS = 10
"""A rule needs so many subjects that have its first attribute."""


@dataclass(frozen=True)
class Missing:
    """A fact that the records lack."""

    subject: str
    attribute: str
    because: str
    """The attribute of the rule that expects it."""
    share: float
    """Share of the subjects with `because` that also have `attribute`."""
    subjects: int
    """Number of subjects with `because`."""
    unit: str
    """The commonest unit of the attribute, or empty."""


def find(records: Sequence[Row], common: float) -> list[Missing]:
    """Return the facts that records lack, by attribute and subject.

    An attribute is expected of a subject where a share of at least `common` of the subjects with another of
    its attributes have it. The rule with the highest share is named, then the one with more subjects.
    """
    has = attributes_of(records)
    shares = rules(has, common)
    units = common_units(records)
    found = []
    for subject in sorted(has):
        for attribute, candidates in shares.items():
            if attribute in has[subject]:
                continue
            fitting = [rule for rule in candidates if rule[2] in has[subject]]
            if not fitting:
                continue
            share, subjects, because = max(fitting)
            found.append(
                Missing(subject, attribute, because, share, subjects, units.get(attribute, ""))
            )
    return sorted(found, key=lambda one: (one.attribute, one.subject))


def attributes_of(records: Sequence[Row]) -> dict[str, set[str]]:
    """Return subject → its attributes."""
    has: defaultdict[str, set[str]] = defaultdict(set)
    for row in records:
        if row["fact"]:
            has[row["subject"]].add(row["attribute"])
    return dict(has)


def rules(has: Mapping[str, set[str]], common: float) -> dict[str, list[tuple[float, int, str]]]:
    """Return attribute → rules that expect it: (share, number of subjects, attribute that they have)."""
    together: defaultdict[tuple[str, str], int] = defaultdict(int)
    counts: defaultdict[str, int] = defaultdict(int)
    for attributes in has.values():
        for first in attributes:
            counts[first] += 1
            for second in attributes:
                together[first, second] += 1

    found: defaultdict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for (first, second), number in sorted(together.items()):
        share = number / counts[first]
        # A share of 1 expects nothing of anybody: nobody lacks it.
        if first != second and counts[first] >= LEAST_SUBJECTS and common <= share < 1:
            found[second].append((share, counts[first], first))
    return dict(sorted(found.items()))


def common_units(records: Sequence[Row]) -> dict[str, str]:
    """Return attribute → the unit that most of its facts have."""
    counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in records:
        if row["fact"]:
            counts[row["attribute"]][row["unit"] or ""] += 1
    units = {}
    for attribute, counted in counts.items():
        units[attribute] = max(counted, key=lambda unit: (counted[unit], unit))
    return units
