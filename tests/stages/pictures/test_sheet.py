"""The contact sheet: pictures come back to the bit, and nothing a caption says becomes part of the page."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from stages.core.records.picture import Picture
from stages.pictures import sheet


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 3), (300, 200)])
def test_a_png_comes_back_to_the_bit(width: int, height: int) -> None:
    values = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    content = sheet.png(width, height, values.tobytes())
    image = Image.open(io.BytesIO(content))
    image.load()
    assert image.format == "PNG"
    assert np.array_equal(np.asarray(image), values)


def test_a_caption_cannot_write_into_the_page() -> None:
    evil = "<script>alert(1)</script>"
    picture = Picture(f"{evil}.png", "", "PNG", 2, 2, 2, 2, bytes(12))
    entry = sheet.Entry(picture, evil, 0.5, 0, [evil], [evil])
    page = sheet.page(evil, [evil], [("Part", [entry]), ("Nothing", [])])
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 8
    assert "<p>None.</p>" in page
    assert not re.search(r"https?://", page)


def test_large_pictures_are_made_small() -> None:
    picture = Picture("a.png", "", "PNG", 250, 100, 250, 100, bytes(250 * 100 * 3))
    address = sheet.data_address(picture)
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(content)).size == (96, 38)
