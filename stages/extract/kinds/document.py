"""Documents: Markdown, HTML and plain text.

A unit is a section: a heading with the text below it, up to the next heading. A section that is longer
than the source allows is cut between paragraphs, never within one. Or a unit is a paragraph. Its
position is the line where it begins. A second unit that begins on the same line is `L7.2`. A unit with
characters that could not be decoded is set aside.

Cells: text (without the headings), section (text below the headings), heading (the innermost one),
headings (all, outermost first), title (of the document: front matter, <title>, the first heading of
level 1, or else the file's name), file (its name).
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
from stages.extract.blocks import Block, of_html, of_markdown, of_text
from stages.extract.encoding import resolved
from stages.extract.source import FilePath, Lang, Name, SourceSettings
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
WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "cp1252"}
"""Declared encoding → the wider one that browsers read instead (encoding.spec.whatwg.org)."""
BETWEEN = " > "
"""Separator of headings."""


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
    `headings` (all, such as `Iron > Uses`), `title` (of the document) and `file`."""
    format: Literal["auto", "markdown", "html", "text"] = "auto"
    """Format of the files. `auto`: by the suffix of the file's name (.md, .html …), else text."""
    encoding: str = "auto"
    """Python's name of the encoding, such as `utf-8`. `auto`: the one that an HTML page declares, else the
    detected one. `sources.json` reports it."""
    unit: Literal["section", "paragraph"] = "section"
    """`section`: a heading and the text below it. `paragraph`: a text between empty lines."""
    max_characters: Annotated[int, Field(ge=1)] = 2000
    """Longest section that stays whole, in characters. A longer one is cut between paragraphs."""

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield sections or paragraphs.

        Raises InputError for an unknown encoding, and for HTML that the parser cannot read.
        """
        try:
            title, blocks = blocks_of(self._text(path), self.format_of(path))
        except ValueError as error:
            raise InputError(
                f"extract: {path} cannot be read: {error}; mend or remove it"
            ) from None
        title = title or first_heading(blocks) or path.stem
        # No section is shorter than 0 characters, so each paragraph becomes a piece of its own.
        longest = 0 if self.unit == "paragraph" else self.max_characters
        units_on_line: Counter[int] = Counter()
        for headings, parts in sections(blocks):
            for piece in pieces(parts, longest):
                line = piece[0].line
                units_on_line[line] += 1
                position = f"L{line}"
                if units_on_line[line] > 1:
                    position += f".{units_on_line[line]}"
                piece_text = "\n\n".join(part.text for part in piece)
                yield unit_of(position, piece_text, headings, title, path.name)

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Count the encodings, where the encoding is `auto`."""
        if self.encoding != "auto":
            return {}
        encodings = Counter(self.encoding_of(path) for path in files)
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
        encoding = resolved(self.encoding, path, self.lang)
        if self.encoding != "auto" or encoding.startswith("utf") or self.format_of(path) != "html":
            return encoding
        with path.open("rb") as file:
            declared = DECLARED.search(file.read(1024))
        if declared is None:
            return WIDER.get(encoding, encoding)
        try:
            name = codecs.lookup(declared[1].decode("ascii")).name
        except LookupError:
            return encoding
        return encoding if name.startswith("utf") else WIDER.get(name, name)

    def _text(self, path: Path) -> str:
        """Return the decoded text of a file, with uniform line ends. Raises InputError."""
        try:
            text = path.read_bytes().decode(self.encoding_of(path), errors="replace")
        except LookupError as error:
            raise InputError(
                f"extract: {path}: {error}; "
                "set the source's `encoding` to what the file is written in"
            ) from None
        return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def blocks_of(text: str, format_name: str) -> tuple[str, list[Block]]:
    """Return the title, or an empty text, and the blocks of a document. Raises ValueError."""
    if format_name == "markdown":
        return of_markdown(text)
    if format_name == "html":
        return of_html(text)
    return of_text(text)


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


def unit_of(position: str, text: str, headings: list[str], title: str, file: str) -> Unit:
    """Return the unit of a piece of text."""
    # U+FFFD replaces bytes that could not be decoded.
    if "\ufffd" in text:
        evidence = "characters that could not be decoded; set the source's `encoding`"
        return Unit(position, text, None, "encoding", evidence)
    path = headings or [title]
    joined_path = BETWEEN.join(path)
    cells = {
        "text": text,
        "section": f"{joined_path}\n{text}",
        "heading": path[-1],
        "headings": joined_path,
        "title": title,
        "file": file,
    }
    return Unit(position, text, cells)
