"""pages: lines of scanned pages become units with place and confidence; what is unsure or of another form is set aside."""

import csv
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from stages import extract
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import load, parse
from stages.extract.engines.line import Box, Line
from stages.extract.kinds import pages
from stages.extract.kinds.pages import Pages
from tests.beside import SHARED, needs_shared
from tests.stages.extract.damage import damaged

ROOT = Path(__file__).parents[4]
needs_tesseract = pytest.mark.skipif(
    not shutil.which("tesseract"), reason="the program tesseract is not installed"
)
ENGINES = ["rapidocr", pytest.param("tesseract", marks=needs_tesseract)]


def source(**settings: Any) -> Pages:
    problems: list[str] = []
    defaults = {
        "kind": "pages",
        "name": "toy",
        "path": "a.png",
        "lang": "en",
        "line": "(?P<s>\\w+): (?P<v>.+)",
    }
    defaults["map"] = {"subject": "s", "value": "v"}
    found = parse(defaults | settings, Pages, "extract.sources.0", problems)
    assert found is not None, problems
    return found


def printed(path: Path, *lines: str) -> Path:
    page = Image.new("L", (700, 60 + 50 * len(lines)), 255)
    for number, line in enumerate(lines):
        ImageDraw.Draw(page).text(
            (30, 30 + 50 * number), line, font=ImageFont.load_default(28), fill=0
        )
    page.save(path)
    return path


def rows_of(params: extract.Params, found: Any) -> list[dict[str, Any]]:
    raw = ROOT / "data/raw"
    units = extract.units_of(found, extract.files_of(params, raw)[found.name], raw)
    return [row for unit, path in units for row in extract.records_of(unit, found, path)]


def lines_in(path: Path, engine: str, lang: str = "en") -> list[str]:
    return [line.text for _, line in pages.read_lines(path, engine, lang)]


def error_rate(found: str, wanted: str) -> float:
    """Character error rate: edits per wanted character, white space aside."""
    found, wanted = "".join(found.split()), "".join(wanted.split())
    row = list(range(len(found) + 1))
    for i, a in enumerate(wanted, start=1):
        before, row[0] = row[0], i
        for j, b in enumerate(found, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1] / len(wanted)


@pytest.mark.slow
def test_every_fact_of_the_record_cards_is_read_right() -> None:
    params, _ = load("extract", extract.Params, ROOT / "params.yaml")
    (cards,) = [source for source in params.sources if isinstance(source, Pages)]
    rows = rows_of(params, cards)
    read = {
        (row["subject"].lower(), row["attribute"]): (row["value"], row["unit"])
        for row in rows
        if "reason" not in row
    }
    with (ROOT / "data/authoring/elements.csv").open(encoding="utf-8") as file:
        elements = {row["name"]: row for row in csv.DictReader(file)}
    assert len(read) == 69
    for (subject, attribute), (value, unit) in read.items():
        known = elements[subject][attribute]
        assert (value, unit) == (
            (f"{float(known) + 273.15:.2f}", "K") if unit == "K" else (known, unit)
        ), subject
    reasons = sorted(row["reason"] for row in rows if "reason" in row)
    assert reasons == [
        "low_confidence",
        "other_form",
        "other_form",
    ]  # what is struck out; the two titles


@pytest.mark.slow
def test_facts_of_the_record_cards_are_in_no_other_source() -> None:
    params, _ = load("extract", extract.Params, ROOT / "params.yaml")
    facts: dict[bool, set[str]] = {True: set(), False: set()}
    for found in params.sources:
        facts[isinstance(found, Pages)] |= {
            row["fact"] for row in rows_of(params, found) if row.get("fact")
        }
    assert len(facts[True]) == 69
    assert not facts[True] & facts[False]


@pytest.mark.parametrize("engine", ENGINES)
def test_units_have_place_text_and_cells(tmp_path: Path, engine: str) -> None:
    printed(tmp_path / "a.png", "Copper: 1085", "nothing of the kind")
    first, second = source(engine=engine).units(tmp_path / "a.png")
    assert first.cells == {"line": "Copper: 1085", "s": "Copper", "v": "1085"}
    assert first.position.startswith("L1@")
    left, top, right, bottom = map(int, first.position[3:].split(","))
    assert left <= 40
    assert top <= 40
    assert right > 120
    assert 50 < bottom <= 80
    assert (second.cells, second.reason) == (None, "other_form")
    assert second.raw == "nothing of the kind"


def test_unsure_lines_are_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed(tmp_path / "a.png", "x")
    lines = [
        ("L1@0,0,9,9", Line("Iron: 1538", 0.79, Box(0, 0, 9, 9))),
        ("L2@0,9,9,19", Line("Neon: -249", 0.8, Box(0, 9, 9, 19))),
    ]
    monkeypatch.setattr(pages, "read_lines", lambda *_: iter(lines))
    unsure, sure = source(min_confidence=0.8).units(tmp_path / "a.png")
    assert (unsure.reason, unsure.raw) == ("low_confidence", "Iron: 1538")
    assert unsure.evidence == "read with confidence 0.79, 0.8 is asked for"
    assert sure.cells is not None


