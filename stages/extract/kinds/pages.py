"""Scanned pages: lines of text in pictures, read by OCR.

A unit is a line as the engine read it, from left to right across the page. Two sorts of lines are set
aside, each by itself: lines of lower confidence than the source allows, and lines without the form
that the source declares. A position has the page, the line and its box in pixels. The box is rounded
to tens, because engines differ in single pixels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.core.repeatable import memo
from stages.extract.engines.line import Box, Line
from stages.extract.engines.ocr import engine_version, lines_in
from stages.extract.line_units import form_of, unit_of_line
from stages.extract.source import FilePath, Lang, Map, Name, SourceSettings
from stages.extract.unit import Unit


@dataclass(frozen=True, config=STRICT)
class Pages(SourceSettings):
    """Pictures of pages: PNG, JPEG, TIFF (also with several pages) …"""

    kind: Literal["pages"]
    """Scanned pages as pictures: PNG, JPEG, TIFF (also with several pages) and others."""
    name: Name
    path: FilePath
    lang: Lang
    line: str
    """Form of a line that states something: a regular expression. Its named groups are the cells that
    `map` names, such as `(?P<subject>\\w+): (?P<value>.+)`. `.+` takes every line, and the cell is
    `line`."""
    map: Map
    engine: Literal["rapidocr", "tesseract"] = "rapidocr"
    """OCR engine. `rapidocr` comes with the libraries. `tesseract` is a program of the system, version 5
    (`sudo apt-get install tesseract-ocr`)."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Least confidence of a line, in [0, 1]. A line that was read with less is set aside. Higher sets more
    lines aside, and lets fewer mistakes through."""

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield lines.

        Raises InputError where the picture cannot be read, ParamsError for a wrong `line`.
        """
        form = form_of(self.line, self.name)
        # The engine's result is remembered as it is, so that another `line` or `min_confidence`
        # needs no new reading.
        lines = memo.remembered(
            recognise_picture, path, self.engine, self.lang, engine=self.engine_version()
        )
        for position, text, confidence, box in lines:
            line = Line(text, confidence, Box(*box))
            yield unit_of_line(position, line, form, self.min_confidence)

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Return the engine."""
        return {"engine": self.engine_version()}

    def engine_version(self) -> str:
        """Return name and version of the engine."""
        return engine_version(self.engine)


def recognise_picture(
    picture: Path, engine: str, lang: str
) -> Iterator[tuple[str, str, float, Box]]:
    """Yield the lines of a picture as JSON can hold them: position, text, confidence, box.

    This is what is remembered.
    """
    for position, line in read_lines(picture, engine, lang):
        yield position, line.text, line.confidence, line.box


def read_lines(picture: Path, engine: str, lang: str) -> Iterator[tuple[str, Line]]:
    """Yield (position, line) of a picture's lines, from top to bottom.

    Positions on a further page of one file begin with its number: `page 2/L1@60,40,520,70`.
    Raises InputError where the picture cannot be read or the engine is not installed.
    """
    for page_number, image in enumerate(images(picture), start=1):
        page = "" if page_number == 1 else f"page {page_number}/"
        for number, line in enumerate(lines_in(image, engine, lang), start=1):
            edges = ",".join(str(round(edge, -1)) for edge in line.box)
            yield f"{page}L{number}@{edges}", line


def images(picture: Path) -> Iterator[Any]:
    """Yield the pages of a picture file, upright and on white. Raises InputError."""
    from PIL import Image, ImageOps, ImageSequence

    try:
        with Image.open(picture) as opened:
            for frame in ImageSequence.Iterator(opened):
                # Transparent pixels may be black underneath, so a white page is put below them.
                upright = ImageOps.exif_transpose(frame).convert("RGBA")
                white = Image.new("RGBA", upright.size, "white")
                yield Image.alpha_composite(white, upright).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"extract: {picture} cannot be read as a picture: {error}; mend or remove it"
        ) from None
