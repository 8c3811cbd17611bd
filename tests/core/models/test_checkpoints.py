"""checkpoints: a killed run ends with the bytes of an undisturbed one; damaged files are named; nothing stays behind."""

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from stages import train
from stages.core.models import checkpoints
from stages.core.models.checkpoints import Checkpoint, Resumable, Store
from stages.core.project.params import Run
from stages.core.repeatable import memo

pytestmark = pytest.mark.usefixtures("no_store")

PARAMS = train.Params(
    lora=train.Lora(r=4, alpha=8, dropout=0.1),
    ewc=train.Ewc(weight=0.1, rows=8, damping=0.1),
    learning_rate=1e-2,
    rows_per_batch=4,
    steps=11,
    warmup=1,
    eval_every=4,
    checkpoint_every=1,
    patience=9,
    max_tokens=64,
)
"""Three rows an epoch are left over, so epochs end between two evaluations."""


class Killed(BaseException):
    """As sudden as a signal: no `except Exception` holds it up."""


def outputs(folder: Path) -> dict[str, bytes]:
    names = [
        "out/adapter/adapter_model.safetensors",
        "out/manifest.json",
        "out.json",
        "out.csv",
        "out.steps",
    ]
    return {name: (folder / name).read_bytes() for name in names}


def run(folder: Path, params: train.Params, run_params: Run, base: Path, augment: Path) -> None:
    ends = (".json", ".csv", ".steps")
    out = folder / "out"
    train.run(params, run_params, base, augment, out, *(out.with_suffix(end) for end in ends))


def kill_after(monkeypatch: pytest.MonkeyPatch, name: str, step: int, target: Any) -> None:
    """Let the method raise when it has been called so often."""
    original = getattr(target, name)
    calls = 0

    def counted(*arguments: Any, **settings: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == step:
            raise Killed
        return original(*arguments, **settings)

    monkeypatch.setattr(target, name, counted)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"ewc": train.Ewc(weight=0.0)},  # the Trainer's own AdamW
        {"checkpoint_every": 3, "eval_every": 11},  # between two points of the curve
        {"precision": "bf16"},
    ],
)
def test_a_killed_run_ends_with_the_same_bytes(
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
) -> None:
    params = dataclasses.replace(PARAMS, **change)
    run(tmp_path / "whole", params, run_params, tiny_base, tiny_augment)
    for step in (2, 3, 4):  # 1, 3 and 6 steps are done then
        with monkeypatch.context() as patch:
            kill_after(patch, "training_step", step, Resumable)
            with pytest.raises(Killed):
                run(tmp_path / "killed", params, run_params, tiny_base, tiny_augment)
    capsys.readouterr()
    run(tmp_path / "killed", params, run_params, tiny_base, tiny_augment)
    done = 6 if params.checkpoint_every == 1 else 3
    assert f"train: goes on from step {done} of 11" in capsys.readouterr().out
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")
    left = [path for path in memo.files() if "checkpoints" in path.parts]
    assert left == []


