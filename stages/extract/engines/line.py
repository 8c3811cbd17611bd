"""A line of text, as an OCR engine or a text layer gives it."""

from dataclasses import dataclass as plain_dataclass
from typing import NamedTuple

CHINESE = r"\u3000-\u303f\u3400-\u9fff\uff00-\uffef"
"""Chinese characters and their punctuation, to be put between the brackets of a pattern."""


class Box(NamedTuple):
    """An upright box, by its edges. Positions grow to the right and down."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        """Distance between top and bottom."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Distance between left and right."""
        return self.right - self.left


@plain_dataclass(frozen=True)
class Line:
    """A line of text, or a part of one."""

    text: str
    confidence: float
    """In [0, 1], of its least certain part."""
    box: Box
    """In pixels of a picture, or in points of a PDF page."""
    angle: int = 0
    """Degrees by which the text is turned counterclockwise on the page as it is shown."""
    is_field: bool = False
    """Whether it is the value of a form's field, which belongs to no paragraph."""

    @property
    def reading_box(self) -> Box:
        """The box as a reader sees it who turns the page until the text is upright."""
        return turned(self.box, self.angle)


def turned(box: Box, angle: int) -> Box:
    """Return a box on a page that is turned clockwise by an angle, around its upper left corner.

    Angles other than 90, 180 and 270 degrees change nothing. Example: text at 90 degrees runs up the
    page. Its reader goes on to the right where the page goes up, and down where the page goes right.
    """
    left, top, right, bottom = box
    if angle == 90:
        return Box(-bottom, left, -top, right)
    if angle == 180:
        return Box(-right, -bottom, -left, -top)
    if angle == 270:
        return Box(top, -right, bottom, -left)
    return box


def enclosing_box(boxes: list[Box]) -> Box:
    """Return the smallest box around boxes."""
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )
