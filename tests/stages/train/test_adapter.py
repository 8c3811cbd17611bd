"""adapter: the forms of LoRA, which layers they are put on, and settings that do not go together."""

import dataclasses
import importlib.util
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stages import train
from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import ModelError, ParamsError
from stages.core.project.params import Run
from stages.train import adapter
from stages.train.adapter import Lora, add_adapter, left_alone, lora_layers

pytestmark = pytest.mark.usefixtures("no_store")

LORA = Lora(r=4, alpha=8)
MIXTURE: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
PARAMS = train.Params(
    lora=LORA,
    ewc=train.Ewc(weight=0.0),
    learning_rate=1e-2,
    rows_per_batch=4,
    steps=4,
    warmup=1,
    eval_every=2,
    max_tokens=64,
)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random DeepSeek-V3 of two layers; the second is a mixture of four experts."""
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("mixture")
    torch.manual_seed(0)
    config = AutoConfig.for_model("deepseek_v3", **MIXTURE)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def model_of(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder)


def adapted_names(model: Any) -> set[str]:
    return {name.rpartition(".")[2] for name in lora_layers(model)}


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        ("mlp", {"gate_proj", "up_proj", "down_proj"}),
        ("attention", {"q_proj", "k_proj", "v_proj", "o_proj"}),
        (["q_proj", "up_proj"], {"q_proj", "up_proj"}),
    ],
)
def test_parts_of_a_dense_model(tiny_model: Path, targets: Any, names: set[str]) -> None:
    model = add_adapter(model_of(tiny_model), dataclasses.replace(LORA, target_modules=targets), 1)
    assert adapted_names(model) == names
    everything = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert left_alone(model) == dict.fromkeys(sorted(everything - names), 2)


def test_nothing_of_a_dense_model_is_left_alone(tiny_model: Path) -> None:
    assert left_alone(add_adapter(model_of(tiny_model), LORA, 1)) == {}


def test_experts_are_left_alone_and_named(mixture: Path) -> None:
    model = add_adapter(model_of(mixture), LORA, 1)
    assert "experts" not in adapted_names(model)
    alone = left_alone(model)
    assert alone["experts.down_proj"] == alone["experts.gate_up_proj"] == 1
    # The dense MLP of the first layer and the shared expert of the second.
    assert alone["up_proj"] == 2


@pytest.mark.parametrize("targets", ["auto", "mlp", ["o_proj"]])
def test_experts_with_an_adapter(mixture: Path, tmp_path: Path, targets: Any) -> None:
    """They learn, and peft alone loads and merges them."""
    from peft import PeftModel

    lora = dataclasses.replace(LORA, target_modules=targets, experts=True)
    model = add_adapter(model_of(mixture), lora, 1).eval()
    assert "experts.down_proj" not in left_alone(model)
    ids = torch.randint(3, 300, (2, 12), generator=torch.Generator().manual_seed(1))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=0.02)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(weight.grad is not None for weight in weights)
    adapter.save_adapter(model, tmp_path)
    tuned = PeftModel.from_pretrained(model_of(mixture), tmp_path).eval()
    with torch.no_grad():
        expected = model(ids).logits
        assert torch.allclose(tuned(ids).logits, expected, atol=1e-5)
        merged = tuned.merge_and_unload(safe_merge=True)
        assert torch.allclose(merged(ids).logits, expected, atol=1e-4)


@pytest.mark.parametrize("targets", ["mlp", ["q_b_proj", "down_proj"]])
def test_names_that_peft_takes_for_experts(mixture: Path, targets: Any) -> None:
    """peft 0.21 would put an adapter on the experts, and none on the dense MLP, without a word."""
    lora = dataclasses.replace(LORA, target_modules=targets)
    with pytest.raises(ModelError, match=r"for the fused experts; .* lora.experts: true"):
        add_adapter(model_of(mixture), lora, 1)


def test_experts_of_a_dense_model(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="no mixture of experts; write experts: false"):
        add_adapter(model_of(tiny_model), dataclasses.replace(LORA, experts=True), 1)


def test_rank_stabilised_scaling(tiny_model: Path) -> None:
    model = add_adapter(model_of(tiny_model), dataclasses.replace(LORA, rs=True), 1)
    scales = {layer.scaling["default"] for layer in lora_layers(model).values()}
    assert scales == {8 / math.sqrt(4)}


@pytest.mark.parametrize(
    "change", [{"rs": True}, {"dora": True}, {"target_modules": "mlp", "dora": True, "rs": True}]
)
def test_the_forms_are_trained_and_loaded(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run, change: dict[str, Any]
) -> None:
    params = dataclasses.replace(PARAMS, lora=dataclasses.replace(LORA, **change), steps=12)
    ends = ("", ".json", ".csv", ".steps")
    paths = [tmp_path / f"out{end}" for end in ends]
    train.run(params, run_params, tiny_base, tiny_augment, *paths)
    report = json.loads(paths[1].read_text())
    curve = paths[2].read_text().splitlines()
    assert report["valid_loss"] < float(curve[1].split(",")[2])
    folder = tmp_path / "out" / "adapter"
    ids = torch.tensor([[1, 5, 6, 7]])
    on_top, _ = load_causal_lm(tiny_base / "model", folder)
    merged, _ = load_causal_lm(tiny_base / "model", folder, merge=True)
    with torch.no_grad():
        assert torch.allclose(on_top(ids).logits, merged(ids).logits, atol=1e-4)


def test_settings_that_do_not_go_together(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    """All are named at once."""
    lora = dataclasses.replace(LORA, dora=True, experts=True)
    params = dataclasses.replace(PARAMS, lora=lora, ewc=train.Ewc(weight=1.0))
    paths = [tmp_path / name for name in "abcd"]
    with pytest.raises(ParamsError, match=r"write dora: false or experts: false") as caught:
        train.run(params, run_params, tiny_base, tiny_augment, *paths)
    message = str(caught.value)
    assert "write dora: false or ewc.weight: 0" in message
    assert "write experts: false or ewc.weight: 0" in message


def test_four_bits_without_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (line,) = adapter.problems(LORA, 0.0, bits=4)
    assert "pip install bitsandbytes" in line
    assert adapter.problems(LORA, 0.0, bits=None) == []


@pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes, an extra"
)
@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_a_base_in_four_bits(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run, weight: float
) -> None:
    """The adapter learns on the CPU too, with and without the curvature, and fits the base in float32."""
    model, _ = adapter.load_base(tiny_base / "model", "cpu", 4, "float32")
    layer = model.model.layers[0].mlp.up_proj
    assert layer.weight.dtype == torch.uint8
    assert layer.weight.numel() == layer.in_features * layer.out_features // 2
    ewc = train.Ewc(weight=weight, rows=8, damping=0.1)
    params = dataclasses.replace(PARAMS, base_bits=4, ewc=ewc, steps=12)
    paths = [tmp_path / f"out{end}" for end in ("", ".json", ".csv", ".steps")]
    train.run(params, run_params, tiny_base, tiny_augment, *paths)
    report = json.loads(paths[1].read_text())
    curve = paths[2].read_text().splitlines()
    assert report["valid_loss"] < float(curve[1].split(",")[2])
    load_causal_lm(tiny_base / "model", tmp_path / "out" / "adapter", merge=True)


def test_a_base_that_cannot_be_loaded_in_four_bits(tmp_path: Path) -> None:
    if importlib.util.find_spec("bitsandbytes") is None:
        pytest.skip("needs bitsandbytes, an extra")
    shutil.rmtree(tmp_path)
    with pytest.raises(ModelError, match=r"cannot be loaded in 4 bits .* write base_bits: null"):
        adapter.load_base(tmp_path, "cpu", 4, "float32")
