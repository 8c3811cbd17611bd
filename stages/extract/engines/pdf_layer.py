"""The text layer of PDF pages."""

import ctypes
from contextlib import closing
from typing import Any

from stages.extract.engines.line import Box, Line, around

TENTHS = 10
"""Of a point: boxes are measured in them."""


def layer(page: Any) -> list[Line]:
    """The lines of a page's text layer, in the order in which the file holds them."""
    from pypdfium2 import raw

    lines: list[list[tuple[str, Box | None]]] = [[]]
    with closing(page.get_textpage()) as text:
        for index in range(text.count_chars()):
            char = chr(raw.FPDFText_GetUnicode(text, index))
            if char in "\r\n\0":
                lines.append([])
                continue
            box = (
                None
                if char.isspace() or raw.FPDFText_IsGenerated(text, index) == 1
                else shown(page, text, index)
            )
            before = next((other for _, other in reversed(lines[-1]) if other), None)
            if box and before and apart(before, box):
                lines.append([])
            lines[-1].append((char, box))
    return [line for chars in lines if (line := line_of(chars)) is not None]


def shown(page: Any, text: Any, index: int) -> Box:
    """The box of a character on the page as it is shown, in tenths of a point."""
    from pypdfium2 import raw

    width, height = (round(side * TENTHS) for side in page.get_size())
    left, bottom, right, top = text.get_charbox(index, loose=True)
    corners = []
    for x, y in ((left, top), (right, bottom)):
        across, down = ctypes.c_int(), ctypes.c_int()
        raw.FPDF_PageToDevice(page, 0, 0, width, height, 0, x, y, across, down)
        corners.append((across.value, down.value))
    (x1, y1), (x2, y2) = corners
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def apart(before: Box, box: Box) -> bool:
    """Whether a character stands on another line than the one before it, or in another column."""
    size = max(
        before[2] - before[0], before[3] - before[1]
    )  # of letters that stand on their side the width
    return max(box[1] - before[3], before[1] - box[3]) > size / 2 or box[0] - before[2] > 2 * size


def line_of(chars: list[tuple[str, Box | None]]) -> Line | None:
    """The line of some characters, or None where there is only white space."""
    text = (
        "".join(char for char, _ in chars)
        .encode("utf-16", "surrogatepass")
        .decode("utf-16", "replace")
        .strip()
    )
    boxes = [box for _, box in chars if box]
    return Line(text, 1.0, around([in_points(box) for box in boxes])) if text and boxes else None


def in_points(box: Box) -> Box:
    """A box in whole points."""
    left, top, right, bottom = (round(edge / TENTHS) for edge in box)
    return left, top, right, bottom
