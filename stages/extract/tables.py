"""Tables of documents: rows as units, with columns that the header names.

A table is a list of rows of placed cells. HTML, Markdown and PDF give the rows. Where it is not certain
which column a cell belongs to, the row is set aside, and so is a table without a header.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from stages.extract.unit import Mapping, Unit

MOST_COLUMNS = 1_000
"""Most columns of a table that is read: what a cell may span in HTML."""
MOST_CELLS = 1_000_000
"""Most cells of a table that is read, those repeated in the rows that they span included."""
LONGEST_RAW = 2_000
"""Most characters that are shown of a table that is set aside."""
# A header that ends in a unit of measurement. Examples: `Height (cm)`, `Output [MW]`, `高度（米）`.
HEADER_WITH_UNIT = re.compile(r"(.*\S)\s*[(\[（]([^()\[\]（）]+)[)\]）]")
# A cell of the line below a header in Markdown. Examples: `---`, `:--:`.
DELIMITER = re.compile(r":?-{2,}:?")
ROW, HEADER, CELL = "row", "header", "cell"
"""Names of cells that a unit has beside its columns."""


class Cell(NamedTuple):
    """A cell of a table at its place."""

    text: str
    first: int
    """Number of its first column, from 0 on."""
    columns: int = 1
    """Number of columns that it spans."""
    is_header: bool = False


@dataclass
class Row:
    """A row of a table."""

    position: str
    """Position in the file, such as `L12`."""
    cells: list[Cell]
    """From left to right. A cell that spans several rows is in each of them."""
    is_header: bool = False
    """Whether the file says that the row is a header."""
    reason: str = ""
    """Reason why the row is set aside."""
    evidence: str = ""

    def texts(self) -> list[str]:
        """Return the texts of the cells."""
        return [cell.text for cell in self.cells]

    def raw(self) -> str:
        """Return the row as text."""
        return " | ".join(self.texts())

    def width(self) -> int:
        """Return the number of columns up to the last cell."""
        return max((cell.first + cell.columns for cell in self.cells), default=0)


class Column(NamedTuple):
    """A column, by its header."""

    name: str
    plain_name: str
    """The name without the unit in brackets."""
    unit: str
    """The unit in brackets, or an empty text: `Height (cm)` → cm."""


@dataclass
class Table:
    """A table of a document."""

    position: str
    rows: list[Row]
    caption: str = ""
    context: dict[str, str] = field(default_factory=dict)
    """Further cells of each unit: headings, title and file of the document."""
    reason: str = ""
    """Reason why the whole table is set aside."""
    evidence: str = ""

    def raw(self) -> str:
        """Return the start of the table as text."""
        return "\n".join(row.raw() for row in self.rows[:20])[:LONGEST_RAW]


def units_of(
    table: Table, header_rows: int | None, mapping: Mapping, by_cell: bool
) -> Iterator[Unit]:
    """Yield the rows of a table as units, or its cells.

    `header_rows`: number of rows at the top that name the columns. None: the rows that the file calls
    headers.
    """
    if table.reason:
        yield Unit(table.position, table.raw(), None, table.reason, table.evidence)
        return
    rows = [row for row in table.rows if any(row.texts())]
    if not rows:
        return
    width = max(row.width() for row in rows)
    title, rows = without_title(rows, width)
    number = number_of_header_rows(rows) if header_rows is None else header_rows
    if header_rows is None and number == 0:
        evidence = "no row is marked as a header; set `header_rows`"
        yield Unit(table.position, table.raw(), None, "no_header", evidence)
        return
    if number:
        width = max(row.width() for row in rows[:number])
    columns = columns_of(rows[:number], width)
    names = [column.name for column in columns]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if by_cell or not mapping.paths().isdisjoint(twice):
        used_twice = twice
    else:
        # Nothing uses these columns, so their values may stand for one another.
        used_twice = []
    if used_twice:
        evidence = f"two columns have the name {used_twice[0]!r}; rename one of them in the file"
        yield Unit(table.position, table.raw(), None, "duplicate_column", evidence)
        return
    context = table.context | {"caption": table.caption or title}
    yield from units_of_rows(rows[number:], columns, context, mapping, by_cell)


def units_of_rows(
    rows: list[Row],
    columns: list[Column],
    context: dict[str, str],
    mapping: Mapping,
    by_cell: bool,
) -> Iterator[Unit]:
    """Yield the units of the rows below the header.

    A single cell across the table names the group of the rows below it.
    """
    group: Row | None = None
    is_group_used = True
    for row in rows:
        if is_across(row, len(columns)):
            if group is not None and not is_group_used:
                yield group_unit(group)
            group, is_group_used = row, False
            continue
        is_group_used = True
        around = context | {"group": group.cells[0].text if group else ""}
        yield from units_of_row(row, columns, around, mapping, by_cell)
    if group is not None and not is_group_used:
        yield group_unit(group)


def group_unit(row: Row) -> Unit:
    """Return the rejected unit of a single cell across the table that no row follows, such as a note."""
    evidence = "one cell across the table, with no row below it"
    return Unit(row.position, row.raw(), None, "other_row", evidence)


def units_of_row(
    row: Row,
    columns: list[Column],
    context: dict[str, str],
    mapping: Mapping,
    by_cell: bool,
) -> Iterator[Unit]:
    """Yield a row as one unit, or one unit for each cell with a value. Or set the row aside."""
    names = [column.name for column in columns]
    reason, evidence = row.reason, row.evidence
    if not reason:
        reason, evidence = fault_of(row, names)
    if reason:
        yield Unit(row.position, row.raw(), None, reason, evidence)
        return
    texts = dict.fromkeys(names, "")
    for cell in row.cells:
        texts[names[cell.first]] = cell.text
    first = texts[names[0]]
    if not by_cell:
        cells = context | {ROW: first} | texts
        yield Unit(row.position, row.raw(), dict(cells))
        return
    # These columns say what the values of the others are about.
    described = mapping.paths() - {ROW, HEADER, CELL}
    if ROW in mapping.paths():
        described.add(names[0])
    for number, column in enumerate(columns, start=1):
        text = texts[column.name]
        if not text or column.name in described:
            continue
        cells = context | texts | {ROW: first, CELL: text, HEADER: column.name}
        cells |= {"header_name": column.plain_name, "header_unit": column.unit}
        yield Unit(f"{row.position}/{number}", text, dict(cells))


def fault_of(row: Row, names: list[str]) -> tuple[str, str]:
    """Return reason and evidence why a row is set aside. Empty: it is read."""
    if row.width() > len(names):
        return "malformed", f"{row.width()} cells, {len(names)} columns"
    for cell in row.cells:
        if cell.columns > 1:
            spanned = names[cell.first : cell.first + cell.columns]
            return "merged_cells", f"one cell stands in the columns {', '.join(spanned)}"
    written = {cell.first: cell.text.casefold() for cell in row.cells}
    if all(written.get(number, "") == name.casefold() for number, name in enumerate(names)):
        return "repeated_header", "the row repeats the header"
    if all(DELIMITER.fullmatch(text) for text in written.values()):
        return "repeated_header", "the row is the line below a header in Markdown"
    return "", ""


def is_across(row: Row, width: int) -> bool:
    """Whether a row is a single cell that spans several columns, up to the last one."""
    return len(row.cells) == 1 and row.cells[0].columns > 1 and row.width() >= width


def without_title(rows: list[Row], width: int) -> tuple[str, list[Row]]:
    """Return the text of single cells across the top of a table, and the rows below them."""
    titles = []
    number = 0
    while number < len(rows) - 1 and is_across(rows[number], width):
        titles.append(rows[number].cells[0].text)
        number += 1
    return " ".join(titles), rows[number:]


def number_of_header_rows(rows: list[Row]) -> int:
    """Return how many rows at the top the file calls headers."""
    number = 0
    for row in rows:
        if not (row.is_header or all(cell.is_header for cell in row.cells)):
            break
        number += 1
    # A table of nothing but headers has no rows.
    return number


def columns_of(header: list[Row], width: int) -> list[Column]:
    """Return the columns: what stands above each of them, from top to bottom.

    A header that spans columns is part of the name of each. Example: `Temperature` above `min` and
    `max` gives `Temperature min` and `Temperature max`. A column without a name is `column 3`.
    """
    stacks: list[list[Cell]] = [[] for _ in range(width)]
    for row in header:
        for cell in row.cells:
            for number in range(cell.first, min(cell.first + cell.columns, width)):
                # A header that spans rows is in each of them.
                if cell.text and cell not in stacks[number]:
                    stacks[number].append(cell)
    columns = []
    for number, stack in enumerate(stacks, start=1):
        texts = [cell.text for cell in stack] or [f"column {number}"]
        with_unit = [HEADER_WITH_UNIT.fullmatch(text) for text in texts]
        found = [match for match in with_unit if match]
        name = plain_name = " ".join(texts)
        unit = ""
        if len(found) == 1:
            unit = found[0][2].strip()
            plain_name = name.replace(found[0][0], found[0][1], 1)
        columns.append(Column(name, plain_name, unit))
    return columns


class Grid:
    """Rows of cells that may span columns and rows, as in HTML. Each cell is put at its place."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.cells = 0
        """Number of cells, those repeated included."""
        self.problem = ""
        """What is too large about the table, if anything."""
        self._spanning: list[tuple[Cell, int]] = []
        """Cells that reach into the next row, and the number of rows that they still span."""

    def add(self, position: str, cells: list[tuple[Cell, int]], is_header: bool) -> None:
        """Add a row: its own cells from left to right, each with the number of rows that it spans."""
        placed: list[Cell] = []
        reaching: list[tuple[Cell, int]] = []
        occupied: set[int] = set()
        for cell, rows in self._spanning:
            placed.append(cell)
            occupied.update(range(cell.first, cell.first + cell.columns))
            if rows > 1:
                reaching.append((cell, rows - 1))
        column = 0
        for cell, rows in cells:
            while column in occupied:
                column += 1
            moved = cell._replace(first=column)
            column += cell.columns
            if column > MOST_COLUMNS:
                self.problem = f"more than {MOST_COLUMNS:,} columns"
                return
            placed.append(moved)
            if rows > 1:
                reaching.append((moved, rows - 1))
        self._spanning = reaching
        self.cells += sum(cell.columns for cell in placed)
        if self.cells > MOST_CELLS:
            self.problem = f"more than {MOST_CELLS:,} cells"
            return
        placed.sort(key=lambda cell: cell.first)
        self.rows.append(Row(position, placed, is_header))

    def end_section(self) -> None:
        """End a section of the table, such as its head. No cell spans rows of two sections."""
        self._spanning = []
