"""pdf_figures: a picture of a PDF goes with the caption beside it, and what has none or shares one is set aside."""

from pathlib import Path
from typing import Any

import pytest
from pypdfium2 import PdfiumError

from stages.core.project.errors import InputError
from stages.extract import pdf_figures
from stages.extract.engines.line import Box
from stages.extract.pdf_figures import CAPTION, Figure, figures_of, gap_between
from tests.stages.extract.drawn_pdf import picture, text, write
from tests.stages.extract.kinds.test_images import extracted, source

GREY = (20, 10, bytes(range(200)))
"""A picture of 20 × 10 pixels, darkest in its upper left corner."""
BELOW = picture(100, 500, 200, 100) + text(100, 480, "Figure 1: the lattice of iron")


def figures(path: Path, *pages: str, **settings: Any) -> list[Figure]:
    _, found = figures_of(write(path, *pages, **{"pixels": GREY} | settings), 256)
    return found


def test_a_caption_stands_below_or_above(tmp_path: Path) -> None:
    above = text(100, 610, "Fig. 2. A flame of copper") + picture(100, 500, 200, 100)
    first, second = figures(tmp_path / "a.pdf", BELOW, above)
    assert (first.caption, first.page) == ("Figure 1: the lattice of iron", 1)
    assert (second.caption, second.page) == ("Fig. 2. A flame of copper", 2)
    assert first.position == "page 1/figure[1]@100,242,300,342"
    assert first.picture is not None
    assert (first.picture.width, first.picture.height) == (20, 10)
    assert first.picture.path == "a.pdf#page 1/figure[1]@100,242,300,342"
    # As it is stored: the first line is the upper one.
    assert first.picture.pixels[:3] == b"\x00\x00\x00"
    assert first.picture.pixels[-1] > 150


def test_a_caption_of_several_lines_is_one(tmp_path: Path) -> None:
    page = picture(100, 500, 200, 100)
    page += text(100, 480, "Figure 1: the lattice") + text(100, 468, "of iron in grey")
    page += text(100, 300, "Iron is a metal.")
    (figure,) = figures(tmp_path / "a.pdf", page)
    assert figure.caption == "Figure 1: the lattice of iron in grey"


def test_a_picture_without_a_caption_is_set_aside(tmp_path: Path) -> None:
    logo = picture(400, 800, 50, 20) + text(400, 785, "A company")
    far = picture(100, 500, 200, 100) + text(100, 400, "Figure 3: too far away")
    beside = picture(100, 500, 100, 100) + text(220, 550, "Figure 4: beside")
    found = figures(tmp_path / "a.pdf", logo, far, beside)
    assert [figure.reason for figure in found] == ["no_caption"] * 3
    assert "begins like a caption" in found[0].evidence


def test_the_nearest_picture_has_the_caption(tmp_path: Path) -> None:
    page = picture(100, 700, 200, 100) + BELOW
    far, near = figures(tmp_path / "a.pdf", page)
    assert (far.reason, near.reason) == ("no_caption", "")


def test_a_caption_of_two_pictures_is_about_neither(tmp_path: Path) -> None:
    page = picture(100, 500, 100, 100) + picture(210, 500, 100, 100)
    page += text(100, 480, "Figure 1: left the lattice of iron, right that of copper")
    found = figures(tmp_path / "a.pdf", page)
    assert [figure.reason for figure in found] == ["shared_caption"] * 2
    assert "Figure 1: left" in found[0].evidence


def test_a_page_on_its_side_is_read_as_it_is_shown(tmp_path: Path) -> None:
    # Shown, the page is turned clockwise by 90 degrees: what is at its right edge comes to the bottom.
    page = picture(100, 500, 200, 100) + text(315, 500, "Figure 1: turned", angle=90)
    (figure,) = figures(tmp_path / "a.pdf", page, rotate=90)
    assert figure.caption == "Figure 1: turned"
    assert figure.picture is not None
    assert (figure.picture.width, figure.picture.height) == (10, 20)
    # The upper left corner came to the upper right.
    assert figure.picture.pixels[27:30] == b"\x00\x00\x00"


@pytest.mark.parametrize(
    ("pixels", "reason"), [((4, 4, b"\x80" * 16), "too_small"), ((20, 10, b"\x80"), "")]
)
def test_a_picture_that_shows_nothing(
    tmp_path: Path, pixels: tuple[int, int, bytes], reason: str
) -> None:
    (figure,) = figures(tmp_path / "a.pdf", BELOW, pixels=pixels)
    assert figure.reason == reason


def test_a_picture_that_claims_to_be_huge_is_not_unpacked(tmp_path: Path) -> None:
    (figure,) = figures(tmp_path / "a.pdf", BELOW, pixels=(50_000, 50_000, b"\x80"))
    assert (figure.reason, figure.picture) == ("too_large", None)
    assert "50,000 × 50,000 pixels" in figure.evidence


def test_what_cannot_be_read_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise PdfiumError("Failed to load page")

    monkeypatch.setattr(pdf_figures, "pictures_on", fails)
    (figure,) = figures(tmp_path / "a.pdf", BELOW)
    assert figure.reason == "unreadable"
    monkeypatch.undo()
    monkeypatch.setattr("stages.extract.engines.pdf_layer.MOST_CHARACTERS", 5)
    (figure,) = figures(tmp_path / "a.pdf", BELOW)
    assert figure.reason == "too_long"


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 no more")
    with pytest.raises(InputError, match=r"a\.pdf cannot be read as a PDF"):
        figures_of(tmp_path / "a.pdf", 256)


@pytest.mark.parametrize(
    "words",
    [
        "Figure 3: x",
        "FIG. 2a",
        "Fig 1",
        "Abb. 4",
        "Plate II",
        "Figure S4",
        "Scheme A",
        "图 1 铁",
        "图三",
    ],
)
def test_beginnings_of_captions(words: str) -> None:
    assert CAPTION.match(words)


@pytest.mark.parametrize(
    "words", ["The figure 3", "Figures are", "Figs", "fig tree", "FIG TREE", "图书"]
)
def test_other_beginnings(words: str) -> None:
    assert not CAPTION.match(words)


def test_a_caption_on_the_picture_is_none() -> None:
    box = Box(0, 0, 100, 100)
    assert gap_between(box, Box(0, 40, 100, 60)) is None
    assert gap_between(box, Box(0, 98, 100, 110)) == 0
    assert gap_between(box, Box(0, 110, 100, 120)) == 10
    assert gap_between(box, Box(80, 110, 300, 120)) is None


def test_figures_of_papers_are_units(tmp_path: Path) -> None:
    folder = tmp_path / "raw/papers"
    folder.mkdir(parents=True)
    write(folder / "iron.pdf", BELOW, picture(10, 10, 50, 50), pixels=GREY)
    mapping = {"subject": "title", "text": "caption", "meta": {"page": "page"}}
    papers = source(path="papers/*.pdf", captions="figures", map=mapping)
    rows, rejected = extracted(tmp_path / "raw", tmp_path / "out", papers)
    (row,) = rows
    assert (row["text"], row["subject"]) == ("Figure 1: the lattice of iron", "iron")
    assert row["locator"] == "papers/iron.pdf#page 1/figure[1]@100,242,300,342@text"
    assert [one["reason"] for one in rejected] == ["no_caption"]
