"""The text layer of PDF pages: lines, raised text, and text on its side in the order of its reader."""

from contextlib import closing
from pathlib import Path

import pytest

from stages.extract.engines import pdf_layer
from stages.extract.engines.line import Box, Line, turned
from stages.extract.engines.pdf_layer import TooLongError, are_apart, layer
from tests.stages.extract.drawn_pdf import runs, text, write


def lines_of(path: Path, drawn: str, rotate: int = 0) -> list[Line]:
    from pypdfium2 import PdfDocument

    with closing(PdfDocument(write(path / "a.pdf", drawn, rotate=rotate))) as document:
        return layer(document[0])


def texts_of(path: Path, drawn: str, rotate: int = 0) -> list[str]:
    return [line.text for line in lines_of(path, drawn, rotate)]


def test_letters_far_apart_are_on_other_lines() -> None:
    assert not are_apart(Box(0, 0, 10, 20), Box(12, 4, 20, 24))
    assert are_apart(Box(0, 0, 10, 20), Box(60, 0, 70, 20))
    assert are_apart(Box(0, 0, 10, 20), Box(0, 40, 10, 60))
    assert are_apart(Box(90, 0, 99, 20), Box(0, 21, 9, 41))  # back to the left


@pytest.mark.parametrize(
    ("drawn", "shown"),
    [
        (runs(60, 700, ("about 10", 10, 0), ("8", 6, 4), (" per L", 10, 0)), "about 10⁸ per L"),
        (text(60, 700, "about 10") + text(98.5, 704, "8", 6) + text(103, 700, "per L"), "about 10⁸ per L"),
        (runs(60, 700, ("10", 10, 0), ("-9", 7, 3.5), (" m", 10, 0)), "10⁻⁹ m"),
        (runs(60, 700, ("Zinc melts at 419", 10, 0), ("3", 6, 4), (" C.", 10, 0)), "Zinc melts at 419³ C."),
        (runs(60, 700, ("CO", 10, 0), ("2", 6, -2), (" and SO", 10, 0), ("4", 6, -2), ("2-", 6, 4)), "CO2 and SO₄²⁻"),
        (runs(60, 700, ("log", 10, 0), ("10", 6, -2), ("5 is", 10, 0)), "log₁₀5 is"),
        (runs(60, 700, ("on the 4", 10, 0), ("th", 6, 4), (" of May", 10, 0)), "on the 4th of May"),
        (runs(60, 700, ("1", 6, 4), ("Measured in air.", 10, 0)), "¹Measured in air."),
        (runs(60, 700, ("Name", 10, 0), (" 1234", 8, 1)), "Name 1234"),
        (text(60, 700, "Weight") + text(110, 703, "81", 8), "Weight 81"),
        (text(60, 700, "Z", 30) + text(79, 700, "inc melts at 419"), "Zinc melts at 419"),
        ("BT 10 0 0 10 60 700 Tm /F1 1 Tf (10) Tj /F1 .6 Tf .4 Ts (8) Tj ET", "10⁸"),
        ("BT 0 1 -1 0 300 400 Tm /F1 10 Tf (10) Tj /F1 6 Tf 4 Ts (8) Tj ET", "10⁸"),
    ],
)  # fmt: skip
def test_raised_and_lowered_text(tmp_path: Path, drawn: str, shown: str) -> None:
    assert texts_of(tmp_path, drawn) == [shown]


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_lines_on_their_side_are_in_the_order_of_their_reader(
    tmp_path: Path, angle: int, rotate: int
) -> None:
    down = {0: (0, -12), 90: (12, 0), 180: (0, 12), 270: (-12, 0)}[angle]
    words = ["the first line goes on", "in the second one", "and ends in the third"]
    drawn = ""
    for number, line in enumerate(words):
        drawn += text(300 + number * down[0], 400 + number * down[1], line, angle=angle)
    lines = lines_of(tmp_path, drawn, rotate)
    assert [line.text for line in lines] == words
    assert {line.angle for line in lines} == {(angle - rotate) % 360}
    tops = [line.reading_box.top for line in lines]
    assert tops == sorted(tops)
    assert all(line.box.left < line.box.right and line.box.top < line.box.bottom for line in lines)


def test_text_at_another_angle_is_another_line(tmp_path: Path) -> None:
    drawn = text(100, 100, "DRAFT", 30, angle=45) + text(200, 230, "Zinc melts.")
    assert [(line.text, line.angle) for line in lines_of(tmp_path, drawn)] == [
        ("DRAFT", 45),
        ("Zinc melts.", 0),
    ]


@pytest.mark.parametrize("angle", [0, 45, 90, 180, 270])
def test_a_box_is_turned_back(angle: int) -> None:
    box = Box(1, 2, 30, 14)
    assert turned(turned(box, angle), -angle % 360) == box


def test_a_page_with_too_many_characters_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_layer, "MOST_CHARACTERS", 5)
    with pytest.raises(TooLongError):
        lines_of(tmp_path, text(60, 700, "Zinc melts."))
