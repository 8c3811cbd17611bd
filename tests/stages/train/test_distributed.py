"""Every way to share a step trains as one process does: the same rows, the same losses, the same adapter, up to
rounding. A killed run goes on. Two machines are two torchruns on this one."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from ruamel.yaml import YAML
from safetensors.torch import load_file

from stages import train as stages_train
from stages.core.models import training
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import Run, load, parse
from stages.train import distributed
from tests.checkpoints import write_checkpoint
from tests.stages.train import shares

ROOT = Path(__file__).parents[3]
slow = pytest.mark.slow
needs_compiler = pytest.mark.skipif(
    not shutil.which("c++"), reason="DeepSpeed builds its own operations: a C++ compiler is needed"
)
SMALL: dict[str, Any] = {
    "lora": {"r": 4, "alpha": 8, "dropout": 0.0, "target_modules": "auto"},
    "ewc": {"weight": 0.1, "rows": 8, "damping": 0.1},
    "learning_rate": 0.01,
    "rows_per_batch": 8,
    "steps": 8,
    "warmup": 1,
    "eval_every": 4,
    "max_tokens": 64,
}
"""Twelve rows: every second step has four rows, half of a batch."""
PLAIN_ADAMW = {"ewc": SMALL["ewc"] | {"weight": 0.0}}
TOLERANCE = 1e-5
"""Of losses of about 5. Measured: below 1e-6, since sums in another order are rounded otherwise."""
TOLERANCE_OF_WEIGHTS = 1e-4
"""A hundredth of a step. Measured: up to 1.2e-5, since Adam divides by the size of a gradient, however small."""


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path, tiny_augment: Path) -> Path:
    """A folder in which `python -m stages train` finds settings and inputs."""
    (tmp_path / "requirements.lock").write_text("# nothing\n")
    return tmp_path


def command_of(project: Path, name: str, **changes: Any) -> list[str]:
    """Write params.yaml and return the command that trains into `name`."""
    yaml = YAML(typ="safe")
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["train"] |= SMALL | changes
    params["run"]["threads"] = 1
    with (project / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    outputs = [name, f"{name}.json", f"{name}.csv", f"{name}.steps"]
    return [sys.executable, "-m", "stages", "train", "base", "augment", *outputs]


def environment(path: str = "") -> dict[str, str]:
    own = {
        "PYTHONPATH": f"{path}{os.pathsep}{ROOT}",
        "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
    }
    return os.environ | own


def train(
    project: Path, name: str, code: int = 0, path: str = "", **changes: Any
) -> dict[str, Any]:
    """The stage's report; its adapter is in `name`. `path` comes first where Python looks for modules."""
    done = subprocess.run(
        command_of(project, name, **changes), cwd=project, env=environment(path),
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == code, done.stderr[-3000:]
    if code:
        return {"stderr": done.stderr}
    found: dict[str, Any] = json.loads((project / f"{name}.json").read_text())
    found["stdout"] = done.stdout
    return found


def losses(project: Path, name: str) -> list[float]:
    with (project / f"{name}.steps").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def adapter(project: Path, name: str) -> dict[str, Any]:
    return load_file(project / name / "adapter/adapter_model.safetensors")


def assert_same_run(project: Path, one: str, other: str) -> None:
    """The losses of all steps, the curve of both sets, and the adapter are the same up to rounding."""
    assert losses(project, other) == pytest.approx(losses(project, one), abs=TOLERANCE)
    curves = []
    for name in (one, other):
        with (project / f"{name}.csv").open() as file:
            curves.append(list(csv.DictReader(file)))
    for row, same_row in zip(*curves, strict=True):
        for column in ("step", "train_loss", "valid_loss"):
            # They are written with four digits.
            assert float(same_row[column]) == pytest.approx(float(row[column]), abs=1.5e-4)
    weights, same_weights = adapter(project, one), adapter(project, other)
    assert weights.keys() == same_weights.keys()
    for weight_name, weight in weights.items():
        difference = (weight - same_weights[weight_name]).abs().max()
        assert difference < TOLERANCE_OF_WEIGHTS, (weight_name, difference)


@dataclass(frozen=True)
class Wanted:
    """A run of `shares.py`."""

    name: str
    settings: dict[str, Any]
    base: str = "base"
    augment: str = "augment"
    killed_at: int | None = None


def train_in_two_processes(folder: Path, runs: list[Wanted]) -> str:
    """Train one after the other in the same two processes. Returns what they printed."""
    listed = []
    for run in runs:
        listed.append(asdict(run) | {"settings": SMALL | run.settings})
    (folder / "runs.json").write_text(json.dumps(listed))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(Path(__file__).parent / "shares.py"), str(folder)], cwd=folder,
        env=environment(), capture_output=True, text=True, check=False, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def train_alone(folder: Path, run: Wanted) -> None:
    problems: list[str] = []
    params = parse(SMALL | run.settings, stages_train.Params, "train", problems)
    assert params is not None, problems
    out = folder / run.name
    outputs = [out, *(out.with_suffix(end) for end in (".json", ".csv", ".steps"))]
    stages_train.run(params, shares.RUN, folder / run.base, folder / run.augment, *outputs)


