"""PDF files: their text layer, and by OCR the pages without one.

A unit is a paragraph: lines of similar height, each close below the other. With `line`, a unit is a
line, as on scanned pages. A word that a line breaks is joined again. A page without letters in its
layer is rendered, and read as a scanned page. A position has the page, the line and its box in points
(1/72 inch), from the top left corner of the page as it is shown.

Set aside are lines that OCR read with too little confidence, pages that cannot be read, and pages
without text. Some programs write a text layer with other letters than those that are shown. Nothing
tells such a layer from a right one.
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
from stages.extract.engines.line import CHINESE, Box, Line, enclosing_box
from stages.extract.engines.ocr import engine_version, lines_in
from stages.extract.engines.pdf_layer import layer
from stages.extract.line_units import form_of, uncertain_unit, unit_of_line
from stages.extract.source import FilePath, Lang, Name, SourceSettings
from stages.extract.unit import Mapping, Unit

DOTS = 300
"""Resolution at which a page is rendered, in dots per inch."""
LONGEST = 5_000
"""Most dots of a page's longer side, because some pages claim to be huge."""
HYPHEN_CLASS = "\x02\ufffe"
"""Characters by which PDFium marks a hyphen at which a line breaks a word."""
HYPHEN = re.compile(f"[{HYPHEN_CLASS}]")
# A line break that leaves nothing behind. Either it breaks a word: "con\x02\nductor".
# Or it stands between two Chinese characters: "熔点\n是1538度".
BREAK_WITHOUT_SPACE = re.compile(rf"[{HYPHEN_CLASS}]\n|(?<=[{CHINESE}])\n(?=[{CHINESE}])")
Problem = tuple[str, str]
"""Reason and evidence for a page without lines."""
NumberedLine = tuple[int, Line]


@dataclass(frozen=True, config=STRICT)
class Pdf(SourceSettings):
    """PDF files."""

    kind: Literal["pdf"]
    """PDF files. A page without a text layer is read by OCR."""
    name: Name
    path: FilePath
    lang: Lang
    map: Mapping
    """Meaning of the cells, which are `text`, `page`, `title` (of the document, else the file's name) and
    `file`. With the setting `line`, the cell `line` and its named groups stand in place of `text`."""
    line: str | None = None
    """Form of a line that states something, as for `pages`. null: the units are paragraphs."""
    engine: Literal["rapidocr", "tesseract", "none"] = "rapidocr"
    """OCR engine for pages without a text layer, as for `pages`. `none`: such pages are set aside."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Least confidence of a line that OCR read, in [0, 1]. A line with less is set aside."""

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield paragraphs or lines.

        Raises InputError where the file cannot be read, ParamsError for a wrong `line`.
        """
        form = None if self.line is None else form_of(self.line, self.name)
        # The text of the pages is remembered as it is, so that another `line` or `min_confidence`,
        # or a new name of the file, needs no new reading.
        items = memo.remembered(
            read_pages, path, self.engine, self.lang, engine=self.engine_version()
        )
        title = next(items) or path.stem
        for number, (plain_lines, problem) in enumerate(items, start=1):
            lines = [Line(text, confidence, Box(*box)) for text, confidence, box in plain_lines]
            for unit in self._units_on_page(lines, problem, form):
                position = f"page {number}{unit.position}"
                cells = None
                if unit.cells is not None:
                    cells = {"page": number, "title": title, "file": path.name} | unit.cells
                yield Unit(position, unit.raw, cells, unit.reason, unit.evidence)

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Return the engines."""
        return {"engine": self.engine_version()}

    def engine_version(self) -> str:
        """Return names and versions of the reader of text layers and of the OCR engine."""
        from importlib.metadata import version

        layer_version = f"pypdfium2 {version('pypdfium2')}"
        if self.engine == "none":
            return layer_version
        return f"{layer_version}, {engine_version(self.engine)}"

    def _units_on_page(
        self, lines: list[Line], problem: Problem | None, form: re.Pattern[str] | None
    ) -> Iterator[Unit]:
        """Yield the units of a page, with their positions on it."""
        if problem is not None:
            reason, evidence = problem
            yield Unit("", "", None, reason, evidence)
            return
        numbered = list(enumerate(lines, start=1))
        if form is not None:
            for number, line in numbered:
                yield unit_of_line(position_of(number, line), line, form, self.min_confidence)
            return
        certain: list[NumberedLine] = []
        for number, line in numbered:
            if line.confidence >= self.min_confidence:
                certain.append((number, line))
            else:
                yield uncertain_unit(position_of(number, line), line, self.min_confidence)
        for number, paragraph in paragraphs(certain):
            position = position_of(number, paragraph)
            yield Unit(position, paragraph.text, {"text": paragraph.text})


