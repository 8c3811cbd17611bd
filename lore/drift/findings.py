"""Compare the records of two versions, distribution by distribution, and name the rows that stand out.

Three kinds of distributions are compared. Numbers and categories: the values of each attribute of each source.
Counts: the shares of the sources, and the shares of the languages. Texts: the free texts that are new, against those
of the reference. The values of an attribute are compared twice: all of them, and the new ones alone, because few
new rows hardly move a whole distribution.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lore.drift import statistics

Row = dict[str, Any]
FEWEST = 8
"""Values of each side that a test needs."""
FEWEST_TEXTS = 20
NUMERIC = 0.9
"""Share of values that are numbers, from which on an attribute is one of numbers."""
SHOWN = 5
"""Rows that a finding names."""


@dataclass(frozen=True)
class Finding:
    """One comparison."""

    what: str
    """Such as `elements · melting point, new values`."""
    test: str
    """`numbers`, `categories`, `counts` or `texts`."""
    before: int
    now: int
    """Values of each side."""
    size: float
    p: float
    rows: tuple[str, ...]
    """The rows that stand out, with their place."""
    adjusted: float = 1.0
    """p, adjusted for the number of comparisons."""


def compare(reference: Sequence[Row], now: Sequence[Row], seed: int) -> list[Finding]:
    """Return every comparison of two versions' records, without adjusting them."""
    return [*attributes(reference, now), *counts(reference, now), *texts(reference, now, seed)]


def together(found: Sequence[Finding]) -> list[Finding]:
    """Return comparisons adjusted for their number, the surest difference first."""
    levels = statistics.adjusted([one.p for one in found])
    adjusted = []
    for one, level in zip(found, levels, strict=True):
        adjusted.append(Finding(**{**vars(one), "adjusted": level}))
    return sorted(adjusted, key=lambda one: (one.p, one.what))


def attributes(reference: Sequence[Row], now: Sequence[Row]) -> list[Finding]:
    """Compare the values of each attribute of each source that both versions have."""
    before = by_attribute(reference)
    after = by_attribute(now)
    found = []
    for key in sorted(before.keys() & after.keys()):
        old_rows, all_rows = before[key], after[key]
        known = {(row["subject"], row["value"], row["unit"]) for row in old_rows}
        new_rows = [
            row for row in all_rows if (row["subject"], row["value"], row["unit"]) not in known
        ]
        name = f"{key[0]} · {key[1]}"
        kinds = [(f"{name}, all values", all_rows)]
        # Where all are new, they have been compared already.
        if len(new_rows) < len(all_rows):
            kinds.append((f"{name}, new values", new_rows))
        for what, rows in kinds:
            if len(old_rows) >= FEWEST and len(rows) >= FEWEST:
                found.append(values(what, old_rows, rows, new_rows))
    return found


def by_attribute(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return (source, attribute) → the rows of facts."""
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["fact"]:
            groups[row["source"], row["attribute"]].append(row)
    return dict(groups)


def values(what: str, old: list[Row], rows: list[Row], new: list[Row]) -> Finding:
    """Compare values as numbers where most of them are, else as categories."""
    old_numbers = [number(row["value"]) for row in old]
    numeric = sum(value is not None for value in old_numbers) >= NUMERIC * len(old)
    if numeric:
        before = np.array([value for value in old_numbers if value is not None])
        read = [(number(row["value"]), row) for row in rows]
        after = np.array([value for value, _ in read if value is not None])
        lost = [row for value, row in read if value is None]
        if len(after) < FEWEST:
            # They were numbers and are none now, which no test of numbers sees.
            result = statistics.categories(["number"] * len(old), ["text"] * len(rows))
            return finding(what, "categories", old, rows, result, lost)
        result = statistics.numbers(before, after)
        return finding(what, "numbers", old, rows, result, [*lost, *far(before, new)])
    result = statistics.categories([row["value"] for row in old], [row["value"] for row in rows])
    known = {row["value"] for row in old}
    unknown = [row for row in new if row["value"] not in known]
    return finding(what, "categories", old, rows, result, unknown or new)


def number(text: str | None) -> float | None:
    """Return a value as a number, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def far(before: statistics.Numbers, rows: Sequence[Row]) -> list[Row]:
    """Return the rows in the order of their distance from the middle of the reference, the farthest first."""
    middle = float(np.median(before))
    read = [(number(row["value"]), row) for row in rows]
    apart = [(abs(value - middle), row) for value, row in read if value is not None]
    apart.sort(key=lambda pair: (-pair[0], pair[1]["locator"]))
    return [row for _, row in apart]


def counts(reference: Sequence[Row], now: Sequence[Row]) -> list[Finding]:
    """Compare the shares of sources, and of languages among texts."""
    found = []
    kinds: list[tuple[str, Callable[[Row], str]]] = [
        ("share of each source", lambda row: str(row["source"])),
        ("share of each language", lambda row: str(row["lang"])),
    ]
    for what, kind in kinds:
        before = [kind(row) for row in reference]
        after = [kind(row) for row in now]
        if min(len(before), len(after)) < FEWEST:
            continue
        result = statistics.categories(before, after)
        known = set(before)
        unknown = [row for row in now if kind(row) not in known]
        found.append(finding(what, "counts", reference, now, result, unknown))
    return found


def texts(reference: Sequence[Row], now: Sequence[Row], seed: int) -> list[Finding]:
    """Compare the free texts that are new with those of the reference."""
    before = [row for row in reference if not row["fact"]]
    known = {row["text"] for row in before}
    new = [row for row in now if not row["fact"] and row["text"] not in known]
    if min(len(before), len(new)) < FEWEST_TEXTS:
        return []
    result, newness = statistics.texts(
        [row["text"] for row in before], [row["text"] for row in new], seed
    )
    order = sorted(range(len(new)), key=lambda place: (-newness[place], new[place]["locator"]))
    return [finding("free texts, new ones", "texts", before, new, result, [new[p] for p in order])]


def finding(
    what: str,
    test: str,
    before: Sequence[Any],
    now: Sequence[Row],
    result: statistics.Result,
    standing_out: Sequence[Row],
) -> Finding:
    """Return a comparison with the first rows that stand out."""
    rows = []
    for row in standing_out[:SHOWN]:
        rows.append(f"{row['source']}: {row['locator']}: {row['text']}")
    return Finding(what, test, len(before), len(now), result.size, result.p, tuple(rows))
