"""pdf: paragraphs of the text layer with page and box, scans by OCR, and every page that gives nothing with its reason."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from stages import extract
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import Run, parse
from stages.core.records import record
from stages.extract.engines.line import Box, Line
from stages.extract.engines.ocr import PictureError
from stages.extract.engines.pdf_layer import TooLongError
from stages.extract.kinds import pdf
from stages.extract.kinds.pdf import Pdf, join_lines, paragraphs
from stages.extract.unit import Unit
from tests.beside import SHARED, needs_shared
from tests.stages.extract import drawn_pdf
from tests.stages.extract.damage import damaged
from tests.timed import quickest

IRON = "Iron melts at 1538 °C and\nit rusts in wet air. It is\nused for rails."


def source(**settings: Any) -> Pdf:
    problems: list[str] = []
    shape = {"kind": "pdf", "name": "toy", "path": "a.pdf", "lang": "en", "map": {"text": "text"}}
    found = parse(shape | settings, Pdf, "extract.sources.0", problems)
    assert found is not None, problems
    return found


def printed(
    path: Path, *pages: list[tuple[float, float, str, float]], title: str | None = None
) -> Path:
    """A PDF with a text layer: pages of 432 × 576 points, on each (x, y, text, size) as shares of the page from below."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    with (
        rc_context({"pdf.fonttype": 42}),
        PdfPages(path, metadata={"Title": title, "CreationDate": None}) as file,
    ):
        for page in pages:
            figure = Figure(figsize=(6, 8))
            for x, y, text, size in page:
                figure.text(x, y, text, fontsize=size, rotation=90 if text.startswith("|") else 0)
            file.savefig(figure)
    return path