@slow
@pytest.mark.usefixtures("no_store")
def test_two_processes_are_as_one(project: Path) -> None:
    """The default's own steps and penalty, micro-batches, dropout-free order over epochs, a mixture of experts."""
    micro = {"rows_per_device": 2, "checkpoint_every": 3, **PLAIN_ADAMW}
    attention = ["kv_a_proj_with_mqa", "o_proj"]
    mixture = {"lora": SMALL["lora"] | {"target_modules": attention}}
    (project / "mixture").mkdir()
    write_checkpoint(project / "mixture/model", "deepseek_v2")
    shutil.copyfile(project / "base/replay.jsonl", project / "mixture/replay.jsonl")
    alone = [
        Wanted("alone", {}),
        Wanted("micro", micro),
        Wanted("mixture-alone", mixture, "mixture"),
    ]
    for run in alone:
        train_alone(project, run)
    two = {"processes": 2}
    shared = []
    for share in ("ddp", "fsdp2"):
        settings = two | {"share": share}
        shared += [
            Wanted(f"{share}", settings),
            Wanted(f"{share}-micro", micro | settings),
            # The last checkpoint is that of step 3, within an epoch.
            Wanted(f"{share}-killed", micro | settings, killed_at=5),
            Wanted(f"{share}-killed", micro | settings),
        ]
    fsdp2 = two | {"share": "fsdp2", "gradient_checkpointing": True}
    shared.append(Wanted("mixture-shared", mixture | fsdp2, "mixture"))
    said = train_in_two_processes(project, shared)
    for share in ("ddp", "fsdp2"):
        assert_same_run(project, "alone", share)
        assert_same_run(project, "micro", f"{share}-micro")
        assert f"{share}-killed: broke off before step 5" in said
        weights = "adapter/adapter_model.safetensors"
        whole = (project / f"{share}-micro" / weights).read_bytes()
        assert (project / f"{share}-killed" / weights).read_bytes() == whole
        assert losses(project, f"{share}-killed") == losses(project, f"{share}-micro")
        curve = (project / f"{share}-micro.csv").read_text()
        assert (project / f"{share}-killed.csv").read_text() == curve
    assert said.count("train: goes on from step 3 of 8") == 2
    assert_same_run(project, "mixture-alone", "mixture-shared")
    names = ("adapter_config.json", "adapter_model.safetensors")
    for name in ("alone", "ddp", "fsdp2"):
        assert sorted(path.name for path in (project / name / "adapter").iterdir()) == list(names)
    configs = {(project / n / "adapter" / names[0]).read_text() for n in ("alone", "ddp", "fsdp2")}
    assert len(configs) == 1


@slow
@needs_compiler
@pytest.mark.usefixtures("no_store")
def test_two_processes_under_deepspeed_are_as_one(project: Path) -> None:
    train_alone(project, Wanted("alone", PLAIN_ADAMW))
    stages_of_zero = ("zero1", "zero2", "zero3")
    runs = [
        Wanted(share, PLAIN_ADAMW | {"processes": 2, "share": share}) for share in stages_of_zero
    ]
    train_in_two_processes(project, runs)
    for share in stages_of_zero:
        assert_same_run(project, "alone", share)


