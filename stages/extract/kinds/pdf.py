"""PDF files: their text layer, and by OCR the pages that have none.

A unit is a paragraph: lines of like height, one close below the other. With `line` it is a line, as on scanned pages. The text
and the order of a layer are those of pypdfium2 (github.com/pypdfium2-team/pypdfium2); a word that a line breaks is joined again.
A page without letters in its layer is rendered and read as in `pages`. Places are page, line and box, in points (1/72 inch) from
the top left corner of the page as it is shown.

Set aside: what OCR read with less confidence than asked for, a page that cannot be read, a page with nothing to read. A layer
whose letters are not those that are seen, as some programs write it, cannot be told from a right one.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.core.repeatable import memo
from stages.extract.engines.line import CHINESE, Box, Line, around
from stages.extract.engines.ocr import engine_version, lines_in
from stages.extract.engines.pdf_layer import layer
from stages.extract.line_units import form_of, unit_of_line, unsure
from stages.extract.source import Common
from stages.extract.unit import Mapping, Unit

DOTS, LONGEST = 300, 5_000
"""Resolution at which a page is rendered, dots an inch, and the most dots of its longer side: some pages claim to be huge."""
BROKEN = "\x02\ufffe"
"""What stands for a hyphen at which a line breaks a word."""

Problem = tuple[str, str]
"""Why a page gives no line: reason and evidence."""


@dataclass(frozen=True, config=STRICT)
class Pdf(Common):
    """PDF files."""

    kind: Literal["pdf"]
    name: str
    path: str
    lang: str
    map: Mapping
    """Cells: text (or line and the named groups of `line`), page, title (of the document, else the file's name), file."""
    line: str | None = None
    """The form of a line that states something, as for pages; without it paragraphs are the units."""
    engine: Literal["rapidocr", "tesseract", "none"] = "rapidocr"
    """For pages without a text layer; none: they are set aside."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.8

    def units(self, path: Path) -> Iterator[Unit]:
        """Paragraphs or lines. Raises InputError where the file cannot be read, ParamsError for a wrong `line`."""
        form = None if self.line is None else form_of(self.line, self.name)
        # Remembered is what stands on the pages: another `line` or `min_confidence`, or a new name of the file, costs no reading.
        items = memo.remembered(
            read_pages, path, self.engine, self.lang, engine=self.engine_version()
        )
        about = {"title": next(items) or path.stem, "file": path.name}
        for number, (lines, problem) in enumerate(items, start=1):
            found = [Line(text, confidence, tuple(box)) for text, confidence, box in lines]
            for unit in self._on_page(found, problem, form):
                cells = unit.cells and {"page": number} | about | unit.cells
                yield Unit(
                    f"page {number}{unit.place}", unit.raw, cells, unit.reason, unit.evidence
                )

    def engine_version(self) -> str:
        """Names and versions of what reads the layer, and the pages without one."""
        from importlib.metadata import version

        layer = f"pypdfium2 {version('pypdfium2')}"
        return layer if self.engine == "none" else f"{layer}, {engine_version(self.engine)}"

    def _on_page(
        self, lines: list[Line], problem: Problem | None, form: re.Pattern[str] | None
    ) -> Iterator[Unit]:
        """The units of a page, with their places on it."""
        if problem is not None:
            yield Unit("", "", None, *problem)
            return
        numbered = list(enumerate(lines, start=1))
        if form is not None:
            yield from (
                unit_of_line(place(count, line), line, form, self.min_confidence)
                for count, line in numbered
            )
            return
        sure = [(count, line) for count, line in numbered if line.confidence >= self.min_confidence]
        yield from (
            unsure(place(count, line), line, self.min_confidence)
            for count, line in numbered
            if (count, line) not in sure
        )
        for first, paragraph in paragraphs(sure):
            yield Unit(place(first, paragraph), paragraph.text, {"text": paragraph.text})


def place(number: int, line: Line) -> str:
    """Where a line stands on its page."""
    return f"/L{number}@{','.join(map(str, line.box))}"


def read_pages(path: Path, engine: str, lang: str) -> Iterator[Any]:
    """As JSON can hold it: the title or "", then of every page its lines (text, confidence, box) and its problem or None.

    Raises InputError where the file cannot be read, or the engine is not there.
    """
    with opened(path) as document:
        yield document.get_metadata_dict().get("Title", "")
        for index in range(len(document)):
            lines, problem = read_page(document, index, engine, lang)
            yield [(line.text, line.confidence, line.box) for line in lines], problem


def read_page(
    document: Any, index: int, engine: str, lang: str
) -> tuple[list[Line], Problem | None]:
    """The lines of a page, or why there are none."""
    from pypdfium2 import PdfiumError

    try:
        with closing(document[index]) as page:
            lines = layer(page)
            if not any(char.isalnum() for line in lines for char in line.text):
                if engine == "none":
                    return [], (
                        "no_text_layer",
                        "a picture of text, perhaps; set an `engine` to have it read",
                    )
                lines = scanned(page, engine, lang)
    except PdfiumError as error:
        return [], ("unreadable", f"the page cannot be read: {error}")
    return lines, None if lines else ("empty", "nothing to read on this page")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A document. Raises InputError where it cannot be opened."""
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        document = PdfDocument(path)
    except PdfiumError as error:
        if "password" in str(error).lower():
            raise InputError(
                f"extract: {path} is encrypted; save it without a password, or remove it"
            ) from None
        raise InputError(
            f"extract: {path} cannot be read as a PDF: {error}; mend or remove it"
        ) from None
    with closing(document):
        yield document


def scanned(page: Any, engine: str, lang: str) -> list[Line]:
    """The lines of a page as OCR reads them."""
    scale = min(DOTS / 72, LONGEST / max(page.get_size()))
    with closing(page.render(scale=scale)) as bitmap:
        found = lines_in(bitmap.to_pil().convert("RGB"), engine, lang)
    return [Line(line.text, line.confidence, box_at(line.box, scale)) for line in found]


def box_at(box: Box, scale: float) -> Box:
    """A box of a rendered page in points."""
    left, top, right, bottom = (round(edge / scale) for edge in box)
    return left, top, right, bottom


def paragraphs(lines: list[tuple[int, Line]]) -> Iterator[tuple[int, Line]]:
    """(number of the first line, text and box) of lines that stand closely below each other; other columns may come between."""
    groups: list[list[tuple[int, Line]]] = []
    for number, line in lines:
        group = next(
            (group for group in reversed(groups) if below(group[-1][1].box, line.box)), None
        )
        if group is None:
            groups.append([(number, line)])
        else:
            group.append((number, line))
    for group in groups:
        text = joined([line.text for _, line in group])
        yield (
            group[0][0],
            Line(
                text,
                min(line.confidence for _, line in group),
                around([line.box for _, line in group]),
            ),
        )


def below(upper: Box, lower: Box) -> bool:
    """Whether a line goes on a paragraph: it overlaps the one above it sideways, is about as high, and less than half apart."""
    height, other = upper[3] - upper[1], lower[3] - lower[1]
    beside = min(upper[2], lower[2]) > max(upper[0], lower[0])
    return (
        beside
        and abs(height - other) <= 0.3 * max(height, other)
        and -height / 2 <= lower[1] - upper[3] <= height / 2
    )


def joined(texts: list[str]) -> str:
    """The text of lines: no space between Chinese characters, nor in a word that a line breaks."""
    text = "\n".join(texts)
    text = re.sub(rf"[{BROKEN}]\n|(?<=[{CHINESE}])\n(?=[{CHINESE}])", "", text)
    return re.sub(rf"[{BROKEN}]", "-", text).replace("\n", " ")
