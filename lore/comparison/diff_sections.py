"""The sections of `lore diff`: facts, unchanged facts, settings and scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lore.comparison import settings
from lore.comparison.facts import CONTENT, NOT_ASKED, Collateral, Facts
from lore.comparison.significance import NOISE
from lore.rendering.report import BAD, Row, Section, change_cell, left_out, records, score_cell

FACTS_LISTED = 10
"""Facts added, removed or changed that are shown unless all are asked for."""
OTHERS_LISTED = 5
"""Rows of any other kind that are shown."""
KINDS_COUNTED = ("value", "unit", "name", "source")
"""Kinds of change that the headline counts, the weightiest first."""


def facts_section(facts: Facts, variant: str, everything: bool) -> Section:
    """List the facts added, removed and changed, and how the model answers each."""
    most = None if everything else FACTS_LISTED
    lines = [facts_headline(facts)]
    rows: list[tuple[str, ...]] = []
    tables = {
        "changed": content_first(facts.changed),
        "added": facts.added,
        "removed": facts.removed,
    }
    for name, frame in tables.items():
        listed = frame[:most]  # all where `most` is None
        for row in records(listed):
            rows.append(fact_row(name, row))
        lines += left_out(name, len(frame), most)
    if everything:
        for row in records(facts.moved):
            rows.append(moved_row(row))
    if (facts.removed["outcome"] == NOT_ASKED).any():
        lines.append("removed facts were not asked; --ask asks the model in this folder")
    columns = ("", "fact", "was", "is", "where", f"model ({variant})")
    return Section("Facts", tuple(lines), columns, rows)


def facts_headline(facts: Facts) -> str:
    """Count the facts, such as `1 added, 0 removed, 2 changed (value 2); 7 the same`."""
    changed = f"{len(facts.changed):,} changed"
    kinds = []
    for kind in KINDS_COUNTED:
        number = sum(kind in kinds_of_row for kinds_of_row in facts.changed["kinds"])
        if number:
            kinds.append(f"{kind} {number:,}")
    if kinds:
        changed += f" ({', '.join(kinds)})"
    line = f"{len(facts.added):,} added, {len(facts.removed):,} removed, {changed}"
    line += f"; {facts.same:,} the same"
    if len(facts.moved):
        line += f", {len(facts.moved):,} of them at another place of their source"
    return line


def content_first(changed: pd.DataFrame) -> pd.DataFrame:
    """Put the facts whose source alone changed last. A new value tells more than a new source."""
    source_alone = [CONTENT.isdisjoint(kinds) for kinds in changed["kinds"]]
    # False sorts before True. A stable sort keeps the order of subjects within both groups.
    order = np.argsort(np.array(source_alone, dtype=bool), kind="stable")
    return changed.iloc[order]


def fact_row(change: str, row: Row) -> tuple[str, ...]:
    """Return the cells of one fact that was changed, added or removed."""
    if change == "changed":
        name = name_of(row, "_b")
        if "name" in row["kinds"]:
            name = f"{name_of(row, '_a')} → {name}"
        was = amount(row, "_a")
        now = amount(row, "_b")
        where = locations(row)
    else:
        name = name_of(row)
        was = amount(row) if change == "removed" else ""
        now = amount(row) if change == "added" else ""
        where = location(row)
    verdict = row["outcome"]
    # What the model says instead of the right value tells more than that it is wrong.
    if verdict in BAD and row["answer_b"]:
        verdict += f": “{row['answer_b']}”"
    return change, name, was, now, where, verdict


def moved_row(row: Row) -> tuple[str, ...]:
    """Return the cells of one fact that stands elsewhere in its source."""
    name = name_of(row, "_b")
    value = amount(row, "_b")
    return "moved", name, value, value, locations(row), ""


def name_of(row: Row, suffix: str = "") -> str:
    """Name a fact: `iron · melting point`. The suffix `_a` or `_b` chooses the version."""
    subject = row[f"subject{suffix}"]
    attribute = row[f"attribute{suffix}"]
    return f"{subject} · {attribute}"


def amount(row: Row, suffix: str = "") -> str:
    """Return the value with its unit: `1538 °C`. The suffix `_a` or `_b` chooses the version."""
    value = row[f"value{suffix}"]
    unit = row[f"unit{suffix}"]
    return f"{value} {unit}".strip()


def location(row: Row, suffix: str = "") -> str:
    """Return source and locator: `legacy: legacy.csv#L17`. The suffix `_a` or `_b` chooses the version."""
    source = row[f"source{suffix}"]
    locator = row[f"locator{suffix}"]
    return f"{source}: {locator}"


def locations(row: Row) -> str:
    """Return source and locator of both versions, or once where they are the same."""
    old = location(row, "_a")
    new = location(row, "_b")
    return new if old == new else f"{old} → {new}"


def collateral_section(collateral: Collateral, variant: str, everything: bool) -> Section:
    """List the unchanged facts whose answers changed, or stayed wrong."""
    parts = {
        "newly wrong": collateral.newly_wrong,
        "newly right": collateral.newly_right,
        "still wrong": collateral.still_wrong,
    }
    asked = collateral.kept + sum(len(frame) for frame in parts.values())
    counts = ", ".join(f"{len(frame):,} {name}" for name, frame in parts.items())
    lines = [f"{asked:,} asked in both versions: {collateral.kept:,} kept right, {counts}"]
    if collateral.reworded:
        lines.append(
            f"{collateral.reworded:,} of them were asked in other words: "
            "a difference may be the question's"
        )
    rows: list[tuple[str, ...]] = []
    for name, frame in parts.items():
        most = listed_of(name, everything)
        for row in records(frame[:most]):
            rows.append(answer_row(name, row))
        lines += left_out(name, len(frame), most)
    title = f"Unchanged facts: what the model ({variant}) kept, forgot and picked up"
    columns = ("fact", "right is", "answered before", "answers now", "")
    return Section(title, tuple(lines), columns, rows)


def listed_of(name: str, everything: bool) -> int | None:
    """Return how many facts of a kind are listed. None means all."""
    if everything:
        return None
    return 0 if name == "still wrong" else OTHERS_LISTED


def answer_row(name: str, row: Row) -> tuple[str, ...]:
    """Return the cells of one fact whose answer changed, or stayed wrong."""
    # A question about no fact has no subject. Its own text names it.
    fact = name_of(row) if row["subject"] else row["question"]
    return fact, row["expected"], row["answer_a"], row["answer_b"], name


def settings_section(changes: dict[str, list[settings.Setting]], everything: bool) -> Section:
    """List the rules and parameters that changed, key by key. `changes` maps a file to its changes."""
    most = None if everything else OTHERS_LISTED
    rows: list[tuple[str, ...]] = []
    lines: list[str] = []
    for path, changed in changes.items():
        for change in changed[:most]:
            rows.append((path, change.key, shown(change.old), shown(change.new)))
        lines += left_out(path, len(changed), most)
    if not rows:
        lines = ["no difference"]
    return Section("Settings, rules and wordings", tuple(lines), ("file", "key", "was", "is"), rows)


def shown(value: Any) -> str:
    """Write a setting's value: a text as it is, any other as JSON, a dash where there is none."""
    if value is settings.ABSENT:
        return "–"
    if isinstance(value, str) and value:
        return value
    return settings.written(value)


