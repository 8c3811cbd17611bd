"""Scanned pages: lines of text in pictures, read by OCR.

A unit is a line as the engine read it, from left to right across the page. A line of lower confidence than the source allows, and
one that does not have the form the source declares, is set aside by itself. Places are page, line and box in pixels, the box
rounded to tens: engines differ in single pixels.
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
from stages.extract.source import Common
from stages.extract.unit import Mapping, Unit


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
