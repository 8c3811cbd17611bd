"""A report is a list of sections. Each section has lines of text and perhaps one table.

This module draws a report as aligned text for a terminal and as Markdown for a pull request.
`html.py` draws the same sections as a page.
"""

import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lore.rendering.terminal import shown

Row = dict[str, Any]
WIDTH = 150
"""Columns of aligned text where there is no terminal."""
NARROW = 32
"""A cell of at most so many columns is never cut. A difference with its interval fits."""
GOOD = frozenset({"learned", "forgotten", "newly right", "kept right", "better"})
"""Verdicts that a page shows in green."""
BAD = frozenset(
    {"not learned", "still says the old value", "still answers it", "newly wrong", "worse"}
)
"""Verdicts that a page shows in red."""
MARKDOWN_SIGNS = "\\`*_[]|~#"
"""Signs that mean something in Markdown. The backslash comes first, because it escapes the others."""


@dataclass(frozen=True)
class Section:
    """A heading, lines of text, and perhaps a table. A page colours the cells that are verdicts."""

    title: str
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)


def records(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a frame as dictionaries."""
    rows = []
    for row in frame.itertuples(index=False, name=None):
        rows.append(dict(zip(frame.columns, row, strict=True)))
    return rows


def left_out(name: str, number: int, most: int | None) -> list[str]:
    """Return the line that says how many rows of a kind are not listed, or nothing.

    `most` rows are listed. None means that all are.
    """
    if most is None or number <= most:
        return []
    return [f"{name}: {number - most:,} more, listed with --all"]


def score_cell(score: Row | None) -> str:
    """Write a score with its interval, such as `0.950 [0.931, 0.964]`."""
    if score is None:
        return "–"
    interval = f"[{score['low']:.3f}, {score['high']:.3f}]"
    return f"{score['value']:.3f} {interval}"


def change_cell(row: Row) -> str:
    """Write a difference with its interval, and p where it was tested."""
    if "difference" not in row:
        return "–"
    interval = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
    cell = f"{row['difference']:+.3f} {interval}"
    if "p" in row:
        cell += f" p {row['p']:.2g}"
    return cell


def text(title: str, notes: Sequence[str], sections: Iterable[Section]) -> str:
    """Draw a report for a terminal: aligned columns, long cells cut. A note begins with `!`."""
    lines = [shown(title)]
    for note in notes:
        # A note may be a message of several lines.
        lines.append(f"! {shown(' '.join(note.split()))}")
    for section in sections:
        lines += ["", shown(section.title)]
        for line in section.lines:
            lines.append(f"  {shown(line)}")
        for line in aligned(section):
            lines.append(f"  {line}")
    return "\n".join(lines) + "\n"


def aligned(section: Section) -> Iterator[str]:
    """Yield the lines of the section's table: first the names of its columns, then its rows."""
    if not section.rows:
        return
    table: list[Sequence[str]] = [section.columns]
    # A line end inside a cell would break the row.
    for row in section.rows:
        table.append([shown(" ".join(cell.split())) for cell in row])
    widths = column_widths(table)
    for line in table:
        cells = []
        for cell, size in zip(line, widths, strict=True):
            cut_cell = cut(cell, size)
            # str.ljust counts characters, and a Chinese one takes two columns.
            padding = " " * (size - width(cut_cell))
            cells.append(cut_cell + padding)
        yield "  ".join(cells).rstrip()


def column_widths(table: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column may be, so that a row fits the terminal.

    While the table is too wide, its widest column gives way, down to NARROW.
    """
    available = shutil.get_terminal_size((WIDTH, 0)).columns - 2
    # A cell that alone is wider than the terminal gives way down to its width in any case.
    most = max(available, NARROW)
    widths = []
    for column in zip(*table, strict=True):
        widths.append(max(width_up_to(cell, most) for cell in column))
    gaps = 2 * len(widths)
    while sum(widths) + gaps > available and max(widths) > NARROW:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def width(text: str) -> int:
    """Count the columns that a terminal gives to a text.

    A Chinese character takes two columns. A combining mark, such as the accent of e\u0301, takes none.
    """
    if text.isascii():
        return len(text)
    return sum(width_of_sign(sign) for sign in text)


def width_of_sign(sign: str) -> int:
    """Return the columns of one character: 0, 1 or 2."""
    if sign.isascii():
        return 1
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def width_up_to(text: str, most: int) -> int:
    """Return the columns of a text, or `most` if it has more. A long text is not read to its end."""
    columns = 0
    for sign in text:
        columns += width_of_sign(sign)
        if columns >= most:
            return most
    return columns


def cut(text: str, most: int) -> str:
    """Shorten a text to at most `most` columns.

    The middle is left out, because a value stands at the end. Of `old → new`, both sides are cut.
    Example: `elements: a.sql#properties/300` becomes `elements: a.sq…ties/300`.
    """
    if width_up_to(text, most + 1) <= most:
        return text
    old, arrow, new = text.partition(" → ")
    if arrow and most > 20:
        # Half the columns for each side. A short new side leaves its columns to the old one.
        sides = most - len(" → ")
        old = cut(old, max(most // 2 - 2, sides - width_up_to(new, sides)))
        return f"{old}{arrow}{cut(new, sides - width(old))}"
    head = beginning(text, most // 2)
    tail = beginning(text[::-1], most - width("…") - width(head))[::-1]
    return f"{head}…{tail}"


def beginning(text: str, most: int) -> str:
    """Return the longest beginning of a text that takes at most `most` columns."""
    columns = 0
    for position, sign in enumerate(text):
        columns += width_of_sign(sign)
        if columns > most:
            return text[:position]
    return text


def markdown(title: str, notes: Sequence[str], sections: Iterable[Section]) -> str:
    """Draw a report for a pull request, with tables as GitHub draws them."""
    lines = [f"## {escaped(title)}"]
    for note in notes:
        lines.append(f"\n> {escaped(note)}")
    for section in sections:
        lines += ["", f"### {escaped(section.title)}", ""]
        for line in section.lines:
            lines.append(f"{escaped(line)}  ")  # two spaces end a line in Markdown
        if section.rows:
            lines.append("")
            lines += markdown_table(section)
    return "\n".join(lines) + "\n"


def markdown_table(section: Section) -> list[str]:
    """Return the lines of the section's table in Markdown."""
    rule = ["---"] * len(section.columns)
    table: list[Sequence[str]] = [section.columns, rule]
    for row in section.rows:
        table.append([escaped(cell) for cell in row])
    return ["| " + " | ".join(cells) + " |" for cells in table]


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is: no table cell, HTML, link or mention comes of it."""
    text = shown(" ".join(text.split()))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in MARKDOWN_SIGNS:
        text = text.replace(sign, f"\\{sign}")
    # An @ before a word, as in `@someone`, would call that person. A space of no width prevents it.
    # An @ inside a word, as in an address or in knowledge@v1.0.0, calls nobody and stays.
    return re.sub(r"(?<!\w)@(?=\w)", "@\u200b", text)
