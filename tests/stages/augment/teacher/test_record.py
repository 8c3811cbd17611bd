"""The record on disk: sorted, whole, and refused where a line was changed."""

import json
from pathlib import Path

import pytest

from stages.augment.teacher.answers import Failure, Patterns
from stages.augment.teacher.record import (
    Attempt,
    Entry,
    entry_of,
    line_of,
    read_record,
    write_record,
)
from stages.augment.teacher.requests import Request, Task
from stages.core.project.errors import InputError


def entry(
    task: Task, prompt: str, answer: str = '{"patterns": ["硬度?"]}', model: str = "m"
) -> Entry:
    messages = [{"role": "user", "content": prompt}]
    settings = {"temperature": 0.7, "max_tokens": 100}
    request = Request(task, "en", "hardness", 1, model, settings, messages)
    return entry_of(request, [Attempt(answer, "stop", 7, 5, "m-1")], seconds=0.5)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    entries = [
        entry("probe", "a"),
        entry("attribute", "b"),
        entry("corrupted", "c"),
        entry("probe", "a", model="other"),
    ]
    write_record(tmp_path, {one.key: one for one in entries})
    assert read_record(tmp_path) == {one.key: one for one in entries}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corrupted.jsonl", "wordings.jsonl"]
    lines = (tmp_path / "wordings.jsonl").read_text().splitlines()
    keys = [json.loads(line)["key"] for line in lines]
    assert keys == sorted(keys)
    assert len(keys) == 3
    assert "硬度" in lines[0]


def test_the_order_in_which_answers_came_does_not_show(tmp_path: Path) -> None:
    entries = [entry("probe", str(number)) for number in range(9)]
    write_record(tmp_path / "one", {one.key: one for one in entries})
    write_record(tmp_path / "two", {one.key: one for one in reversed(entries)})
    one, two = tmp_path / "one/wordings.jsonl", tmp_path / "two/wordings.jsonl"
    assert one.read_bytes() == two.read_bytes()


def test_a_kind_without_entries_has_no_file(tmp_path: Path) -> None:
    one = entry("corrupted", "a")
    write_record(tmp_path, {one.key: one})
    write_record(tmp_path, {})
    assert list(tmp_path.iterdir()) == []
    assert read_record(tmp_path) == {}
    assert read_record(tmp_path / "none") == {}


def test_the_answer_of_the_last_attempt_counts() -> None:
    first = entry("probe", "a")
    repaired = Entry(**(vars(first) | {"attempts": [Attempt("no", "stop", 1, 2), *first.attempts]}))
    assert repaired.read() == Patterns(["硬度?"])
    assert (repaired.input_tokens, repaired.output_tokens) == (8, 7)
    assert isinstance(entry("probe", "a", answer="no").read(), Failure)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "0" * 64}, "the key does not belong to model, settings and messages"),
        ({"model": "another"}, "the key does not belong"),
        ({"attempts": []}, "it holds no answer"),
        ({"note": "x"}, "not a line of the record: note"),
        ({"task": "poems"}, "not a line of the record: task"),
    ],
)
def test_a_line_that_was_changed(tmp_path: Path, change: dict[str, object], message: str) -> None:
    line = json.loads(line_of(entry("probe", "a")))
    (tmp_path / "wordings.jsonl").write_text(json.dumps(line | change) + "\n")
    with pytest.raises(InputError, match=message) as raised:
        read_record(tmp_path)
    assert "wordings.jsonl:1" in str(raised.value)
    assert "restore the line" in str(raised.value)


def test_a_line_that_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "wordings.jsonl").write_text(line_of(entry("probe", "a"))[:-9])
    with pytest.raises(InputError, match="not a line of the record"):
        read_record(tmp_path)


def test_two_answers_to_one_request(tmp_path: Path) -> None:
    lines = line_of(entry("probe", "a")) + line_of(entry("probe", "a", answer="{}"))
    (tmp_path / "wordings.jsonl").write_text(lines)
    with pytest.raises(InputError, match="two different answers to one request"):
        read_record(tmp_path)
    (tmp_path / "wordings.jsonl").write_text(line_of(entry("probe", "a")) * 2)
    assert len(read_record(tmp_path)) == 1