def picture(*lines: str) -> Image.Image:
    page = Image.new("RGB", (700, 400), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(page).text(
            (30, 30 + 150 * number), line, font=ImageFont.load_default(28), fill="black"
        )
    return page


def told(units: list[Unit]) -> list[tuple[str, str]]:
    return [(unit.position.split("@")[0], unit.get("text") or unit.reason) for unit in units]


def test_paragraphs_of_the_text_layer(tmp_path: Path) -> None:
    first = [(0.1, 0.9, "Iron", 20.0), (0.1, 0.6, IRON, 12.0), (0.1, 0.5, "Tin cries.", 12.0)]
    path = printed(tmp_path / "a.pdf", first, [(0.1, 0.8, "Neon glows.", 12.0)], title="Metals")
    units = list(source().units(path))
    assert told(units) == [
        ("page 1/L1", "Iron"),
        ("page 1/L2", " ".join(IRON.split())),
        ("page 1/L5", "Tin cries."),
        ("page 2/L1", "Neon glows."),
    ]
    left, top, right, bottom = map(int, units[1].position.split("@")[1].split(","))
    assert (left, bottom) == (43, pytest.approx(576 * 0.4, abs=6))
    assert 170 < right < 230
    assert 35 < bottom - top < 55
    assert [unit.get("page") for unit in units] == ["1", "1", "1", "2"]
    assert {(unit.get("title"), unit.get("file")) for unit in units} == {("Metals", "a.pdf")}


def test_columns_and_text_on_its_side_stay_apart(tmp_path: Path) -> None:
    page = [
        (0.05, 0.6, "left one\nleft two", 12.0),
        (0.55, 0.6, "right one\nright two", 12.0),
        (0.9, 0.2, "|margin", 12.0),
    ]
    found = told(list(source().units(printed(tmp_path / "a.pdf", page))))
    assert [text for _, text in found] == ["left one left two", "right one right two", "|margin"]


def test_lines_of_a_form(tmp_path: Path) -> None:
    path = printed(tmp_path / "a.pdf", [(0.1, 0.6, "Iron: 1538\nnothing of the kind", 12.0)])
    form = {
        "line": r"(?P<s>\w+): (?P<v>.+)",
        "map": {"subject": "s", "value": "v", "meta": {"page": "page"}},
    }
    first, second = source(**form).units(path)
    assert first.cells == {
        "line": "Iron: 1538",
        "s": "Iron",
        "v": "1538",
        "page": 1,
        "title": "a",
        "file": "a.pdf",
    }
    assert (second.reason, second.raw) == ("other_form", "nothing of the kind")
    with pytest.raises(
        ParamsError, match=r"toy: `line` is no regular expression: .*; mend it in params\.yaml"
    ):
        list(source(line="(").units(path))


def test_a_page_without_text_is_read_by_ocr(tmp_path: Path) -> None:
    pages = [picture("Iron: 1538", "Tin cries."), Image.new("RGB", (700, 400), "white")]
    pages[0].save(tmp_path / "a.pdf", save_all=True, append_images=pages[1:])
    units = list(source().units(tmp_path / "a.pdf"))
    assert told(units) == [
        ("page 1/L1", "Iron: 1538"),
        ("page 1/L2", "Tin cries."),
        ("page 2", "empty"),
    ]
    left, top, right, bottom = map(int, units[0].position.split("@")[1].split(","))
    assert (left, top) == (
        pytest.approx(30, abs=8),
        pytest.approx(34, abs=10),
    )  # 72 dots an inch: a dot is a point
    assert right < 200
    assert bottom < 75
    assert list(source().units(tmp_path / "a.pdf")) == units


def test_a_page_without_text_is_set_aside_where_no_engine_is_set(tmp_path: Path) -> None:
    picture("Iron: 1538").save(tmp_path / "a.pdf")
    (unit,) = source(engine="none").units(tmp_path / "a.pdf")
    assert (unit.position, unit.reason) == ("page 1", "no_text_layer")
    assert "set an `engine` to have it read" in unit.evidence


@pytest.mark.parametrize("form", [None, ".+"])
def test_what_is_read_unsurely_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str | None
) -> None:
    picture("x").save(tmp_path / "a.pdf")
    lines = [
        Line("Iron rusts", 0.95, Box(0, 0, 90, 20)),
        Line("blurred", 0.5, Box(0, 22, 90, 42)),
        Line("in air", 0.9, Box(0, 44, 90, 64)),
    ]
    monkeypatch.setattr(pdf, "lines_in", lambda *_: lines)
    units = list(source(line=form).units(tmp_path / "a.pdf"))
    assert sorted(unit.raw for unit in units if unit.reason) == ["blurred"]
    assert "read with confidence 0.50, 0.8 is asked for" in [unit.evidence for unit in units]
    assert " ".join(unit.raw for unit in units if not unit.reason) == "Iron rusts in air"


def test_a_page_that_claims_to_be_huge_is_rendered_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture("x").save(tmp_path / "a.pdf", resolution=4)  # 12,600 points wide
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(pdf, "lines_in", lambda image, *_: sizes.append(image.size) or [])
    assert told(list(source().units(tmp_path / "a.pdf"))) == [("page 1", "empty")]
    assert max(sizes[0]) == pdf.LONGEST