def position_of(number: int, line: Line) -> str:
    """Return the position of a line on its page, such as `/L3@72,100,310,114`."""
    edges = ",".join(str(edge) for edge in line.box)
    return f"/L{number}@{edges}"


def read_pages(path: Path, engine: str, lang: str) -> Iterator[Any]:
    """Yield the title or "", then for each page its lines (text, confidence, box) and its problem.

    This is what is remembered. Raises InputError where the file cannot be read, or the engine is not
    installed.
    """
    with opened(path) as document:
        yield document.get_metadata_dict().get("Title", "")
        for index in range(len(document)):
            lines, problem = read_page(document, index, engine, lang)
            yield [(line.text, line.confidence, line.box) for line in lines], problem


def read_page(
    document: Any, index: int, engine: str, lang: str
) -> tuple[list[Line], Problem | None]:
    """Return the lines of a page, or no lines and the problem."""
    from pypdfium2 import PdfiumError

    try:
        with closing(document[index]) as page:
            lines = layer(page)
            if not has_letters(lines):
                if engine == "none":
                    evidence = "a picture of text, perhaps; set an `engine` to have it read"
                    return [], ("no_text_layer", evidence)
                lines = scanned(page, engine, lang)
    except PdfiumError as error:
        return [], ("unreadable", f"the page cannot be read: {error}")
    if not lines:
        return [], ("empty", "nothing to read on this page")
    return lines, None


def has_letters(lines: list[Line]) -> bool:
    """Whether there is a letter or a digit in lines."""
    return any(char.isalnum() for line in lines for char in line.text)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a document. Raises InputError where that is impossible."""
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
    """Read the lines of a page by OCR."""
    # A page is measured in points, 72 per inch.
    scale = min(DOTS / 72, LONGEST / max(page.get_size()))
    with closing(page.render(scale=scale)) as bitmap:
        picture = bitmap.to_pil().convert("RGB")
        lines = lines_in(picture, engine, lang)
    return [Line(line.text, line.confidence, in_points(line.box, scale)) for line in lines]


def in_points(box: Box, scale: float) -> Box:
    """Return a box of a rendered page in points."""
    return Box(*(round(edge / scale) for edge in box))


def paragraphs(lines: list[NumberedLine]) -> Iterator[NumberedLine]:
    """Group lines that stand closely below each other. Lines of other columns may come between them.

    Yield (number of the first line, the paragraph as one line).
    """
    groups: list[list[NumberedLine]] = []
    for number, line in lines:
        for group in reversed(groups):
            _, last = group[-1]
            if continues_paragraph(last.box, line.box):
                group.append((number, line))
                break
        else:
            groups.append([(number, line)])
    for group in groups:
        first_number, _ = group[0]
        members = [line for _, line in group]
        text = join_lines([line.text for line in members])
        confidence = min(line.confidence for line in members)
        box = enclosing_box([line.box for line in members])
        yield first_number, Line(text, confidence, box)


def continues_paragraph(upper: Box, lower: Box) -> bool:
    """Whether a line continues the paragraph of the line above it.

    The two must overlap sideways, be of similar height, and have a gap of at most half a height.
    """
    overlap = min(upper.right, lower.right) - max(upper.left, lower.left)
    if overlap <= 0:
        return False
    if abs(upper.height - lower.height) > 0.3 * max(upper.height, lower.height):
        return False
    gap = lower.top - upper.bottom
    return -upper.height / 2 <= gap <= upper.height / 2


def join_lines(texts: list[str]) -> str:
    """Join the lines of a paragraph.

    There is no space between Chinese characters, nor in a word that a line breaks.
    """
    text = BREAK_WITHOUT_SPACE.sub("", "\n".join(texts))
    return HYPHEN.sub("-", text).replace("\n", " ")