def test_killed_between_two_epochs(
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """12 rows of 4 are 3 steps an epoch, so step 4 begins the second one."""
    run(tmp_path / "whole", PARAMS, run_params, tiny_base, tiny_augment)
    with monkeypatch.context() as patch:
        kill_after(patch, "training_step", 4, Resumable)
        with pytest.raises(Killed):
            run(tmp_path / "killed", PARAMS, run_params, tiny_base, tiny_augment)
    run(tmp_path / "killed", PARAMS, run_params, tiny_base, tiny_augment)
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")


def test_killed_before_the_first_step_and_while_a_checkpoint_is_written(
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from stages.train import curvature

    run(tmp_path / "whole", PARAMS, run_params, tiny_base, tiny_augment)
    for name, count, target in [
        ("recorded", 2, curvature),  # the second batch of the curvature
        ("training_step", 1, Resumable),  # the curvature is known
        ("save_file", 3, checkpoints),
    ]:
        with monkeypatch.context() as patch:
            kill_after(patch, name, count, target)
            with pytest.raises(Killed):
                run(tmp_path / "killed", PARAMS, run_params, tiny_base, tiny_augment)
    run(tmp_path / "killed", PARAMS, run_params, tiny_base, tiny_augment)
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")


def test_early_stopping_counts_on(
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = dataclasses.replace(PARAMS, steps=40, eval_every=2, patience=3, learning_rate=0.0)
    run(tmp_path / "whole", params, run_params, tiny_base, tiny_augment)
    with monkeypatch.context() as patch:
        kill_after(patch, "training_step", 6, Resumable)  # one evaluation without improvement
        with pytest.raises(Killed):
            run(tmp_path / "killed", params, run_params, tiny_base, tiny_augment)
    run(tmp_path / "killed", params, run_params, tiny_base, tiny_augment)
    assert json.loads((tmp_path / "whole/out.json").read_text())["steps"] < 40
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")


def test_the_memo_may_go_while_the_run_goes_on(
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(tmp_path / "whole", PARAMS, run_params, tiny_base, tiny_augment)
    original = Resumable.keep

    def keep(trainer: Resumable) -> None:
        original(trainer)
        shutil.rmtree(memo.folder())

    monkeypatch.setattr(Resumable, "keep", keep)
    run(tmp_path / "other", PARAMS, run_params, tiny_base, tiny_augment)
    assert outputs(tmp_path / "other") == outputs(tmp_path / "whole")


def test_other_settings_find_no_checkpoint(run_params: Run) -> None:
    first = checkpoints.key("train", PARAMS, run_params, ["a"])
    assert first == checkpoints.key("train", PARAMS, run_params, ["a"])
    often = dataclasses.replace(PARAMS, checkpoint_every=7)
    assert first == checkpoints.key("train", often, run_params, ["a"])
    others = [
        checkpoints.key("train", dataclasses.replace(PARAMS, steps=12), run_params, ["a"]),
        checkpoints.key("train", PARAMS, dataclasses.replace(run_params, seed=8), ["a"]),
        checkpoints.key("train", PARAMS, dataclasses.replace(run_params, threads=2), ["a"]),
        checkpoints.key("train", PARAMS, run_params, ["b"]),
        checkpoints.key("distill", PARAMS, run_params, ["a"]),
    ]
    assert len({first, *others}) == 6


@pytest.fixture
def store() -> Store:
    store = Store("train", "0" * 64)
    for step in (1, 2, 3):
        tensors = {"weights/a": torch.full((2, 3), float(step)), "random/b": torch.tensor(7)}
        store.save(Checkpoint(step, tensors, {"note": "é"}))
    return store


def test_the_two_newest_are_kept(store: Store) -> None:
    assert [path.name for path in store.steps()] == [
        "step-00000002.safetensors",
        "step-00000003.safetensors",
    ]
    newest = store.newest()
    assert newest is not None
    assert newest.step == 3
    assert newest.state["note"] == "é"
    assert torch.equal(newest.below("weights")["a"], torch.full((2, 3), 3.0))


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "another's name"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(
    store: Store, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    older, path = store.steps()
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "bit":
        content[-3] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        shutil.copyfile(older, path)
    newest = store.newest()
    assert newest is not None
    assert newest.step == 2
    if damage != "another's name":
        assert store.damaged == 1
        said = capsys.readouterr().err
        assert "step-00000003.safetensors is damaged" in said
        assert "damaged so far: 1" in said
        assert not path.exists()


def test_a_folder_that_cannot_be_written_costs_the_checkpoints_alone(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    memo.unusable.cache_clear()
    store.clear()
    store.folder.parent.mkdir(parents=True, exist_ok=True)
    store.folder.write_text("a file where the folder should be")
    store.save(Checkpoint(1, {"weights/a": torch.zeros(2)}, {}))
    assert "results are computed anew and not kept" in capsys.readouterr().err
    assert store.newest() is None


def test_what_killed_runs_left_is_removed_and_what_lives_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "lorekeep-train-dead"
    left.mkdir()
    (left / "lock").write_bytes(b"")
    with checkpoints.scratch("train") as first:
        assert not left.exists()
        with checkpoints.scratch("train") as second:
            assert first.is_dir()
            assert second != first
    assert list(tmp_path.iterdir()) == []
