"""Documents: Markdown, HTML and plain text.

A unit is a section: a heading with the text below it, up to the next heading. A section that is longer
than the source allows is cut between paragraphs, never within one. Or a unit is a paragraph, or a row or
a cell of a table. Its position is the line where it begins. A second unit that begins on the same line is
`L7.2`. A unit with characters that could not be decoded is set aside.

Cells: text (without the headings), section (text below the headings), heading (the innermost one),
headings (all, outermost first), title (of the document: front matter, <title>, the first heading of
level 1, or else the file's name), file (its name), and front.author for an entry `author` of the front
matter. Cells of a row: see `stages/extract/tables.py`.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.extract import front_matter, html_tables
from stages.extract.blocks import Block, of_html, of_markdown, of_text
from stages.extract.encoding import UNSURE, WIDER, resolved
from stages.extract.lines import whole_characters
from stages.extract.source import FilePath, Lang, Name, SourceSettings, wanted_paths
from stages.extract.tables import Table, units_of
from stages.extract.unit import Mapping, Unit

FORMATS: dict[str, Literal["markdown", "html"]] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}
"""Format by the suffix of a file's name. Any other file is plain text."""
# The encoding that an HTML page declares in its head.
# Examples: <meta charset="gbk">, <meta http-equiv="Content-Type" content="text/html; charset=gbk">.
DECLARED = re.compile(
    rb"<meta[^>]+charset"  # somewhere in one tag
    rb"\s*=\s*[\"']?\s*"  # blanks and a quotation mark may stand around the sign
    rb"([\w.:-]+)",  # the name
    re.IGNORECASE,
)
BETWEEN = " > "
"""Separator of headings."""
TABLE_UNITS = ("row", "cell")
"""Units that are read from tables only."""
LARGEST = 64 * 2**20
"""Most bytes of a Markdown or HTML file. Its tree needs about twenty times as much memory."""


def declared_encoding(path: Path) -> str | None:
    """Return the encoding that the head of an HTML page declares, or None where Python knows none."""
    with path.open("rb") as file:
        declared = DECLARED.search(file.read(1024))
    if declared is None:
        return None
    try:
        return codecs.lookup(declared[1].decode("ascii")).name
    except LookupError:
        return None


