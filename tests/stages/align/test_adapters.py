"""Adapters that were trained one on top of another are one adapter, which does the same."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from stages.align import adapters
from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import ParamsError

IDS = torch.tensor([[1, 5, 9, 20, 7]])


def test_the_stack_is_the_sum(tiny_model: Path, tiny_adapter: Path, tmp_path: Path) -> None:
    model, _ = load_causal_lm(tiny_model, tiny_adapter, merge=True)
    parts = [adapters.factors_of_file(tiny_adapter)]
    for seed in (1, 2):
        policy = adapters.fresh(model, tiny_adapter, 4, 8, seed)
        with torch.no_grad():
            for name, weight in policy.named_parameters():
                if "lora_B" in name:
                    weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(seed))
        parts.append(adapters.factors_of_model(policy, 8 / 4))
        model = policy.merge_and_unload(safe_merge=True)
    adapters.save(parts, tiny_adapter, tmp_path / "adapter")
    stacked, _ = load_causal_lm(tiny_model, tmp_path / "adapter", merge=True)
    tuned, _ = load_causal_lm(tiny_model, tiny_adapter, merge=True)
    with torch.no_grad():
        expected = model(IDS).logits
        assert torch.allclose(stacked(IDS).logits, expected, atol=1e-4)
        assert not torch.allclose(tuned(IDS).logits, expected, atol=1e-2)
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 2 + 4 + 4


def test_the_scale_of_rank_stabilised_adapters(tiny_adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_adapter, tmp_path / "adapter")
    path = tmp_path / "adapter/adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"use_rslora": True}))
    plain = adapters.factors_of_file(tiny_adapter)
    stabilised = adapters.factors_of_file(tmp_path / "adapter")
    layer = next(iter(plain))
    # alpha / sqrt(r) instead of alpha / r
    assert torch.allclose(stabilised[layer][1], plain[layer][1] * config["r"] ** 0.5)


def test_a_layer_that_a_part_lacks_gets_zeros() -> None:
    first = {"a": (torch.ones(1, 3), torch.ones(2, 1)), "b": (torch.ones(1, 4), torch.ones(5, 1))}
    second = {"a": (torch.ones(2, 3), torch.ones(2, 2))}
    state = adapters.stacked([first, second])
    assert state["b.lora_A.weight"].tolist() == [[1] * 4, [0] * 4, [0] * 4]
    assert state["b.lora_B.weight"].tolist() == [[1, 0, 0]] * 5
    assert state["a.lora_A.weight"].shape == (3, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_dora": True}, r"align\.method: DoRA \(train\.lora\.dora\) cannot be joined"),
        (
            {"target_parameters": ["mlp.experts.down_proj"]},
            r"align\.method: adapters of fused experts \(train\.lora\.experts\) cannot be joined",
        ),
    ],
)
def test_forms_that_cannot_be_joined_are_refused(
    changes: dict[str, object], said: str, tiny_adapter: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_adapter, tmp_path / "adapter")
    path = tmp_path / "adapter/adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ParamsError, match=said):
        adapters.check_stackable(tmp_path / "adapter")


def test_train_writes_what_can_be_joined(tiny_adapter: Path) -> None:
    adapters.check_stackable(tiny_adapter)
