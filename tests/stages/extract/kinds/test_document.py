"""document: sections with their headings and places; long ones cut between paragraphs; what does not decode is set aside."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages import extract
from stages.core.project.errors import InputError
from stages.core.project.params import Run, parse
from stages.core.records import record
from stages.extract.blocks import Block
from stages.extract.kinds import document
from stages.extract.kinds.document import Document, pieces, sections
from stages.extract.unit import Unit
from tests.stages.extract.damage import damaged


def source(path: str = "a.md", **settings: Any) -> Document:
    problems: list[str] = []
    shape = {"kind": "document", "name": "toy", "path": path, "lang": "en", "map": {"text": "text"}}
    found = parse(shape | settings, Document, "extract.sources.0", problems)
    assert found is not None, problems
    return found


def units(folder: Path, name: str, content: str | bytes, **settings: Any) -> list[Unit]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(source(name, **settings).units(folder / name))


def cells(found: list[Unit], name: str) -> list[str | None]:
    return [unit.get(name) for unit in found]


PAGE = "intro\n\n# Iron\n\nIt rusts.\n\nIt melts.\n\n## Uses\n\nrails\n\n### Empty\n\n# Tin\n\nIt cries.\n"


def test_a_section_is_a_unit(tmp_path: Path) -> None:
    found = units(tmp_path, "a.md", PAGE)
    assert [unit.position for unit in found] == ["L1", "L5", "L11", "L17"]
    assert cells(found, "text") == ["intro", "It rusts.\n\nIt melts.", "rails", "It cries."]
    assert cells(found, "heading") == ["Iron", "Iron", "Uses", "Tin"]
    assert cells(found, "headings") == ["Iron", "Iron", "Iron > Uses", "Tin"]
    assert cells(found, "section")[2] == "Iron > Uses\nrails"
    assert set(cells(found, "title")) == {"Iron"}
    assert set(cells(found, "file")) == {"a.md"}


def test_a_paragraph_is_a_unit_where_that_is_asked_for(tmp_path: Path) -> None:
    found = units(tmp_path, "a.md", PAGE, unit="paragraph")
    assert cells(found, "text") == ["intro", "It rusts.", "It melts.", "rails", "It cries."]
    assert cells(found, "headings")[2] == "Iron"


def test_a_long_section_is_cut_between_paragraphs(tmp_path: Path) -> None:
    found = units(tmp_path, "a.txt", "12345\n\n678\n\n123456789012\n\n1\n", max_characters=8)
    assert cells(found, "text") == ["12345\n\n678", "123456789012", "1"]
    assert [unit.position for unit in found] == ["L1", "L5", "L7"]
    assert set(cells(found, "headings")) == {"a"}


def test_units_of_one_line_have_places_of_their_own(tmp_path: Path) -> None:
    found = units(
        tmp_path, "a.html", "<title>T</title><h1>A</h1><p>1<p>2<h1>B</h1><p>3", max_characters=1
    )
    assert [(unit.position, unit.get("headings"), unit.get("text")) for unit in found] == [
        ("L1", "A", "1"),
        ("L1.2", "A", "2"),
        ("L1.3", "B", "3"),
    ]
    assert cells(found, "title") == ["T"] * 3


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("a.md", {}, "iron"),
        ("a.markdown", {}, "iron"),
        ("a.HTM", {}, "*iron*"),
        ("a.rst", {}, "*iron*"),
        ("a.rst", {"format": "markdown"}, "iron"),
        ("a.md", {"format": "text"}, "*iron*"),
    ],
)
def test_the_format_is_told_or_follows_the_name(
    tmp_path: Path, name: str, settings: dict[str, str], text: str
) -> None:
    assert cells(units(tmp_path, name, "*iron*", **settings), "text") == [text]


CHINESE = "<p>铁的熔点是一千五百三十八度，锡会鸣叫。</p>"


@pytest.mark.parametrize(
    ("name", "content", "encoding"),
    [
        ("a.txt", CHINESE.encode("gb18030"), "gb18030"),
        ("a.txt", CHINESE.encode("utf-16"), "utf-16"),
        ("a.html", f'<meta charset="GB2312">{CHINESE}'.encode("gbk"), "gb18030"),
        (
            "a.html",
            f"<meta http-equiv=x content='text/html; charset=big5'>{CHINESE}".encode(),
            "utf-8",
        ),  # it is not true
        ("a.html", "<meta charset=iso-8859-1><p>“20 °C”</p>".encode("cp1252"), "cp1252"),
        ("a.html", "<meta charset=klingon><p>Über</p>".encode("cp1252"), "cp1252"),
        ("a.html", "<meta charset=utf-16><p>Über</p>".encode("cp1252"), "cp1252"),
        ("a.html", "<meta charset=koi8-r><p>Железо</p>".encode("koi8-r"), "koi8-r"),
    ],
)
def test_the_encoding_is_found_or_declared(
    tmp_path: Path, name: str, content: bytes, encoding: str
) -> None:
    (found,) = units(
        tmp_path, name, content, lang="zh" if "铁".encode() in content or name == "a.txt" else "en"
    )
    assert (
        source(name, lang="zh" if name == "a.txt" else "en").encoding_of(tmp_path / name)
        == encoding
    )
    assert found.get("text") in content.decode(encoding)


def test_an_encoding_that_is_set_counts(tmp_path: Path) -> None:
    (found,) = units(
        tmp_path, "a.html", "<meta charset=utf-8>Über".encode("cp1252"), encoding="cp1252"
    )
    assert found.get("text") == "Über"
    with pytest.raises(
        InputError,
        match=r"a\.md: unknown encoding: klingon; set the source's `encoding` to what the file",
    ):
        units(tmp_path, "a.md", "x", encoding="klingon")


def test_what_does_not_decode_is_set_aside_by_itself(tmp_path: Path) -> None:
    good, bad = units(
        tmp_path, "a.md", "# A\n\nÜber\n\n# B\n\n".encode() + b"\xff\n", encoding="utf-8"
    )
    assert good.get("text") == "Über"
    assert (bad.cells, bad.reason, bad.position) == (None, "encoding", "L7")
    assert "could not be decoded; set the source's `encoding`" in bad.evidence


def test_a_page_that_the_parser_gives_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"a\.html cannot be read: Excessive depth in document: 2048; mend or remove it",
    ):
        units(tmp_path, "a.html", "<div>" * 3000 + "iron")


def test_documents_of_a_pattern_become_records(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/a.md").write_text(PAGE)
    (tmp_path / "raw/b.html").write_bytes("<h1>Größe</h1><p>Maß".encode("cp1252"))
    (tmp_path / "raw/c.txt").write_text("\n")
    problems: list[str] = []
    mapping = {"subject": "headings", "text": "section", "meta": {"title": "title"}}
    shape = {"kind": "document", "name": "toy", "path": "*.*", "lang": "de", "map": mapping}
    params = parse({"sources": [shape]}, extract.Params, "extract", problems)
    assert params is not None, problems
    extract.run(
        params, Run(seed=1, threads=1, isa="avx2", device="cpu"), tmp_path / "raw", tmp_path / "out"
    )
    rows = record.read(tmp_path / "out/records.parquet")
    assert [(row["locator"], row["subject"], row["kind"]) for row in rows] == [
        ("a.md#L1@text", "Iron", "statement"),
        ("a.md#L5@text", "Iron", "statement"),
        ("a.md#L11@text", "Iron > Uses", "statement"),
        ("a.md#L17@text", "Tin", "statement"),
        ("b.html#L1@text", "Größe", "statement"),
    ]
    assert rows[4]["text"] == "Größe\nMaß"
    assert json.loads(rows[4]["meta"]) == {"title": "Größe"}
    (rejected,) = record.read(tmp_path / "out/rejected.parquet", record.REJECTED)
    assert (rejected["locator"], rejected["reason"]) == ("c.txt", "empty")
    (report,) = json.loads((tmp_path / "out/sources.json").read_text())
    assert report["encodings"] == {"cp1252": 1, "utf-8": 2}
    assert (report["files"], report["units"], report["records"], report["rejected"]) == (3, 6, 5, 1)


def test_sections_and_pieces_hold_every_block_once() -> None:
    blocks = [Block(i, "x" * (i % 7 + 1), i % 4) for i in range(40)]
    held = [part for _, parts in sections(blocks) for piece in pieces(parts, 9) for part in piece]
    assert held == [block for block in blocks if not block.level]


def test_entries_of_the_front_matter_are_cells(tmp_path: Path) -> None:
    (found,) = units(tmp_path, "a.md", "---\nauthor: [A, B]\n---\nZinc melts.\n")
    assert found.get("front.author") == "A, B"


TABLE = (
    "<title>T</title><table><tr><th>Metal<th>Use<tr><td>Zinc<td>roofs<tr><td>Tin<td>cans</table>"
)


def test_rows_and_cells_of_tables_become_units(tmp_path: Path) -> None:
    mapping = {"subject": "Metal", "facts": [{"attribute": "use", "value": "Use"}]}
    found = units(tmp_path, "a.html", TABLE, unit="row", map=mapping)
    assert [unit.position for unit in found] == ["L1.2", "L1.3"]
    assert cells(found, "Use") == ["roofs", "cans"]
    assert (found[0].get("headings"), found[0].get("file")) == ("T", "a.html")
    by_cell = {"subject": "row", "attribute": "header", "value": "cell"}
    found = units(tmp_path, "a.html", TABLE, unit="cell", map=by_cell)
    assert cells(found, "cell") == ["roofs", "cans"]
    assert cells(found, "header") == ["Use", "Use"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"header_rows": 1}, "header_rows: only tables have a header; set unit: row, or remove it"),
        (
            {"unit": "row", "format": "text"},
            "unit: plain text has no tables; set another `format` than 'text'",
        ),
    ],
)
def test_settings_of_tables_fit_together(settings: dict[str, Any], problem: str) -> None:
    assert source(**settings).problems() == [problem]
    assert source().problems() == []


def test_a_page_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "LARGEST", 2**20)
    with pytest.raises(
        InputError, match=r"a\.html has 2 MiB, at most 1 are read; split it, or set `format: text`"
    ):
        units(tmp_path, "a.html", "x" * 2**21)
    assert len(units(tmp_path, "a.txt", "x" * 2**21)) == 1


def test_lines_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    (found,) = units(tmp_path, "a.md", "Doctor: hi\nPatient: hello\n", lines="keep")
    assert found.get("text") == "Doctor: hi\nPatient: hello"


def test_a_damaged_page_is_read_or_refused(tmp_path: Path) -> None:
    whole = (TABLE + "<ul><li>a<sup>2</sup></ul><style>.a{display:none}</style>" * 20).encode()
    mapping = {"subject": "row", "attribute": "header", "value": "cell"}
    for seed in range(60):
        content = damaged(whole, seed)
        for settings in ({}, {"unit": "cell", "map": mapping}):
            try:
                found = units(tmp_path, "a.html", content, **settings)
            except InputError as error:
                assert "a.html" in str(error)  # noqa: PT017 - either is right
                continue
            assert all((unit.cells is None) == bool(unit.reason) for unit in found)


def test_half_of_a_surrogate_pair_is_set_aside(tmp_path: Path) -> None:
    found = units(tmp_path, "a.md", "# Iron\n\n+2AA- rusts\n\n# Tin\n\ncries\n", encoding="utf-7")
    assert [unit.reason for unit in found] == ["encoding", ""]


@pytest.mark.parametrize("encoding", ["idna", "undefined", "hex"])
def test_a_codec_that_decodes_no_file_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(InputError, match="set the source's `encoding`"):
        units(tmp_path, "a.md", b"# Iron\n\n\xff\n", encoding=encoding)


def test_a_byte_order_mark_hides_no_heading(tmp_path: Path) -> None:
    text = "\ufeff# Iron\n\nIt rusts.\n\n\ufeff# Tin\n\nIt is soft.\n"
    found = units(tmp_path, "a.md", text.encode())
    assert [(unit.get("heading"), unit.get("text")) for unit in found] == [
        ("Iron", "It rusts."),
        ("Tin", "It is soft."),
    ]
