"""DeepSpeed and several processes give the loss that plain training gives, and the same files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.train import distributed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
needs_compiler = pytest.mark.skipif(
    not shutil.which("c++"), reason="DeepSpeed builds its own operations: a C++ compiler is needed"
)
SMALL: dict[str, Any] = {
    "lora": {"r": 4, "alpha": 8, "dropout": 0.0, "target_modules": "auto"},
    "ewc": {"weight": 0.1, "rows": 8, "damping": 1e9},
    "learning_rate": 0.01,
    "rows_per_batch": 4,
    "steps": 12,
    "warmup": 1,
    "eval_every": 6,
    "max_tokens": 64,
}


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path, tiny_augment: Path) -> Path:
    """A folder in which `python -m stages train` finds settings and inputs."""
    (tmp_path / "requirements.lock").write_text("# nothing\n")
    return tmp_path


def train(
    project: Path, name: str, code: int = 0, path: str = "", **changes: Any
) -> dict[str, Any]:
    """The stage's report; its adapter is in `name`. `path` comes first where Python looks for modules."""
    yaml = YAML(typ="safe")
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["train"] |= SMALL | changes
    params["run"]["threads"] = 1
    with (project / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    done = subprocess.run(
        [sys.executable, "-m", "stages", "train", "base", "augment", name, f"{name}.json", f"{name}.csv", f"{name}.steps"],
        cwd=project, env=os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}", "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == code, done.stderr[-3000:]
    if code:
        return {"stderr": done.stderr}
    found: dict[str, Any] = json.loads((project / f"{name}.json").read_text())
    assert (project / name / "adapter/adapter_model.safetensors").is_file()
    return found


@needs_compiler
@pytest.mark.parametrize(("stage", "weight"), [(2, 0.1), (3, 0.0)])
def test_deepspeed_trains_to_the_same_loss(project: Path, stage: int, weight: float) -> None:
    ewc = SMALL["ewc"] | {"weight": weight}
    plain, sharded = (
        train(project, "plain", ewc=ewc),
        train(project, "sharded", ewc=ewc, deepspeed=stage),
    )
    assert sharded["valid_loss"] == pytest.approx(plain["valid_loss"], abs=0.002)
    assert sharded["steps"] == plain["steps"] == 12


def test_two_processes_train_to_the_same_loss(project: Path) -> None:
    alone, shared = train(project, "alone"), train(project, "shared", processes=2)
    assert shared["valid_loss"] == pytest.approx(alone["valid_loss"], abs=0.02)


@needs_compiler
def test_two_processes_under_deepspeed(project: Path) -> None:
    alone, shared = train(project, "alone"), train(project, "shared", processes=2, deepspeed=2)
    assert shared["valid_loss"] == pytest.approx(alone["valid_loss"], abs=0.02)


def test_deepspeed_does_the_work(project: Path) -> None:
    (project / "shadow").mkdir()
    (project / "shadow/sitecustomize.py").write_text(
        "import deepspeed\n\n\ndef broken(*_, **__):\n    raise RuntimeError('made to fail')\n\n\ndeepspeed.initialize = broken\n"
    )
    said = train(project, "shadowed", code=1, path=str(project / "shadow"), deepspeed=2)["stderr"]
    assert "made to fail" in said
    train(project, "plain", path=str(project / "shadow"))


def test_rows_that_cannot_be_shared(project: Path) -> None:
    said = train(project, "shared", code=1, processes=2, rows_per_batch=5)["stderr"]
    assert "rows_per_batch: 5 rows cannot be shared evenly by 2 processes" in said
    assert "train: one of 2 processes failed" in said


def test_sharded_parameters_and_ewc_do_not_go_together(project: Path) -> None:
    said = train(project, "sharded", code=1, deepspeed=3)["stderr"]
    assert (
        "train.deepspeed: stage 3 shards the adapter that ewc needs whole; write 2, or ewc.weight: 0"
        in said
    )


def test_a_stage_becomes_a_config() -> None:
    assert distributed.config(2)["zero_optimization"] == {"stage": 2}
    given = {"zero_optimization": {"stage": 3, "overlap_comm": True}, "gradient_clipping": 0.5}
    assert distributed.config(given)["gradient_clipping"] == 0.5
    assert distributed.config(given)["zero_optimization"]["overlap_comm"] is True


@pytest.mark.parametrize(
    ("wanted", "stage"),
    [(None, 0), (0, 0), (3, 3), ({}, 0), ({"zero_optimization": {"stage": 2}}, 2)],
)
def test_what_is_sharded(wanted: distributed.Wanted, stage: int) -> None:
    assert distributed.zero_stage(wanted) == stage
