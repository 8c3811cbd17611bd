"""beside: what the memo and the record of the teacher hold of a target is found, whatever form its characters have."""

import json
from pathlib import Path

import pytest

from lore.erasure import beside
from lore.erasure.scan import Search, text_passages
from lore.erasure.target import Target


def keep(path: Path, lines: list[dict[str, str]]) -> None:
    """Write a file as the memo does: a checksum, then JSON that is ASCII."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["0" * 64, *[json.dumps(line) for line in lines]]))


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOREKEEP_MEMO", str(tmp_path / "memo"))
    return Search(Target("x", {}, {"a" * 16: {}}, {}, {}, [], {"铁": [("1538",)]}))


def test_a_page_in_the_memo_is_found(searched: Search, tmp_path: Path) -> None:
    keep(tmp_path / "memo/results/read/ab/abc", [{"raw": "copper"}, {"raw": "铁 1538 °C"}])
    keep(tmp_path / "memo/results/read/ab/def", [{"raw": "copper"}])
    found = beside.in_memo(searched)
    assert list(found) == [str(tmp_path / "memo/results/read/ab/abc")]
    assert next(iter(found.values())).matches == 1


def test_a_request_to_the_teacher_is_found(searched: Search) -> None:
    assert beside.in_teacher_record(searched) == {}
    keep(Path("data/teacher/paraphrases.jsonl"), [{"messages": f"about {'a' * 16}"}])
    keep(Path("data/teacher/wordings.jsonl"), [{"messages": "about nothing"}])
    assert list(beside.in_teacher_record(searched)) == ["data/teacher/paraphrases.jsonl"]


def test_characters_of_json_are_written_out_and_other_lines_stay() -> None:
    content = b'{"a": "\\u94c1"}\nC:\\users\\u94c1 is no JSON\nplain'
    texts = [text for text, _ in text_passages(content)]
    assert texts == ['{"a": "铁"}', "C:\\users\\u94c1 is no JSON", "plain"]
