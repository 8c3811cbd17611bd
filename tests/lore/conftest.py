"""A project with two knowledge versions, `a` and `b`, to be compared."""

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lore.__main__ import main
from stages.core.mlflow import store as mlflow_store
from stages.core.project import runtime
from stages.core.project.params import Run
from tests.lore.knowledge import Project
from tests.lore.live import Live
from tests.lore.released import GOLD, HOTTER, IRON, NEON, Released

Lore = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_params: Run) -> Project:
    """An empty project, which is the working directory."""
    for name, value in runtime.settings(run_params).items():
        monkeypatch.setenv(name, value)  # so that what `lore` settles ends with the test
    made = Project(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture(scope="session")
def released_once(tmp_path_factory: pytest.TempPathFactory, store_file: Path) -> Path:
    """A project with the releases 1.0.0 and 1.1.0, each registered; the second is here."""
    with pytest.MonkeyPatch.context() as patch:
        made = Released(tmp_path_factory.mktemp("released") / "project")
        patch.chdir(made.root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("DVC_ROOT", raising=False)
        shutil.copyfile(store_file, made.root / "mlflow.db")
        made.release("knowledge@v1.0.0", [IRON, GOLD], 100)
        (made.root / "README.md").write_text("two\n")
        made.release("knowledge@v1.1.0", [HOTTER, NEON], 200)
    return made.root


@pytest.fixture
def released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_params: Run, released_once: Path
) -> Released:
    """A copy of that project, which is the working directory."""
    for name, value in runtime.settings(run_params).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    shutil.copytree(released_once, tmp_path / "project", symlinks=True)
    made = Released.__new__(Released)
    made.root = tmp_path / "project"
    monkeypatch.chdir(made.root)
    with contextlib.redirect_stderr(io.StringIO()):
        mlflow_store.follow_moved_project()  # MLflow's store names the folder that was copied
    return made


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_params: Run) -> Live:
    """A project with a snapshot of a live SQLite database, which is the working directory."""
    for name, value in runtime.settings(run_params).items():
        monkeypatch.setenv(name, value)
    made = Live(tmp_path / "project")
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("LIVE_URL", f"sqlite:///{made.database}")
    return made


@pytest.fixture
def lore(capsys: pytest.CaptureFixture[str]) -> Lore:
    """Run a command, check its exit code and return what it printed, or its error where the code is 1."""

    def run(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        said = capsys.readouterr()
        assert bool(said.err) == (code == 1), said.err
        return said.err if code == 1 else said.out

    return run


@pytest.fixture
def found(lore: Lore) -> Callable[..., Any]:
    """What `lore diff … --json` says."""
    return lambda *arguments: json.loads(lore("diff", *arguments, "--json"))
