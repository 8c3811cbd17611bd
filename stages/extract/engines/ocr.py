"""Engines that read pictures of text."""

import re
from functools import cache
from typing import Any

from stages.core.project.errors import InputError
from stages.extract.engines.line import CHINESE, Box, Line

TESSERACT_LANGUAGES = {"en": "eng", "zh": "chi_sim", "de": "deu", "fr": "fra"}


def engine_version(engine: str) -> str:
    """Name and version of an engine: another one may read otherwise, so it belongs to what is hashed."""
    if engine == "tesseract":
        return f"tesseract {tesseract().get_tesseract_version()}"
    from importlib.metadata import version

    return f"rapidocr {version('rapidocr')}, onnxruntime {version('onnxruntime')}"


def lines_in(image: Any, engine: str, lang: str) -> list[Line]:
    """The lines of one picture, from top to bottom. Raises InputError where the engine is not there."""
    return list(
        map(
            joined,
            rows_of(by_rapidocr(image)) if engine == "rapidocr" else by_tesseract(image, lang),
        )
    )


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
