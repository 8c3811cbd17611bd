"""images: pictures with captions from a table or files beside them; what is broken, huge or named wrongly is set aside."""

import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from stages import extract
from stages.core.project.errors import ParamsError
from stages.core.project.params import Run, parse
from stages.core.records import picture, record
from stages.extract import pictures
from stages.extract.kinds.images import Images
from tests.stages.extract.damage import damaged

MAP = {"subject": "subject", "text": "caption"}


def source(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "images",
        "name": "toy",
        "path": "pictures/captions.csv",
        "lang": "en",
        "captions": "table",
        "map": MAP,
    } | changes


def parsed(**changes: Any) -> Images:
    problems: list[str] = []
    found = parse(source(**changes), Images, "extract.sources.0", problems)
    assert found is not None, problems
    return found


def drawn(path: Path, shade: int = 100, size: tuple[int, int] = (20, 12), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 20, 30)).save(path, **options)
    return path


def table(raw: Path, *rows: str) -> None:
    (raw / "pictures").mkdir(parents=True, exist_ok=True)
    text = "\n".join(["file,caption,subject", *rows, ""])
    (raw / "pictures/captions.csv").write_text(text, encoding="utf-8")


def extracted(raw: Path, out: Path, *sources: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    problems: list[str] = []
    params = parse({"sources": list(sources)}, extract.Params, "extract", problems)
    assert params is not None, problems
    extract.run(params, Run(), raw, out)
    return (
        record.read(out / "records.parquet"),
        record.read(out / "rejected.parquet", record.REJECTED),
    )


def reason_of(path: Path, side: int = 256) -> tuple[str, str]:
    with pytest.raises(pictures.PictureSetAsideError) as caught:
        pictures.read(path, path.name, side)
    return caught.value.reason, caught.value.evidence


def test_a_table_gives_captions_with_their_picture(tmp_path: Path) -> None:
    file = drawn(tmp_path / "raw/pictures/iron.png")
    table(tmp_path / "raw", "iron.png,a lattice of iron,iron")
    rows, rejected = extracted(tmp_path / "raw", tmp_path / "out", source())
    assert not rejected
    (row,) = rows
    assert (row["kind"], row["text"], row["subject"]) == ("picture", "a lattice of iron", "iron")
    assert row["locator"] == "pictures/captions.csv#L2@text"
    assert json.loads(row["meta"]) == {
        "picture": "iron.png",
        "picture_format": "PNG",
        "picture_sha256": pictures.hashlib.sha256(file.read_bytes()).hexdigest(),
        "picture_size": "20 × 12",
    }
    ((name, kept),) = picture.read(tmp_path / "out/pictures.parquet")
    assert name == row["id"]
    assert (kept.columns, kept.rows, len(kept.pixels)) == (20, 12, 20 * 12 * 3)
    assert kept.pixels[:3] == bytes([100, 20, 30])


def test_facts_of_a_row_are_records_beside_the_caption(tmp_path: Path) -> None:
    drawn(tmp_path / "raw/pictures/iron.png")
    table(tmp_path / "raw", "iron.png,a lattice,iron")
    mapping = MAP | {"facts": [{"attribute": "picture caption", "value": "caption"}]}
    rows, _ = extracted(tmp_path / "raw", tmp_path / "out", source(map=mapping))
    assert [row["kind"] for row in rows] == ["fact", "picture"]
    assert rows[0]["meta"] == "{}"


def test_other_sources_write_no_table_of_pictures(tmp_path: Path) -> None:
    drawn(tmp_path / "raw/pictures/iron.png")
    table(tmp_path / "raw", "iron.png,a lattice of iron,iron")
    plain = {"kind": "csv", "name": "t", "path": "pictures/captions.csv", "lang": "en", "map": MAP}
    rows, _ = extracted(tmp_path / "raw", tmp_path / "out", plain)
    assert rows[0]["kind"] == "statement"
    assert not (tmp_path / "out/pictures.parquet").exists()


def test_every_row_and_picture_is_accounted_for(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    folder = raw / "pictures"
    drawn(folder / "good.png", 1)
    drawn(folder / "again.png", 1)
    drawn(folder / "stray.png", 2)
    drawn(folder / "empty.png", 3)
    drawn(raw / "outside.png", 4)
    drawn(folder / "tall.png", 5, (4, 90))
    drawn(folder / "jpeg.png", 6, format="JPEG")
    (folder / "broken.png").write_bytes((folder / "good.png").read_bytes()[:40])
    (folder / "nothing.png").write_bytes(b"")
    frames = [Image.new("RGB", (9, 9), (shade, 0, 0)) for shade in (1, 200)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    table(
        raw,
        "good.png,a,x", "again.png,b,x", "empty.png,,x", "../outside.png,c,x", "/etc/hosts,c,x", "god.png,c,x",
        ",c,x", "tall.png,c,x", "jpeg.png,c,x", "broken.png,c,x", "nothing.png,c,x", "moving.gif,c,x", "one cell",
    )  # fmt: skip
    rows, rejected = extracted(raw, tmp_path / "out", source())
    assert [json.loads(row["meta"])["picture"] for row in rows] == ["good.png"]
    found = [(row["locator"].partition("#")[2], row["reason"]) for row in rejected]
    assert found == [
        ("L3", "duplicate_picture"),
        ("L4", "no_caption"),
        ("L5", "outside"),
        ("L6", "outside"),
        ("L7", "missing_file"),
        ("L8", "missing_file"),
        ("L9", "too_small"),
        ("L10", "wrong_suffix"),
        ("L11", "unreadable"),
        ("L12", "unreadable"),
        ("L13", "animated"),
        ("L14", "malformed"),
        ("picture stray.png", "no_caption"),
    ]
    evidence = {row["locator"].partition("#")[2]: row["evidence"] for row in rejected}
    assert "the same picture as good.png, pictures/captions.csv#L2" in evidence["L3"]
    assert evidence["L7"].endswith("the nearest is good.png")
    assert evidence["L10"].startswith("jpeg.png: the file is a JPEG")
    (entry,) = json.loads((tmp_path / "out/sources.json").read_text())
    assert entry["units"] == entry["records"] + entry["rejected"] == 14


def test_a_link_that_leaves_the_folder_is_set_aside(tmp_path: Path) -> None:
    drawn(tmp_path / "raw/pictures/good.png", 1)
    drawn(tmp_path / "secret.png", 2)
    (tmp_path / "raw/pictures/link.png").symlink_to(tmp_path / "secret.png")
    table(tmp_path / "raw", "good.png,a,x", "link.png,b,x")
    _, rejected = extracted(tmp_path / "raw", tmp_path / "out", source())
    assert [row["reason"] for row in rejected] == ["outside"]


def test_files_beside_a_picture_hold_its_caption_and_further_cells(tmp_path: Path) -> None:
    folder = tmp_path / "raw/photos"
    drawn(folder / "a.png", 1)
    drawn(folder / "b.jpg", 90)
    drawn(folder / "c.png", 3)
    drawn(folder / "d.png", 4)
    drawn(folder / "e.png", 5)
    (folder / "a.txt").write_text("\ufeffan anvil of iron\n", encoding="utf-8")
    (folder / "a.json").write_text('{"subject": "iron", "tags": ["x"]}')
    (folder / "b.json").write_text('{"subject": "tin", "caption": "a tin", "year": 1900}')
    (folder / "d.json").write_text("[1]")
    (folder / "e.txt").write_bytes(b"caf\xe9")
    mapping = MAP | {"meta": {"year": "year", "file": "file"}}
    beside = source(path="photos/*.*g", captions="sidecar", map=mapping)
    rows, rejected = extracted(tmp_path / "raw", tmp_path / "out", beside)
    assert [(row["text"], row["subject"]) for row in rows] == [
        ("an anvil of iron", "iron"),
        ("a tin", "tin"),
    ]
    assert rows[0]["locator"] == "photos/a.png#picture@text"
    assert json.loads(rows[1]["meta"])["year"] == "1900"
    assert [(row["locator"], row["reason"]) for row in rejected] == [
        ("photos/c.png#picture", "no_caption"),
        ("photos/d.png#picture", "malformed"),
        ("photos/e.png#picture", "encoding"),
    ]
    assert "neither c.txt nor c.json" in rejected[0]["evidence"]


def test_figures_of_pages_are_units(tmp_path: Path) -> None:
    folder = tmp_path / "raw/pages"
    drawn(folder / "img/a b.png", 1)
    drawn(tmp_path / "raw/secret.png", 2)
    (folder / "iron.html").write_text(
        """<html><head><title>Metals</title></head><body><h2>Iron</h2>
        <figure><img src="img/a%20b.png?v=2" alt="x"><figcaption>the <b>lattice</b>
          of iron</figcaption></figure>
        <figure><img src="https://example.org/a.png" alt="far"></figure>
        <figure><img src="data:image/png;base64,AAAA" alt="inside"></figure>
        <figure><img src="../secret.png" alt="secret"></figure>
        <figure><img src="img/ab.png" alt="gone"></figure>
        <figure><img src="img/a b.png"></figure>
        <figure><table><tr><td>no picture</td></tr></table></figure></body></html>"""
    )
    (folder / "empty.html").write_text("<p>nothing to see</p>")
    mapping = {"subject": "heading", "text": "caption", "meta": {"page": "title"}}
    pages = source(path="pages/*.html", captions="figures", map=mapping)
    rows, rejected = extracted(tmp_path / "raw", tmp_path / "out", pages)
    (row,) = rows
    assert (row["text"], row["subject"]) == ("the lattice of iron", "Iron")
    assert row["locator"] == "pages/iron.html#figure[1]@text"
    assert json.loads(row["meta"])["page"] == "Metals"
    found = [(row["locator"].partition("#")[2], row["reason"]) for row in rejected]
    assert found == [
        ("", "empty"),
        ("figure[2]", "outside"),
        ("figure[3]", "outside"),
        ("figure[4]", "outside"),
        ("figure[5]", "missing_file"),
        ("figure[6]", "no_caption"),
    ]


def test_a_large_picture_is_made_smaller_and_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    path = drawn(tmp_path / "a.jpg", 200, (400, 100), exif=exif)
    kept = pictures.read(path, "a.jpg", 64)
    assert (kept.width, kept.height) == (400, 100)
    assert (kept.columns, kept.rows) == (16, 64)


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert pictures.read(tmp_path / "a.png", "a.png", 64).pixels == b"\xff" * (9 * 9 * 3)


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    lines = zlib.compress(b"\0" * 100_000, 9)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", lines), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("side", [9_000, 15_000, 100_000])
def test_a_picture_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(side, side))
    reason, evidence = reason_of(path)
    assert reason == "too_large"
    assert "million" in evidence


def test_a_file_of_many_megabytes_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drawn(tmp_path / "a.png")
    monkeypatch.setattr(pictures, "LARGEST", 10)
    assert reason_of(path)[0] == "too_large"


def test_a_text_named_like_a_picture_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    assert reason_of(tmp_path / "a.png")[0] == "unreadable"


def test_a_program_that_would_be_interpreted_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert reason_of(tmp_path / "a.eps")[0] == "unreadable"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000), form=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP"]))
def test_a_damaged_picture_is_read_or_set_aside(tmp_path: Path, seed: int, form: str) -> None:
    path = tmp_path / f"a.{form.lower()}"
    noise = Image.effect_noise((24, 24), 60).convert("RGB")
    noise.putpixel((0, 0), (1, 2, 3))
    noise.save(path, format=form)
    path.write_bytes(damaged(path.read_bytes(), seed))
    reason = ""
    try:
        kept = pictures.read(path, path.name, 64)
    except pictures.PictureSetAsideError as error:
        reason = error.reason
    if reason:
        assert reason in {"unreadable", "too_large", "too_small", "animated", "wrong_suffix"}
    else:
        assert len(kept.pixels) == kept.rows * kept.columns * 3


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path, folder_bytes: Any) -> None:
    for shade in range(1, 90):
        drawn(tmp_path / f"raw/pictures/{shade}.png", shade)
    table(tmp_path / "raw", *[f"{shade}.png,shade {shade},grey" for shade in range(1, 90)])
    extracted(tmp_path / "raw", tmp_path / "a", source())
    shutil.copytree(tmp_path / "raw", tmp_path / "other")
    extracted(tmp_path / "other", tmp_path / "b", source())
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")
    assert len(list(picture.read(tmp_path / "a/pictures.parquet"))) == 89


