"""The text layer of PDF pages: which characters stand on one line."""

from stages.extract.engines.line import Box
from stages.extract.engines.pdf_layer import are_apart


def test_letters_far_apart_are_on_other_lines() -> None:
    assert not are_apart(Box(0, 0, 10, 20), Box(12, 4, 20, 24))
    assert are_apart(Box(0, 0, 10, 20), Box(60, 0, 70, 20))
    assert are_apart(Box(0, 0, 10, 20), Box(0, 40, 10, 60))