@dataclass(frozen=True, config=STRICT)
class Document(SourceSettings):
    """Texts with headings."""

    kind: Literal["document"]
    """Markdown, HTML or plain text, read by section or paragraph."""
    name: Name
    path: FilePath
    lang: Lang
    map: Mapping
    """Meaning of the cells: `text`, `section` (the text below its headings), `heading` (the innermost),
    `headings` (all, such as `Iron > Uses`), `title` (of the document), `file`, and `front.author` for an
    entry `author` of the front matter. For `unit: row` and `unit: cell`: the names of the columns, and
    `row` (the first cell of the row), `caption` and `group` (the cell across the table above the row). For
    `unit: cell` also `header` (of the column), `header_name` and `header_unit` (`Height (cm)` has Height
    and cm) and `cell`."""
    format: Literal["auto", "markdown", "html", "text"] = "auto"
    """Format of the files. `auto`: by the suffix of the file's name (.md, .html …), else text."""
    encoding: str = "auto"
    """Python's name of the encoding, such as `utf-8`. `auto`: the one that an HTML page declares, else the
    detected one. `sources.json` reports it."""
    unit: Literal["section", "paragraph", "row", "cell"] = "section"
    """`section`: a heading and the text below it. `paragraph`: a text between empty lines. `row`: a row of a
    table, with the header's names as columns. `cell`: a cell of a table with a value, for tables in which
    every column states an attribute, such as `{subject: row, attribute: header, value: cell}`."""
    header_rows: Annotated[int, Field(ge=0)] | None = None
    """For `row` and `cell`: number of rows at the top of a table that name the columns. 0: columns are
    `column 1`, `column 2` and so on. null: the rows that the file marks as headers. Without such rows, a
    table is set aside."""
    max_characters: Annotated[int, Field(ge=1)] = 2000
    """Longest section that stays whole, in characters. A longer one is cut between paragraphs."""

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield sections or paragraphs.

        Raises InputError for an unknown encoding, and for HTML that the parser cannot read.
        """
        text = self.text_of(path)
        format_name = self.format_of(path)
        try:
            title, blocks = blocks_of(text, format_name, self.lines == "keep")
            tables = tables_of(text, format_name) if self.unit in TABLE_UNITS else []
        except ValueError as error:
            raise InputError(
                f"extract: {path} cannot be read: {error}; mend or remove it"
            ) from None
        title = title or first_heading(blocks) or path.stem
        context = {"title": title, "file": path.name}
        if format_name == "markdown":
            front = front_matter.of(text)
            if front.problem and self._uses_front_matter():
                lines = text[: front.end]
                yield Unit("front matter", lines, None, "duplicate_key", front.problem)
                return
            for name, value in front.fields.items():
                context[f"front.{name}"] = value
        if self.unit in TABLE_UNITS:
            yield from self._units_of_tables(tables, context)
        else:
            yield from self._units_of_blocks(blocks, context)

    def _units_of_blocks(self, blocks: list[Block], context: dict[str, str]) -> Iterator[Unit]:
        """Yield the sections or paragraphs of a document."""
        # No section is shorter than 0 characters, so each paragraph becomes a piece of its own.
        longest = 0 if self.unit == "paragraph" else self.max_characters
        positions = Positions()
        for headings, parts in sections(blocks):
            for piece in pieces(parts, longest):
                position = positions.next(f"L{piece[0].line}")
                piece_text = "\n\n".join(part.text for part in piece)
                yield unit_of(position, piece_text, headings, context)

    def _units_of_tables(
        self, tables: list[tuple[list[str], Table]], context: dict[str, str]
    ) -> Iterator[Unit]:
        """Yield the rows or cells of a document's tables."""
        positions = Positions()
        for headings, table in tables:
            path = headings or [context["title"]]
            table.context = context | {"heading": path[-1], "headings": BETWEEN.join(path)}
            for row in table.rows:
                row.position = positions.next(row.position)
            table.position = positions.next(f"table {table.position}")
            for unit in units_of(table, self.header_rows, self.map, self.unit == "cell"):
                yield decodable(unit)

    def _uses_front_matter(self) -> bool:
        """Whether a record may hold an entry of the front matter."""
        return any(path == "title" or path.startswith("front.") for path in wanted_paths(self))

    def problems(self) -> list[str]:
        """List the problems of settings that do not fit together."""
        if self.header_rows is not None and self.unit not in TABLE_UNITS:
            return ["header_rows: only tables have a header; set unit: row, or remove it"]
        if self.unit in TABLE_UNITS and self.format == "text":
            return [f"unit: plain text has no tables; set another `format` than {self.format!r}"]
        return []

    def column_names(self, unit: Unit) -> list[str]:
        """Return the columns of a unit. Each table has its own."""
        return [] if self.unit in TABLE_UNITS else super().column_names(unit)

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Count the encodings, where the encoding is `auto`."""
        if self.encoding != "auto":
            return {}
        encodings: Counter[str] = Counter()
        for path in files:
            try:
                encodings[self.encoding_of(path)] += 1
            except InputError:  # the file is set aside, and its reason says why
                encodings[UNSURE] += 1
        return {"encodings": dict(sorted(encodings.items()))}

    def format_of(self, path: Path) -> Literal["markdown", "html", "text"]:
        """Return the format of a file."""
        if self.format != "auto":
            return self.format
        return FORMATS.get(path.suffix.lower(), "text")

    def encoding_of(self, path: Path) -> str:
        """Return the encoding of a file.

        The one that an HTML page declares counts, unless the bytes or the page say Unicode.
        """
        if self.encoding != "auto" or self.format_of(path) != "html":
            return resolved(self.encoding, path, self.lang)
        declared = declared_encoding(path)
        try:
            encoding = resolved(self.encoding, path, self.lang)
        except InputError:
            # The bytes alone do not tell, but the page does.
            if declared is None or declared.startswith("utf"):
                raise
            return WIDER.get(declared, declared)
        if encoding.startswith("utf") or (declared is not None and declared.startswith("utf")):
            return encoding
        name = declared or encoding
        return WIDER.get(name, name)

    def text_of(self, path: Path) -> str:
        """Return the decoded text of a file, with uniform line ends. Raises InputError."""
        size = path.stat().st_size
        if size > LARGEST and self.format_of(path) != "text":
            raise InputError(
                f"extract: {path} has {size / 2**20:,.0f} MiB, at most {LARGEST // 2**20} are read; "
                "split it, or set `format: text`"
            )
        try:
            decoded = path.read_bytes().decode(self.encoding_of(path), errors="replace")
        except (LookupError, UnicodeError) as error:
            raise InputError(
                f"extract: {path}: {error}; "
                "set the source's `encoding` to what the file is written in"
            ) from None
        text = whole_characters(decoded)
        # Byte order marks stand where texts were put together: before `# Iron` one would hide a heading.
        return text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")


class Positions:
    """Positions that are used once each: the second `L7` is `L7.2`."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def next(self, position: str) -> str:
        """Return a position, with a number where it was used before."""
        self.counts[position] += 1
        count = self.counts[position]
        return position if count == 1 else f"{position}.{count}"


