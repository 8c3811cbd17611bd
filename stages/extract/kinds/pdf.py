"""PDF files: their text layer, the values of forms, and by OCR what only a picture shows.

A unit is a paragraph: lines of similar height, each close below the other. With `line`, a unit is a
line, as on scanned pages. A word that a line breaks is joined again. The filled field of a form is a unit
`name: value`. A page without letters in its layer is rendered, and read as a scanned page. So is a page
with a picture and few letters, such as a scan with a stamped number. A position has the page, the line
and its box in points (1/72 inch), from the top left corner of the page as it is shown.

Set aside are lines that OCR read with too little confidence, pages that cannot be read, and pages
without text. Some programs write a text layer with other letters than those that are shown. Nothing
tells such a layer from a right one. Pictures on a page with much text are not read.
"""

import re
from collections import deque
from collections.abc import Container, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.core.repeatable import memo
from stages.extract import pdf_tables
from stages.extract.engines.line import CHINESE, Box, Line, enclosing_box
from stages.extract.engines.ocr import PictureError, engine_version, lines_in
from stages.extract.engines.pdf_fields import fields_of
from stages.extract.engines.pdf_layer import MOST_CHARACTERS, WIDEST_GAP, TooLongError, layer
from stages.extract.line_units import form_of, uncertain_unit, unit_of_line
from stages.extract.source import FilePath, Lang, Name, SourceSettings
from stages.extract.tables import CELL, HEADER, ROW, units_of
from stages.extract.unit import Mapping, Unit

