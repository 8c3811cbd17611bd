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


@plain_dataclass(frozen=True)
class Line:
    """A line of text, or a part of one."""

    text: str
    confidence: float
    """In [0, 1], of its least certain part."""
    box: Box
    """In pixels of a picture, or in points of a PDF page."""


def enclosing_box(boxes: list[Box]) -> Box:
    """Return the smallest box around boxes."""
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )
