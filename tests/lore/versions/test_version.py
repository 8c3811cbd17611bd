"""version and cache: what a version holds is found by hash; what is missing, damaged or unfinished is named with what to do."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lore.versions.dvc_cache import Cache, hash_of
from lore.versions.version import revision, workspace
from stages.core.project.errors import InputError
from tests.lore.knowledge import Project, answer, fact

IRON, GOLD = fact("iron", "1538"), fact("gold", "1064")
Lore = Callable[..., str]


@pytest.fixture
def two(project: Project) -> Project:
    """Versions `a` and `b`; the workspace is that of `b`."""
    project.version("a", [IRON], [answer(IRON)])
    project.version("b", [IRON, GOLD], [answer(IRON), answer(GOLD)])
    return project


def test_objects_that_are_missing_are_all_named_with_what_brings_them(
    two: Project, lore: Lore
) -> None:
    shutil.rmtree(two.root / ".dvc/cache")
    said = lore("diff", "a", "b", code=1)
    assert re.match(
        r"InputError: a \(\w+\): not in DVC's cache \(.*cache\): data/clean/records.parquet \(\w{32}\.dir\), "
        r"data/evaluate/facts.parquet \(\w{32}\.dir\); dvc fetch --all-commits data/clean data/evaluate, where a remote is set; "
        r"else git checkout --detach a, and dvc repro there\n",
        said,
    )


def test_where_the_version_is_checked_out_nothing_tells_to_check_it_out(
    two: Project, lore: Lore
) -> None:
    shutil.rmtree(two.root / ".dvc/cache")
    said = lore("diff", code=1)
    assert said.endswith(
        "dvc fetch data/clean data/evaluate, where a remote is set; else make them with dvc repro\n"
    )


def test_one_object_that_is_missing_is_named(two: Project, lore: Lore) -> None:
    place = two.object_of("data/clean/records.parquet")
    place.unlink()
    said = lore("diff", "a", "b", code=1)
    digest = place.parent.name + place.name
    assert (
        f"not in DVC's cache (.dvc/cache): data/clean/records.parquet ({digest}); dvc fetch" in said
    )


@pytest.mark.parametrize(
    "path",
    ["data/clean/records.parquet", "data/evaluate/facts.parquet", "data/clean", "data/evaluate"],
)
def test_an_object_that_is_damaged_is_named_and_not_used(
    two: Project, lore: Lore, path: str
) -> None:
    place = two.object_of(path)
    place.write_bytes(place.read_bytes() + b" ")
    said = lore("diff", "a", "b", code=1)
    assert f"InputError: {place.relative_to(two.root)}: the cache's copy of " in said
    assert "is corrupted: its content has the hash" in said
    assert (
        "Delete this file, then bring it back with dvc fetch --all-commits, or make it again with dvc repro"
        in said
    )


def test_a_damaged_object_does_not_matter_to_the_workspace(two: Project, lore: Lore) -> None:
    two.object_of("data/clean/records.parquet").write_bytes(b"")
    assert "1 added" in lore("diff", "a")


def test_a_revision_that_is_not_there(two: Project, lore: Lore) -> None:
    two.git("branch", "hotter-iron")
    said = lore("diff", "hoter-iron", code=1)
    assert said == (
        "InputError: hoter-iron: no such revision; did you mean hotter-iron? Otherwise give a branch, a tag or "
        "a commit, as git branch --all, git tag and git log list them; git fetch brings those of a remote\n"
    )
    assert "no such revision; give" in lore("diff", "a", "0123abc", code=1)
    assert "no such revision" in lore("diff", "HEAD:params.yaml", code=1)


def test_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(
        InputError, match=r"^no git repository here; run from the project's root folder$"
    ):
        revision("HEAD")


@pytest.mark.parametrize(
    "path", ["dvc.lock", "params.yaml", "data/raw/rules.yaml", "metrics/evaluate.json"]
)
def test_conflict_markers_are_named(two: Project, lore: Lore, path: str) -> None:
    text = (two.root / path).read_text().rstrip("\n") + "\n"
    (two.root / path).write_text(f"{text}<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> b\n")
    two.git("commit", "-qam", "merged badly")
    (two.root / path).write_text(text)
    line = text.count("\n") + 1
    said = lore("diff", "a", "main", code=1)
    remedy = (
        "take one side (git checkout --ours dvc.lock), then run dvc repro"
        if path == "dvc.lock"
        else "finish the merge"
    )
    assert re.search(
        rf"{path} of main \(\w+\), line {line}: conflict markers of a merge; {re.escape(remedy)}",
        said,
    )


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("dvc.lock", b"stages: [", "dvc.lock of workspace: not readable as YAML"),
        (
            "dvc.lock",
            b"stages: 7",
            "dvc.lock of workspace: not a dvc.lock; git checkout it from another version, or run dvc repro",
        ),
        ("dvc.lock", b"\xff", "dvc.lock of workspace: not UTF-8; save it as UTF-8"),
        ("metrics/evaluate.json", b"{", "metrics/evaluate.json of workspace: not readable as JSON"),
        (
            "data/clean/records.parquet",
            b"x",
            "data/clean/records.parquet of workspace: not a Parquet file",
        ),
    ],
)
def test_a_file_that_is_broken_is_named(
    two: Project, lore: Lore, path: str, content: bytes, message: str
) -> None:
    (two.root / path).write_bytes(content)
    assert message in lore("diff", "a", code=1)


def test_a_table_of_another_form_is_named(two: Project, lore: Lore) -> None:
    shutil.copy(two.root / "data/clean/records.parquet", two.root / "data/evaluate/facts.parquet")
    said = lore("diff", "a", code=1)
    assert (
        "facts.parquet of workspace: no column correct, expected, variant; it was written by another Lorekeep"
        in said
    )


def test_without_outputs_the_workspace_says_how_to_get_them(two: Project, lore: Lore) -> None:
    two.wipe()
    assert lore("diff", "a", code=1) == (
        "InputError: workspace: not in this folder: data/clean/records.parquet, data/evaluate/facts.parquet; bring them back "
        "with dvc checkout data/clean data/evaluate or dvc pull data/clean data/evaluate, or make them with dvc repro\n"
    )
    assert "1 added" in lore("diff", "a", "b")


def test_a_version_that_was_never_run(project: Project, lore: Lore) -> None:
    project.commit("a")
    project.version("b", [IRON])
    assert "data/clean/records.parquet (no hash in dvc.lock)" in lore("diff", "a", "b", code=1)


def test_files_that_are_not_those_of_the_lock_are_named(two: Project) -> None:
    assert workspace().doubts(["data/clean", "data/evaluate"]) == []
    lock = (two.root / "dvc.lock").read_text()
    two.run([IRON], [answer(IRON)])
    (two.root / "dvc.lock").write_text(lock)
    read = ["data/clean", "metrics/evaluate.json"]
    said = [
        "on disk, not as in dvc.lock: data/clean, metrics/evaluate.json; dvc repro brings the version up to date"
    ]
    assert workspace().doubts(read) == said
    assert revision("b").doubts(read) == []


def test_raw_data_edited_since_the_run_is_named(
    two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = two.root / "data/raw/elements.sql"
    raw.write_text("1538")
    lock = YAML(typ="safe").load((two.root / "dvc.lock").read_text())
    lock["stages"]["clean"]["deps"] = [
        {"path": "data/raw/elements.sql", "md5": hash_of(raw), "size": 4}
    ]
    with (two.root / "dvc.lock").open("w") as stream:
        YAML(typ="safe").dump(lock, stream)
    said = [
        "on disk, not as in dvc.lock: data/raw/elements.sql; dvc repro brings the version up to date"
    ]
    assert workspace().doubts([]) == []
    raw.write_text("1649")
    assert workspace().doubts([]) == said
    monkeypatch.setattr("lore.versions.inputs.CHEAP", 3)
    assert workspace().doubts([]) == []
    raw.write_text("15380")
    assert workspace().doubts([]) == said


def test_a_stage_that_ran_on_something_else_is_named(two: Project) -> None:
    lock = YAML(typ="safe").load((two.root / "dvc.lock").read_text())
    lock["stages"]["evaluate"]["deps"][0]["md5"] = "0" * 32 + ".dir"
    with (two.root / "dvc.lock").open("w") as stream:
        YAML(typ="safe").dump(lock, stream)
    assert workspace().doubts([]) == [
        "evaluate ran on another data/clean than dvc.lock has: run dvc repro"
    ]


def test_settings_that_are_not_those_of_the_run_are_named(two: Project) -> None:
    (two.root / "params.yaml").write_text(
        (two.root / "params.yaml").read_text().replace("100", "200")
    )
    assert workspace().doubts([]) == [
        "params.yaml, not as in dvc.lock: train; dvc repro brings the version up to date"
    ]


def test_of_a_section_the_keys_that_a_stage_lists_count(two: Project) -> None:
    lock = YAML(typ="safe").load((two.root / "dvc.lock").read_text())
    for stage in lock["stages"].values():
        for keys in stage.get("params", {}).values():
            if section := keys.pop("run", None):
                keys |= {f"run.{name}": setting for name, setting in section.items()}
    with (two.root / "dvc.lock").open("w") as stream:
        YAML(typ="safe").dump(lock, stream)
    params = YAML(typ="safe").load((two.root / "params.yaml").read_text())
    for changed, doubts in (({"executor": "ray"}, []), ({"seed": 8}, ["run.seed"])):
        with (two.root / "params.yaml").open("w") as stream:
            YAML(typ="safe").dump(params | {"run": params["run"] | changed}, stream)
        said = [
            f"params.yaml, not as in dvc.lock: {key}; dvc repro brings the version up to date"
            for key in doubts
        ]
        assert workspace().doubts([]) == said


def test_a_cache_elsewhere_is_found(two: Project, lore: Lore, tmp_path: Path) -> None:
    shutil.move(two.root / ".dvc/cache", tmp_path / "shared")
    (two.root / ".dvc/config").write_text("[cache]\n    dir = ../../nowhere\n")
    assert "nowhere" in lore("diff", "a", "b", code=1)
    (two.root / ".dvc/config.local").write_text("[cache]\n    dir = ../../shared\n")
    assert "1 added" in lore("diff", "a", "b")


def test_a_configuration_that_dvc_refuses_is_named(two: Project, lore: Lore) -> None:
    (two.root / ".dvc/config").write_text("[cache\n")
    assert re.search(
        r"InputError: \.dvc: DVC's configuration cannot be used: .*config",
        lore("diff", "a", "b", code=1),
    )


def test_hashes_are_those_of_dvc(tmp_path: Path) -> None:
    """A folder that dvc itself has put into its cache."""
    folder = tmp_path / "data"
    for name, content in {"b": "", "a b": "é", "sub/铁": "1538", "a.txt": "x" * 100}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    for command in (["init", "-q", "--no-scm"], ["add", "-q", "data"]):
        subprocess.run(
            [sys.executable, "-m", "dvc", *command], cwd=tmp_path, env=environment, check=True
        )
    digest = hash_of(folder)
    assert f"md5: {digest}\n" in (tmp_path / "data.dvc").read_text()
    listing = Cache(tmp_path).listing(digest, "data")
    assert sorted(listing) == ["a b", "a.txt", "b", "sub/铁"]
    assert Cache(tmp_path).read(listing["sub/铁"], "data/sub/铁") == b"1538"
