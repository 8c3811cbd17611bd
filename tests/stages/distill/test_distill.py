"""distill: the loss is that of the docstring; the student starts from the teacher's layers and is smaller."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from stages import distill, train
from stages.core.models import variants
from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.params import Run
from tests.checkpoints import CHAT_TEMPLATE, HALF_SAMPLED, write_checkpoint
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
    width=0.5,
    others_learning_rate=0.0,
)


def test_replayed_rows_learn_from_the_base_alone() -> None:
    """On a replayed row neither the text nor the tuned model counts: the loss is KL from the given logits."""
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    labels = torch.tensor([[1, 4, -100], [0, 2, 3]])
    replayed = torch.tensor([False, True])
    params = dataclasses.replace(PARAMS, loss="soft_hard", temperature=2.0, hard_weight=0.3)
    soft = torch.softmax(teacher[0, 0] / 2, -1) @ torch.log_softmax(student[0, 0] / 2, -1)
    hard = torch.log_softmax(student[0, 0], -1)[4]
    losses = [-0.7 * 4 * soft - 0.3 * hard]
    for position in (0, 1):
        p = torch.log_softmax(teacher[1, position], -1)
        q = torch.log_softmax(student[1, position], -1)
        losses.append((p.exp() * (p - q)).sum())
    loss = distill.distillation_loss(student, teacher, labels, replayed, params)
    assert torch.isclose(loss, torch.stack(losses).mean())


def test_the_base_teaches_replayed_rows(tiny_model: Path, tiny_adapter: Path) -> None:
    base, _ = load_causal_lm(tiny_model)
    tuned, _ = load_causal_lm(tiny_model, tiny_adapter, merge=True)
    teacher, _ = load_causal_lm(tiny_model, tiny_adapter)
    ids = torch.tensor([[1, 5, 6], [1, 7, 8], [1, 9, 4]])
    shown = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        known = base(**shown).logits
        learned = tuned(**shown).logits
    taught = distill.teaching_logits(teacher, shown, torch.tensor([True, False, True]))
    assert torch.allclose(taught[[0, 2]], known[[0, 2]], atol=1e-5)
    assert torch.allclose(taught[1], learned[1], atol=1e-5)
    assert not torch.allclose(learned, known, atol=1e-2)


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


@pytest.mark.usefixtures("no_store")
def test_left_out_it_writes_every_output_and_no_model(
    trained: Path, tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    paths = [tmp_path / name for name in ("out", "d.json", "d.csv", "d.steps")]
    params = dataclasses.replace(PARAMS, layers=None)
    distill.run(params, run_params, tiny_base, trained, tiny_augment, *paths)
    assert [path.name for path in paths[0].iterdir()] == ["manifest.json"]
    assert variants.is_left_out(paths[0])
    assert json.loads(paths[1].read_text()) == {"left_out": True}
    assert paths[2].read_text() == "step,train_loss,valid_loss\n"
    assert paths[3].read_text() == "step,loss,weights\n"


@pytest.mark.usefixtures("no_store")
def test_a_checkpoint_with_a_temperature_is_saved_at_the_end(
    tiny_augment: Path, tiny_base: Path, tmp_path: Path, run_params: Run
) -> None:
    """bfloat16 weights, a chat template, pad = eos, and a temperature without do_sample."""
    model = tiny_base / "model"
    model.unlink()
    write_checkpoint(model, generation=HALF_SAMPLED, tied=True)
    tuned = [tmp_path / name for name in ("train", "t.json", "t.csv", "t.steps")]
    params = dataclasses.replace(TRAIN_PARAMS, steps=2, eval_every=1)
    train.run(params, run_params, tiny_base, tiny_augment, *tuned)
    paths = [tmp_path / name for name in ("out", "d.json", "d.csv", "d.steps")]
    taught = dataclasses.replace(PARAMS, max_tokens=128, others_learning_rate=0.001)
    distill.run(taught, run_params, tiny_base, tuned[0], tiny_augment, *paths)
    said = json.loads((paths[0] / "generation_config.json").read_text())
    assert said["temperature"] == HALF_SAMPLED["temperature"]
    assert "do_sample" not in said or not said["do_sample"]
    student, tokenizer = load_causal_lm(paths[0])
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert json.loads((paths[0] / "config.json").read_text())["dtype"] == "float32"
    # Embeddings were stepped, too, and are still one matrix with the head.
    before, _ = load_causal_lm(model)
    assert not torch.equal(student.model.embed_tokens.weight, before.model.embed_tokens.weight)
    assert student.lm_head.weight is student.model.embed_tokens.weight
