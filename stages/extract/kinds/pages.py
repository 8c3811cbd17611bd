"""Scanned pages: lines of text in pictures, read by OCR.

A unit is a line as the engine read it, from left to right across the page. A line of lower confidence than the source allows, and
one that does not have the form the source declares, is set aside by itself. Places are page, line and box in pixels, the box
rounded to tens: engines differ in single pixels.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import STRICT
from stages.core.repeatable import memo
from stages.extract.source import Common
from stages.extract.unit import Mapping, Unit

TESSERACT_LANGUAGES = {"en": "eng", "zh": "chi_sim", "de": "deu", "fr": "fra"}
CHINESE = r"\u3000-\u303f\u3400-\u9fff\uff00-\uffef"
"""Characters and their punctuation."""
Box = tuple[int, int, int, int]


@plain_dataclass(frozen=True)
class Line:
    """A line of text."""

    text: str
    confidence: float
    """In [0, 1], of the part the engine was least sure of."""
    box: Box
    """Left, top, right and bottom in pixels."""


@dataclass(frozen=True, config=STRICT)
class Pages(Common):
    """Pictures of pages: PNG, JPEG, TIFF (also of several pages) …"""

    kind: Literal["pages"]
    name: str
    path: str
    lang: str
    line: str
    """The form of a line that states something: a regular expression whose named groups are the cells that `map` names."""
    map: Mapping
    engine: Literal["rapidocr", "tesseract"] = "rapidocr"
    """rapidocr comes with the libraries; tesseract is a program of the system, version 5."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.8

    def units(self, path: Path) -> Iterator[Unit]:
        """Lines. Raises InputError where the picture cannot be read, ParamsError for a wrong `line`."""
        form = form_of(self.line, self.name)
        # Remembered is what the engine reads, so that another `line` or `min_confidence` costs no reading.
        found = memo.remembered(
            found_in, path, self.engine, self.lang, engine=engine_version(self.engine)
        )
        for place, text, confidence, box in found:
            yield unit_of_line(place, Line(text, confidence, tuple(box)), form, self.min_confidence)

    def engine_version(self) -> str:
        """Name and version of what reads."""
        return engine_version(self.engine)


def form_of(line: str, name: str) -> re.Pattern[str]:
    """The form of a line that states something. Raises ParamsError where it is none."""
    try:
        return re.compile(line)
    except re.error as error:
        raise ParamsError(
            f"extract: {name}: `line` is no regular expression: {error}; mend it in params.yaml"
        ) from None


def unit_of_line(place: str, line: Line, form: re.Pattern[str], least: float) -> Unit:
    """The unit of a line: its named groups, where it is sure enough and of the form."""
    if line.confidence < least:
        return unsure(place, line, least)
    if (match := form.fullmatch(line.text)) is None:
        return Unit(place, line.text, None, "other_form", "not of the form that `line` declares")
    return Unit(place, line.text, {"line": line.text} | match.groupdict())


def unsure(place: str, line: Line, least: float) -> Unit:
    """The rejected unit of what was read with too little confidence."""
    evidence = f"read with confidence {line.confidence:.2f}, {least} is asked for"
    return Unit(place, line.text, None, "low_confidence", evidence)


def engine_version(engine: str) -> str:
    """Name and version of an engine: another one may read otherwise, so it belongs to what is hashed."""
    if engine == "tesseract":
        return f"tesseract {tesseract().get_tesseract_version()}"
    from importlib.metadata import version

    return f"rapidocr {version('rapidocr')}, onnxruntime {version('onnxruntime')}"


def read_lines(picture: Path, engine: str, lang: str) -> Iterator[tuple[str, Line]]:
    """(place, line) of a picture's lines, from top to bottom; places of a further page of one file begin with its number.

    Raises InputError where it cannot be read or the engine is not there.
    """
    for number, image in enumerate(images(picture), start=1):
        for count, line in enumerate(lines_in(image, engine, lang), start=1):
            box = ",".join(str(round(edge, -1)) for edge in line.box)
            yield ("" if number == 1 else f"page {number}/") + f"L{count}@{box}", line


def found_in(picture: Path, engine: str, lang: str) -> Iterator[tuple[str, str, float, Box]]:
    """What `read_lines` yields, flat, as JSON can hold it: place, text, confidence, box."""
    for place, line in read_lines(picture, engine, lang):
        yield place, line.text, line.confidence, line.box


