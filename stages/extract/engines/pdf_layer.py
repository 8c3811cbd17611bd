"""The text layer of PDF pages, read with pypdfium2 (github.com/pypdfium2-team/pypdfium2).

Text and order are those of the file. Text on its side is put in the order of a reader who turns the page.
Raised and lowered smaller text keeps its place: 10⁶, never 106. Boxes are in points (1/72 inch), from the
top left corner of the page as it is shown.
"""

import ctypes
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from statistics import median
from typing import Any, NamedTuple

from stages.extract.engines.line import Box, Line, enclosing_box, turned
from stages.extract.raised import lowered, raised

TENTHS = 10
"""Boxes of characters are measured in tenths of a point."""
MOST_CHARACTERS = 1_000_000
"""Most characters of a page that is read. A page of a dense book has 10,000."""
WIDEST_GAP = 2.0
"""Widest gap inside a line, in heights of a letter. What is farther away stands in another column."""
SMALLER = 0.87
"""Size of raised and lowered text, as a share of the size of its line, at most."""
STEP_UP = 0.2
"""Least distance of the baseline of raised text above that of its line, as a share of the line's size."""
STEP_DOWN = 0.1
"""The same for lowered text, which is moved less."""
BESIDE = 0.35
"""Widest gap between a word and its raised text, as a share of the line's size."""


class TooLongError(Exception):
    """A page has more characters than are read."""


class Glyph(NamedTuple):
    """A character, as a reader sees it who turns the page until the text is upright."""

    char: str
    box: Box | None
    """In tenths of a point. White space, and what PDFium adds to the text of the file, has none."""
    size: float = 0
    """Size of the font, in tenths of a point."""
    baseline: float = 0
    """Distance of the baseline from the top, in tenths of a point."""