DOTS = 300
"""Resolution at which a page is rendered, in dots per inch."""
LONGEST = 5_000
"""Most dots of a page's longer side, because some pages claim to be huge."""
MOST_PAGES = 20_000
"""Most pages of a file that are read."""
FEW_LETTERS = 300
"""Fewest letters and digits of a text layer that is taken for the whole text of a page with a picture."""
LEAST_PICTURE = 0.05
"""Least share of a page that its pictures cover, where they may hold text."""
MOST_OBJECTS = 20_000
"""Most objects of a page that are looked at for pictures."""
NEAR = 64
"""Number of open paragraphs that a line may continue. Only the columns beside it lie between."""
# A hyphen at the end of a line, behind a letter or digit. PDFium marks some by \x02 or U+FFFE.
# Group 1 is the word before it. Examples: dam-, state-of-the-, 2023-.
HYPHEN_AT_END = re.compile(r"([\w-]*\w)[\x02\ufffe\xad\u2010-]$")
LONGEST_WORD = 100
"""Most characters of a line's end in which a broken word is looked for."""
# Marks of a hyphen that PDFium leaves inside a line.
HYPHEN_MARK = re.compile(r"[\x02\ufffe\xad]")
# The word at the start of a line.
FIRST_WORD = re.compile(r"\w+")
# A word, with its hyphens. Examples: damaged, well-known.
WORD = re.compile(r"\w+(?:[\u2010-]\w+)*")
FIRST_PARTS = {
    *("all", "anti", "co", "cross", "ex", "full", "half", "high", "long", "low", "multi", "non"),
    *("post", "pre", "quasi", "self", "semi", "short", "single", "two", "well"),
}
"""First parts of English compounds. A line that ends in `well-` breaks no word."""
# A line break between two Chinese characters. Example: the one in "熔点\n是1538度".
BREAK_IN_CHINESE = re.compile(rf"(?<=[{CHINESE}])\n(?=[{CHINESE}])")
Problem = tuple[str, str]
"""Reason and evidence for a page that is not read, or not as a whole."""
PlainLine = tuple[str, float, Box, int, bool]
"""A line as JSON can hold it: text, confidence, box, angle, and whether it is a form's field."""
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
    unit: Literal["paragraph", "row", "cell"] = "paragraph"
    """`row`: a row of a table, with the names in its first row as columns. `cell`: a cell of a table with a
    value, as for `document`. The columns of a PDF are found by where words stand. So `map.subject` must
    name a column, by which a table is known. Other text is not read then."""
    header_rows: Annotated[int, Field(ge=1)] = 1
    """For `row` and `cell`: number of rows at the top of a table that name the columns."""
    line: str | None = None
    """Form of a line that states something, as for `pages`. null: the units are paragraphs."""
    engine: Literal["rapidocr", "tesseract", "none"] = "rapidocr"
    """OCR engine for pages without a text layer, as for `pages`, and for pages with a picture and few
    letters. `none`: they are set aside."""
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
            read_pages, path, self.engine, self.lang, self._gap(), engine=self.engine_version()
        )
        title = next(items) or path.stem
        pages = []
        for plain_lines, problem in items:
            lines = [
                Line(text, confidence, Box(*box), angle, is_field)
                for text, confidence, box, angle, is_field in plain_lines
            ]
            pages.append((lines, problem))
        words = words_of([line for lines, _ in pages for line in lines])
        for number, (lines, problem) in enumerate(pages, start=1):
            for unit in self._units_on_page(lines, problem, form, words):
                position = f"page {number}{unit.position}"
                cells = None
                if unit.cells is not None:
                    cells = {"page": number, "title": title, "file": path.name} | unit.cells
                yield Unit(position, unit.raw, cells, unit.reason, unit.evidence)

    def problems(self) -> list[str]:
        """List the problems of settings that do not fit together."""
        if self.unit == "paragraph":
            return []
        if self.line is not None:
            return ["line: a row of a table has no form; remove it, or remove `unit`"]
        if self.map.subject in (None, ROW, HEADER, CELL):
            return ["map.subject: name the column by which a table of a PDF is known"]
        return []

    def _gap(self) -> float:
        """Return the widest gap inside a line, or inside a cell, in heights of a letter."""
        return WIDEST_GAP if self.unit == "paragraph" else pdf_tables.WIDEST_GAP

    def column_names(self, unit: Unit) -> list[str]:
        """Return the columns of a unit. Each table has its own."""
        return super().column_names(unit) if self.unit == "paragraph" else []

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
        self,
        lines: list[Line],
        problem: Problem | None,
        form: re.Pattern[str] | None,
        words: set[str],
    ) -> Iterator[Unit]:
        """Yield the units of a page, with their positions on it. `words`: those of the document."""
        if problem is not None:
            reason, evidence = problem
            yield Unit("", "", None, reason, evidence)
        numbered = list(enumerate(lines, start=1))
        if self.unit != "paragraph":
            tables = pdf_tables.tables_on(numbered, self.header_rows, self.min_confidence, self.map)
            for table in tables:
                yield from units_of(table, self.header_rows, self.map, self.unit == "cell")
            return
        if form is not None:
            for number, line in numbered:
                plain = replace(line, text=HYPHEN_MARK.sub("-", line.text))
                yield unit_of_line(position_of(number, line), plain, form, self.min_confidence)
            return
        certain: list[NumberedLine] = []
        for number, line in numbered:
            if line.confidence >= self.min_confidence:
                certain.append((number, line))
            else:
                yield uncertain_unit(position_of(number, line), line, self.min_confidence)
        for number, paragraph in paragraphs(certain, words, self.lines == "keep"):
            position = position_of(number, paragraph)
            yield Unit(position, paragraph.text, {"text": paragraph.text})


def position_of(number: int, line: Line) -> str:
    """Return the position of a line on its page, such as `/L3@72,100,310,114`."""
    edges = ",".join(str(edge) for edge in line.box)
    return f"/L{number}@{edges}"


def read_pages(path: Path, engine: str, lang: str, gap: float) -> Iterator[Any]:
    """Yield the title or "", then for each page its lines and its problem.

    This is what is remembered. Raises InputError where the file cannot be read, or the engine is not
    installed.
    """
    with opened(path) as document:
        yield title_of(document)
        pages = len(document)
        for index in range(min(pages, MOST_PAGES)):
            lines, problem = read_page(document, index, engine, lang, gap)
            yield [plain_line(line) for line in lines], problem
        if pages > MOST_PAGES:
            evidence = f"{pages:,} pages, at most {MOST_PAGES:,} are read; split the file"
            yield [], ("too_long", evidence)


