"""Scanned pages: lines of text in pictures, read by OCR.

A unit is a line as the engine read it, from left to right across the page. Two sorts of lines are set
aside, each by itself: lines of lower confidence than the source allows, and lines without the form
that the source declares. A position has the page, the line and its box in pixels. The box is rounded
to tens, because engines differ in single pixels. A page that cannot be read, or is too large, is set
aside. Only formats that Pillow reads by itself are opened: no other program is ever started.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.core.repeatable import memo
from stages.extract.engines.line import Box, Line
from stages.extract.engines.ocr import (
    MOST_PIXELS,
    PictureError,
    check_size,
    engine_version,
    lines_in,
)
from stages.extract.line_units import form_of, unit_of_line
from stages.extract.source import FilePath, Lang, Map, Name, SourceSettings
from stages.extract.unit import Unit

FORMATS = [
    *("PNG", "JPEG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "AVIF", "PPM", "JPEG2000", "TGA", "PCX"),
]
"""Formats of pictures, all of dots. For others, such as EPS, Pillow would start an interpreter."""
MOST_PAGES = 5_000
"""Most pages of a file that are read."""
Item = tuple[str, str, float, Box | None]
"""A line as JSON can hold it: position, text, confidence, box. Or a page that is set aside: its position, the
evidence, 0 and no box."""


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
            if box is None:
                yield Unit(position, "", None, "unreadable", text)
                continue
            line = Line(text, confidence, Box(*box))
            yield unit_of_line(position, line, form, self.min_confidence)

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Return the engine."""
        return {"engine": self.engine_version()}

    def engine_version(self) -> str:
        """Return name and version of the engine."""
        return engine_version(self.engine)


def recognise_picture(picture: Path, engine: str, lang: str) -> Iterator[Item]:
    """Yield the lines of a picture, and its pages that cannot be read.

    This is what is remembered.
    """
    for position, line in read_lines(picture, engine, lang):
        if isinstance(line, str):
            yield position, line, 0.0, None
        else:
            yield position, line.text, line.confidence, line.box


def read_lines(picture: Path, engine: str, lang: str) -> Iterator[tuple[str, Line | str]]:
    """Yield (position, line) of a picture's lines, from top to bottom.

    Positions on a further page of one file begin with its number: `page 2/L1@60,40,520,70`. For a page
    that cannot be read, yield its position and the reason. Raises InputError where the picture cannot
    be read, or the engine is not installed.
    """
    for page_number, image in enumerate(images(picture), start=1):
        page = "" if page_number == 1 else f"page {page_number}/"
        try:
            lines = lines_in(checked(image), engine, lang)
        except PictureError as error:
            yield f"page {page_number}", str(error)
            continue
        for number, line in enumerate(lines, start=1):
            edges = ",".join(str(round(edge, -1)) for edge in line.box)
            yield f"{page}L{number}@{edges}", line


def checked(image: Any) -> Any:
    """Return a page of a picture. Raises PictureError where there is a reason in its place."""
    if isinstance(image, str):
        raise PictureError(image)
    return image


def images(picture: Path) -> Iterator[Any]:
    """Yield the pages of a picture file, upright and on white.

    In place of a page that cannot be read, yield the reason. Raises InputError where the file holds no
    other page.
    """
    number = 0
    try:
        with opened(picture) as file:
            while turn_to(file, number):
                try:
                    page = page_of(file)
                except PictureError as error:
                    if number == 0 and not turn_to(file, 1):
                        raise
                    page = str(error)
                yield page
                number += 1
                if number == MOST_PAGES:
                    yield f"more than {MOST_PAGES:,} pages; split the file"
                    return
    except PictureError as error:
        if number:
            yield str(error)
            return
        raise InputError(
            f"extract: {picture} cannot be read as a picture: {error}; mend or remove it"
        ) from None


@contextmanager
def opened(picture: Path) -> Iterator[Any]:
    """Open a picture file. Raises PictureError."""
    from PIL import Image

    with broken_pictures():
        file = Image.open(picture, formats=FORMATS)
    with file:
        yield file


def turn_to(file: Any, number: int) -> bool:
    """Turn to a page of an open picture file, and say whether there is one. Raises PictureError."""
    with broken_pictures():
        try:
            file.seek(number)
        except EOFError:
            return False
    return True


def page_of(file: Any) -> Any:
    """Return the page to which a picture file was turned. Raises PictureError."""
    from PIL import Image, ImageOps

    check_size(*file.size)
    with broken_pictures():
        # A damaged note of how the camera was held must not hide the picture.
        try:
            upright = ImageOps.exif_transpose(file)
        except (SyntaxError, TypeError, ValueError, ZeroDivisionError, struct.error):
            upright = file.copy()
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        # Transparent pixels may be black underneath, so a white page is put below them.
        upright = upright.convert("RGBA")
        white = Image.new("RGBA", upright.size, "white")
        return Image.alpha_composite(white, upright).convert("RGB")


@contextmanager
def broken_pictures() -> Iterator[None]:
    """Turn what Pillow raises for a broken picture into PictureError. Its warnings are left out."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Image.DecompressionBombError:
        millions = MOST_PIXELS // 1_000_000
        raise PictureError(
            f"more than {millions} million pixels; save it with a lower resolution, or in parts"
        ) from None
    except (
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
        zlib.error,
    ) as error:
        raise PictureError(str(error) or type(error).__name__) from None
