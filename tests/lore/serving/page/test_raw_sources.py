"""The place in a raw file: it is found, or nothing is shown, whatever the file says."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.serving.page import raw_sources
from lore.versions.version import workspace
from stages.core.project.errors import InputError


def meant(content: bytes, suffix: str, spot: str) -> list[str]:
    """The lines that are meant."""
    lines = raw_sources.lines_at(content, suffix, spot)
    return [line["text"] for line in lines if line["is_meant"]]


@pytest.mark.parametrize(
    ("content", "suffix", "spot", "lines"),
    [
        (b"a\nb\r\nc\n", ".csv", "L2", ["b"]),
        (b"a\nb\nc\n", ".md", "L3.2@text", ["c"]),
        (b"a\nb\n", ".csv", "L3", []),
        (b"a\nb\n", ".csv", "L0", []),
        ("一\n二".encode("gb18030"), ".csv", "L2", ["二"]),
        ("\ufeff一\n".encode(), ".csv", "L1", ["一"]),
        (b'{"a": [{"b/c": 1}]}', ".json", "/a/0/b~1c", ["{", '  "b/c": 1', "}"]),
        (b'{"a": 1}', ".json", "/b", []),
        (b'{"a": [1]}', ".json", "/a/7", []),
        (b"{broken", ".json", "/a", []),
        (b"[" * 100_000, ".json", "/0", []),
        (b"<r><s>1</s><s>2</s></r>", ".xml", "s[2]", ["<s>2</s>"]),
        (b"<r><s>1</s><s>2</s></r>", ".xml", "/r/s[2]@x", ["<s>2</s>"]),
        (b"<r><s>1</s></r>", ".xml", "s[9]", []),
        (b"<r><s>1</s></r>", ".xml", "s[", []),
        (b"<r>", ".xml", "s[1]", []),
        (b"COPY public.t (id, x) FROM stdin;\n1\ta\n2\tb\n", ".sql", "t/2", ["2\tb"]),
        (b"INSERT INTO `t` VALUES\n(1,'a'),\n('2','b');\n", ".sql", "t/2", ["('2','b');"]),
        (b"INSERT INTO t VALUES (12, 'a');\n", ".sql", "t/2", []),
        (b"a", ".html", "figure[2]", []),
    ],
)
def test_the_lines_of_a_place(content: bytes, suffix: str, spot: str, lines: list[str]) -> None:
    assert meant(content, suffix, spot) == lines


def test_an_entity_of_xml_reads_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    content = f'<!DOCTYPE r [<!ENTITY e SYSTEM "{secret.as_uri()}">]><r><s>&e;</s></r>'
    assert meant(content.encode(), ".xml", "s[1]") == ["<s>&e;</s>"]


def test_long_lines_and_elements_are_cut() -> None:
    (line,) = meant(b"x" * 10_000, ".csv", "L1")
    assert len(line) == raw_sources.LONGEST_LINE
    content = json.dumps({"a": list(range(1000))}).encode()
    assert len(meant(content, ".json", "/a")) == raw_sources.LONGEST_PIECE


@given(
    st.binary(max_size=200),
    st.sampled_from([".csv", ".json", ".xml", ".sql", ".md"]),
    st.one_of(st.from_regex(r"L\d{1,3}", fullmatch=True), st.text(max_size=20)),
)
def test_any_file_and_any_place(content: bytes, suffix: str, spot: str) -> None:
    for line in raw_sources.lines_at(content, suffix, spot):
        assert set(line) == {"number", "text", "is_meant"}


@pytest.mark.parametrize("name", ["../params.yaml", "/etc/passwd", "a/../../b"])
def test_no_file_outside(name: str) -> None:
    with pytest.raises(InputError, match="no file below data/raw"):
        raw_sources.content_of(workspace(), name)


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(raw_sources, "LARGEST", 10)
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/a.csv").write_text("x" * 11)
    with pytest.raises(InputError, match="11 bytes; at most 10 are shown"):
        raw_sources.content_of(workspace(), "a.csv")


def test_a_page_of_a_pdf() -> None:
    import pypdfium2
    from PIL import Image

    stream = io.BytesIO()
    with pypdfium2.PdfDocument.new() as document:
        document.new_page(100, 50)
        document.new_page(300, 200)
        document.save(stream)
    picture, size = raw_sources.page_of_pdf(stream.getvalue(), 2)
    assert size == (300, 200)
    with Image.open(io.BytesIO(picture)) as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (600, 400))


def test_a_page_of_a_picture_is_made_smaller() -> None:
    from PIL import Image

    stream = io.BytesIO()
    pages = [Image.new("L", (4000, 10)), Image.new("L", (3200, 20))]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    picture, size = raw_sources.page_of_picture(stream.getvalue(), 2)
    assert size == (3200, 20)
    with Image.open(io.BytesIO(picture)) as drawn:
        assert (drawn.mode, drawn.size) == ("RGB", (1600, 10))