LOCKED = (
    b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj
3 0 obj<</Filter/Standard/V 1/R 2/P -4/O<"""
    + b"61" * 32
    + b">/U<"
    + b"62" * 32
    + b""">>>endobj
trailer<</Root 1 0 R/Encrypt 3 0 R/ID[<61><61>]/Size 4>>
%%EOF"""
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LOCKED, r"a\.pdf is encrypted; save it without a password, or remove it"),
        (b"", r"a\.pdf cannot be read as a PDF: .*; mend or remove it"),
        (
            b"no PDF at all",
            r"a\.pdf cannot be read as a PDF: .*Data format error.*; mend or remove it",
        ),
    ],
)
def test_a_file_that_cannot_be_opened(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.pdf").write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(source().units(tmp_path / "a.pdf"))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_file_that_was_cut_off_never_crashes(tmp_path: Path, share: float) -> None:
    whole = printed(
        tmp_path / "whole.pdf", [(0.1, 0.6, IRON, 12.0)], [(0.1, 0.6, "Tin cries.", 12.0)]
    ).read_bytes()
    (tmp_path / "a.pdf").write_bytes(whole[: int(len(whole) * share)])
    try:
        units = list(source(engine="none").units(tmp_path / "a.pdf"))
    except InputError as error:
        assert "cannot be read as a PDF" in str(error)  # noqa: PT017 - either is right
    else:
        assert all(unit.cells or unit.reason for unit in units)


def test_a_page_that_cannot_be_read_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pypdfium2 import PdfiumError

    def fails(*_: Any) -> list[Line]:
        raise PdfiumError("Failed to load page.")

    path = printed(tmp_path / "a.pdf", [(0.1, 0.6, IRON, 12.0)])
    monkeypatch.setattr(pdf, "layer", fails)
    (unit,) = source().units(path)
    assert (unit.position, unit.reason, unit.evidence) == (
        "page 1",
        "unreadable",
        "the page cannot be read: Failed to load page.",
    )


def test_files_of_a_pattern_become_records(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    printed(tmp_path / "raw/a.pdf", [(0.1, 0.6, IRON, 12.0)])
    (tmp_path / "raw/b.pdf").write_bytes(LOCKED)
    (tmp_path / "raw/c.pdf").write_bytes(b"")
    problems: list[str] = []
    shape = {
        "kind": "pdf",
        "name": "toy",
        "path": "*.pdf",
        "lang": "en",
        "map": {"subject": "title", "text": "text"},
    }
    params = parse({"sources": [shape]}, extract.Params, "extract", problems)
    assert params is not None, problems
    extract.run(
        params, Run(seed=1, threads=1, isa="avx2", device="cpu"), tmp_path / "raw", tmp_path / "out"
    )
    (row,) = record.read(tmp_path / "out/records.parquet")
    assert row["locator"].startswith("a.pdf#page 1/L1@43,")
    assert row["locator"].endswith("@text")
    rejected = record.read(tmp_path / "out/rejected.parquet", record.REJECTED)
    assert [(row["locator"], row["reason"]) for row in rejected] == [
        ("b.pdf", "unreadable"),
        ("c.pdf", "unreadable"),
    ]
    assert '"engine": "pypdfium2 5.' in (tmp_path / "out/sources.json").read_text()


def test_the_engines_are_named() -> None:
    assert source(engine="none").engine_version().startswith("pypdfium2 5.")
    assert ", rapidocr 3." in source().engine_version()


def test_lines_are_joined_as_words_ask_for_it() -> None:
    assert join_lines(["con\x02", "ductor of", "heat"]) == "conductor of heat"
    assert join_lines(["铁的熔点", "是1538度"]) == "铁的熔点是1538度"
    assert join_lines(["well\x02known"]) == "well-known"


BOXES = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(1, 90), st.integers(1, 40)),
    max_size=20,
)


@given(BOXES)
def test_no_line_is_lost_or_doubled(boxes: list[tuple[int, int, int, int]]) -> None:
    lines = [
        (i, Line(f"word{i}", 1.0, Box(x, y, x + w, y + h))) for i, (x, y, w, h) in enumerate(boxes)
    ]
    found = list(paragraphs(lines))
    words = [word for _, line in found for word in line.text.split()]
    assert sorted(words) == sorted(line.text for _, line in lines)
    assert [number for number, _ in found] == sorted(number for number, _ in found)


@pytest.mark.slow
@needs_shared
def test_a_real_scan() -> None:
    (unit,) = source().units(SHARED / "ocr_pages" / "ocr_test.pdf")
    assert unit.raw.split() == (SHARED / "ocr_pages" / "ocr_test.txt").read_text().split()


def stamped(path: Path, words: str, fields: tuple[str, ...] = ()) -> Path:
    """A page with a picture of text, and with drawn words beside it."""
    scan = picture("Open at 350 kPa").convert("L")
    pixels = (scan.width, scan.height, scan.tobytes())
    page = drawn_pdf.picture(30, 400, 500, 286) + drawn_pdf.text(250, 30, words, 8)
    return drawn_pdf.write(path, page, pixels=pixels, fields=fields)


@pytest.mark.parametrize("words", ["Page 4 of 9", "APPROVED 2024-03-05 by the office of records"])
def test_a_scan_with_a_stamped_word_is_read_by_ocr(tmp_path: Path, words: str) -> None:
    units = list(source().units(stamped(tmp_path / "a.pdf", words)))
    assert told(units) == [("page 1/L1", words), ("page 1/L2", "Open at 350 kPa")]


def test_a_scan_with_a_stamped_word_is_set_aside_where_no_engine_is_set(tmp_path: Path) -> None:
    aside, stamp = source(engine="none").units(stamped(tmp_path / "a.pdf", "Page 4"))
    assert (aside.position, aside.reason) == ("page 1", "no_text_layer")
    assert stamp.get("text") == "Page 4"


def test_pictures_beside_much_text_and_small_ones_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> list[Line]:
        raise AssertionError

    monkeypatch.setattr(pdf, "lines_in", fails)
    lines = [drawn_pdf.text(30, 300 - 12 * i, "Zinc melts at 419 degrees. " * 2) for i in range(9)]
    much = drawn_pdf.picture(30, 400, 500, 286) + "".join(lines)
    logo = drawn_pdf.picture(30, 700, 60, 40) + drawn_pdf.text(30, 300, "Zinc melts.")
    path = drawn_pdf.write(tmp_path / "a.pdf", much, logo)
    assert all(unit.cells for unit in source().units(path))


def test_fields_of_a_form_are_units(tmp_path: Path) -> None:
    page = drawn_pdf.text(60, 750, "Serial:") + drawn_pdf.text(60, 738, "Pressure:")
    fields = (
        drawn_pdf.field("serial", "(ZN-12)", (120, 748, 200, 758)),
        drawn_pdf.field("pressure", "(350 kPa)", (120, 736, 200, 746)),
    )
    path = drawn_pdf.write(tmp_path / "a.pdf", page, fields=fields)
    assert told(list(source().units(path))) == [
        ("page 1/L1", "Serial: Pressure:"),
        ("page 1/L3", "serial: ZN-12"),
        ("page 1/L4", "pressure: 350 kPa"),
    ]
    form = {"line": r"(?P<s>\w+): (?P<v>.+)", "map": {"subject": "s", "value": "v"}}
    assert [unit.get("v") for unit in source(**form).units(path) if unit.cells] == [
        "ZN-12",
        "350 kPa",
    ]
    only_fields = drawn_pdf.write(tmp_path / "b.pdf", "", fields=fields)
    texts = [unit.get("text") for unit in source(engine="none").units(only_fields) if unit.cells]
    assert texts == ["serial: ZN-12", "pressure: 350 kPa"]


def columns(*rows: tuple[str, str]) -> str:
    drawn = ""
    for number, row in enumerate(rows):
        for x, words in zip((60, 320), row, strict=True):
            drawn += drawn_pdf.text(x, 700 - 12 * number, words)
    return drawn


def test_words_that_columns_break_are_joined(tmp_path: Path) -> None:
    page = columns(
        ("the seal is dam-", "a well-"), ("aged by dry run-", "known DNA-"), ("ning", "based test")
    )
    texts = [
        text for _, text in told(list(source().units(drawn_pdf.write(tmp_path / "a.pdf", page))))
    ]
    assert texts == ["the seal is damaged by dry running", "a well-known DNA-based test"]


def test_a_paragraph_on_its_side_is_one(tmp_path: Path) -> None:
    page = drawn_pdf.text(60, 700, "Zinc melts at") + drawn_pdf.text(60, 688, "419 degrees.")
    for rotate in (90, 180, 270):
        path = drawn_pdf.write(tmp_path / f"{rotate}.pdf", page, rotate=rotate)
        assert [text for _, text in told(list(source().units(path)))] == [
            "Zinc melts at 419 degrees."
        ]


def test_lines_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    path = printed(tmp_path / "a.pdf", [(0.1, 0.6, IRON, 12.0)])
    (unit,) = source(lines="keep").units(path)
    assert unit.get("text") == IRON


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["the dam\xad", "aged seal"], "the damaged seal"),
        (["the dam‐", "aged seal"], "the damaged seal"),
        (["a self-", "contained unit"], "a self-contained unit"),
        (["state-of-the-", "art"], "state-of-the-art"),
        (["in 2023-", "24 it"], "in 2023-24 it"),
        (["Jean-", "Pierre"], "Jean-Pierre"),
        (["an X-", "ray"], "an X-ray"),
        (["a value -", "not known"], "a value - not known"),
        (["end-", "(of it)"], "end- (of it)"),
    ],
)
def test_hyphens_at_the_end_of_lines(lines: list[str], joined: str) -> None:
    assert join_lines(lines) == joined


def test_the_same_word_in_the_document_decides_about_a_hyphen() -> None:
    assert join_lines(["a re-", "entry"], {"re-entry"}) == "a re-entry"
    assert join_lines(["a well-", "being"], {"wellbeing"}) == "a wellbeing"


@pytest.mark.parametrize(
    ("name", "bound", "reason", "evidence"),
    [
        ("MOST_PAGES", 1, "too_long", "3 pages, at most 1 are read; split the file"),
        ("layer", None, "too_long", "more than 1,000,000 characters on one page; split it"),
        ("scanned", None, "unreadable", "the page cannot be read: OCR failed: x"),
    ],
)
def test_what_is_too_large_is_set_aside(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    bound: int | None,
    reason: str,
    evidence: str,
) -> None:
    errors = {"layer": TooLongError(), "scanned": PictureError("OCR failed: x")}

    def fails(*_: Any) -> list[Line]:
        raise errors[name]

    monkeypatch.setattr(pdf, name, fails if bound is None else bound)
    path = drawn_pdf.write(tmp_path / "a.pdf", *[drawn_pdf.picture(0, 0, 500, 500)] * 3)
    last = list(source(engine="rapidocr" if name == "scanned" else "none").units(path))[-1]
    assert (last.reason, last.evidence) == (reason, evidence)


def test_a_page_that_is_too_thin_for_ocr_is_set_aside(tmp_path: Path) -> None:
    path = drawn_pdf.write(tmp_path / "a.pdf", drawn_pdf.picture(0, 0, 9000, 3), size=(9000, 3))
    (unit,) = source().units(path)
    assert (unit.position, unit.reason) == ("page 1", "unreadable")
    assert "text needs at least 8 on each side" in unit.evidence


def test_a_file_may_claim_more_pages_than_it_has(tmp_path: Path) -> None:
    path = drawn_pdf.write(tmp_path / "a.pdf", drawn_pdf.text(60, 700, "Zinc."), count=10**6)
    units = list(source(engine="none").units(path))
    assert units[0].get("text") == "Zinc."
    assert all(unit.cells or unit.reason for unit in units)


def test_the_time_grows_with_the_lines() -> None:
    def seconds(count: int) -> float:
        lines = [(i, Line("zinc", 1.0, Box(10, 30 * i, 90, 30 * i + 10))) for i in range(count)]
        assert len(list(paragraphs(lines))) == count
        return quickest(lambda: list(paragraphs(lines)), 3)

    # Eight times the lines. Quadratic would be 64 times the time.
    assert seconds(4000) < 30 * max(seconds(500), 0.01)


def table(*rows: tuple[str, ...]) -> str:
    drawn = ""
    for number, row in enumerate(rows):
        for x, words in zip((60, 140, 280), row, strict=True):
            drawn += drawn_pdf.text(x, 700 - 15 * number, words) if words else ""
    return drawn


METALS = [
    ("Metal", "Melting point (°C)", "Use"),
    ("Zinc", "419", "coats"),
    ("Tin", "232", ""),
    ("Lead", "327", "roofs and"),
    ("", "", "batteries"),
    ("Iron", "1538 or more of it", "rails"),
]


def test_rows_and_cells_of_tables_become_units(tmp_path: Path) -> None:
    prose = drawn_pdf.text(60, 500, "Two columns of prose") + drawn_pdf.text(
        320, 500, "are no table"
    )
    prose += drawn_pdf.text(60, 488, "as their first line") + drawn_pdf.text(
        320, 488, "has no Metal"
    )
    path = drawn_pdf.write(tmp_path / "a.pdf", table(*METALS) + prose)
    by_row = {"subject": "Metal", "facts": [{"attribute": "use", "value": "Use"}]}
    units = list(source(unit="row", map=by_row).units(path))
    assert [(unit.reason, unit.raw.split("\n")[0]) for unit in units] == [
        ("", "Zinc | 419 | coats"),
        ("", "Tin | 232"),
        ("broken_row", "Lead | 327 | roofs and"),
        ("broken_row", "batteries"),
        ("", "Iron | 1538 or more of it | rails"),
        ("other_table", "Two columns of prose | are no table"),
    ]
    assert (units[0].get("Melting point (°C)"), units[0].get("page")) == ("419", "1")
    assert "no column Metal in the first row; it may be no table" in units[-1].evidence
    assert "both may be one row" in units[2].evidence
    by_cell = {
        "subject": "Metal",
        "attribute": "header_name",
        "value": "cell",
        "unit": "header_unit",
    }
    units = list(source(unit="cell", map=by_cell).units(path))
    facts = [
        (u.get("Metal"), u.get("header_name"), u.get("cell"), u.get("header_unit")) for u in units
    ]
    assert facts[:3] == [
        ("Zinc", "Melting point", "419", "°C"),
        ("Zinc", "Use", "coats", None),
        ("Tin", "Melting point", "232", "°C"),
    ]
    assert len({unit.position for unit in units}) == len(units)


def test_a_part_below_two_columns_is_set_aside(tmp_path: Path) -> None:
    page = table(
        METALS[0], ("Zinc", "419 to 907 at one bar of pressure", ""), ("Tin", "232", "cans")
    )
    by_row = {"subject": "Metal", "facts": [{"attribute": "use", "value": "Use"}]}
    first, second = source(unit="row", map=by_row).units(drawn_pdf.write(tmp_path / "a.pdf", page))
    assert (first.reason, second.get("Use")) == ("merged_cells", "cans")
    assert "does not stand below one column alone" in first.evidence


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"unit": "row"}, "map.subject: name the column by which a table of a PDF is known"),
        (
            {"unit": "row", "line": ".+"},
            "line: a row of a table has no form; remove it, or remove `unit`",
        ),
    ],
)
def test_settings_of_tables_fit_together(settings: dict[str, str], problem: str) -> None:
    assert source(**settings).problems() == [problem]
    assert source().problems() == []


@needs_shared
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "lines_in", lambda *_: [])
    form = drawn_pdf.field("serial", "(ZN-12)", (120, 748, 200, 758))
    drawn = stamped(tmp_path / "drawn.pdf", "Page 4", (form,)).read_bytes()
    for whole in ((SHARED / "ocr_pages" / "ocr_test.pdf").read_bytes(), drawn):
        for seed in range(30):
            (tmp_path / "a.pdf").write_bytes(damaged(whole, seed))
            try:
                units = list(source().units(tmp_path / "a.pdf"))
            except InputError as error:
                assert "a.pdf" in str(error)  # noqa: PT017 - either is right
            else:
                assert all(unit.cells or unit.reason for unit in units)
