"""output: the new output appears whole, or the old one stays as it was."""

import os
import shutil
from pathlib import Path

import pytest

from stages.core.project import output
from stages.core.project.output import replacing, write_json


def make(path: Path, kind: str, content: str) -> None:
    """A file, or a folder with one file in it."""
    if kind == "folder":
        path.mkdir()
        path = path / "inner.txt"
    path.write_text(content)


def content(path: Path) -> str:
    return (path / "inner.txt" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("old", ["file", "folder", "nothing"])
@pytest.mark.parametrize("new", ["file", "folder"])
def test_the_new_output_takes_the_place_of_the_old(tmp_path: Path, old: str, new: str) -> None:
    target = tmp_path / "out"
    if old != "nothing":
        make(target, old, "old")
    if old == "folder":
        (target / "left over.txt").write_text("old")
    with replacing(target) as temporary:
        assert not temporary.exists()
        make(temporary, new, "new")
        assert not target.exists() or content(target) == "old"
    assert content(target) == "new"
    assert target.is_dir() == (new == "folder")
    assert not (target / "left over.txt").exists()
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("old", ["file", "folder", "nothing"])
@pytest.mark.parametrize("new", ["file", "folder", "nothing"])
def test_an_error_leaves_the_old_output_whole(tmp_path: Path, old: str, new: str) -> None:
    target = tmp_path / "out"
    if old != "nothing":
        make(target, old, "old")

    def fail() -> None:
        with replacing(target) as temporary:
            if new != "nothing":
                make(temporary, new, "half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert os.listdir(tmp_path) == ([] if old == "nothing" else ["out"])
    assert old == "nothing" or content(target) == "old"


@pytest.mark.parametrize("old", ["file", "folder"])
def test_writing_nothing_is_an_error_and_costs_nothing(tmp_path: Path, old: str) -> None:
    make(tmp_path / "out", old, "old")
    with (
        pytest.raises(FileNotFoundError, match="out: nothing was written to take its place"),
        replacing(tmp_path / "out"),
    ):
        pass
    assert content(tmp_path / "out") == "old"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_run_left_is_cleared(tmp_path: Path, kind: str) -> None:
    make(tmp_path / ".out.partial", kind, "half")
    with replacing(tmp_path / "out") as temporary:
        temporary.write_text("new")
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("old", ["file", "folder"])
@pytest.mark.parametrize("new", ["file", "folder"])
def test_the_old_output_is_whole_until_the_new_one_is_there(
    tmp_path: Path, at_once: bool, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is removed, and when, says whether a kill can leave half of an output."""
    target = tmp_path / "out"
    make(target, old, "old")
    seen = []
    if not at_once:
        monkeypatch.setattr(output, "_exchanged_at_once", lambda first, second: False)
    remove = shutil.rmtree

    def watched(path: Path) -> None:
        seen.append((path.name, content(target)))
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", watched)
    with replacing(target) as temporary:
        make(temporary, new, "new")
    assert content(target) == "new"
    assert os.listdir(tmp_path) == ["out"]
    # An old folder is removed under another name, after the new output has taken its place.
    name = ".out.partial" if at_once else ".out.former"
    assert seen == ([(name, "new")] if old == "folder" else [])


def test_a_rename_that_fails_brings_the_old_output_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    make(target, "folder", "old")
    monkeypatch.setattr(output, "_exchanged_at_once", lambda first, second: False)
    rename = os.replace

    def failing(source: Path, place: Path) -> None:
        if Path(source).name == ".out.partial":
            raise OSError(28, "No space left on device")
        rename(source, place)

    def write() -> None:
        with replacing(target) as temporary:
            make(temporary, "folder", "new")

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="No space left"):
        write()
    assert content(target) == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_parents_are_made(tmp_path: Path) -> None:
    with replacing(tmp_path / "a" / "b" / "out") as temporary:
        temporary.write_text("new")
    assert content(tmp_path / "a" / "b" / "out") == "new"


def test_a_link_is_replaced_and_what_it_points_to_is_not_touched(tmp_path: Path) -> None:
    make(tmp_path / "kept", "folder", "kept")
    (tmp_path / "out").symlink_to(tmp_path / "kept")
    with replacing(tmp_path / "out") as temporary:
        make(temporary, "folder", "new")
    assert content(tmp_path / "kept") == "kept"
    assert content(tmp_path / "out") == "new"
    assert not (tmp_path / "out").is_symlink()


def test_json_for_git(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"b": "铁 °C", "a": [1, 2.5, None]})
    expected = '{\n  "b": "铁 °C",\n  "a": [\n    1,\n    2.5,\n    null\n  ]\n}\n'
    assert (tmp_path / "m.json").read_text(encoding="utf-8") == expected