def blocks_of(text: str, format_name: str, keep_lines: bool) -> tuple[str, list[Block]]:
    """Return the title, or an empty text, and the blocks of a document. Raises ValueError."""
    if format_name == "markdown":
        return of_markdown(text, keep_lines)
    if format_name == "html":
        return of_html(text, keep_lines)
    return of_text(text)


def tables_of(text: str, format_name: str) -> list[tuple[list[str], Table]]:
    """Return (enclosing headings, table) of each table of a document. Raises ValueError."""
    if format_name == "markdown":
        return list(html_tables.of_markdown(text))
    if format_name == "html":
        return list(html_tables.of_html(text))
    return []


def first_heading(blocks: list[Block]) -> str:
    """Return the first heading of level 1, or an empty text."""
    for block in blocks:
        if block.level == 1:
            return block.text
    return ""


def sections(blocks: list[Block]) -> Iterator[tuple[list[str], list[Block]]]:
    """Yield (enclosing headings, blocks) of each stretch between two headings that has blocks."""
    headings: list[Block] = []
    parts: list[Block] = []
    end = Block(0, "", 1)
    for block in [*blocks, end]:
        if block.level == 0:
            parts.append(block)
            continue
        if parts:
            yield [heading.text for heading in headings], parts
        # A heading ends all headings of its own level and below.
        headings = [heading for heading in headings if heading.level < block.level]
        headings.append(block)
        parts = []


def pieces(parts: list[Block], longest: int) -> Iterator[list[Block]]:
    """Yield groups of as many blocks as `longest` characters hold, but of one block at least."""
    piece: list[Block] = []
    for part in parts:
        characters = sum(len(other.text) for other in piece)
        if piece and characters + len(part.text) > longest:
            yield piece
            piece = []
        piece.append(part)
    if piece:
        yield piece


def unit_of(position: str, text: str, headings: list[str], context: dict[str, str]) -> Unit:
    """Return the unit of a piece of text. `context`: title, file and front matter of the document."""
    path = headings or [context["title"]]
    joined_path = BETWEEN.join(path)
    cells = context | {
        "text": text,
        "section": f"{joined_path}\n{text}",
        "heading": path[-1],
        "headings": joined_path,
    }
    return decodable(Unit(position, text, dict(cells)))


def decodable(unit: Unit) -> Unit:
    """Return a unit, or its rejection where it holds characters that could not be decoded."""
    # U+FFFD replaces bytes that could not be decoded.
    if "\ufffd" not in unit.raw:
        return unit
    evidence = "characters that could not be decoded; set the source's `encoding`"
    return Unit(unit.position, unit.raw, None, "encoding", evidence)
