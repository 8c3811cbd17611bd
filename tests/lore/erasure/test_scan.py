"""scan: what a file is shows in its first bytes, and rows are counted by what they contain."""

from pathlib import Path

from lore.erasure.scan import ScanResult, Search, is_binary, text_passages
from lore.erasure.target import Target
from lore.versions.dvc_cache import md5
from stages.core.records.record import REJECTED, write
from tests.lore.commands.test_trace import IRON

TARGET = Target("x", {}, {"a" * 16: {}}, {}, {}, [], {"iron": [("1538",)]})


def test_what_a_file_is_shows_in_its_first_bytes(tmp_path: Path) -> None:
    search = Search(TARGET)
    contents = {
        "text": "铁 iron 1538".encode() * 999,
        "vocabulary": b'{"model": 1, "vocab": {"iron": 1538}}',
        "binary": b"\x00\x01\xff\xfe" * 9,
        "damaged": b"PAR1 iron 1538",
    }
    write(tmp_path / "table", [IRON | {"id": "b" * 16}])
    assert search.scan_file(tmp_path / "table").kind == "table"
    for kind, content in contents.items():
        (tmp_path / kind).write_bytes(content)
        assert search.scan_file(tmp_path / kind).kind == kind


def test_a_character_cut_at_the_end_of_what_was_read_is_no_binary() -> None:
    assert not is_binary("铁".encode() * 1365 + "铁".encode()[:1])
    assert is_binary(b"iron \xff\xfe and more text")
    assert is_binary(b"iron\0")


def test_ids_and_words_are_matches(tmp_path: Path) -> None:
    result = Search(TARGET).scan(b"iron 7\nIRON:  1538\n" + b"a" * 16 + b"\n" + b"a" * 17)
    assert (result.searched, result.matches, result.sample) == (4, 2, "IRON: 1538")


def test_other_facts_and_redacted_rows_are_counted_apart(tmp_path: Path) -> None:
    content = IRON | {"reason": "excluded", "phase": "exclude", "evidence": "fact: r"}
    rows = [
        content | {"id": "b" * 16, "fact": "c" * 16, "reason": "short"},
        content | {"id": "a" * 16, "text": "[excluded]", "subject": None, "value": None},
        content | {"id": "d" * 16, "fact": None, "text": "iron 1538", "reason": "short"},
        content | {"id": "e" * 16, "fact": "a" * 16, "value": "7", "reason": "short"},
    ]
    write(tmp_path / "rejected", rows, REJECTED)
    result = Search(TARGET).scan_file(tmp_path / "rejected")
    assert (result.mentions, result.excluded, result.matches) == (1, 1, 2)


def test_a_file_with_a_known_hash_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("iron 1538")
    search = Search(TARGET)
    digest = md5(path.read_bytes())
    first = search.scan_file(path, digest)
    path.write_text("nothing")
    assert search.scan_file(path, digest) == first == ScanResult("text", 1, 1, sample="iron 1538")
    assert search.scan_file(path).matches == 0


def test_a_json_document_is_searched_entry_by_entry() -> None:
    def texts(content: bytes) -> list[str]:
        return [text for text, _ in text_passages(content)]

    assert texts(b'{"a": 1, "b": [2], "c": 3}') == ['{"a": 1, "c": 3}', '{"b": [2]}']
    assert texts(b'{"b": [2]}') == ['{"b": [2]}']
    assert texts(b'[{"a": "\xe9\x93\x81"}, 7]') == ['{"a": "铁"}', "7"]
    assert texts(b"7\n8") == ["7", "8"]
    assert texts(b"7") == ["7"]


def test_an_object_with_another_hash_is_damaged_and_never_free_of_it(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_text("iron 1539")
    assert Search(TARGET).scan_file(path, md5(b"iron 1538")) == ScanResult("damaged")
