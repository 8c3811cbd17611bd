"""A line of text, as an OCR engine or a text layer gives it."""

from dataclasses import dataclass as plain_dataclass

CHINESE = r"\u3000-\u303f\u3400-\u9fff\uff00-\uffef"
"""Chinese characters and their punctuation, to be put between the brackets of a pattern."""
Box = tuple[int, int, int, int]
"""Left, top, right and bottom edge."""


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
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)
