"""distill: the loss is that of the docstring; the student starts from the teacher's layers and is smaller."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from stages import distill, train
from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import ParamsError
from stages.core.project.params import Run
from tests.stages.train.test_train import PARAMS as TRAIN_PARAMS

PARAMS = distill.Params(
    layers=1,
    temperature=2.0,
    hard_weight=0.5,
    learning_rate=0.01,
    weight_decay=0.01,
    rows_per_batch=4,
    steps=4,
    warmup=1,
    eval_every=2,
    patience=3,
    replay_share=0.3,
    max_tokens=64,
    precision="fp32",
)


def test_loss_against_the_formula() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    labels = torch.tensor([[1, 4, -100], [0, 2, 3]])
    soft, hard = [], []
    for row, position in [(0, 0), (1, 0), (1, 1)]:
        p = torch.softmax(teacher[row, position] / 2, -1)
        q = torch.log_softmax(student[row, position] / 2, -1)
        soft.append(-(p * q).sum())
        hard.append(-torch.log_softmax(student[row, position], -1)[labels[row, position + 1]])
    expected = 0.7 * 4 * torch.stack(soft).mean() + 0.3 * torch.stack(hard).mean()
    assert torch.isclose(distill.distillation_loss(student, teacher, labels, 2.0, 0.3), expected)


def test_loss_is_least_at_the_teacher() -> None:
    torch.manual_seed(0)
    teacher, labels = torch.randn(1, 4, 6), torch.tensor([[1, 2, 3, 4]])
    best = distill.distillation_loss(teacher, teacher, labels, 2.0, 0.0)
    assert best < distill.distillation_loss(
        teacher + torch.randn(1, 4, 6), teacher, labels, 2.0, 0.0
    )


def test_student_takes_layers_evenly(tiny_model: Path) -> None:
    teacher, _ = load_causal_lm(tiny_model)
    full = distill.student_of(teacher, 2)
    ids = torch.tensor([[1, 5, 6, 7]])
    assert torch.equal(full(ids).logits, teacher(ids).logits)
    student = distill.student_of(teacher, 1)
    assert student.config.num_hidden_layers == 1
    assert torch.equal(
        student.model.layers[0].mlp.up_proj.weight, teacher.model.layers[0].mlp.up_proj.weight
    )


@pytest.mark.parametrize("layers", [0, 3])
def test_impossible_number_of_layers(tiny_model: Path, layers: int) -> None:
    teacher, _ = load_causal_lm(tiny_model)
    with pytest.raises(
        ParamsError,
        match=r"distill.layers: the teacher has 2 layers, got \d; write a number from 1 to 2",
    ):
        distill.student_of(teacher, layers)


@pytest.fixture
def trained(tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run) -> Path:
    params = dataclasses.replace(TRAIN_PARAMS, steps=2, eval_every=1)
    paths = [tmp_path / name for name in ("train", "t.json", "t.csv", "t.steps")]
    train.run(params, run_params, tiny_base, tiny_augment, *paths)
    return tmp_path / "train"


def test_run_twice_gives_equal_bytes(
    trained: Path,
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    folder_bytes: Any,
) -> None:
    for name in ("a", "b"):
        paths = [
            tmp_path / name,
            tmp_path / f"{name}.json",
            tmp_path / f"{name}.csv",
            tmp_path / f"{name}.steps",
        ]
        distill.run(PARAMS, run_params, tiny_base, trained, tiny_augment, *paths)
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")
    steps = (tmp_path / "a.steps").read_text()
    assert steps == (tmp_path / "b.steps").read_text()
    assert len(steps.splitlines()) == 1 + PARAMS.steps
    student, _ = load_causal_lm(tmp_path / "a")
    report = json.loads((tmp_path / "a.json").read_text())
    teacher, _ = load_causal_lm(tiny_base / "model")
    assert report["parameters"] == student.num_parameters() < teacher.num_parameters()
    assert torch.equal(student.model.embed_tokens.weight, teacher.model.embed_tokens.weight)
    assert not torch.equal(
        student.model.layers[0].mlp.up_proj.weight, teacher.model.layers[0].mlp.up_proj.weight
    )