def lines_in(image: Any, engine: str, lang: str) -> list[Line]:
    """The lines of one picture, from top to bottom. Raises InputError where the engine is not there."""
    return list(
        map(
            joined,
            rows_of(by_rapidocr(image)) if engine == "rapidocr" else by_tesseract(image, lang),
        )
    )


def images(picture: Path) -> Iterator[Any]:
    """The pages of a picture file, upright and on white. Raises InputError."""
    from PIL import Image, ImageOps, ImageSequence

    try:
        with Image.open(picture) as opened:
            for frame in ImageSequence.Iterator(opened):
                upright = ImageOps.exif_transpose(frame).convert(
                    "RGBA"
                )  # what is transparent may be black below
                yield Image.alpha_composite(
                    Image.new("RGBA", upright.size, "white"), upright
                ).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"extract: {picture} cannot be read as a picture: {error}; mend or remove it"
        ) from None


def by_rapidocr(image: Any) -> list[Line]:
    """Pieces of text that RapidOCR finds (github.com/RapidAI/RapidOCR), confidences to two digits."""
    import numpy

    found = rapidocr()(numpy.asarray(image)[:, :, ::-1])  # it expects blue, green, red
    if found.txts is None:
        return []
    return [
        Line(text, round(float(score), 2), edges([(float(x), float(y)) for x, y in corners]))
        for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
    ]


@cache
def rapidocr() -> Any:
    """The engine, with the models of its package, on one thread."""
    from rapidocr import RapidOCR

    threads = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
    settings = {f"EngineConfig.onnxruntime.{name}": value for name, value in threads.items()}
    return RapidOCR(params=settings | {"Global.log_level": "critical", "Global.text_score": 0.0})


def by_tesseract(image: Any, lang: str) -> list[list[Line]]:
    """Lines of words that Tesseract finds (github.com/tesseract-ocr/tesseract), confidences to two digits."""
    words = tesseract().image_to_data(
        image, lang=TESSERACT_LANGUAGES.get(lang, lang), output_type="dict"
    )
    lines: dict[tuple[int, ...], list[Line]] = {}
    for i, text in enumerate(words["text"]):
        if text.strip():
            left, top, width, height = (
                words[name][i] for name in ("left", "top", "width", "height")
            )
            word = Line(
                text.strip(),
                round(float(words["conf"][i]) / 100, 2),
                (left, top, left + width, top + height),
            )
            lines.setdefault(
                tuple(words[name][i] for name in ("block_num", "par_num", "line_num")), []
            ).append(word)
    return list(lines.values())


def tesseract() -> Any:
    """pytesseract. Raises InputError where the program is not installed."""
    import pytesseract

    try:
        pytesseract.get_tesseract_version()
    except pytesseract.TesseractNotFoundError:
        raise InputError(
            "extract: the engine tesseract is not installed; on Debian: sudo apt-get install tesseract-ocr tesseract-ocr-chi-sim"
            "; or set `engine: rapidocr` in params.yaml"
        ) from None
    return pytesseract


def edges(corners: list[tuple[float, float]]) -> Box:
    """The upright box around corner points."""
    across, down = zip(*corners, strict=True)
    return round(min(across)), round(min(down)), round(max(across)), round(max(down))


def rows_of(parts: list[Line]) -> list[list[Line]]:
    """Parts that follow each other on one line, lines from top to bottom, each from left to right.

    A part follows another if their middles lie within each other's height (a page may be scanned a little askew) and the gap
    between them is at most two heights: what is further apart is another column.
    """
    rows: list[list[Line]] = []
    for part in sorted(parts, key=lambda part: part.box):
        row = next((row for row in rows if follows(row[-1].box, part.box)), None)
        if row is None:
            rows.append([part])
        else:
            row.append(part)
    return sorted(rows, key=lambda row: (row[0].box[1] + row[0].box[3], row[0].box))


def follows(before: Box, after: Box) -> bool:
    """Whether a part is the next one to the right on a line."""
    height = before[3] - before[1]
    level = (
        before[1] < (after[1] + after[3]) / 2 < before[3]
        and after[1] < (before[1] + before[3]) / 2 < after[3]
    )
    return level and -height / 2 <= after[0] - before[2] <= 2 * height


def joined(row: list[Line]) -> Line:
    """One line of the parts of a row; between two Chinese characters there is no space."""
    left, top, right, bottom = zip(*(part.box for part in row), strict=True)
    text = re.sub(rf"(?<=[{CHINESE}]) (?=[{CHINESE}])", "", " ".join(part.text for part in row))
    return Line(
        text, min(part.confidence for part in row), (min(left), min(top), max(right), max(bottom))
    )
