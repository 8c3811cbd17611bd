"""Tables on a page of a PDF file, found by where the parts of its lines stand.

A PDF says where text stands, not what is a table. The first row of a table names the columns, and the
parts of each further row belong to the column that they stand below. A table is read only where its header
has the column that the mapping names as subject, so that two columns of prose are no table. Set aside are
rows with a part below two columns or between two, and rows that may go on in the next line.
"""

from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from stages.extract.engines.line import Box, Line, enclosing_box
from stages.extract.tables import Cell, Row, Table, columns_of
from stages.extract.unit import Mapping, paths_in

WIDEST_GAP = 0.9
"""Widest gap inside a cell, in heights of a letter. Words stand a third of a height apart."""
FARTHEST = 1.6
"""Farthest distance between two rows of a table, in heights of a row."""
GROUP_DISTANCE = 1.3
"""Least distance of a row with one cell from the row above, in usual distances, that makes it a heading."""
NumberedLine = tuple[int, Line]
Parts = list[NumberedLine]
"""The parts of a row, from left to right."""


def tables_on(
    lines: Parts, header_rows: int, least_confidence: float, mapping: Mapping
) -> Iterator[Table]:
    """Yield the tables of a page, with the parts of its lines, each with its number."""
    subjects = paths_in(mapping.subject)
    upright = [(number, line) for number, line in lines if line.angle == 0 and not line.is_field]
    for number, rows in enumerate(groups_of(rows_of(upright)), start=1):
        if len(rows) <= header_rows:
            continue
        header, body = rows[:header_rows], rows[header_rows:]
        columns = [line.box for _, line in header[-1]]
        table = Table(f"/T{number}", [row_of(row, columns, least_confidence) for row in rows])
        for row in table.rows[:header_rows]:
            row.is_header = True
        set_broken_rows_aside(table.rows[header_rows:], body)
        names = {column.name for column in columns_of(table.rows[:header_rows], len(columns))}
        faults = [row for row in table.rows[:header_rows] if row.reason]
        if faults:
            table.reason, table.evidence = faults[0].reason, faults[0].evidence
        elif not names.issuperset(subjects):
            evidence = f"no column {subjects[0]} in the first row; it may be no table"
            table.reason, table.evidence = "other_table", evidence
        yield table


def rows_of(parts: Parts) -> list[Parts]:
    """Return the rows of parts from top to bottom, each from left to right."""
    rows: list[Parts] = []
    for part in sorted(parts, key=lambda part: part[1].box.top + part[1].box.bottom):
        middle = (part[1].box.top + part[1].box.bottom) / 2
        if rows:
            last = rows[-1][-1][1].box
            if last.top < middle < last.bottom:
                rows[-1].append(part)
                continue
        rows.append([part])
    for row in rows:
        row.sort(key=lambda part: part[1].box.left)
    return rows


def groups_of(rows: list[Parts]) -> Iterator[list[Parts]]:
    """Yield rows that stand close below each other, from one of several parts on to the last such."""
    group: list[Parts] = []
    for row in rows:
        if group and distance(group[-1], row) > FARTHEST * box_of(group[-1]).height:
            yield from trimmed(group)
            group = []
        if group or len(row) > 1:
            group.append(row)
    yield from trimmed(group)


def trimmed(group: list[Parts]) -> Iterator[list[Parts]]:
    """Yield a group of rows without the rows of one part at its end, if anything remains."""
    while group and len(group[-1]) == 1:
        group = group[:-1]
    if group:
        yield group


def distance(upper: Parts, lower: Parts) -> int:
    """Return the distance between two rows."""
    return box_of(lower).top - box_of(upper).bottom


def box_of(row: Parts) -> Box:
    """Return the box around a row."""
    return enclosing_box([line.box for _, line in row])


def row_of(parts: Parts, columns: list[Box], least_confidence: float) -> Row:
    """Return a row with each part in its column, or with the reason why that is not certain."""
    number, _ = parts[0]
    edges = ",".join(str(edge) for edge in box_of(parts))
    cells: list[Cell] = []
    row = Row(f"/L{number}@{edges}", cells)
    used: set[int] = set()
    for _, line in parts:
        below = columns_above(line.box, columns)
        first, last = below[0], below[-1]
        cells.append(Cell(line.text, first, last - first + 1))
        if line.confidence < least_confidence:
            row.reason = "low_confidence"
            row.evidence = (
                f"read with confidence {line.confidence:.2f}, {least_confidence} is asked for"
            )
        elif not row.reason and (len(below) > 1 or used & set(below)):
            row.reason = "merged_cells"
            row.evidence = f"{line.text!r} does not stand below one column alone"
        used.update(below)
    return row


def columns_above(box: Box, columns: list[Box]) -> list[int]:
    """Return the columns below which a part stands. If it stands between two, return both."""
    below = []
    gaps: list[tuple[int, int]] = []
    for number, column in enumerate(columns):
        gap = max(column.left - box.right, box.left - column.right)
        gaps.append((gap, number))
        if gap < 0:
            below.append(number)
    if below:
        return below
    gaps.sort()
    if len(gaps) > 1 and 2 * gaps[0][0] >= gaps[1][0]:
        return sorted([gaps[0][1], gaps[1][1]])
    return [gaps[0][1]]


def set_broken_rows_aside(rows: list[Row], body: list[Parts]) -> None:
    """Set rows aside that may go on in the next line.

    Such a row has no first cell, or that alone, or it lacks a cell and begins with a small letter.
    """
    width = max((row.width() for row in rows), default=0)
    distances = [distance(upper, lower) for upper, lower in pairwise(body)]
    usual = median(distances) if distances else 0
    for number, row in enumerate(rows):
        columns = {cell.first for cell in row.cells}
        has_first = 0 in columns
        is_whole = len(columns) == width or not row.cells[0].text[:1].islower()
        if has_first and len(columns) > 1 and is_whole:
            continue
        mark_broken(row)
        is_heading = (
            has_first and number > 0 and distances[number - 1] > GROUP_DISTANCE * max(usual, 1)
        )
        if number > 0 and not is_heading:
            mark_broken(rows[number - 1])


def mark_broken(row: Row) -> None:
    """Set a row aside because it may be a part of another one."""
    if not row.reason:
        row.reason = "broken_row"
        row.evidence = "the row or the next one has not all cells; both may be one row"
