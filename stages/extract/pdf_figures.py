"""The figures of a PDF: its pictures, each with the caption that stands below or above it.

A caption is a paragraph of the text layer that begins like one (`Figure 3`, `Fig. 2a`, `图 1`). It belongs to the
nearest picture on its page that lies across from it, at most `FARTHEST` points away. A picture without a caption may
be a logo. A caption that is as near to a second picture is about both, and says of neither what it shows.

The pixels are those of the picture at its own resolution, turned as the page shows them. Text and lines that are
drawn over a picture do not belong to it. Vector drawings are no pictures.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.records.picture import Picture
from stages.extract.engines.line import Box, Line
from stages.extract.engines.ocr import MOST_PIXELS
from stages.extract.engines.pdf_layer import (
    MOST_CHARACTERS,
    TENTHS,
    TooLongError,
    View,
    layer,
)
from stages.extract.kinds.pdf import (
    MOST_OBJECTS,
    MOST_PAGES,
    NumberedLine,
    opened,
    paragraphs,
    title_of,
    words_of,
)
from stages.extract.pictures import LEAST_SIDE, on_white, smaller

FARTHEST = 40
"""Most points between a picture and its caption: some three lines."""
AS_NEAR = 4
"""Points within which a second picture counts as near as the first one."""
LONGEST_CAPTION = 2000
"""Most characters of a caption. A longer paragraph is running text."""
DEEPEST = 3
"""Groups inside groups in which pictures are looked for."""
# The beginning of a caption, with a number or a letter.
# Examples: Figure 3, Fig. 2a, FIG 1, Figure S4, Abb. 4, Plate II, Scheme A, 图1, 图三.
CAPTION = re.compile(
    r"(?i:fig(?:ure|\.)?|abb(?:ildung|\.)?|plate|scheme|photo(?:graph)?)\s*"
    r"(?:S?\d|[IVX]+\b|[A-Z]\b)"
    r"|图\s*[\d一二三四五六七八九十]"
)


class Figure(NamedTuple):
    """A picture on a page, with its caption or the reason why it is set aside."""

    page: int
    """From 1."""
    number: int
    """Among the pictures of its page, from 1."""
    box: Box
    """In points, from the top left corner of the page as it is shown."""
    caption: str
    picture: Picture | None
    reason: str = ""
    evidence: str = ""

    @property
    def position(self) -> str:
        """Return its place in the file, such as `page 2/figure[1]@72,100,310,300`."""
        edges = ",".join(str(edge) for edge in self.box)
        return f"page {self.page}/figure[{self.number}]@{edges}"


class Placed(NamedTuple):
    """A picture of a page, and where it is shown."""

    item: Any
    box: Box


def figures_of(path: Path, side: int) -> tuple[str, list[Figure]]:
    """Return the title of a document, or its name, and its figures.

    `side`: most pixels of the longer side of what is kept. Raises InputError where the file cannot be read.
    """
    with opened(path) as document:
        title = title_of(document) or path.stem
        figures: list[Figure] = []
        for index in range(min(len(document), MOST_PAGES)):
            figures += figures_on(document, index, path.name, side)
    return title, figures


def figures_on(document: Any, index: int, name: str, side: int) -> Iterator[Figure]:
    """Yield the figures of a page in the order of the file. `index` counts from 0."""
    from pypdfium2 import PdfiumError

    number = index + 1
    try:
        with closing(document[index]) as page:
            placed = pictures_on(page)
            if not placed:
                return
            lines = layer(page)
            captions = captions_among(lines)
            owners = [owners_of(caption, placed) for caption in captions]
            rotation = page.get_rotation()
            for place, (item, box) in enumerate(placed):
                own = [
                    caption
                    for caption, found in zip(captions, owners, strict=True)
                    if place in found
                ]
                shared = any(place in found and len(found) > 1 for found in owners)
                figure = Figure(number, place + 1, box, own[0].text if own else "", None)
                if not own:
                    evidence = "no text below or above it begins like a caption, such as `Figure 1`"
                    yield figure._replace(reason="no_caption", evidence=evidence)
                elif shared:
                    evidence = f"{own[0].text[:80]}: the caption is about several pictures; cut the figure out as one"
                    yield figure._replace(reason="shared_caption", evidence=evidence)
                else:
                    yield with_pixels(figure, item, rotation, name, side)
    except PdfiumError as error:
        evidence = f"the page cannot be read: {error}"
        yield Figure(number, 0, Box(0, 0, 0, 0), "", None, "unreadable", evidence)
    except TooLongError:
        evidence = f"more than {MOST_CHARACTERS:,} characters on one page; split it"
        yield Figure(number, 0, Box(0, 0, 0, 0), "", None, "too_long", evidence)


def pictures_on(page: Any) -> list[Placed]:
    """Return the pictures of a page, in the order of the file, without those that have no area."""
    from pypdfium2 import raw

    view = View(page)
    found = []
    for item in islice(page.get_objects(max_depth=DEEPEST), MOST_OBJECTS):
        if item.type != raw.FPDF_PAGEOBJ_IMAGE:
            continue
        tenths = view.shown_box(*item.get_bounds())
        box = Box(*(round(edge / TENTHS) for edge in tenths))
        if box.width > 0 and box.height > 0:
            found.append(Placed(item, box))
    return found


def captions_among(lines: list[Line]) -> list[Line]:
    """Return the paragraphs that begin like a caption."""
    numbered: list[NumberedLine] = list(enumerate(lines, start=1))
    found = []
    for _, paragraph in paragraphs(numbered, words_of(lines)):
        if CAPTION.match(paragraph.text) and len(paragraph.text) <= LONGEST_CAPTION:
            found.append(paragraph)
    return found


def owners_of(caption: Line, placed: list[Placed]) -> list[int]:
    """Return the places of the pictures that a caption is about: the nearest one, and those as near."""
    gaps = []
    for place, (_, box) in enumerate(placed):
        gap = gap_between(box, caption.box)
        if gap is not None and gap <= FARTHEST:
            gaps.append((gap, place))
    if not gaps:
        return []
    nearest = min(gaps)[0]
    return [place for gap, place in gaps if gap <= nearest + AS_NEAR]


def gap_between(picture: Box, caption: Box) -> int | None:
    """Return the points between a picture and a caption below or above it. None where they lie side by side."""
    overlap = min(picture.right, caption.right) - max(picture.left, caption.left)
    if 2 * overlap < min(picture.width, caption.width):
        return None
    below = caption.top - picture.bottom
    above = picture.top - caption.bottom
    gap = max(below, above)
    # A caption that lies on the picture is a part of what it shows, but for a hair's breadth.
    return max(0, gap) if gap >= -AS_NEAR else None


def with_pixels(figure: Figure, item: Any, rotation: int, name: str, side: int) -> Figure:
    """Return a figure with its pixels, or the reason why it has none. `rotation`: of the page, in degrees."""
    from pypdfium2 import PdfiumError

    width, height = item.get_px_size()
    if width * height > MOST_PIXELS:
        evidence = (
            f"{width:,} × {height:,} pixels, at most {MOST_PIXELS // 1_000_000} million are read"
        )
        return figure._replace(reason="too_large", evidence=evidence)
    if min(width, height) < LEAST_SIDE:
        evidence = f"{width} × {height} pixels; at least {LEAST_SIDE} a side show something"
        return figure._replace(reason="too_small", evidence=evidence)
    try:
        with closing(item.get_bitmap(render=True, scale_to_original=True)) as bitmap:
            # A copy, because the bitmap's memory is given back.
            image = on_white(bitmap.to_pil()).copy()
    except (PdfiumError, ValueError) as error:
        return figure._replace(reason="unreadable", evidence=f"the picture is broken: {error}")
    if rotation:
        image = image.rotate(-rotation, expand=True)
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    kept = smaller(image, side)
    picture = Picture(
        path=f"{name}#{figure.position}",
        sha256=digest,
        format="PDF",
        width=image.width,
        height=image.height,
        columns=kept.width,
        rows=kept.height,
        pixels=kept.tobytes(),
    )
    return figure._replace(picture=picture)
