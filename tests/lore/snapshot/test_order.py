"""Rows in the order of their keys, however they come and in little memory, and what changed since the former ones."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.snapshot import order
from lore.snapshot.order import (
    Changes,
    Key,
    Sorter,
    compared,
    entry_name,
    in_order,
    key_reader,
    read_lines,
    write_lines,
)
from stages.core.project.errors import InputError

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
ROWS = st.dictionaries(st.integers(-9, 9), st.integers(0, 2), min_size=1, max_size=12)
OF_ID = key_reader(["id"])


def line(key: Any, value: Any = None) -> bytes:
    row = json.dumps({"id": key, "value": value}, ensure_ascii=False)
    return f"{json.dumps(str(key), ensure_ascii=False)}: {row}".encode()


def sorted_lines(keys: list[Any], folder: Path) -> list[bytes]:
    with closing(Sorter(OF_ID, folder)) as sorter:
        for key in keys:
            sorter.add((key,), line(key))
        return list(sorter.lines())


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "RUN_ROWS", 3)
    monkeypatch.setattr(order, "MOST_RUNS", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@given(st.lists(WORDS, unique=True, max_size=40))
def test_texts_are_sorted_by_code_point(folder: Path, keys: list[str]) -> None:
    assert sorted_lines(keys, folder) == [line(key) for key in sorted(keys)]


@given(keys=st.lists(st.integers(-(2**70), 2**70), unique=True, max_size=60))
def test_the_same_in_many_runs(folder: Path, keys: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "RUN_ROWS", 3)
        patch.setattr(order, "MOST_RUNS", 2)
        assert sorted_lines(keys, folder) == [line(key) for key in sorted(keys)]
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("little_memory")
def test_rows_that_come_in_order_are_one_run(tmp_path: Path) -> None:
    with closing(Sorter(OF_ID, tmp_path)) as sorter:
        for key in range(50):
            sorter.add((key,), line(key))
        assert len(sorter.runs) == 1
        assert list(sorter.lines()) == [line(key) for key in range(50)]


def test_memory_is_bounded_by_bytes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "RUN_BYTES", 100)
    with closing(Sorter(OF_ID, tmp_path)) as sorter:
        for key in range(9):
            sorter.add((key,), line(key, "x" * 60))
        assert sorter.bytes < 100
        assert len(sorter.buffer) <= 1


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("apart", [0, 1, 2, 3, 8, 20])
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, apart: int) -> None:
    keys = (
        [*range(100, 100 + apart), 5, *range(apart), 5]
        if apart < 5
        else [5, *range(10, 10 + apart), 5]
    )
    with pytest.raises(
        InputError,
        match=r"two rows have the key 5; name columns in `key` that tell every row from the others",
    ):
        sorted_lines(keys, tmp_path)


def test_names_of_several_columns_never_coincide() -> None:
    assert entry_name((17,)) == "17"
    assert entry_name(("a/b~",)) == "a/b~"
    assert entry_name(("iron", 2)) == "iron/2"
    assert entry_name(("a/b", "c")) != entry_name(("a", "b/c"))


@given(ROWS, ROWS)
def test_changes_are_those_of_two_tables(old: dict[int, int], new: dict[int, int]) -> None:
    changes = Changes()
    lines = [line(key, new[key]) for key in sorted(new)]
    given_back = compared(iter([line(key, old[key]) for key in sorted(old)]), lines, OF_ID, changes)
    assert list(given_back) == lines
    both = old.keys() & new.keys()
    assert changes.same == sum(old[key] == new[key] for key in both)
    assert changes.changed == len(both) - changes.same
    assert changes.new == len(new.keys() - old.keys())
    assert changes.deleted == len(old.keys() - new.keys())
    assert (
        changes.keys["new"] == [str(key) for key in sorted(new.keys() - old.keys())][: order.LISTED]
    )


def test_keys_of_another_type_are_not_compared() -> None:
    changes = Changes()
    assert list(compared(iter([line("1")]), [line(1)], OF_ID, changes)) == [line(1)]
    assert not changes.compared
    assert changes.new == 1


@given(st.lists(WORDS, unique=True, min_size=1, max_size=5))
def test_a_file_is_json_and_is_read_back(folder: Path, words: list[str]) -> None:
    keys = sorted(words)
    path = folder / "written.json"
    digest = write_lines(path, [line(key) for key in keys])
    assert list(json.loads(path.read_bytes())) == keys
    assert list(read_lines(path)) == [line(key) for key in keys]
    assert in_order(path, OF_ID)
    assert write_lines(path, [line(key) for key in keys]) == digest
    path.unlink()


OTHERS = {
    "descending": '{\n"2": {"id": 2},\n"1": {"id": 1}\n}\n',
    "twice": '{\n"1": {"id": 1},\n"1": {"id": 1}\n}\n',
    "list": "[1]\n",
    "number": '{\n"1": 5\n}\n',
    "no key": '{\n"1": {"no": 1}\n}\n',
    "one line": '{"1": {"id": 1}, "2": {"id": 2}}\n',
    "mixed": '{\n"1": {"id": 1},\n"a": {"id": "a"}\n}\n',
    "no text": "\xff",
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_what_is_no_snapshot_is_not_compared(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content.encode("latin-1"))
    assert not in_order(path, OF_ID)


def test_a_key_of_several_columns() -> None:
    read = key_reader(["b", "a"])
    assert read(b'"x": {"a": 1, "b": "\xe4\xb8\xad"}') == ("中", 1)
    key: Key = ("中", 1)
    assert entry_name(key) == "中/1"
