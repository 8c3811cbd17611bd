"""OCR engines: RapidOCR, which comes with the libraries, and Tesseract 5, a program of the system.

Both give parts of lines. `lines_in` joins those that stand on one line. A picture that is too small, too
large or too thin for text is refused.
"""

import re
from functools import cache
from typing import Any

from stages.core.project.errors import InputError
from stages.extract.engines.line import CHINESE, Box, Line, enclosing_box

TESSERACT_LANGUAGES = {"en": "eng", "zh": "chi_sim", "de": "deu", "fr": "fra"}
"""ISO 639-1 code → Tesseract's name. Other names are passed on as they are."""
MOST_PIXELS = 80_000_000
"""Most pixels of a picture. A page of A3 at 600 dots per inch has 70 million. OCR needs about eight bytes for
each."""
LEAST_SIDE = 8
"""Fewest pixels of a picture's shorter side: the height of the smallest letters that OCR reads."""
THINNEST = 50
"""Most times that a picture's longer side may be as long as the shorter one. OCR shrinks the longer side to
2,000 pixels, so the shorter one would have fewer than 40."""
# A space between two Chinese characters. Example: the one in "熔 点".
SPACE_IN_CHINESE = re.compile(rf"(?<=[{CHINESE}]) (?=[{CHINESE}])")


def engine_version(engine: str) -> str:
    """Return name and version of an engine. Another version may read a picture differently.

    Raises InputError where the engine is not installed.
    """
    if engine == "tesseract":
        return f"tesseract {tesseract().get_tesseract_version()}"
    from importlib.metadata import version

    return f"rapidocr {version('rapidocr')}, onnxruntime {version('onnxruntime')}"


class PictureError(Exception):
    """A picture that no engine reads, with the reason."""


def check_size(width: int, height: int) -> None:
    """Raise PictureError for a picture that is too large, too small or too thin for text."""
    size = f"{width:,} × {height:,} pixels"
    if width * height > MOST_PIXELS:
        raise PictureError(
            f"{size}, at most {MOST_PIXELS // 1_000_000} million are read; "
            "save it with a lower resolution, or in parts"
        )
    shorter, longer = sorted((width, height))
    if shorter < LEAST_SIDE:
        raise PictureError(f"{size}; text needs at least {LEAST_SIDE} on each side")
    if longer > THINNEST * shorter:
        raise PictureError(
            f"{size}, one side is more than {THINNEST} times the other; cut it into parts"
        )


def lines_in(image: Any, engine: str, lang: str) -> list[Line]:
    """Read the lines of a picture, from top to bottom.

    Raises InputError where the engine is not installed, PictureError where it cannot read the
    picture.
    """
    check_size(*image.size)
    if engine == "rapidocr":
        rows = rows_of(parts_by_rapidocr(image))
    else:
        rows = rows_by_tesseract(image, lang)
    return [merged(row) for row in rows]


def parts_by_rapidocr(image: Any) -> list[Line]:
    """Read parts of lines with RapidOCR (github.com/RapidAI/RapidOCR). Confidences have two digits.

    Raises PictureError where it fails.
    """
    import cv2
    import numpy

    # The last axis holds red, green and blue. RapidOCR expects them in reverse order.
    pixels = numpy.asarray(image)[:, :, ::-1]
    try:
        result = rapidocr()(pixels)
    except (cv2.error, ArithmeticError, IndexError, ValueError) as error:
        raise PictureError(f"OCR failed: {' '.join(str(error).split())}") from None
    if result.txts is None:
        return []
    parts = []
    for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
        points = [(float(x), float(y)) for x, y in corners]
        parts.append(Line(text, round(float(score), 2), upright_box(points)))
    return parts


@cache
def rapidocr() -> Any:
    """Load RapidOCR with the models of its package, on one thread."""
    from rapidocr import RapidOCR

    settings = {
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Global.log_level": "critical",
        "Global.text_score": 0.0,
    }
    return RapidOCR(params=settings)


def rows_by_tesseract(image: Any, lang: str) -> list[list[Line]]:
    """Read lines of words with Tesseract (github.com/tesseract-ocr/tesseract).

    Confidences have two digits. Raises PictureError where it fails.
    """
    program = tesseract()
    language = TESSERACT_LANGUAGES.get(lang, lang)
    # A table: column name → one value per word, or per block, paragraph and line, without text.
    try:
        table = program.image_to_data(image, lang=language, output_type="dict")
    except program.TesseractError as error:
        raise PictureError(f"OCR failed: {' '.join(str(error).split())}") from None
    rows: dict[tuple[int, ...], list[Line]] = {}
    for index, text in enumerate(table["text"]):
        if not text.strip():
            continue
        left, top = table["left"][index], table["top"][index]
        right, bottom = left + table["width"][index], top + table["height"][index]
        box = Box(left, top, right, bottom)
        confidence = round(float(table["conf"][index]) / 100, 2)  # it is in percent
        word = Line(text.strip(), confidence, box)
        row = tuple(table[name][index] for name in ("block_num", "par_num", "line_num"))
        rows.setdefault(row, []).append(word)
    return list(rows.values())


def tesseract() -> Any:
    """Return pytesseract. Raises InputError where the program is not installed."""
    import pytesseract

    try:
        pytesseract.get_tesseract_version()
    except pytesseract.TesseractNotFoundError:
        raise InputError(
            "extract: the engine tesseract is not installed; "
            "on Debian: sudo apt-get install tesseract-ocr tesseract-ocr-chi-sim; "
            "or set `engine: rapidocr` in params.yaml"
        ) from None
    return pytesseract


def upright_box(corners: list[tuple[float, float]]) -> Box:
    """Return the upright box around corner points, which may be those of a tilted box."""
    across = [x for x, _ in corners]
    down = [y for _, y in corners]
    return Box(
        round(min(across)),
        round(min(down)),
        round(max(across)),
        round(max(down)),
    )


def rows_of(parts: list[Line]) -> list[list[Line]]:
    """Group parts that stand on one line: lines from top to bottom, each from left to right."""
    rows: list[list[Line]] = []
    # By the left edge, so that the parts of a line come in their order.
    for part in sorted(parts, key=lambda part: part.box):
        for row in rows:
            if follows(row[-1].box, part.box):
                row.append(part)
                break
        else:
            rows.append([part])

    def position_down(row: list[Line]) -> tuple[int, Box]:
        first = row[0].box
        twice_the_middle = first.top + first.bottom
        return twice_the_middle, first

    return sorted(rows, key=position_down)


def follows(before: Box, after: Box) -> bool:
    """Whether a part is the next one to the right on a line.

    The middle of each must lie within the height of the other, since a page may be scanned a little
    askew. The gap between them is at most two heights: text farther away is another column.
    """
    middle_before = (before.top + before.bottom) / 2
    middle_after = (after.top + after.bottom) / 2
    if not before.top < middle_after < before.bottom:
        return False
    if not after.top < middle_before < after.bottom:
        return False
    gap = after.left - before.right
    return -before.height / 2 <= gap <= 2 * before.height


def merged(row: list[Line]) -> Line:
    """Return one line from its parts. There is no space between two Chinese characters."""
    text = SPACE_IN_CHINESE.sub("", " ".join(part.text for part in row))
    confidence = min(part.confidence for part in row)
    return Line(text, confidence, enclosing_box([part.box for part in row]))
