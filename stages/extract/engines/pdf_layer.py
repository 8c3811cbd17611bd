"""The text layer of PDF pages, read with pypdfium2 (github.com/pypdfium2-team/pypdfium2).

Text and order are those of the file. Boxes are in points (1/72 inch), from the top left corner of the
page as it is shown.
"""

import ctypes
from contextlib import closing
from typing import Any

from stages.extract.engines.line import Box, Line, enclosing_box

TENTHS = 10
"""Boxes of characters are measured in tenths of a point."""
Char = tuple[str, Box | None]
"""A character, and its box. White space, and what PDFium adds to the text of the file, has no box."""


def layer(page: Any) -> list[Line]:
    """Return the lines of a page's text layer, in the order of the file."""
    from pypdfium2 import raw

    lines: list[list[Char]] = [[]]
    last_box: Box | None = None  # of the open line
    with closing(page.get_textpage()) as text:
        for index in range(text.count_chars()):
            char = chr(raw.FPDFText_GetUnicode(text, index))
            if char in "\r\n\0":
                lines.append([])
                last_box = None
                continue
            box = None
            if not char.isspace() and raw.FPDFText_IsGenerated(text, index) != 1:
                box = shown_box(page, text, index)
                if last_box and are_apart(last_box, box):
                    lines.append([])
                last_box = box
            lines[-1].append((char, box))
    merged = [line_of(chars) for chars in lines]
    return [line for line in merged if line is not None]


def shown_box(page: Any, text: Any, index: int) -> Box:
    """Return the box of a character on the page as it is shown, in tenths of a point."""
    from pypdfium2 import raw

    width, height = (round(side * TENTHS) for side in page.get_size())
    left, bottom, right, top = text.get_charbox(index, loose=True)
    x1, y1 = shown_point(raw, page, width, height, left, top)
    x2, y2 = shown_point(raw, page, width, height, right, bottom)
    # On a rotated page, left and right may have changed places.
    return Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def shown_point(
    raw: Any, page: Any, width: int, height: int, x: float, y: float
) -> tuple[int, int]:
    """Return a point of the page as it is shown, where the page has this width and height."""
    across, down = ctypes.c_int(), ctypes.c_int()
    # Arguments: start (0, 0) and size of the shown page, no further rotation (0), the point.
    raw.FPDF_PageToDevice(page, 0, 0, width, height, 0, x, y, across, down)
    return across.value, down.value


def are_apart(before: Box, after: Box) -> bool:
    """Whether a character stands on another line than the one before it, or in another column."""
    # The longer side is the height. Of letters that stand on their side it is the width.
    size = max(before.right - before.left, before.height)
    gap_down = after.top - before.bottom
    gap_up = before.top - after.bottom
    gap_right = after.left - before.right
    return max(gap_down, gap_up) > size / 2 or gap_right > 2 * size


def line_of(chars: list[Char]) -> Line | None:
    """Return the line of its characters, or None where there is only white space."""
    joined = "".join(char for char, _ in chars)
    # PDFium gives characters beyond U+FFFF as two surrogates. Through UTF-16 they become one.
    text = joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()
    boxes = [in_points(box) for _, box in chars if box]
    if not text or not boxes:
        return None
    return Line(text, 1.0, enclosing_box(boxes))


def in_points(box: Box) -> Box:
    """Return a box in whole points."""
    return Box(*(round(edge / TENTHS) for edge in box))
