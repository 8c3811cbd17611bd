"""OCR engines: parts of lines are put together; nothing is lost or doubled."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stages.extract.engines import ocr
from stages.extract.engines.line import Box, Line


def test_the_version_of_the_engine_is_kept() -> None:
    assert ocr.engine_version("rapidocr").startswith("rapidocr 3.")


def test_parts_of_a_line_are_joined_from_left_to_right() -> None:
    parts = [
        Line("1538", 0.9, Box(100, 12, 180, 38)),
        Line("Iron:", 0.7, Box(10, 10, 80, 40)),
        Line("Neon:", 1.0, Box(12, 52, 80, 80)),
    ]
    parts.append(Line("another column", 1.0, Box(300, 11, 400, 39)))
    joined = [ocr.merged(row) for row in ocr.rows_of(parts)]
    assert [line.text for line in joined] == ["Iron: 1538", "another column", "Neon:"]
    assert (joined[0].confidence, joined[0].box) == (0.7, (10, 10, 180, 40))


def test_chinese_is_joined_without_spaces() -> None:
    words = [
        Line(text, 1.0, Box(20 * i, 0, 20 * i + 20, 20))
        for i, text in enumerate(("熔", "点", "，", "1538", "度", "Fe", "x"))
    ]
    assert ocr.merged(words).text == "熔点， 1538 度 Fe x"


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(1, 90), st.integers(1, 40)),
        max_size=30,
    )
)
def test_no_part_is_lost_or_doubled(boxes: list[tuple[int, int, int, int]]) -> None:
    parts = [Line(str(i), 1.0, Box(x, y, x + w, y + h)) for i, (x, y, w, h) in enumerate(boxes)]
    rows = ocr.rows_of(parts)
    assert sorted(part.text for row in rows for part in row) == sorted(part.text for part in parts)
    assert rows == ocr.rows_of(parts[::-1]) or len({part.box for part in parts}) < len(parts)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((9_000, 9_000), "9,000 × 9,000 pixels, at most 80 million are read; save it with a lower"),
        ((3, 400), "3 × 400 pixels; text needs at least 8 on each side"),
        ((10, 2_000), "10 × 2,000 pixels, one side is more than 50 times the other; cut it"),
    ],
)
def test_a_picture_of_a_size_without_text_is_refused(size: tuple[int, int], message: str) -> None:
    with pytest.raises(ocr.PictureError, match=message):
        ocr.check_size(*size)
    ocr.check_size(7_000, 9_900)  # A3 at 600 dots per inch


def test_what_an_engine_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Any) -> None:
        raise ValueError("no\ncells")

    monkeypatch.setattr(ocr, "rapidocr", lambda: fails)
    with pytest.raises(ocr.PictureError, match="OCR failed: no cells"):
        ocr.lines_in(Image.new("RGB", (90, 90)), "rapidocr", "en")
