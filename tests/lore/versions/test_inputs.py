"""inputs: what was committed and never run is named, whichever input, and whoever keeps it."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lore.commands import versions
from lore.versions import inputs
from lore.versions.version import revision, workspace
from tests.lore.conftest import Lore
from tests.lore.released import GOLD, IRON, Released

INPUTS = (
    "data/raw/facts.csv",
    "data/raw/notes.txt",
    "data/raw/pages",
    "requirements.lock",
    "stages/clean",
    "stages/train.py",
)


@pytest.fixture
def whole(released: Released) -> Released:
    """Release 2.0.0, which reads files and folders that git and DVC keep."""
    root = released.root
    (root / ".dvcignore").write_text("__pycache__\n*.tmp\n")
    for name, text in {
        "data/raw/notes.txt": "notes\n",
        "data/raw/pages/一/a.txt": "page\n",
        "data/raw/pages/b.tmp": "never hashed\n",
        "requirements.lock": "dvc==3.67.1\n",
        "stages/clean/__init__.py": "CODE = 1\n",
        "stages/clean/__pycache__/x.pyc": "compiled\n",
        "stages/train.py": "CODE = 1\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + "__pycache__\n")
    released.call("dvc", "add", "--quiet", "data/raw/notes.txt")
    released.sources = INPUTS
    released.keep = lambda path: kept(released, path)  # type: ignore[method-assign]
    released.release("knowledge@v2.0.0", [IRON, GOLD], 300)
    return released


def kept(released: Released, path: Path) -> str:
    """As Released.keep, but without what .dvcignore names."""
    if path.is_dir():
        for name in [*path.rglob("*.tmp"), *path.rglob("__pycache__/*")]:
            name.rename(released.root / ".dvc/tmp-kept")
            digest = kept(released, path)
            (released.root / ".dvc/tmp-kept").rename(name)
            return digest
    return Released.keep(released, path)


def test_one_whole_run_has_nothing_edited(whole: Released) -> None:
    assert inputs.edited(revision("2.0.0")) == []
    assert revision("2.0.0").doubts([]) == []
    assert workspace().doubts(list(workspace().outs)) == []


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("data/raw/facts.csv", "data/raw/facts.csv"),
        ("data/raw/pages/一/a.txt", "data/raw/pages"),
        ("data/raw/pages/new.txt", "data/raw/pages"),
        ("requirements.lock", "requirements.lock"),
        ("stages/clean/__init__.py", "stages/clean"),
        ("stages/train.py", "stages/train.py"),
    ],
)
def test_an_edit_that_was_committed_and_never_run_is_named(
    whole: Released, lore: Lore, path: str, named: str
) -> None:
    place = whole.root / path
    place.write_text(f"{place.read_text() if place.exists() else ''}# edited\n")
    here = f"on disk, not as in dvc.lock: {named}; dvc repro brings the version up to date"
    assert workspace().doubts([]) == [here]
    whole.commit("edited")
    line = f"committed, not as in dvc.lock: {named}; dvc repro brings the version up to date"
    assert revision("edited").doubts([]) == [line]
    _, row, *_, why = lore("versions", "edited").splitlines()
    assert row.endswith("edited, never run")
    assert why == f"! edited: {line}"
    assert f"! edited ({revision('edited').short}): {line}" in lore("diff", "2.0.0", "edited")
    # An edit that is taken back is none.
    whole.git("revert", "--no-edit", "HEAD")
    assert revision("HEAD").doubts([]) == []


def test_a_source_that_dvc_keeps_is_known_by_its_pointer(whole: Released) -> None:
    (whole.root / "data/raw/notes.txt").write_text("other\n")
    whole.call("dvc", "add", "--quiet", "data/raw/notes.txt")
    whole.commit("other")
    assert inputs.edited(revision("other")) == ["data/raw/notes.txt"]


def test_an_input_that_was_removed_is_named(whole: Released) -> None:
    whole.git("rm", "-q", "stages/train.py")
    whole.commit("removed")
    assert inputs.edited(revision("removed")) == ["stages/train.py"]


def test_what_set_up_fetches_is_not_known_and_no_edit(whole: Released) -> None:
    ignored = whole.root / ".gitignore"
    ignored.write_text(ignored.read_text() + "/data/wordnet\n")
    lock = YAML(typ="safe").load((whole.root / "dvc.lock").read_text())
    lock["stages"]["train"]["deps"].append({"path": "data/wordnet", "md5": "0" * 32 + ".dir"})
    whole.dump("dvc.lock", lock)
    whole.commit("fetched")
    assert inputs.edited(revision("fetched")) == []


def test_a_file_of_large_file_storage_is_not_known_and_no_edit(whole: Released) -> None:
    stands_for = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n"
    (whole.root / "data/raw/facts.csv").write_text(stands_for)
    whole.commit("lfs")
    assert inputs.edited(revision("lfs")) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"cmd": "make another"}, "the command of train"),
        ({"deps": [*INPUTS, "data/raw/new.csv"]}, "the dependencies of train (+ data/raw/new.csv)"),
        ({"outs": ["models/other"]}, "the outputs of train (+ models/other)"),
    ],
)
def test_a_declaration_that_was_never_run_is_named(
    whole: Released, lore: Lore, change: dict[str, object], named: str
) -> None:
    pipeline = YAML(typ="safe").load((whole.root / "dvc.yaml").read_text())
    pipeline["stages"]["train"] |= change
    whole.dump("dvc.yaml", pipeline)
    whole.commit("declared")
    line = f"dvc.yaml, not as in dvc.lock: {named}; dvc repro brings the version up to date"
    assert revision("declared").doubts([]) == [line]
    assert lore("versions", "declared").splitlines()[-1] == f"! declared: {line}"


def test_a_new_stage_that_never_ran_is_named(whole: Released) -> None:
    pipeline = YAML(typ="safe").load((whole.root / "dvc.yaml").read_text())
    pipeline["stages"]["index"] = {"cmd": "make index", "deps": ["data/clean"]}
    pipeline["stages"]["each"] = {"foreach": ["a"], "do": {"cmd": "make ${item}"}}
    whole.dump("dvc.yaml", pipeline)
    assert inputs.redeclared(workspace()) == ["the stage index, which never ran"]


def test_versions_that_share_files_read_each_once(
    whole: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs.MD5_OF_BLOBS.clear()
    assert inputs.edited(revision("HEAD")) == []
    read = dict(inputs.MD5_OF_BLOBS)
    assert read

    def none_left(*_: object, **__: object) -> None:
        raise AssertionError("a blob was read twice")

    monkeypatch.setattr("lore.versions.inputs.md5_of_stream", none_left)
    assert inputs.edited(revision("2.0.0")) == []
    assert versions.row_or_reason(revision("2.0.0"))["state"] == "clean"