def title_of(document: Any) -> str:
    """Return the title in a document's metadata, or an empty text."""
    try:
        title = str(document.get_metadata_dict().get("Title", ""))
    except (UnicodeDecodeError, ValueError):
        return ""
    return title.encode("utf-8", "replace").decode("utf-8").strip()


def plain_line(line: Line) -> PlainLine:
    """Return a line as JSON can hold it."""
    return line.text, line.confidence, line.box, line.angle, line.is_field


def read_page(
    document: Any, index: int, engine: str, lang: str, gap: float
) -> tuple[list[Line], Problem | None]:
    """Return the lines of a page, and the problem if it is not read, or not as a whole."""
    from pypdfium2 import PdfiumError

    try:
        with closing(document[index]) as page:
            if min(page.get_size()) < 1:
                return [], ("unreadable", "the page has no size")
            lines = layer(page, gap)
            fields = fields_of(document, page)
            problem = None
            if not has_letters(lines) or has_unread_picture(page, lines):
                if engine == "none":
                    evidence = "a picture of text, perhaps; set an `engine` to have it read"
                    problem = ("no_text_layer", evidence)
                else:
                    lines = with_scanned(lines, scanned(page, engine, lang))
            lines += fields
    except PdfiumError as error:
        return [], ("unreadable", f"the page cannot be read: {error}")
    except PictureError as error:
        return [], ("unreadable", f"the page cannot be read: {error}")
    except TooLongError:
        evidence = f"more than {MOST_CHARACTERS:,} characters on one page; split it"
        return [], ("too_long", evidence)
    if not lines and problem is None:
        problem = ("empty", "nothing to read on this page")
    if not has_letters(lines) and problem is not None:
        return [], problem
    return lines, problem


def has_letters(lines: list[Line]) -> bool:
    """Whether there is a letter or a digit in lines."""
    return letters_in(lines) > 0


def letters_in(lines: list[Line]) -> int:
    """Return the number of letters and digits in lines."""
    return sum(char.isalnum() for line in lines for char in line.text)


def has_unread_picture(page: Any, lines: list[Line]) -> bool:
    """Whether a page has a picture, beside so few letters that the picture may hold the text.

    Examples: a scan with a stamped page number, or with a note of who received it.
    """
    if letters_in(lines) >= FEW_LETTERS:
        return False
    width, height = page.get_size()
    area = sum(picture_area(item) for item in islice(page.get_objects(max_depth=1), MOST_OBJECTS))
    return bool(area >= LEAST_PICTURE * width * height)


def picture_area(item: Any) -> float:
    """Return the area of a picture on a page, or of a group that holds one, in square points. Else 0."""
    from pypdfium2 import raw

    is_picture = item.type == raw.FPDF_PAGEOBJ_IMAGE
    if item.type == raw.FPDF_PAGEOBJ_FORM:
        for number in range(min(raw.FPDFFormObj_CountObjects(item), MOST_OBJECTS)):
            inner = raw.FPDFFormObj_GetObject(item, number)
            is_picture = is_picture or raw.FPDFPageObj_GetType(inner) == raw.FPDF_PAGEOBJ_IMAGE
    if not is_picture:
        return 0.0
    left, bottom, right, top = item.get_bounds()
    return float(max(0.0, right - left) * max(0.0, top - bottom))


def with_scanned(lines: list[Line], scanned_lines: list[Line]) -> list[Line]:
    """Return the lines of a layer, and those that OCR read elsewhere on the page.

    Of text in both, the layer's counts.
    """
    texts = {"".join(line.text.split()) for line in lines}
    added = []
    for line in scanned_lines:
        is_known = "".join(line.text.split()) in texts
        if not is_known and not any(covers(known.box, line.box) for known in lines):
            added.append(line)
    return lines + added


def covers(known: Box, other: Box) -> bool:
    """Whether a line lies where another one of similar height does."""
    if max(known.height, other.height) > 2 * min(known.height, other.height):
        return False
    across = min(known.right, other.right) - max(known.left, other.left)
    down = min(known.bottom, other.bottom) - max(known.top, other.top)
    return across > 0 and down > 0 and 2 * across * down > other.width * other.height


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
        if document.get_formtype() != 0:
            document.init_forms()
        yield document