class View:
    """The map from points of the file to points of the page as it is shown."""

    def __init__(self, page: Any) -> None:
        """Measure the map."""
        from pypdfium2 import raw

        self.rotation = page.get_rotation()
        width, height = (round(side * TENTHS) for side in page.get_size())
        across, down = ctypes.c_int(), ctypes.c_int()
        # The map is linear, so three points tell it. They are far apart, since results are whole.
        points = []
        for x, y in ((0, 0), (1000, 0), (0, 1000)):
            # Arguments: start (0, 0) and size of the shown page, no further rotation (0), the point.
            raw.FPDF_PageToDevice(page, 0, 0, width, height, 0, x, y, across, down)
            points.append((across.value, down.value))
        (self.x0, self.y0), (x1, y1), (x2, y2) = points
        self.across = ((x1 - self.x0) / 1000, (x2 - self.x0) / 1000)
        self.down = ((y1 - self.y0) / 1000, (y2 - self.y0) / 1000)

    def shown(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the file as a point of the shown page, in tenths of a point."""
        return (
            self.x0 + self.across[0] * x + self.across[1] * y,
            self.y0 + self.down[0] * x + self.down[1] * y,
        )

    def shown_box(self, left: float, bottom: float, right: float, top: float) -> Box:
        """Return a box of the file as one of the shown page, in tenths of a point."""
        x1, y1 = self.shown(left, top)
        x2, y2 = self.shown(right, bottom)
        # On a rotated page, left and right may have changed places.
        return Box(round(min(x1, x2)), round(min(y1, y2)), round(max(x1, x2)), round(max(y1, y2)))


class Text:
    """The characters of a page."""

    def __init__(self, page: Any, text: Any) -> None:
        self.text = text
        self.view = View(page)

    def shown_box(self, index: int) -> Box:
        """Return the box of a character on the shown page, in tenths of a point."""
        return self.view.shown_box(*self.text.get_charbox(index, loose=True))

    def angle_and_size(self, index: int) -> tuple[int, float]:
        """Return how many degrees a character is turned on the shown page, and the size of its font.

        The angle counts counterclockwise, in steps of 15 degrees. The size is in tenths of a point.
        """
        from pypdfium2 import raw

        matrix = raw.FS_MATRIX()
        size = raw.FPDFText_GetFontSize(self.text, index) * TENTHS
        if not raw.FPDFText_GetMatrix(self.text, index, matrix):
            return 0, size
        degrees = math.degrees(math.atan2(matrix.b, matrix.a)) - self.view.rotation
        return round(degrees / 15) * 15 % 360, size * math.hypot(matrix.c, matrix.d)

    def baseline(self, index: int, angle: int) -> float:
        """Return the distance of a character's baseline from the top, as its reader sees it."""
        from pypdfium2 import raw

        x, y = ctypes.c_double(), ctypes.c_double()
        raw.FPDFText_GetCharOrigin(self.text, index, x, y)
        across, down = self.view.shown(x.value, y.value)
        return {90: across, 180: -down, 270: -across}.get(angle, down)


class OpenLine:
    """A line that is being read."""

    def __init__(self, angle: int) -> None:
        self.angle = angle
        self.glyphs: list[Glyph] = []
        self.size = 0.0
        """Size of its largest character, in tenths of a point."""


def layer(page: Any, widest_gap: float = WIDEST_GAP) -> list[Line]:
    """Return the lines of a page's text layer, in the order of the file.

    `widest_gap`: in heights of a letter. Raises TooLongError.
    """
    with closing(page.get_textpage()) as text:
        if text.count_chars() > MOST_CHARACTERS:
            raise TooLongError
        lines = [line_of(line) for line in open_lines(Text(page, text), widest_gap)]
    return in_reading_order([line for line in lines if line is not None])


def open_lines(page: Text, widest_gap: float) -> Iterator[OpenLine]:
    """Yield the lines of a page with their glyphs."""
    from pypdfium2 import raw

    line = OpenLine(0)
    last: Glyph | None = None  # of the open line, with a box
    spaces: list[Glyph] = []  # behind the last one
    is_broken = False  # whether PDFium breaks the line here
    for index in range(page.text.count_chars()):
        char = chr(raw.FPDFText_GetUnicode(page.text, index))
        is_generated = raw.FPDFText_IsGenerated(page.text, index) == 1
        if char in "\r\n\0":
            is_broken = True
            continue
        if char.isspace() or is_generated:
            spaces.append(Glyph(char, None))
            continue
        angle, size = page.angle_and_size(index)
        box = turned(page.shown_box(index), angle)
        glyph = Glyph(char, box, size, page.baseline(index, angle))
        if last is not None and (
            angle != line.angle
            or are_apart(last.box or box, box, widest_gap)
            or (is_broken and not is_small_step(line, last, glyph))
        ):
            yield line
            line, spaces = OpenLine(angle), []
        elif last is None:
            line.angle = angle
        line.glyphs += [*spaces, glyph]
        line.size = max(line.size, size)
        last, spaces, is_broken = glyph, [], False
    yield line


def are_apart(before: Box, after: Box, widest_gap: float = WIDEST_GAP) -> bool:
    """Whether a character stands on another line than the one before it, or in another column."""
    # The longer side is the height. Of letters that stand on their side it is the width.
    size = max(before.width, before.height)
    gap_down = after.top - before.bottom
    gap_up = before.top - after.bottom
    gap_right = after.left - before.right
    if max(gap_down, gap_up) > size / 2 or gap_right > widest_gap * size:
        return True
    # Back to the left and lower by half a letter: the next line.
    return after.right <= before.left and after.top - before.top > size / 2


def is_small_step(line: OpenLine, before: Glyph, after: Glyph) -> bool:
    """Whether a raised or lowered smaller character stands directly beside one of its line.

    PDFium breaks the line there.
    """
    if before.box is None or after.box is None:
        return False
    size = max(after.size, line.size)
    if min(before.size, after.size) > SMALLER * size:
        return False
    gap = after.box.left - before.box.right
    overlap = min(before.box.bottom, after.box.bottom) - max(before.box.top, after.box.top)
    # A lowered and a raised character, as in SO₄²⁻, overlap the line and not each other.
    return -size / 2 < gap < size / 2 and overlap > -size / 2


def line_of(line: OpenLine) -> Line | None:
    """Return the line of its glyphs, or None where there is only white space."""
    boxes = [glyph.box for glyph in line.glyphs if glyph.box]
    text = text_of(line.glyphs).strip()
    if not text or not boxes:
        return None
    # From the reader's view back to the page as it is shown.
    box = turned(enclosing_box(boxes), -line.angle % 360)
    return Line(text, 1.0, in_points(box), line.angle)


def text_of(glyphs: list[Glyph]) -> str:
    """Return the text of a line's glyphs, with its raised and lowered parts in signs of their own."""
    runs: list[tuple[str, str]] = []
    for place, group in groupby(zip(places_of(glyphs), glyphs, strict=True), key=itemgetter(0)):
        chars = "".join(glyph.char for _, glyph in group)
        runs.append((place, with_characters_joined(chars)))
    text = ""
    for number, (place, words) in enumerate(runs):
        if place == "raised":
            text += raised(words)
        elif place == "lowered":
            following = runs[number + 1][1][:1] if number + 1 < len(runs) else ""
            text += lowered(words, text[-1:], following)
        else:
            text += words
    return text


def places_of(glyphs: list[Glyph]) -> list[str]:
    """Return for each glyph of a line `raised`, `lowered`, or an empty text where it is neither."""
    drawn = [glyph for glyph in glyphs if glyph.box]
    if not drawn:
        return [""] * len(glyphs)
    # The size of most characters is that of the line. Of equally frequent sizes, the larger one.
    sizes = Counter(round(glyph.size) for glyph in drawn)
    size = max(sizes, key=lambda size: (sizes[size], size))
    baseline = median(glyph.baseline for glyph in drawn if round(glyph.size) == size)
    places: list[str] = []
    before: Glyph | None = None
    step_before = ""  # where the glyph `before` stands, whether or not it counts as raised
    spaces = 0  # behind the glyph `before`
    for glyph in glyphs:
        if glyph.box is None:
            spaces += 1
            continue
        step = place_of(glyph, size, baseline)
        place_before = places[-1] if places else ""
        if step == step_before:
            place = place_before
        elif step == "raised" and not is_beside(before, glyph, size):
            # A smaller word on a line of its own, such as what was typed into a form.
            place = ""
        else:
            place = step
        # A space between two raised words is raised too.
        places += [place if place == place_before else ""] * spaces
        places.append(place)
        before, step_before, spaces = glyph, step, 0
    return places + [""] * spaces


def is_beside(before: Glyph | None, glyph: Glyph, size: float) -> bool:
    """Whether a glyph stands directly behind another one, or is the first of its line."""
    if before is None or before.box is None or glyph.box is None:
        return True
    return glyph.box.left - before.box.right < BESIDE * size


def place_of(glyph: Glyph, size: float, baseline: float) -> str:
    """Return the place of a glyph on a line of this size and baseline, which grows down."""
    if glyph.size > SMALLER * size:
        return ""
    if baseline - glyph.baseline > STEP_UP * size:
        return "raised"
    if glyph.baseline - baseline > STEP_DOWN * size:
        return "lowered"
    return ""


def with_characters_joined(text: str) -> str:
    """Return text in which each character beyond U+FFFF is one.

    PDFium gives it as two surrogates. Through UTF-16 they become one.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def in_reading_order(lines: list[Line]) -> list[Line]:
    """Return lines, with those of text on its side in the order of a reader who turns the page.

    PDFium gives them in the order in which they lie on the page that is not turned.
    """
    angles = list(dict.fromkeys(line.angle for line in lines))
    if angles in ([], [0]):
        return lines
    ordered = []
    for angle in angles:
        group = [line for line in lines if line.angle == angle]
        if angle:
            group.sort(key=lambda line: (line.reading_box.top, line.reading_box.left))
        ordered += group
    return ordered


def in_points(box: Box) -> Box:
    """Return a box in whole points."""
    return Box(*(round(edge / TENTHS) for edge in box))
