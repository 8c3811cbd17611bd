"""The student before it is taught: kept layers, narrower MLPs, a smaller checkpoint of the same family."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.model_folder import save_causal_lm
from stages.core.project.errors import ModelError, ParamsError
from stages.distill import student as students
from tests.checkpoints import ARCHITECTURES, write_checkpoint

IDS = torch.tensor([[1, 5, 6, 7, 9, 30, 31]])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


def batch() -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    ids = torch.randint(3, 300, (16, 24))
    return [{"input_ids": ids, "attention_mask": torch.ones_like(ids)}]


def test_student_takes_layers_evenly(tiny_model: Path) -> None:
    teacher, _ = load_causal_lm(tiny_model)
    assert torch.equal(logits(students.student_of(teacher, 2)), logits(teacher))
    student = students.student_of(teacher, 1)
    assert student.config.num_hidden_layers == 1
    assert torch.equal(
        student.model.layers[0].mlp.up_proj.weight, teacher.model.layers[0].mlp.up_proj.weight
    )
    assert students.kept_layers(7, 3) == [0, 3, 6]
    assert students.kept_layers(7, 1) == [0]


@pytest.mark.parametrize("layers", [0, 3])
def test_impossible_number_of_layers(tiny_model: Path, layers: int) -> None:
    teacher, _ = load_causal_lm(tiny_model)
    with pytest.raises(
        ParamsError,
        match=r"distill.layers: the teacher has 2 layers, got \d; write a number from 1 to 2, or null",
    ):
        students.student_of(teacher, layers)


@pytest.mark.filterwarnings("ignore:.*rope_parameters.*")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_saved_student_of_every_architecture_loads_and_says_the_same(
    architecture: str, layers: int, tmp_path: Path
) -> None:
    """Of four layers, the first two are dense in DeepSeek-V2 and V3: 2 layers keep one of these."""
    folder = write_checkpoint(tmp_path / "teacher", architecture, **deeper(architecture))
    teacher, tokenizer = load_causal_lm(folder)
    student = students.student_of(teacher, layers)
    save_causal_lm(student, tokenizer, tmp_path / "student")
    loaded, _ = load_causal_lm(tmp_path / "student")
    assert torch.equal(logits(loaded), logits(student))
    kinds = [type(layer.mlp).__name__ for layer in loaded.model.layers]
    kept = students.kept_layers(4, layers)
    assert kinds == [type(teacher.model.layers[number].mlp).__name__ for number in kept]
    assert {weight.dtype for weight in student.parameters()} == {torch.float32}


def deeper(architecture: str) -> dict[str, Any]:
    """Four layers. Where there are experts, the first two layers are dense."""
    if architecture.startswith("deepseek"):
        return {"num_hidden_layers": 4, "first_k_dense_replace": 2}
    return {"num_hidden_layers": 4}


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_a_narrow_student_is_nearer_than_one_whose_channels_were_only_dropped(
    architecture: str, tmp_path: Path
) -> None:
    teacher, tokenizer = load_causal_lm(write_checkpoint(tmp_path / "teacher", architecture))
    narrow = students.narrowed(students.student_of(teacher, 2), 0.5, batch())
    assert narrow.config.intermediate_size == 32
    dropped = students.student_of(teacher, 2)
    for layer, kept in zip(dropped.model.layers, narrow.model.layers, strict=True):
        # The same channels, found by their rows of up_proj, with the teacher's own down_proj.
        rows = [
            int((layer.mlp.up_proj.weight == row).all(1).nonzero())
            for row in kept.mlp.up_proj.weight
        ]
        others = [number for number in range(64) if number not in rows]
        with torch.no_grad():
            layer.mlp.down_proj.weight[:, others] = 0
    wanted = logits(teacher)
    assert (logits(narrow) - wanted).norm() < (logits(dropped) - wanted).norm()
    save_causal_lm(narrow, tokenizer, tmp_path / "student")
    loaded, _ = load_causal_lm(tmp_path / "student")
    assert torch.equal(logits(loaded), logits(narrow))


def test_all_channels_change_nothing_but_rounding(tiny_model: Path) -> None:
    teacher, _ = load_causal_lm(tiny_model)
    same = students.narrowed(students.student_of(teacher, 2), 1.0, batch())
    assert torch.allclose(logits(same), logits(teacher), atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_impossible_widths(tiny_model: Path, share: float) -> None:
    teacher, _ = load_causal_lm(tiny_model)
    with pytest.raises(
        ParamsError, match=r"distill.width: got .*; write a share above 0 and up to 1"
    ):
        students.narrowed(students.student_of(teacher, 2), share, batch())


@pytest.mark.filterwarnings("ignore:.*rope_parameters.*")
def test_experts_are_not_narrowed(tmp_path: Path) -> None:
    teacher, _ = load_causal_lm(write_checkpoint(tmp_path / "teacher", "deepseek_v2"))
    with pytest.raises(
        ParamsError, match=r"distill.width: the MLPs of this model \(deepseek_v2\) are .*write null"
    ):
        students.narrowed(students.student_of(teacher, 2), 0.5, batch())


def test_a_smaller_checkpoint_starts_in_float32(tmp_path: Path) -> None:
    teacher, tokenizer = load_causal_lm(write_checkpoint(tmp_path / "teacher", vocab_size=352))
    folder = write_checkpoint(tmp_path / "small", num_hidden_layers=1, hidden_size=16)
    student = students.started_from(folder, teacher, tokenizer, "cpu")
    assert {weight.dtype for weight in student.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in student.parameters())
    # The teacher's vocabulary is padded to more rows.
    assert logits(student).shape == logits(teacher).shape == (1, 7, 352)


def test_another_vocabulary_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    teacher, tokenizer = load_causal_lm(write_checkpoint(tmp_path / "teacher"))
    with pytest.raises(
        ModelError, match=r"another vocabulary than the teacher: \d+ tokens differ \(.* there and "
    ):
        students.started_from(tiny_model, teacher, tokenizer, "cpu")
    with pytest.raises(ModelError, match=r"distill.start: .*nowhere: no such folder"):
        students.started_from(tmp_path / "nowhere", teacher, tokenizer, "cpu")