def scanned(page: Any, engine: str, lang: str) -> list[Line]:
    """Read the lines of a page by OCR. Raises PictureError."""
    # A page is measured in points, 72 per inch.
    scale = min(DOTS / 72, LONGEST / max(page.get_size()))
    with closing(page.render(scale=scale)) as bitmap:
        picture = bitmap.to_pil().convert("RGB")
        lines = lines_in(picture, engine, lang)
    return [Line(line.text, line.confidence, in_points(line.box, scale)) for line in lines]


def in_points(box: Box, scale: float) -> Box:
    """Return a box of a rendered page in points."""
    return Box(*(round(edge / scale) for edge in box))


def words_of(lines: list[Line]) -> set[str]:
    """Return the words of lines, without those that a line breaks. Hyphens inside words stay."""
    words: set[str] = set()
    for line in lines:
        found = WORD.findall(HYPHEN_MARK.sub("-", line.text).casefold())
        ends_in_hyphen = HYPHEN_AT_END.search(line.text[-LONGEST_WORD:]) is not None
        words.update(found[:-1] if ends_in_hyphen else found)
    return words


def paragraphs(
    lines: list[NumberedLine], words: Container[str] = (), keep_lines: bool = False
) -> Iterator[NumberedLine]:
    """Group lines that stand closely below each other. Lines of other columns may come between them.

    `words`: those of the document. `keep_lines`: line breaks stay. Yield (number of the first line, the
    paragraph as one line).
    """
    groups: list[list[NumberedLine]] = []
    # The paragraphs to which a line was added last, at the end the one of the line before.
    open_groups: deque[list[NumberedLine]] = deque(maxlen=NEAR)
    for number, line in lines:
        for position, group in enumerate(reversed(open_groups), start=1):
            _, last = group[-1]
            if continues(last, line):
                group.append((number, line))
                del open_groups[-position]
                open_groups.append(group)
                break
        else:
            groups.append([(number, line)])
            open_groups.append(groups[-1])
    for group in groups:
        first_number, first = group[0]
        members = [line for _, line in group]
        text = join_lines([line.text for line in members], words, keep_lines)
        confidence = min(line.confidence for line in members)
        box = enclosing_box([line.box for line in members])
        yield first_number, Line(text, confidence, box, first.angle)


def continues(upper: Line, lower: Line) -> bool:
    """Whether a line continues the paragraph of another one. A field of a form stands alone."""
    if upper.angle != lower.angle or upper.is_field or lower.is_field:
        return False
    return continues_paragraph(upper.reading_box, lower.reading_box)


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


def join_lines(texts: list[str], words: Container[str] = (), keep_lines: bool = False) -> str:
    """Join the lines of a paragraph.

    There is no space between Chinese characters, nor in a word that a line breaks. `words`: those of
    the document, which tell a broken word from a compound. `keep_lines`: line breaks stay, except in a
    broken word.
    """
    joined = [texts[0]]
    for text in texts[1:]:
        before = joined[-1]
        hyphen = HYPHEN_AT_END.search(before[-LONGEST_WORD:])
        following = FIRST_WORD.match(text)
        if hyphen is None or following is None:
            joined.append(text)
            continue
        is_broken = is_broken_word(hyphen[1], following[0], words)
        joined[-1] = f"{before[:-1]}{'' if is_broken else '-'}{text}"
    plain = "\n".join(HYPHEN_MARK.sub("-", text) for text in joined)
    if keep_lines:
        return plain
    return BREAK_IN_CHINESE.sub("", plain).replace("\n", " ")


def is_broken_word(first: str, second: str, words: Container[str]) -> bool:
    """Whether a line's hyphen breaks a word: dam- aged. It stays in well-known, 2023-24, DNA-based.

    The same word elsewhere in the document decides. Otherwise small letters tell.
    """
    whole, compound = f"{first}{second}".casefold(), f"{first}-{second}".casefold()
    if whole in words or compound in words:
        return whole in words
    if not (first.isalpha() and second.isalpha() and second.islower()):
        return False
    is_abbreviation = first.isupper()
    return not is_abbreviation and len(first) > 1 and first.casefold() not in FIRST_PARTS
