"""What `lore diff` found, as sections with tables, and these as aligned text or Markdown; `page.py` makes HTML of them."""

import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lore.comparison import settings
from lore.comparison.facts import NOT_ASKED, Collateral, Facts
from lore.comparison.significance import NOISE

Row = dict[str, Any]
LISTED = 10
"""Facts added, removed or changed that are shown unless all are asked for."""
BESIDES = 5
"""Rows of any other kind."""
WIDTH = 150
"""Columns of aligned text where there is no terminal."""
NARROW = 32
"""Columns of a cell that is never cut: a difference with its interval fits."""
GOOD = frozenset({"learned", "forgotten", "newly right", "kept right", "better"})
CONTENT_FIRST = ("value", "unit", "name", "source")
"""Kinds of change in the order of their weight."""
BAD = frozenset(
    {"not learned", "still says the old value", "still answers it", "newly wrong", "worse"}
)


@dataclass(frozen=True)
class Section:
    """A heading, lines of text, and perhaps a table. The last cell of a row is its verdict, which HTML colours."""

    title: str
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)


def facts_section(facts: Facts, variant: str, everything: bool) -> Section:
    """Facts added, removed, changed, and what the model did with each."""
    most = None if everything else LISTED
    kinds = [
        f"{name} {n:,}"
        for name in CONTENT_FIRST
        if (n := sum(name in row for row in facts.changed["kinds"]))
    ]
    counts = [f"{len(getattr(facts, kind)):,} {kind}" for kind in ("added", "removed", "changed")]
    counts[-1] += f" ({', '.join(kinds)})" if kinds else ""
    moved = (
        f", {len(facts.moved):,} of them at another place of their source"
        if len(facts.moved)
        else ""
    )
    lines = [f"{', '.join(counts)}; {facts.same:,} the same{moved}"]
    rows: list[tuple[str, ...]] = []
    # A new value tells more than a new source.
    changed = facts.changed.sort_values(
        "kinds", key=lambda column: column.map(set(CONTENT_FIRST[:-1]).isdisjoint), kind="stable"
    )
    for name, frame in (("changed", changed), ("added", facts.added), ("removed", facts.removed)):
        rows += [fact_row(name, row) for row in records(frame[:most])]
        lines += left_out(name, len(frame), most)
    if everything:
        rows += [moved_row(row) for row in records(facts.moved)]
    if (facts.removed["outcome"] == NOT_ASKED).any():
        lines.append("removed facts were not asked; --ask asks the model in this folder")
    return Section(
        "Facts", tuple(lines), ("", "fact", "was", "is", "where", f"model ({variant})"), rows
    )


def fact_row(kind: str, row: Row) -> tuple[str, ...]:
    """One fact that was changed, added or removed."""
    where = f"{row['source']}: {row['locator']}" if "source" in row else place(row)
    name = (
        f"{row['subject']} · {row['attribute']}"
        if "subject" in row
        else f"{row['subject_b']} · {row['attribute_b']}"
    )
    was = "" if kind == "added" else amount(row, "_a" if kind == "changed" else "")
    now = "" if kind == "removed" else amount(row, "_b" if kind == "changed" else "")
    said = row["answer_b"] if row["outcome"] in BAD else ""
    if kind == "changed" and "name" in row["kinds"]:
        name = f"{row['subject_a']} · {row['attribute_a']} → {name}"
    return kind, name, was, now, where, row["outcome"] + (f": “{said}”" if said else "")


def moved_row(row: Row) -> tuple[str, ...]:
    """One fact that stands elsewhere in its source."""
    value = amount(row, "_b")
    return "moved", f"{row['subject_b']} · {row['attribute_b']}", value, value, place(row), ""


def place(row: Row) -> str:
    """Source and locator; both sides where they differ."""
    old, new = (f"{row[f'source_{side}']}: {row[f'locator_{side}']}" for side in "ab")
    return new if old == new else f"{old} → {new}"


def amount(row: Row, suffix: str) -> str:
    """Value with unit."""
    return " ".join(filter(None, (row[f"value{suffix}"], row[f"unit{suffix}"])))


def collateral_section(found: Collateral, variant: str, everything: bool) -> Section:
    """What befell the facts that did not change."""
    parts = {
        "newly wrong": found.newly_wrong,
        "newly right": found.newly_right,
        "still wrong": found.still_wrong,
    }
    asked = found.kept + sum(map(len, parts.values()))
    counts = ", ".join(f"{len(frame):,} {name}" for name, frame in parts.items())
    lines = [f"{asked:,} asked in both versions: {found.kept:,} kept right, {counts}"]
    if found.reworded:
        lines.append(
            f"{found.reworded:,} of them were asked in other words: a difference may be the question's"
        )
    rows: list[tuple[str, ...]] = []
    for name, frame in parts.items():
        most = None if everything else 0 if name == "still wrong" else BESIDES
        rows += [answer_row(name, row) for row in records(frame[:most])]
        lines += left_out(name, len(frame), most)
    title = f"Unchanged facts: what the model ({variant}) kept, forgot and picked up"
    return Section(
        title, tuple(lines), ("fact", "right is", "answered before", "answers now", ""), rows
    )


def answer_row(name: str, row: Row) -> tuple[str, ...]:
    """One fact whose answer changed, or stayed wrong."""
    fact = " · ".join(filter(None, (row["subject"], row["attribute"]))) or row["question"]
    return fact, row["expected"], row["answer_a"], row["answer_b"], name