def test_every_page_of_a_file_is_read(tmp_path: Path) -> None:
    first, second = (
        Image.open(printed(tmp_path / f"{name}.png", f"Iron: {name}")) for name in ("one", "two")
    )
    first.save(tmp_path / "a.tiff", save_all=True, append_images=[second])
    units = list(source().units(tmp_path / "a.tiff"))
    assert [unit.raw for unit in units] == ["Iron: one", "Iron: two"]
    assert [unit.position.split("@")[0] for unit in units] == ["L1", "page 2/L1"]


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    page = Image.new("RGBA", (400, 110), (0, 0, 0, 0))
    ImageDraw.Draw(page).text(
        (30, 30), "Iron: 1538", font=ImageFont.load_default(28), fill=(0, 0, 0, 255)
    )
    page.save(tmp_path / "a.png")
    assert lines_in(tmp_path / "a.png", "rapidocr") == ["Iron: 1538"]


def test_an_empty_page_has_no_line(tmp_path: Path) -> None:
    Image.new("L", (200, 200), 255).save(tmp_path / "a.png")
    assert lines_in(tmp_path / "a.png", "rapidocr") == []


@pytest.mark.parametrize("cut", [0, 10, 300])
def test_a_broken_picture_is_refused(tmp_path: Path, cut: int) -> None:
    whole = printed(tmp_path / "whole.png", "Iron: 1538").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:cut])
    with pytest.raises(
        InputError, match=r"a\.png cannot be read as a picture: .*; mend or remove it"
    ):
        list(source().units(tmp_path / "a.png"))


def test_a_wrong_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"toy: `line` is no regular expression: .*; mend it in params\.yaml"
    ):
        list(source(line="(").units(tmp_path))


def test_a_missing_program_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pytesseract

    def missing() -> None:
        raise pytesseract.TesseractNotFoundError

    monkeypatch.setattr(pytesseract, "get_tesseract_version", missing)
    printed(tmp_path / "a.png", "Iron: 1538")
    with pytest.raises(
        InputError,
        match=r"tesseract is not installed; on Debian: sudo apt-get install .*engine: rapidocr",
    ):
        lines_in(tmp_path / "a.png", "tesseract")


@needs_shared
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("page", "lang", "most"), [("multi-line_cn1.png", "zh", 0.1), ("phototest.tif", "en", 0.05)]
)
def test_real_pages(page: str, lang: str, most: float, engine: str) -> None:
    truth = next(path for path in (SHARED / "ocr_pages").glob(f"{Path(page).stem}*.txt"))
    found = "\n".join(lines_in(SHARED / "ocr_pages" / page, engine, lang))
    assert error_rate(found, truth.read_text(encoding="utf-8")) <= most


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\nshowpage\n"


@pytest.mark.parametrize("name", ["a.eps", "a.png"])
def test_no_interpreter_is_ever_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", fails)
    monkeypatch.setattr(os, "system", fails)
    (tmp_path / name).write_bytes(EPS)
    with pytest.raises(InputError, match=r"cannot be read as a picture: .*; mend or remove it"):
        list(source().units(tmp_path / name))


def test_pillow_knows_every_format_that_is_read() -> None:
    Image.init()
    assert set(pages.FORMATS) <= set(Image.OPEN)
    assert not {"EPS", "WMF"} & set(pages.FORMATS)


def test_a_picture_too_large_or_too_thin_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("1", (9_000, 9_000)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="9,000 × 9,000 pixels, at most 80 million are read"):
        list(source().units(tmp_path / "a.png"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)  # twice as many are a bomb
    with pytest.raises(InputError, match="more than 80 million pixels; save it with a lower"):
        list(source().units(tmp_path / "a.png"))
    Image.new("1", (9_000, 2)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match="9,000 × 2 pixels; text needs at least 8 on each side"):
        list(source().units(tmp_path / "b.png"))


def test_a_page_that_cannot_be_read_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [(9_000, 2), (60, 60), (3, 60)]
    frames = [Image.new("1", size) for size in sizes]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(pages, "lines_in", lambda *_: [Line("Iron: 1538", 0.9, Box(0, 0, 9, 9))])
    first, second, third = source().units(tmp_path / "a.tiff")
    assert (first.position, first.reason) == ("page 1", "unreadable")
    assert "9,000 × 2 pixels" in first.evidence
    assert second.position.startswith("page 2/L1@")
    assert (third.position, third.reason) == ("page 3", "unreadable")
    monkeypatch.setattr(pages, "MOST_PAGES", 1)
    *_, last = source(lang="de").units(tmp_path / "a.tiff")
    assert last.evidence == "more than 1 pages; split the file"


@needs_shared
@pytest.mark.parametrize("name", ["multi-line_cn1.png", "phototest.tif", "helloworld.jpg"])
def test_a_damaged_picture_is_read_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(pages, "lines_in", lambda *_: [])
    whole = (SHARED / "ocr_pages" / name).read_bytes()
    for seed in range(30):
        (tmp_path / name).write_bytes(damaged(whole, seed))
        try:
            units = list(source().units(tmp_path / name))
        except InputError as error:
            assert "cannot be read as a picture" in str(error)  # noqa: PT017 - either is right
        else:
            assert all(unit.reason for unit in units)
