"""lora_product: the same values and gradients as peft, and only where it is shorter."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.lora_product import compute_at_once
from stages.train.adapter import Lora, add_adapter, lora_layers
from tests.checkpoints import write_checkpoint

HIGH = Lora(r=64, alpha=128)


def adapted(folder: Path, lora: Lora = HIGH, dtype: str = "float32") -> Any:
    """A model whose adapter changes something: B is not zero."""
    model, _ = load_causal_lm(folder, dtype=dtype)
    found = add_adapter(model, lora, 1)
    torch.manual_seed(2)
    with torch.no_grad():
        for layer in lora_layers(found).values():
            layer.lora_B["default"].weight.normal_(std=0.05)
    return found


def logits_and_gradients(model: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
    ids = torch.arange(40).reshape(2, 20) + 5
    logits = model(input_ids=ids).logits
    logits.square().mean().backward()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return logits.detach(), [weight.grad for weight in weights]


def test_values_and_gradients_are_those_of_peft(tiny_model: Path) -> None:
    with_peft, gradients_of_peft = logits_and_gradients(adapted(tiny_model))
    model = adapted(tiny_model)
    assert len(compute_at_once(model)) == len(lora_layers(model))
    at_once, gradients = logits_and_gradients(model)
    torch.testing.assert_close(at_once, with_peft, rtol=1e-4, atol=1e-5)
    assert len(gradients) == len(gradients_of_peft) > 0
    for found, expected in zip(gradients, gradients_of_peft, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_a_model_whose_adapter_is_off_is_the_base(tiny_model: Path) -> None:
    base, _ = load_causal_lm(tiny_model)
    model = adapted(tiny_model)
    compute_at_once(model)
    ids = torch.arange(20)[None] + 5
    with model.disable_adapter(), torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, base(input_ids=ids).logits)


def test_a_merged_model_counts_the_adapter_once(tiny_model: Path) -> None:
    model = adapted(tiny_model)
    ids = torch.arange(20)[None] + 5
    with torch.no_grad():
        before = model(input_ids=ids).logits
        compute_at_once(model)
        model.merge_adapter()
        merged = model(input_ids=ids).logits
    torch.testing.assert_close(merged, before, rtol=1e-4, atol=1e-5)


def test_a_low_rank_stays_with_peft(tiny_model: Path) -> None:
    layers = lora_layers(adapted(tiny_model)).values()
    # 2 d_in d_out operations at once, 6 r (d_in + d_out) with peft.
    ranks = [
        layer.in_features * layer.out_features // (3 * (layer.in_features + layer.out_features))
        for layer in layers
    ]
    low = min(ranks)
    assert low > 0
    assert compute_at_once(adapted(tiny_model, Lora(r=low, alpha=low))) == []


@pytest.mark.parametrize(
    ("lora", "dtype"),
    [
        (dataclasses.replace(HIGH, dropout=0.1), "float32"),
        (dataclasses.replace(HIGH, dora=True), "float32"),
        (HIGH, "bfloat16"),
    ],
)
def test_other_forms_stay_with_peft(tiny_model: Path, lora: Lora, dtype: str) -> None:
    assert compute_at_once(adapted(tiny_model, lora, dtype)) == []


def test_fused_experts_stay_with_peft(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "mixture", "deepseek_v2")
    model = adapted(tmp_path / "mixture", dataclasses.replace(HIGH, experts=True))
    changed = compute_at_once(model)
    assert changed
    assert not [name for name in changed if "experts" in name]
