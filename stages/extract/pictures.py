"""One picture file → its pixels, upright, on white and made smaller, or the reason why it is set aside.

Only formats that Pillow reads by itself are opened: no other program is ever started. The size is looked at before
a pixel is decoded, so a small file that would unpack to gigabytes costs nothing.
"""

import hashlib
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.core.records.picture import PICTURE, Picture, Table, writing
from stages.extract.engines.ocr import MOST_PIXELS, PictureError
from stages.extract.kinds.pages import FORMATS, broken_pictures
from stages.extract.unit import Unit

LARGEST = 64 * 2**20
"""Most bytes of a picture file."""
LEAST_SIDE = 8
"""Fewest pixels of a picture's shorter side: less shows nothing."""
SAME_FORMAT = {"MPO": "JPEG", "DIB": "BMP"}
"""Format as Pillow names it → the format whose suffixes such a file may have. MPO is what telephones and some cameras
write: a JPEG with a second picture behind it."""


class PictureSetAsideError(Exception):
    """A picture that cannot be used: a reason of one word, and the evidence."""

    def __init__(self, reason: str, evidence: str) -> None:
        super().__init__(evidence)
        self.reason = reason
        self.evidence = evidence


def read(path: Path, name: str, side: int) -> Picture:
    """Read a picture file, and make it smaller where a side has more than `side` pixels.

    `name` is what the source calls it. Raises PictureSetAsideError.
    """
    content = content_of(path)
    try:
        with broken_pictures():
            from PIL import Image

            file = Image.open(io.BytesIO(content), formats=FORMATS)
        with file:
            check(file, path)
            with broken_pictures():
                image = on_white(upright(file))
                image = smaller(image, side)
    except PictureError as error:
        reason = "too_large" if "million pixels" in str(error) else "unreadable"
        raise PictureSetAsideError(reason, f"{name}: {error}") from None
    return Picture(
        path=name,
        sha256=hashlib.sha256(content).hexdigest(),
        format=str(file.format),
        width=file.width,
        height=file.height,
        columns=image.width,
        rows=image.height,
        pixels=image.tobytes(),
    )


def content_of(path: Path) -> bytes:
    """Return the bytes of a file. Raises PictureSetAsideError where it cannot be read, or is empty or too large."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise PictureSetAsideError(
                "too_large",
                f"{path.name}: {size / 2**20:,.0f} MiB, at most {LARGEST // 2**20} are read",
            )
        content = path.read_bytes()
    except OSError as error:
        raise PictureSetAsideError("unreadable", f"{path.name}: {error.strerror}") from None
    if not content:
        raise PictureSetAsideError("unreadable", f"{path.name}: the file is empty")
    return content


def check(file: Any, path: Path) -> None:
    """Raise PictureSetAsideError for a picture of another format than its name says, an animated one, or one of a wrong size."""
    from PIL import Image

    form = SAME_FORMAT.get(file.format, file.format)
    named = Image.registered_extensions().get(path.suffix.lower())
    if SAME_FORMAT.get(str(named), named) != form:
        raise PictureSetAsideError(
            "wrong_suffix",
            f"{path.name}: the file is a {form}; give it the suffix of one, or put the right file there",
        )
    if file.width * file.height > MOST_PIXELS:
        raise PictureSetAsideError(
            "too_large",
            f"{path.name}: {file.width:,} × {file.height:,} pixels, at most {MOST_PIXELS // 1_000_000} "
            "million are read; save it with a lower resolution",
        )
    if min(file.width, file.height) < LEAST_SIDE:
        raise PictureSetAsideError(
            "too_small",
            f"{path.name}: {file.width} × {file.height} pixels; at least {LEAST_SIDE} a side show something",
        )
    with broken_pictures():
        # An MPO counts as animated, for its second picture.
        is_animated = file.format != "MPO" and getattr(file, "is_animated", False)
    if is_animated:
        raise PictureSetAsideError(
            "animated",
            f"{path.name}: several frames or pages, and a caption is about one; save each as a file of its own",
        )


def upright(file: Any) -> Any:
    """Return a picture as the camera was held."""
    from PIL import ImageOps

    # A damaged note of how the camera was held must not hide the picture.
    try:
        return ImageOps.exif_transpose(file)
    except (SyntaxError, TypeError, ValueError, ZeroDivisionError, struct.error):
        return file.copy()


def on_white(image: Any) -> Any:
    """Return a picture in RGB. Transparent pixels may be black underneath, so they become white."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def smaller(image: Any, side: int) -> Any:
    """Return a picture whose longer side has at most `side` pixels."""
    from PIL import Image

    longer = max(image.size)
    if longer <= side:
        return image
    width = max(1, round(image.width * side / longer))
    height = max(1, round(image.height * side / longer))
    return image.resize((width, height), Image.Resampling.LANCZOS)


class Pictures:
    """The pictures of all sources, as they are read one by one."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.first: dict[str, str] = {}
        """Hash of the pixels → where they were read first."""

    def unless_repeated(self, unit: Unit, locator: str) -> Unit:
        """Return a unit, or its rejection where an earlier unit has the same picture."""
        if unit.picture is None:
            return unit
        pixels = f"{unit.picture.columns} {unit.picture.rows} ".encode() + unit.picture.pixels
        digest = hashlib.sha256(pixels).hexdigest()
        first = self.first.setdefault(digest, f"{unit.picture.path}, {locator}")
        if first == f"{unit.picture.path}, {locator}":
            return unit
        evidence = f"{unit.picture.path}: the same picture as {first}; keep one, with one caption"
        return Unit(unit.position, unit.raw, None, "duplicate_picture", evidence)

    def add(self, unit: Unit, rows: list[dict[str, Any]]) -> None:
        """Take the picture of a unit with a record of its caption."""
        if unit.picture is None:
            return
        for row in rows:
            if row["kind"] == PICTURE:
                self.table.add(row["id"], unit.picture)


@contextmanager
def pictures_in(path: Path, wanted: bool) -> Iterator[Pictures | None]:
    """Yield the pictures that are written to a file, or None where there is no source of pictures."""
    if not wanted:
        yield None
        return
    with writing(path) as table:
        yield Pictures(table)
