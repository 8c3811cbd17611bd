"""A line of text as an engine gives it."""

from dataclasses import dataclass as plain_dataclass

CHINESE = r"\u3000-\u303f\u3400-\u9fff\uff00-\uffef"
"""Characters and their punctuation."""
Box = tuple[int, int, int, int]


@plain_dataclass(frozen=True)
class Line:
    """A line of text."""

    text: str
    confidence: float
    """In [0, 1], of the part the engine was least sure of."""
    box: Box
    """Left, top, right and bottom in pixels."""


def around(boxes: list[Box]) -> Box:
    """The box around boxes."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)
