"""The measurement of the spread of seeds (docs/experiments/spread.py) trains a version anew, and changes nothing else."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lore.comparison import spread
from tests.lore.knowledge import IDENTITY

ROOT = Path(__file__).parent.parent
STAGE = """
import json, pathlib, sys
params = pathlib.Path("params.yaml").read_text()
seed = int(params.split("seed: ")[1].split()[0])
if sys.argv[1] == "augment":
    pathlib.Path("data").mkdir()
    pathlib.Path("data/augment").write_text("5")
if sys.argv[1] == "train":
    pathlib.Path("models").mkdir(exist_ok=True)
    pathlib.Path("models/train").write_text(f"{seed} {pathlib.Path('data/augment').read_text()}")
if sys.argv[1] == "evaluate":
    trained, records = pathlib.Path("models/train").read_text().split()
    score = {"value": round(int(records) / 10 + int(trained) / 100, 2)}
    pathlib.Path("metrics").mkdir(exist_ok=True)
    pathlib.Path("metrics/evaluate.json").write_text(json.dumps({"train": {"probes": score}}))
"""
PIPELINE = """
stages:
  augment:
    cmd: python stage.py augment
    deps: [stage.py]
    outs: [data/augment]
  train:
    cmd: python stage.py train
    deps: [stage.py, data/augment]
    params: [train, run.seed]
    outs: [models/train]
  evaluate:
    cmd: python stage.py evaluate
    deps: [stage.py, models/train]
    params: [run.seed]
    metrics:
      - metrics/evaluate.json: {cache: false}
"""


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("spread", ROOT / "docs/experiments/spread.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(*command: str) -> str:
    """Run a program of this environment in the working directory."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        env=os.environ | IDENTITY | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def tiny_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three stages that ran once. A score is half, and a hundredth of the seed with which it was trained."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    Path("stage.py").write_text(STAGE)
    Path("dvc.yaml").write_text(PIPELINE)
    Path("params.yaml").write_text("run:\n  seed: 7\ntrain:\n  steps: 3\n")
    call("git", "init", "-q", "-b", "main")
    call("dvc", "init", "-q")
    call("dvc", "repro", "-q")
    call("git", "add", "-A")
    call("git", "commit", "-qm", "version")
    return folder


@pytest.mark.slow
def test_a_version_is_trained_with_other_seeds(
    tiny_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["spread.py", "--seeds", "1", "4", "7"])
    script().main()
    made = json.loads((tiny_project / spread.PATH).read_text())
    assert made["commit"] == call("git", "rev-parse", "HEAD").strip()
    assert made["seeds"] == [7, 1, 4]
    assert made["settings"] == {"train": {"steps": 3}}
    assert made["scores"] == {
        "train.probes": {"mean": 0.54, "deviation": 0.03, "lowest": 0.51, "highest": 0.57}
    }
    assert call("git", "status", "--porcelain") == "?? metrics/spread.json\n"
    assert call("dvc", "status") == "Data and pipelines are up to date.\n"
    assert list((tiny_project.parent / "scratch").glob("spread-*")) == []


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_project")
def test_what_is_not_one_whole_run_is_not_measured() -> None:
    Path("params.yaml").write_text("run:\n  seed: 7\ntrain:\n  steps: 4\n")
    call("git", "commit", "-qam", "settings that never ran")
    with pytest.raises(SystemExit, match=r"HEAD is not the result of one whole run:\n.*train"):
        script().measure([1, 2])


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_project")
def test_a_stage_that_fails_ends_the_measurement() -> None:
    module = script()
    with pytest.raises(SystemExit, match="exit code 3; what it said stands above"):
        module.called("exit 3", Path())
