"""One screen for each source: what is read as what, and what looks wrong."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lore.rendering.report import Section
from lore.sampling.sample import Reading, Sample, line_ends, unused_columns
from lore.sampling.suspicions import suspicions
from stages import clean
from stages.extract.unit import paths_in

VALUES = 10
"""Values that a screen shows."""
TEXTS = 3
"""Free texts that a screen shows."""
LONGEST = 100
"""Characters of a text that are shown."""
DIGITS = re.compile(r"\d+")
LETTERS = re.compile(r"[^\W\d_]+")


def sections_of(sample: Sample, params: clean.Params) -> Iterator[Section]:
    """Yield the sections of a source: file and mapping, values, dates, texts, suspicions."""
    yield Section("file and mapping", tuple(facts_about(sample)))
    if sample.facts or sample.quantities:
        readings = chosen(sample.facts + sample.quantities, VALUES)
        yield Section("values", columns=("name", "written", "read as", "alike"), rows=readings)
    if sample.dates:
        readings = chosen(sample.dates, VALUES // 2)
        yield Section("dates", columns=("name", "written", "read as", "alike"), rows=readings)
    texts = [row for row in sample.records if row["kind"] != "fact"]
    if texts:
        rows: list[tuple[str, ...]] = []
        for row in texts[:TEXTS]:
            rows.append((row["kind"], row["subject"] or "", shortened(row["text"])))
        yield Section("texts", columns=("kind", "subject", "begins"), rows=rows)
    doubts = suspicions(sample, params)
    if doubts:
        yield Section("suspicious", tuple(f"! {doubt}" for doubt in doubts))


def heading(sample: Sample) -> str:
    """Return the first line: name, kind and path."""
    source = sample.source
    return f"{source.name} · {source.kind} · {source.path}"


def facts_about(sample: Sample) -> Iterator[str]:
    """Yield lines about the files, the mapping and the counts of a source."""
    source = sample.source
    if sample.failure:
        yield f"! cannot be read: {sample.failure}"
    if not sample.files:
        return
    yield about_files(sample)
    units = f"{len(sample.units):,} units"
    if not sample.is_all:
        units = f"the first {units} (--sample N for more)"
    counts = [f"{len(sample.records):,} records", f"{len(sample.rejected):,} set aside"]
    if sample.skipped:
        counts.append(f"{sample.skipped:,} skipped by where")
    yield f"read: {units} → {', '.join(counts)}"
    for reason, count in Counter(row["reason"] for row in sample.rejected).most_common(3):
        first = next(row for row in sample.rejected if row["reason"] == reason)
        yield f"set aside, {reason} {count:,}: {first['locator']}: {first['evidence']}"
    yield f"mapping: {', '.join(mapping_of(source.map))}"
    unused = unused_columns(sample)
    if unused:
        shown = ", ".join(unused[:12]) + (
            f" and {len(unused) - 12} more" if len(unused) > 12 else ""
        )
        yield f"not used: {shown}"


def about_files(sample: Sample) -> str:
    """Return the number of files, the encoding, the line ends and the declared signs of numbers."""
    source: Any = sample.source
    first = sample.files[0]
    parts = [f"{len(sample.files):,} files" if len(sample.files) > 1 else "1 file"]
    encoding = getattr(source, "encoding", None)
    if encoding == "auto" and not sample.failure:
        found = source.details([first]).get("encodings", {})
        parts.append(f"encoding {', '.join(found)} (found)")
    elif encoding:
        parts.append(f"encoding {encoding}")
    if encoding or source.kind in ("jsonl", "csv"):
        parts.append(f"line ends {line_ends(first) or 'none'}")
    if getattr(source, "delimiter", None):
        parts.append(f"delimiter {source.delimiter!r}")
    parts.append(f"decimal {source.decimal or 'not declared'}")
    if source.thousands:
        parts.append(f"thousands {source.thousands!r}")
    return " · ".join(parts)


def mapping_of(mapping: Any) -> Iterator[str]:
    """Yield the places of a mapping with what they mean: `Value → value`."""
    for name in ("subject", "attribute", "value", "unit", "text", "question", "answer"):
        place = getattr(mapping, name)
        if place:
            yield f"{shown_place(place)} → {name}"
    if mapping.unit_is:
        yield f"every unit is {mapping.unit_is}"
    for fact in mapping.facts:
        unit = f" in {shown_place(fact.unit)}" if fact.unit else ""
        if fact.unit_is:
            unit = f" in {fact.unit_is}"
        yield f"{shown_place(fact.value)} → {fact.attribute}{unit}"
    for name, place in mapping.meta.items():
        yield f"{shown_place(place)} → meta {name}"


def shown_place(place: Any) -> str:
    """Return one place, or several that are joined: `brand + model`."""
    return " + ".join(paths_in(place))


def chosen(readings: list[Reading], most: int) -> list[tuple[str, ...]]:
    """Return rows of the most different readings, those that are set aside first.

    Two values are alike where name and form are: `7,874 g` and `1,538 g` are, `7.8 g` is not.
    """
    alike: dict[tuple[str, str, bool], list[Reading]] = {}
    for reading in readings:
        key = (reading.name, form_of(reading.written), bool(reading.read))
        alike.setdefault(key, []).append(reading)
    groups = sorted(alike.values(), key=rank)
    # In turns by name, so that one name with many forms does not hide the others.
    by_name: dict[str, list[list[Reading]]] = {}
    for group in groups:
        by_name.setdefault(group[0].name, []).append(group)
    rows: list[tuple[str, ...]] = []
    turn = 0
    while len(rows) < most and any(turn < len(groups) for groups in by_name.values()):
        for groups in by_name.values():
            if turn < len(groups) and len(rows) < most:
                rows.append(row_of(groups[turn]))
        turn += 1
    return rows


def rank(group: list[Reading]) -> tuple[int, int]:
    """Order groups: set aside, then changed, then the rest; the largest first."""
    first = group[0]
    if not first.read:
        return 0, -len(group)
    return (1 if first.changed else 2), -len(group)


def row_of(group: list[Reading]) -> tuple[str, ...]:
    """Return the row of a group of like readings: its first one, and their number."""
    first = group[0]
    if not first.read:
        read = f"set aside: {first.reason}"
    elif first.changed:
        read = first.read
    else:
        read = "as written"
    return first.name, first.written, read, f"{len(group):,}"


def form_of(text: str) -> str:
    """Return the form of a value: letters as a, digits as as many 9, up to four.

    The number of digits behind a sign decides what the sign is, so one to three are told apart.
    """
    in_letters = LETTERS.sub("a", text)
    return DIGITS.sub(lambda digits: "9" * min(len(digits.group()), 4), in_letters)


def shortened(text: str) -> str:
    """Return the beginning of a text on one line."""
    beginning = text[: 2 * LONGEST]
    line = " ".join(beginning.split())
    if len(line) <= LONGEST:
        return line
    return f"{line[:LONGEST]}…"