def scores_section(
    rows: Sequence[Row], variant: str, everything: bool, spread: str | None = None
) -> Section:
    """List the scores with their verdicts: those of the variant and those outside the noise, or all.

    `spread` is the line that describes the spread of seeds, where it was measured.
    """
    lines = [
        "share of right answers with 95 % interval; p: McNemar's exact test, by fact; "
        "else intervals of two proportions"
    ]
    cells: list[tuple[str, ...]] = []
    for row in rows:
        is_chosen = row["variant"] == variant
        is_noise = row["verdict"] == NOISE
        if everything or is_chosen or not is_noise:
            was = score_cell(row["a"])
            now = score_cell(row["b"])
            change = change_cell(row)
            cells_of_row = [row["variant"], row["score"], was, now, change, row["verdict"]]
            if spread is not None:
                by_seed = row.get("spread", {"verdict": ""})
                cells_of_row.append(by_seed["verdict"])
            cells.append(tuple(cells_of_row))
    hidden = len(rows) - len(cells)
    if hidden:
        lines.append(f"{hidden} more, all inside the noise, listed with --all")
    columns = ["variant", "score", "was", "is", "difference", "verdict"]
    if spread is not None:
        lines.append(spread)
        columns.append("spread of seeds")
    return Section("Scores", tuple(lines), tuple(columns), cells)
