"""Tables of HTML and Markdown documents, each with the headings above it.

A table that encloses another one lays out the page, and is none, unless it has cells that it calls
headers. Then a table inside it is part of the text of its cell too. Hidden tables, rows and cells are
left out.
"""

from collections.abc import Iterator
from typing import Any

from stages.extract.blocks import (
    CELLS,
    HEADINGS,
    LINE,
    Block,
    Reader,
    encloses_table,
    markdown_root,
    parse_html,
)
from stages.extract.tables import MOST_COLUMNS, Cell, Grid, Table

MOST_ROWS = 65_534
"""Most rows that a cell spans in HTML."""


def of_markdown(text: str) -> Iterator[tuple[list[str], Table]]:
    """Yield (enclosing headings, table) of each table of a Markdown document. Raises ValueError."""
    root = markdown_root(text)
    if root is not None:
        yield from tables_of(root, root, from_markdown=True)


def of_html(text: str) -> Iterator[tuple[list[str], Table]]:
    """Yield (enclosing headings, table) of each table of an HTML document. Raises ValueError."""
    root = parse_html(text)
    if root is not None:
        start = next(root.iter("main"), root)
        yield from tables_of(root, start, from_markdown=False)


def tables_of(root: Any, start: Any, from_markdown: bool) -> Iterator[tuple[list[str], Table]]:
    """Yield (enclosing headings, table) of each table below an element of a document."""
    from lxml import etree

    reader = Reader(root, from_markdown)
    headings: list[Block] = []
    walk = etree.iterwalk(start, events=("start",))
    for _, element in walk:
        if element is not start and reader.is_left_out(element):
            walk.skip_subtree()
        elif element.tag in HEADINGS:
            level = HEADINGS[element.tag]
            headings = [heading for heading in headings if heading.level < level]
            headings.append(Block(line_of(element), reader.text_of(element), level))
            walk.skip_subtree()
        elif element.tag == "table" and (not encloses_table(element) or has_header(element)):
            table = table_of(element, reader)
            if table.rows or table.reason:
                yield [heading.text for heading in headings], table
            if not encloses_table(element):
                walk.skip_subtree()


def has_header(element: Any) -> bool:
    """Whether a table has header cells of its own, beside those of the tables inside it."""
    for row in element.xpath("tr | thead/tr | tbody/tr"):
        if row.getparent().tag == "thead" or next(row.iterchildren("th"), None) is not None:
            return True
    return False


def table_of(element: Any, reader: Reader) -> Table:
    """Read one table."""
    grid = Grid()
    caption = ""
    for child in element:
        if reader.is_left_out(child):
            continue
        if child.tag == "caption":
            caption = reader.text_of(child)
        elif child.tag == "tr":
            add_row(grid, child, reader, is_header=False)
        elif child.tag in ("thead", "tbody", "tfoot"):
            for row in child.iterchildren("tr"):
                if not reader.is_left_out(row):
                    add_row(grid, row, reader, is_header=child.tag == "thead")
            grid.end_section()
        if grid.problem:
            break
    table = Table(f"L{line_of(element)}", grid.rows, caption)
    if grid.problem:
        table.reason, table.evidence = "too_large", grid.problem
    return table


def add_row(grid: Grid, element: Any, reader: Reader, is_header: bool) -> None:
    """Add a row of cells to a table."""
    cells = []
    for child in element.iterchildren(*CELLS):
        if reader.is_left_out(child):
            continue
        columns = span_of(child, "colspan", MOST_COLUMNS)
        # rowspan="0" reaches to the end of the section.
        rows = span_of(child, "rowspan", MOST_ROWS)
        text = " ".join(reader.text_of(child).split())
        cells.append((Cell(text, 0, columns, child.tag == "th"), rows))
    grid.add(f"L{line_of(element)}", cells, is_header)


def span_of(cell: Any, name: str, most: int) -> int:
    """Return the number of columns or rows that a cell spans."""
    written = cell.get(name, "").strip()
    if not (written.isascii() and written.isdecimal()):
        return 1
    number = int(written[:6])
    if number == 0:
        return most if name == "rowspan" else 1
    return min(number, most)


def line_of(element: Any) -> int:
    """Return the line of the file where an element begins."""
    return int(element.get(LINE, 0)) or element.sourceline or 1
