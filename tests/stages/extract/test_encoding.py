"""encoding: auto finds what a file is written in, always the same, and says nothing wrong of plain ASCII."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.extract import encoding
from stages.extract.encoding import detected, likeliest, older, resolved
from tests.beside import SHARED, needs_shared

SIMPLIFIED = "铁是一种化学元素，熔点是1538度。\n锡会鸣叫。\n"
TRADITIONAL = "鐵是一種化學元素，熔點為攝氏1538度。\n錫會鳴叫。\n"
GERMAN = "Eisen schmilzt bei 1538 °C.\nDas Gefäß zerbrach über Nacht.\n"


def found(tmp_path: Path, content: bytes, lang: str = "en") -> str:
    (tmp_path / "a.txt").write_bytes(content)
    return detected(tmp_path / "a.txt", lang)


@pytest.mark.parametrize(
    ("text", "written", "lang", "name"),
    [
        ("iron\n", "ascii", "en", "utf-8"),
        ("", "ascii", "en", "utf-8"),
        (SIMPLIFIED, "utf-8", "zh", "utf-8"),
        (SIMPLIFIED, "utf-8-sig", "zh", "utf-8"),
        (SIMPLIFIED, "utf-16", "zh", "utf-16"),
        (SIMPLIFIED, "utf-32", "zh", "utf-32"),
        (SIMPLIFIED, "utf-16-le", "zh", "utf-16-le"),
        (SIMPLIFIED, "utf-16-be", "zh", "utf-16-be"),
        (GERMAN, "utf-16-le", "de", "utf-16-le"),
        (SIMPLIFIED, "gb18030", "zh", "gb18030"),
        (SIMPLIFIED, "gbk", "und", "gb18030"),
        (SIMPLIFIED, "gb2312", "en", "gb18030"),  # the language is wrong
        (TRADITIONAL, "big5", "zh", "big5"),
        (TRADITIONAL, "big5", "und", "big5"),
        (GERMAN, "cp1252", "de", "cp1252"),
        (GERMAN, "latin-1", "und", "cp1252"),
        ("20 °C\n", "cp1252", "en", "cp1252"),  # also two bytes of Big5
        ("Железо плавится при 1538 градусах.\n", "cp1251", "ru", "cp1251"),
        ("鉄は摂氏1538度で溶ける。\n", "cp932", "ja", "cp932"),
    ],
)
def test_what_a_file_is_written_in(
    tmp_path: Path, text: str, written: str, lang: str, name: str
) -> None:
    assert found(tmp_path, text.encode(written), lang) == name
    assert resolved("auto", tmp_path / "a.txt", lang) == name
    assert (tmp_path / "a.txt").read_bytes().decode(name).removeprefix("\ufeff") == text


def test_a_name_that_is_set_is_taken(tmp_path: Path) -> None:
    assert resolved("koi8_r", tmp_path / "none", "en") == "koi8_r"


def test_a_few_lines_of_another_encoding_change_nothing(tmp_path: Path) -> None:
    line = "Das Gefäß zerbrach.\n"
    assert found(tmp_path, line.encode() * 3 + line.encode("cp1252") * 2) == "utf-8"
    assert found(tmp_path, line.encode() * 2 + line.encode("cp1252") * 3) == "cp1252"
    assert found(tmp_path, SIMPLIFIED.encode("gb18030") * 20 + b"\xff\xff\n", "zh") == "gb18030"


def test_only_a_sample_of_a_long_file_is_guessed_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(
        encoding, "older", lambda lines, _: sizes.append(sum(map(len, lines))) or "cp1252"
    )
    assert found(tmp_path, b"iron\n" * 50_000 + GERMAN.encode("cp1252") * 10_000) == "cp1252"
    assert encoding.SAMPLE <= sizes[0] < encoding.SAMPLE + 100


def test_what_is_of_no_encoding_is_still_read(tmp_path: Path) -> None:
    assert older([b"\xff\xff\x81\n"], "zh") == "cp1252"
    assert likeliest(b"\xff\xff\x81", ["gb18030"], 0.5) is None


@given(st.binary(max_size=300), st.sampled_from(["en", "zh", "und", "ru"]))
def test_any_bytes_get_an_encoding_and_always_the_same(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, lang: str
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.txt"
    path.write_bytes(content)
    name = detected(path, lang)
    assert name == detected(path, lang)
    content.decode(name, errors="replace")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80))
def test_what_is_utf_8_is_found_so(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(text.encode())
    assert detected(path, "zh") == "utf-8"


@needs_shared
@pytest.mark.parametrize(
    ("path", "lang", "name"),
    [
        ("messy_tables/utf-16le_encoded.csv", "en", "utf-16"),
        ("messy_tables/utf8bom.csv", "en", "utf-8"),
        ("messy_tables/spanish_chars.csv", "es", "cp1252"),
        ("messy_tables/spanish_chars.csv", "und", "cp1252"),
        ("messy_tables/simple.csv", "en", "utf-8"),
        ("zh_medical_dialogue/internal_medicine_gbk.csv", "zh", "gb18030"),
        ("zh_medical_dialogue/internal_medicine_gbk.csv", "und", "gb18030"),
    ],
)
def test_real_files(path: str, lang: str, name: str) -> None:
    assert detected(SHARED / path, lang) == name