@slow
def test_two_machines_train_as_one(project: Path) -> None:
    """Each machine is a torchrun of its own. Both are on this one, and the second one writes nothing."""
    train(project, "alone")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    both = {"NNODES": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = command_of(project, "shared", share="ddp", processes=2)
    started = []
    for number in ("0", "1"):
        own = environment() | both | {"NODE_RANK": number}
        process = subprocess.Popen(
            command,
            cwd=project,
            env=own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
    said = [process.communicate(timeout=900)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert "best valid loss" in said[0]
    assert "best valid loss" not in said[1]
    assert "train: done; machine 127.0.0.1 has written the outputs" in said[1]
    assert_same_run(project, "alone", "shared")


@slow
def test_a_killed_stage_leaves_no_process_and_goes_on(project: Path) -> None:
    long: dict[str, Any] = {
        "share": "fsdp2",
        "processes": 2,
        "steps": 400,
        "checkpoint_every": 1,
        "eval_every": 400,
    }
    command = command_of(project, "killed", **long)
    process = subprocess.Popen(command, cwd=project, env=environment())
    memo = Path(os.environ["LOREKEEP_MEMO"])
    until = time.monotonic() + 600
    while not list(memo.rglob("step-*.safetensors")) and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 3  # torchrun and two processes
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=120)
    assert alive == []
    assert not (project / "killed").exists()
    said = train(project, "killed", **long)["stdout"]
    assert "train: goes on from step" in said


@slow
@needs_compiler
def test_deepspeed_does_the_work(project: Path) -> None:
    assert train(project, "one", share="zero2")["steps"] == 8
    (project / "shadow").mkdir()
    (project / "shadow/sitecustomize.py").write_text(
        "import deepspeed\n\n\ndef broken(*_, **__):\n    raise RuntimeError('made to fail')\n\n\ndeepspeed.initialize = broken\n"
    )
    said = train(project, "shadowed", code=1, path=str(project / "shadow"), share="zero2")["stderr"]
    assert "made to fail" in said


@slow
def test_rows_that_cannot_be_shared(project: Path) -> None:
    said = train(project, "shared", code=1, share="ddp", processes=2, rows_per_batch=5)["stderr"]
    assert "rows_per_batch: 5 rows cannot be shared evenly by 2 processes" in said
    assert "train: one of 2 processes failed" in said


def refused(tmp_path: Path, run_params: Run, **settings: Any) -> str:
    """What train says about settings that do not go together, before it reads anything."""
    params = dataclasses.replace(stages_train.Params(), **settings)
    outputs = [tmp_path / name for name in ("out", "metrics", "curve", "steps")]
    with pytest.raises(ParamsError, match=r"^params.yaml:\n  train\.") as caught:
        stages_train.run(params, run_params, tmp_path, tmp_path, *outputs)
    return str(caught.value)


def test_settings_that_do_not_go_together(tmp_path: Path, run_params: Run) -> None:
    said = refused(tmp_path, run_params, processes=2)
    assert (
        "train.share: 2 processes (train.processes) need a way to share a step; write ddp" in said
    )
    said = refused(tmp_path, run_params, processes=0)
    assert "train.processes: 0 processes are none; write 1 or more" in said
    said = refused(tmp_path, run_params, processes=2, share="zero3")
    assert "ZeRO stage 3 shards the adapter that ewc needs whole; write fsdp2, zero2" in said
    said = refused(tmp_path, run_params, processes=2, share="fsdp2", base_bits=4)
    assert "train.share: fsdp2 cannot spread weights of 4 bits; write ddp" in said


def test_the_former_setting_is_named_with_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("run: {}\ntrain: {deepspeed: 2, processes: 2}\n")
    with pytest.raises(
        ParamsError, match=r"train\.deepspeed: unknown; it is train.share now"
    ) as said:
        load("train", stages_train.Params, path)
    assert "write share: zero2 for deepspeed: 2" in str(said.value)
    path.write_text("run: {}\ntrain: {share: zero4}\n")
    with pytest.raises(ParamsError, match=r"train\.share.*'fsdp2'.*got 'zero4'"):
        load("train", stages_train.Params, path)


def test_a_way_to_share_becomes_a_config() -> None:
    made = distributed.deepspeed_config("zero2")
    assert made is not None
    assert made["zero_optimization"] == {"stage": 2}
    given = {"zero_optimization": {"stage": 3, "overlap_comm": True}, "gradient_clipping": 0.5}
    filled = distributed.deepspeed_config(given)
    assert filled is not None
    assert filled["gradient_clipping"] == 0.5
    assert filled["zero_optimization"]["overlap_comm"] is True
    assert filled["bf16"] == {"enabled": "auto"}
    for share in (None, "ddp", "fsdp2"):
        assert distributed.deepspeed_config(cast("distributed.Share", share)) is None


@pytest.mark.parametrize(
    ("share", "stage", "spreads"),
    [
        (None, 0, False),
        ("ddp", 0, False),
        ("fsdp2", 0, True),
        ("zero2", 2, False),
        ("zero3", 3, True),
        ({}, 0, False),
        ({"zero_optimization": {"stage": 3}}, 3, True),
    ],
)
def test_what_is_sharded(share: distributed.Share, stage: int, spreads: bool) -> None:
    assert distributed.zero_stage(share) == stage
    assert distributed.spreads_base(share, 2) == spreads
    assert distributed.spreads_base(share, 1) == (stage == 3)


def test_machines_are_read_from_the_environment() -> None:
    alone = distributed.nodes_of({"MASTER_ADDR": "ignored"}, 2)
    assert (alone.number, alone.own) == (1, 0)
    said = {"NNODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1"}
    assert distributed.nodes_of(said, 16) == distributed.Nodes(2, 1, "10.0.0.1", "29500")


def test_wrong_machines_are_named_all_at_once() -> None:
    with pytest.raises(ParamsError, match="NNODES=two is no number of machines; write 1 or more"):
        distributed.nodes_of({"NNODES": "two"}, 2)
    wrong = {"NNODES": "2", "NODE_RANK": "2", "MASTER_PORT": "x"}
    with pytest.raises(ParamsError, match="NODE_RANK=2 is not the number of one of 2") as caught:
        distributed.nodes_of(wrong, 3)
    said = str(caught.value)
    assert "MASTER_ADDR is missing; write the address of the first machine" in said
    assert "MASTER_PORT=x is no port" in said
    assert "NNODES=2 machines cannot have equal parts of 3 processes" in said


def test_other_processes_than_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ParamsError, match="2, and torchrun has started 4 processes; write 4"):
        distributed.join(2, on_cpu=True)


def test_another_process_with_other_inputs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def gathered(keys: list[str], own: str) -> None:
        keys[:] = [own, own, "another"]

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    monkeypatch.setattr(torch.distributed, "all_gather_object", gathered)
    with pytest.raises(InputError, match="processes with the ranks 2 have other inputs, settings"):
        distributed.check_same("key")


def test_the_rows_and_their_order_are_those_of_one_process() -> None:
    import torch
    from datasets import Dataset
    from transformers.trainer_pt_utils import LengthGroupedSampler

    lengths = [3, 9, 4, 1, 5, 9, 2, 6, 5, 3]
    columns = {
        "input_ids": [[1] * length for length in lengths],
        "labels": [[1] * length for length in lengths],
        "replayed": [1] * len(lengths),
    }
    rows = Dataset.from_dict(columns)
    shared = training.SharedRows(rows, grouped=4, multiple=4)
    assert len(shared) == 12
    found = shared.__getitems__([9, 10, 11])
    assert found[0] == rows[9]
    assert found[1] == found[2] == {"input_ids": [1] * 3, "labels": [-100] * 3, "replayed": 0}
    torch.manual_seed(3)
    alone = list(LengthGroupedSampler(4, rows))
    torch.manual_seed(3)
    assert list(training.SharedOrder(shared)) == [*alone, 10, 11]
