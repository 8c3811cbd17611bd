"""A rollback brings sources back that `dvc add` keeps: the pointer, the data, and what git ignores."""

import shutil
from pathlib import Path

import pytest

from lore.__main__ import main
from lore.releasing import restore_commit
from lore.versions import version
from tests.lore.commands.test_rollback import Killed, interrupt
from tests.lore.conftest import Lore
from tests.lore.released import GOLD, IRON, Released
from tests.lore.releasing.test_stored import flip

BIG = "data/raw/big.csv"
WHY = ("--reason", "the other was wrong", "--no-canaries")


def make(released: Released, number: str, content: str, keeper: str, path: str = BIG) -> None:
    """Release a version whose large source has this content, kept by git or by DVC."""
    released.sources = ("data/raw/facts.csv", path)
    pointer = released.root / f"{path}.dvc"
    if pointer.is_file():
        released.call("dvc", "remove", "--quiet", f"{path}.dvc")
    released.git("rm", "-r", "-q", "--cached", "--ignore-unmatch", path)
    place = released.root / path
    if path.endswith(".csv"):
        place.unlink(missing_ok=True)
        place.write_text(content)
    else:
        shutil.rmtree(place, ignore_errors=True)
        (place / "部分").mkdir(parents=True)
        (place / "部分/a.csv").write_text(content)
        (place / "same.csv").write_text("same\n")
    if keeper == "dvc":
        released.call("dvc", "add", "--quiet", path)
    released.release(f"knowledge@v{number}", [IRON, GOLD], 300)
    assert released.git("status", "--porcelain") == ""


def content_here(released: Released, path: str) -> str:
    place = released.root / path
    return (place if place.is_file() else place / "部分/a.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("path", [BIG, "data/raw/pages"])
@pytest.mark.parametrize(("first", "second"), [("dvc", "dvc"), ("dvc", "git"), ("git", "dvc")])
def test_a_source_comes_back_whoever_keeps_it(
    released: Released, lore: Lore, first: str, second: str, path: str
) -> None:
    make(released, "2.0.0", "right\n", first, path)
    make(released, "3.0.0", "wrong\n", second, path)
    before = released.state()
    said = lore("rollback", "2.0.0", *WHY)
    if first == "dvc":
        assert f"sources  1 change: {path}, which DVC keeps" in said
    assert content_here(released, path) == "right\n"
    assert (released.root / f"{path}.dvc").is_file() == (first == "dvc")
    assert released.git("status", "--porcelain") == ""
    assert (
        released.call("dvc", "status", "--quiet", *([f"{path}.dvc"] if first == "dvc" else []))
        == ""
    )
    # The next run reads what the version read.
    assert version.workspace().doubts([]) == []
    lore("rollback", "3.0.0", *WHY)
    after = released.state()
    assert after["files"] == before["files"]
    assert after["status"] == ""


def test_other_lines_of_an_ignore_file_stay(released: Released, lore: Lore) -> None:
    make(released, "2.0.0", "right\n", "dvc")
    make(released, "3.0.0", "wrong\n", "git")
    ignored = released.root / "data/raw/.gitignore"
    ignored.write_text("/notes.txt")
    released.commit()
    lore("rollback", "2.0.0", *WHY)
    assert ignored.read_text() == "/notes.txt\n/big.csv\n"
    lore("rollback", "3.0.0", *WHY)
    assert ignored.read_text() == "/notes.txt\n"


def test_an_edited_source_is_never_overwritten(released: Released, lore: Lore) -> None:
    make(released, "2.0.0", "right\n", "git")
    make(released, "3.0.0", "wrong\n", "dvc")
    place = released.root / BIG
    place.unlink()
    place.write_text("mine\n")
    said = lore("rollback", "2.0.0", *WHY, code=1)
    assert f"{BIG}: not as its pointer {BIG}.dvc says; dvc add {BIG} and commit, or dvc" in said
    assert place.read_text() == "mine\n"


@pytest.mark.parametrize("number", ["2.0.0", "3.0.0"])
def test_a_damaged_source_is_named(released: Released, lore: Lore, number: str) -> None:
    make(released, "2.0.0", "right\n", "dvc")
    make(released, "3.0.0", "wrong\n", "dvc")
    before = released.state()
    digest = version.revision(number).pointers[0].digest
    flip(released.cached(digest))
    said = lore("rollback", "2.0.0", *WHY, code=1)
    assert f"its content has another hash: {BIG} ({digest})" in said
    assert released.state() == before


def test_a_source_that_the_version_does_not_declare_stays(released: Released, lore: Lore) -> None:
    make(released, "2.0.0", "later\n", "dvc")
    lore("rollback", "1.0.0", *WHY)
    assert (released.root / BIG).read_text() == "later\n"
    assert (released.root / f"{BIG}.dvc").is_file()
    assert released.git("status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(("first", "second"), [("dvc", "git"), ("git", "dvc")])
def test_a_kill_is_undone(
    released: Released,
    lore: Lore,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    after: bool,
    first: str,
    second: str,
) -> None:
    make(released, "2.0.0", "right\n", first)
    make(released, "3.0.0", "wrong\n", second)
    before = released.state()
    with monkeypatch.context() as patch:
        interrupt(patch, number, after)
        with pytest.raises(Killed):
            main(["rollback", "2.0.0", *WHY])
    assert "there is such a release already" in lore("release", "3.0.0", code=1)
    assert released.state() == before


def test_the_commit_is_made_without_touching_anything(released: Released) -> None:
    make(released, "2.0.0", "right\n", "dvc")
    make(released, "3.0.0", "wrong\n", "git")
    before = released.state()
    present = version.revision("HEAD")
    commit = restore_commit.create(present, version.revision("2.0.0"), "back\n")
    files = restore_commit.changed_files(str(present.commit), commit)
    assert {BIG, f"{BIG}.dvc", "data/raw/.gitignore", "dvc.lock"} <= set(files)
    assert released.state() == before
    assert Path(BIG).read_text() == "wrong\n"