def settings_section(changes: dict[str, list[settings.Setting]], everything: bool) -> Section:
    """Rules and parameters that changed, key by key."""
    most = None if everything else BESIDES
    rows: list[tuple[str, ...]] = []
    lines: list[str] = []
    for path, found in changes.items():
        rows += [
            (path, change.key, shown(change.old), shown(change.new)) for change in found[:most]
        ]
        lines += left_out(path, len(found), most)
    lines = lines if rows else ["no difference"]
    return Section("Settings, rules and wordings", tuple(lines), ("file", "key", "was", "is"), rows)


def shown(value: Any) -> str:
    """A setting's value: texts as they are, others as JSON; a dash where there is none."""
    if value is settings.ABSENT:
        return "–"
    return value if isinstance(value, str) and value else settings.written(value)


def scores_section(rows: list[Row], variant: str, everything: bool) -> Section:
    """Scores with their verdicts: the variant's own and those outside the noise, or all."""
    lines = [
        "share of right answers with 95 % interval; p: McNemar's exact test, by fact; else intervals of two proportions"
    ]
    listed = [
        row for row in rows if everything or row["variant"] == variant or row["verdict"] != NOISE
    ]
    if hidden := len(rows) - len(listed):
        lines.append(f"{hidden} more, all inside the noise, listed with --all")
    cells = [
        (
            row["variant"],
            row["score"],
            *map(score_cell, (row["a"], row["b"])),
            change_cell(row),
            row["verdict"],
        )
        for row in listed
    ]
    return Section(
        "Scores", tuple(lines), ("variant", "score", "was", "is", "difference", "verdict"), cells
    )


def score_cell(score: Row | None) -> str:
    """A score with its interval."""
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]" if score else "–"


def change_cell(row: Row) -> str:
    """A difference with its interval, and p where there is one."""
    if "difference" not in row:
        return "–"
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]" + (
        f" p {row['p']:.2g}" if "p" in row else ""
    )


def left_out(name: str, number: int, most: int | None) -> list[str]:
    """The line that says how many of a kind are not listed."""
    hidden = 0 if most is None else max(0, number - most)
    return [f"{name}: {hidden:,} more, listed with --all"] if hidden else []


def records(frame: pd.DataFrame) -> list[Row]:
    """Rows as dictionaries."""
    return [
        dict(zip(frame.columns, row, strict=True))
        for row in frame.itertuples(index=False, name=None)
    ]


def text(title: str, notes: Sequence[str], sections: Iterable[Section]) -> str:
    """Aligned columns for a terminal; long cells are cut."""
    lines = [title, *(f"! {note}" for note in notes)]
    for section in sections:
        lines += [
            "",
            section.title,
            *(f"  {line}" for line in section.lines),
            *(f"  {line}" for line in aligned(section)),
        ]
    return "\n".join(lines) + "\n"


def aligned(section: Section) -> Iterator[str]:
    """The section's table, a line each."""
    if not section.rows:
        return
    table = [section.columns, *([" ".join(cell.split()) for cell in row] for row in section.rows)]
    widths = [max(map(width, column)) for column in zip(*table, strict=True)]
    most = shutil.get_terminal_size((WIDTH, 0)).columns - 2
    while sum(widths) + 2 * len(widths) > most and max(widths) > NARROW:
        widths[widths.index(max(widths))] -= 1  # the widest column gives way
    for row in table:
        cells = (cut(cell, size) for cell, size in zip(row, widths, strict=True))
        yield "  ".join(
            cell + " " * (size - width(cell)) for cell, size in zip(cells, widths, strict=True)
        ).rstrip()


def width(text: str) -> int:
    """Columns that a terminal gives the text: Chinese characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in text
    )


def cut(text: str, most: int) -> str:
    """No wider than `most` columns: its middle is left out, since a value stands at the end. Of `old → new` both are shown."""
    if width(text) <= most:
        return text
    old, arrow, new = text.partition(" → ")
    if arrow and most > 20:
        old = cut(old, max(most // 2 - 2, most - 3 - width(new)))
        return f"{old}{arrow}{cut(new, most - 3 - width(old))}"
    head = tail = text
    while width(head) > most // 2:
        head = head[:-1]
    while width(tail) > most - 1 - width(head):
        tail = tail[1:]
    return f"{head}…{tail}"


def markdown(title: str, notes: Sequence[str], sections: Iterable[Section]) -> str:
    """For a pull request: tables as GitHub draws them."""
    lines = [f"## {escaped(title)}", *(f"\n> {escaped(note)}" for note in notes)]
    for section in sections:
        lines += [
            "",
            f"### {escaped(section.title)}",
            "",
            *(f"{escaped(line)}  " for line in section.lines),
        ]
        if section.rows:
            table = [
                section.columns,
                ["---"] * len(section.columns),
                *([escaped(cell) for cell in row] for row in section.rows),
            ]
            lines += ["", *("| " + " | ".join(row) + " |" for row in table)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown takes as text: no table cell, HTML, link or mention comes of it."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|~#":
        text = text.replace(sign, f"\\{sign}")
    return re.sub(r"(?<!\w)@(?=\w)", "@\u200b", text)  # a space of no width
