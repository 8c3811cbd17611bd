"""plan: what DVC will do is foretold with its reasons; whatever is foretold to run is what `dvc repro` then runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from lore.planning import stages, timing
from stages.core.project.artifacts import TIMING
from tests.lore.conftest import Lore

# dvc 3.67 reads an attribute that pygtrie deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")

STAGES = {
    "first": {"cmd": "cp in.txt one.txt", "deps": ["in.txt"], "params": ["a"], "outs": ["one.txt"]},
    "second": {"cmd": "cp one.txt two.txt", "deps": ["one.txt"], "outs": ["two.txt"]},
    "third": {
        "cmd": "cat two.txt more/x > three.txt",
        "deps": ["two.txt", "more"],
        "outs": ["three.txt"],
    },
}


def dump(path: str, document: Any) -> None:
    with Path(path).open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(document, stream)


@pytest.fixture(scope="session")
def pipeline_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stages, run once."""
    folder = tmp_path_factory.mktemp("pipeline") / "project"
    with pytest.MonkeyPatch.context() as patch:
        (folder / ".dvc").mkdir(parents=True)
        patch.chdir(folder)
        Path(".dvc/config").write_text(
            "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
        )
        Path("in.txt").write_text("one")
        Path("more").mkdir()
        Path("more/x").write_text("more")
        dump("params.yaml", {"a": {"b": 1, "c": [1]}})
        dump("dvc.yaml", {"stages": STAGES})
        repro()
    return folder


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pipeline_once: Path) -> Path:
    """A copy of it, the working directory."""
    shutil.copytree(pipeline_once, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def repro() -> list[str]:
    """Run the pipeline; names of the stages that DVC worked on."""
    with Repo() as repo:
        return [stage.name for stage in repo.reproduce()]


def found() -> dict[str, tuple[str, list[str]]]:
    return {step.stage: (step.verdict, step.why) for step in stages.steps()}


@pytest.mark.usefixtures("pipeline")
def test_nothing_runs_where_nothing_changed(lore: Lore) -> None:
    assert found() == dict.fromkeys(STAGES, ("up to date", []))
    assert lore("plan").endswith("nothing runs: everything is up to date\n")


@pytest.mark.usefixtures("pipeline")
def test_a_setting_is_named_with_both_values_and_what_follows_is_perhaps(lore: Lore) -> None:
    dump("params.yaml", {"a": {"b": 2, "c": [1], "d": None}})
    assert found() == {
        "first": ("runs", ["params.yaml: a.b 1 → 2, a.d – → null"]),
        "second": ("perhaps", ["depends on whether the output of first changes"]),
        "third": ("perhaps", ["depends on whether the output of second changes"]),
    }
    assert lore("plan").splitlines()[:4] == [
        "stage   verdict       took     memory",
        "first   runs",
        "        params.yaml: a.b 1 → 2, a.d – → null",
        "second  perhaps",
    ]
    assert repro() == ["first"]


@pytest.mark.usefixtures("pipeline")
def test_a_key_of_a_section_is_named_and_its_neighbours_are_none_of_its_business() -> None:
    dump("dvc.yaml", {"stages": STAGES | {"first": STAGES["first"] | {"params": ["a.b"]}}})
    repro()
    dump("params.yaml", {"a": {"b": 1, "c": [2]}})
    assert found()["first"] == ("up to date", [])
    dump("params.yaml", {"a": {"b": 2, "c": [2]}})
    assert found()["first"] == ("runs", ["params.yaml: a.b 1 → 2"])


def test_a_dependency_a_command_and_a_missing_output_are_named(pipeline: Path) -> None:
    (pipeline / "more/x").write_text("other")
    dump(
        "dvc.yaml",
        {"stages": STAGES | {"second": STAGES["second"] | {"cmd": "cat one.txt > two.txt"}}},
    )
    assert found()["second"] == ("runs", ["its command changed"])
    assert found()["third"] == (
        "runs",
        ["more changed", "depends on whether the output of second changes"],
    )
    assert repro() == ["second", "third"]
    (pipeline / "in.txt").unlink()
    missing = (
        "in.txt is missing; git checkout or dvc pull brings it back, or remove it from the deps"
    )
    assert found()["first"] == ("cannot run", [missing])


def test_a_missing_input_stops_the_run_and_what_follows_it(pipeline: Path, lore: Lore) -> None:
    (pipeline / "in.txt").unlink()
    missing = (
        "in.txt is missing; git checkout or dvc pull brings it back, or remove it from the deps"
    )
    assert found() == {
        "first": ("cannot run", [missing]),
        "second": ("cannot run", ["needs the output of first"]),
        "third": ("cannot run", ["needs the output of second"]),
    }
    assert lore("plan").endswith(f"dvc repro stops at first: {missing}\n")
    with pytest.raises(Exception, match=r"missing data 'source': in\.txt|failed to reproduce"):
        repro()


def test_an_input_with_the_conflicts_of_a_merge_stops_the_run(pipeline: Path) -> None:
    conflict = "<<<<<<< HEAD\none\n=======\ntwo\n>>>>>>> other\n"
    (pipeline / "in.txt").write_text(conflict)
    assert found()["first"] == (
        "cannot run",
        ["in.txt: conflicts of a merge; finish it, then git add"],
    )
    (pipeline / "in.txt").write_text("<<<<<<< no conflict\nbut a heading\n")
    assert found()["first"] == ("runs", ["in.txt changed"])


def test_files_that_git_could_not_merge_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lore.planning.dvc_status import conflicts
    from tests.lore.knowledge import IDENTITY

    monkeypatch.chdir(tmp_path)

    def git(*command: str, check: bool = True) -> None:
        environment = os.environ | IDENTITY
        subprocess.run(["git", *command], check=check, env=environment, capture_output=True)

    git("init", "-q", "-b", "main")
    Path("data").mkdir()
    for command, text in (
        (["checkout", "-q", "-b", "base"], "base"),
        (["checkout", "-q", "-b", "other"], "theirs"),
        (["checkout", "-q", "base"], "ours"),
    ):
        git(*command)
        Path("data/a[1].csv").write_text(f"{text}\n")
        git("add", "-A")
        git("commit", "-qm", text)
    git("merge", "other", check=False)
    assert conflicts("data") == ["data/a[1].csv"]
    assert conflicts("dat") == []


def test_a_source_that_dvc_yaml_does_not_declare_is_told(pipeline: Path, lore: Lore) -> None:
    extract = {
        "cmd": "python -m stages extract data/raw data/extract",
        "deps": ["in.txt"],
        "outs": ["data/extract"],
    }
    dump("dvc.yaml", {"stages": STAGES | {"extract": extract}})
    sources = {"sources": [{"name": "new", "path": "new.csv"}]}
    dump("params.yaml", {"a": {"b": 1, "c": [1]}, "extract": sources})
    line = "extract: params.yaml reads data/raw/new.csv, which is no dependency in dvc.yaml"
    assert f"! {line}" in lore("plan")
    assert json.loads(lore("plan", "--json"))["notes"][0].startswith(line)


def test_an_output_comes_back_from_the_cache_and_nothing_follows(pipeline: Path) -> None:
    (pipeline / "one.txt").unlink()
    assert found() == {"first": ("restored", ["its output one.txt is missing"])} | dict.fromkeys(
        ["second", "third"], ("up to date", [])
    )
    for path in (pipeline / ".dvc/cache/files").rglob("*"):
        if path.is_file() and path.read_text() == "one":
            path.unlink()
    assert found()["first"] == ("runs", ["its output one.txt is not in DVC's cache"])


def test_what_ran_on_the_same_inputs_before_comes_from_the_run_cache(pipeline: Path) -> None:
    (pipeline / "in.txt").write_text("two")
    repro()
    (pipeline / "in.txt").write_text("one")
    assert found()["first"] == ("from the run cache", ["in.txt changed"])
    assert found()["second"] == ("perhaps", ["depends on whether the output of first changes"])
    (pipeline / "in.txt").write_text("three")
    assert found()["first"] == ("runs", ["in.txt changed"])


def test_a_stage_that_never_ran(pipeline: Path) -> None:
    dump(
        "dvc.yaml",
        {
            "stages": STAGES
            | {
                "fourth": {
                    "cmd": "cp three.txt four.txt",
                    "deps": ["three.txt"],
                    "outs": ["four.txt"],
                }
            }
        },
    )
    assert found()["fourth"] == ("runs", ["it never ran: dvc.lock has no entry"])
    (pipeline / "dvc.lock").unlink()
    assert {why[0] for _, why in found().values()} == {"it never ran: dvc.lock has no entry"}


@pytest.mark.usefixtures("pipeline")
def test_stages_stand_in_the_order_in_which_they_run() -> None:
    dump("dvc.yaml", {"stages": dict(reversed(STAGES.items()))})
    assert list(found()) == list(STAGES)


def test_a_plan_that_only_restores_outputs_says_so(pipeline: Path, lore: Lore) -> None:
    (pipeline / "one.txt").unlink()
    assert lore("plan").endswith("no stage is computed: the outputs come from the cache\n")


def test_a_plan_without_any_recorded_time_says_so(pipeline: Path, lore: Lore) -> None:
    (pipeline / "in.txt").write_text("two")
    assert lore("plan").endswith("the time is not known: none of these stages has run here yet\n")


def test_costs_are_those_of_the_last_run_here(pipeline: Path, lore: Lore) -> None:
    (pipeline / "in.txt").write_text("two")
    (pipeline / "metrics").mkdir()
    recorded = pipeline / TIMING
    recorded.write_text(
        json.dumps(
            {"first": {"seconds": 12.4, "peak_bytes": 2**31}, "second": {"seconds": 3}, "x": 1}
        )
    )
    said = lore("plan")
    assert "first   runs          12 s    2.0 GiB\n" in said
    assert said.endswith(
        "at least 12 s, at most 15 s, by the last runs here, without third: no run is recorded here\n"
    )
    whole = json.loads(lore("plan", "--json"))
    assert (whole["seconds_at_least"], whole["seconds_at_most"], whole["peak_bytes"]) == (
        12.4,
        15.4,
        2**31,
    )
    assert whole["stages"][0]["why"] == ["in.txt changed"]
    for broken in ("{", "[]"):
        recorded.write_text(broken)
        assert timing.timings() == {}


def test_edited_files_of_a_folder_are_named(pipeline: Path) -> None:
    (pipeline / "git.txt").write_text("")
    for command in (
        ["init", "-q"],
        ["add", "more"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], check=True)
    (pipeline / "more/x").write_text("other")
    assert found()["third"] == ("runs", ["more changed (more/x)"])


def test_outside_a_project_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lore: Lore
) -> None:
    monkeypatch.chdir(tmp_path)
    said = lore("plan", code=1)
    assert said.startswith(f"InputError: {tmp_path}: no project here, and in no folder above")


def test_no_numeric_library_is_loaded(pipeline: Path) -> None:
    loaded = "bool({'torch', 'pandas', 'pyarrow'} & set(sys.modules))"
    code = f"import sys; from lore.__main__ import main; main(['plan']); sys.exit({loaded})"
    root = Path(stages.__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=pipeline,
        env={"PYTHONPATH": str(root)},
        check=True,
        capture_output=True,
    )
