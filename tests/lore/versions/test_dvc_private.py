"""dvc_private: every name, signature and file layout of DVC that it uses is as it was written for.

If one of these fails after an update of DVC, compare lore/versions/dvc_private.py with the new DVC first,
then change the expectation here.
"""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dvc
import pytest
from dvc.config import Config, ConfigError
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.cache import StageCache, _can_hash
from ruamel.yaml import YAML

from lore.versions import dvc_private
from stages.core.project.errors import InputError

# dvc 3.67 reads an attribute that pygtrie deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")

REMEDY = f"DVC {dvc.__version__} changed it: adapt lore/versions/dvc_private.py, then this test"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose one stage makes a file, a folder and a metric, run once by DVC."""
    root = tmp_path_factory.mktemp("private") / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text(
        "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
    )
    (root / "in.txt").write_text("铁 1538")
    (root / "params.yaml").write_text("a: {b: 1}\n")
    stage = {
        "cmd": "mkdir -p many/deep && cp in.txt one.txt && cp in.txt many/x && cp in.txt many/deep/y"
        " && echo 1 > metric.txt",
        "deps": ["in.txt"],
        "params": ["a"],
        "outs": ["one.txt", "many"],
        "metrics": [{"metric.txt": {"cache": False}}],
    }
    with (root / "dvc.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump({"stages": {"make": stage}}, stream)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        with Repo() as repo:
            repo.reproduce()
    return root


@pytest.fixture
def project(ran: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ran)
    return ran


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (Repo, ""),
        (Repo.status, "self"),
        (StageCache._load, "self stage"),
        (StageCache._create_stage, "self cache wdir=None"),
        (_can_hash, "stage"),
        (PipelineStage.save_deps, "self"),
        (PipelineStage.outs_cached, "self"),
        (Config, "dvc_dir=None"),
    ],
)
def test_calls_have_the_arguments_that_are_given(function: Callable[..., Any], given: str) -> None:
    """Every argument that dvc_private gives is there, and none that it does not give is needed."""
    parameters = inspect.signature(function).parameters.values()
    shown = [
        f"{one.name}={one.default}" if one.default is not one.empty else one.name
        for one in parameters
    ]
    needed = [name for name in shown if "=" not in name]
    expected = given.split()
    assert shown[: len(expected)] == expected, f"{function.__qualname__}: {REMEDY}"
    assert needed == [name for name in expected if "=" not in name], (
        f"{function.__qualname__}: {REMEDY}"
    )


def test_errors_are_of_one_family() -> None:
    assert issubclass(ConfigError, DvcException), f"dvc.config.ConfigError: {REMEDY}"


@pytest.mark.usefixtures("project")
def test_objects_have_the_attributes_that_are_read() -> None:
    with Repo() as repo:
        (stage,) = repo.index.stages
        attributes = {
            "Stage.name": (stage.name, "make"),
            "Stage.wdir": (Path(stage.wdir), Path.cwd()),
            "Dependency.def_path": (
                [dep.def_path for dep in stage.deps],
                ["in.txt", "params.yaml"],
            ),
            "Output.def_path": (
                [out.def_path for out in stage.outs],
                ["one.txt", "many", "metric.txt"],
            ),
            "Output.use_cache": ([out.use_cache for out in stage.outs], [True, True, False]),
            "Repo.stage_cache": (type(repo.stage_cache), StageCache),
        }
    for name, (actual, expected) in attributes.items():
        assert actual == expected, f"dvc: {name}: {REMEDY}"


def test_a_project_says_what_changed_and_what_the_run_cache_has(project: Path) -> None:
    with dvc_private.opened() as opened:
        assert opened.status() == {}, REMEDY
        (stage,) = opened.stages()
        assert stage.cached_outs == {"one.txt", "many"}
        assert opened.in_run_cache(stage), f"StageCache._load: {REMEDY}"
    (project / "params.yaml").write_text("a: {b: 2}\n")
    (project / "in.txt").write_text("金 1064")
    try:
        with dvc_private.opened() as opened:
            changed = {"in.txt": "modified", "params.yaml": {"a": "modified"}}
            assert opened.status() == {"make": [{"changed deps": changed}]}, REMEDY
            (stage,) = opened.stages()
            assert not opened.in_run_cache(stage), f"Stage.save_deps: {REMEDY}"
    finally:
        (project / "params.yaml").write_text("a: {b: 1}\n")
        (project / "in.txt").write_text("铁 1538")


def test_a_stage_that_always_runs_is_not_in_the_run_cache(project: Path) -> None:
    document = YAML(typ="safe").load((project / "dvc.yaml").read_text(encoding="utf-8"))
    before = (project / "dvc.yaml").read_bytes()
    document["stages"]["make"]["always_changed"] = True
    with (project / "dvc.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(document, stream)
    try:
        with dvc_private.opened() as opened:
            (stage,) = opened.stages()
            assert not opened.in_run_cache(stage), f"_can_hash: {REMEDY}"
    finally:
        (project / "dvc.yaml").write_bytes(before)


def test_files_of_the_cache_lie_and_read_as_expected(project: Path) -> None:
    lock = YAML(typ="safe").load((project / "dvc.lock").read_text(encoding="utf-8"))
    assert lock["schema"] == "2.0", REMEDY
    hashes = {out["path"]: out["md5"] for out in lock["stages"]["make"]["outs"]}
    content = (project / "in.txt").read_bytes()
    assert hashes["one.txt"] == dvc_private.md5(content), REMEDY
    assert hashes["many"].endswith(dvc_private.FOLDER_HASH), REMEDY

    cache = dvc_private.cache_folder(project)
    assert dvc_private.object_path(cache, hashes["one.txt"]).read_bytes() == content, REMEDY
    listing = dvc_private.object_path(cache, hashes["many"]).read_bytes()
    files = {"x": dvc_private.md5(content), "deep/y": dvc_private.md5(content)}
    assert dvc_private.read_listing(listing) == files, REMEDY
    assert dvc_private.write_listing(files) == listing, REMEDY
    assert set(json.loads(listing)[0]) == {"md5", "relpath"}, REMEDY


def test_the_cache_is_found_from_a_folder_below(project: Path) -> None:
    assert dvc_private.cache_folder(project / "many") == project.resolve() / ".dvc/cache"
    (project / ".dvc/config.local").write_text("[cache]\n    dir = elsewhere\n")
    try:
        folder = dvc_private.cache_folder(project)
    finally:
        (project / ".dvc/config.local").unlink()
    assert folder.resolve() == (project / ".dvc/elsewhere").resolve(), REMEDY


def test_errors_of_dvc_are_input_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(InputError, match=r"^dvc: .*; run from the project's root folder$"),
        dvc_private.opened(),
    ):
        pass
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[cache\n")
    with pytest.raises(InputError, match="DVC's configuration cannot be used"):
        dvc_private.cache_folder(tmp_path)
