"""Documents: Markdown, HTML and plain text.

A unit is a section: a heading with the text below it, up to the next heading. One of more characters than the source allows is
cut between paragraphs, never within one. Or a unit is a paragraph. Its place is the line where it begins; a second unit of one
line is `L7.2`. A unit in which characters could not be decoded is set aside.

Cells: text, without the headings; section, below the headings; heading, the innermost one; headings, from the outermost on;
title, of the document (front matter, <title> or the first heading of level 1, else the file's name); file, its name.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.extract.blocks import Block, of_html, of_markdown, of_text
from stages.extract.encoding import resolved
from stages.extract.source import Common
from stages.extract.unit import Mapping, Unit

FORMATS: dict[str, Literal["markdown", "html"]] = {
    ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html", ".xhtml": "html",
}  # fmt: skip
"""By the end of a file's name; any other file is plain text."""
READERS = {"markdown": of_markdown, "html": of_html, "text": of_text}
DECLARED = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "cp1252"}
"""How browsers read what a page says of its encoding (encoding.spec.whatwg.org)."""
BETWEEN = " > "
"""Between headings."""


@dataclass(frozen=True, config=STRICT)
class Document(Common):
    """Texts with headings."""

    kind: Literal["document"]
    name: str
    path: str
    lang: str
    map: Mapping
    format: Literal["auto", "markdown", "html", "text"] = "auto"
    """auto: by the end of the file's name."""
    encoding: str = "auto"
    """Python's name of it, or auto: what an HTML page declares, else what its bytes look like."""
    unit: Literal["section", "paragraph"] = "section"
    max_characters: Annotated[int, Field(ge=1)] = 2000
    """Longest section that stays whole."""

    def units(self, path: Path) -> Iterator[Unit]:
        """Sections or paragraphs. Raises InputError for an unknown encoding, and for HTML that the parser gives up."""
        try:
            title, blocks = READERS[self.format_of(path)](self._text(path))
        except ValueError as error:
            raise InputError(
                f"extract: {path} cannot be read: {error}; mend or remove it"
            ) from None
        title = title or next((block.text for block in blocks if block.level == 1), path.stem)
        longest = 0 if self.unit == "paragraph" else self.max_characters
        lines: Counter[int] = Counter()
        for headings, parts in sections(blocks):
            for piece in pieces(parts, longest):
                line = piece[0].line
                lines[line] += 1
                place = f"L{line}" + (f".{lines[line]}" if lines[line] > 1 else "")
                yield unit_of(
                    place, "\n\n".join(part.text for part in piece), headings, title, path.name
                )

    def format_of(self, path: Path) -> Literal["markdown", "html", "text"]:
        """How a file is read."""
        return FORMATS.get(path.suffix.lower(), "text") if self.format == "auto" else self.format

    def encoding_of(self, path: Path) -> str:
        """The encoding of a file. What an HTML page declares counts where it is not Unicode."""
        found = resolved(self.encoding, path, self.lang)
        if self.encoding != "auto" or found.startswith("utf") or self.format_of(path) != "html":
            return found
        with path.open("rb") as file:
            declared = DECLARED.search(file.read(1024))
        try:
            name = codecs.lookup(declared[1].decode("ascii")).name if declared else found
        except LookupError:
            return found
        return found if name.startswith("utf") else WIDER.get(name, name)

    def _text(self, path: Path) -> str:
        try:
            text = path.read_bytes().decode(self.encoding_of(path), errors="replace")
        except LookupError as error:
            raise InputError(
                f"extract: {path}: {error}; set the source's `encoding` to what the file is written in"
            ) from None
        return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def sections(blocks: list[Block]) -> Iterator[tuple[list[str], list[Block]]]:
    """(headings around, blocks) between one heading and the next, where there are blocks."""
    around: list[Block] = []
    parts: list[Block] = []
    for block in [*blocks, Block(0, "", 1)]:
        if not block.level:
            parts.append(block)
            continue
        if parts:
            yield [heading.text for heading in around], parts
        around = [heading for heading in around if heading.level < block.level] + [block]
        parts = []


def pieces(parts: list[Block], longest: int) -> Iterator[list[Block]]:
    """As many blocks together as `longest` characters hold, and one at least."""
    piece: list[Block] = []
    for part in parts:
        if piece and sum(len(other.text) for other in piece) + len(part.text) > longest:
            yield piece
            piece = []
        piece.append(part)
    if piece:
        yield piece


def unit_of(place: str, text: str, headings: list[str], title: str, file: str) -> Unit:
    """The unit of a piece of text."""
    if "\ufffd" in text:
        return Unit(
            place,
            text,
            None,
            "encoding",
            "characters that could not be decoded; set the source's `encoding`",
        )
    path = BETWEEN.join(headings or [title])
    cells = {
        "text": text,
        "section": f"{path}\n{text}",
        "heading": (headings or [title])[-1],
        "headings": path,
    }
    return Unit(place, text, cells | {"title": title, "file": file})