def test_a_picture_of_an_earlier_source_counts_as_seen(tmp_path: Path) -> None:
    drawn(tmp_path / "raw/pictures/a.png")
    drawn(tmp_path / "raw/more/b.png")
    table(tmp_path / "raw", "a.png,a,x")
    (tmp_path / "raw/more/b.txt").write_text("b")
    second = source(name="more", path="more/*.png", captions="sidecar")
    drawn(tmp_path / "raw/more/c.png", 7)
    (tmp_path / "raw/more/c.json").write_text('{"caption": "c", "subject": "x"}')
    rows, rejected = extracted(tmp_path / "raw", tmp_path / "out", source(), second)
    assert [row["text"] for row in rows] == ["a", "c"]
    assert [row["reason"] for row in rejected] == ["duplicate_picture"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"map": {"subject": "subject"}}, r"map\.text: missing; write the place of the caption"),
        ({"captions": "sidecar", "encoding": "auto"}, "encoding: a caption is too short to detect it"),
        ({"delimiter": "\n"}, "delimiter: a line end"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    table(tmp_path, "a.png,a,x")
    params = extract.Params([parsed(**changes)])
    with pytest.raises(ParamsError, match=message):
        extract.files_of(params, tmp_path)


def test_a_table_without_the_column_says_so(tmp_path: Path) -> None:
    drawn(tmp_path / "raw/pictures/a.png")
    table(tmp_path / "raw", "a.png,a,x")
    raw = tmp_path / "raw"
    units = list(parsed(file="path").units(raw / "pictures/captions.csv"))
    assert units[0].reason == "missing_file"
    assert "the table has no column 'path'" in units[0].evidence
