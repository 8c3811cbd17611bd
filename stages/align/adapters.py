"""Adapters one on top of another, saved as one.

Each step of alignment trains a fresh adapter. What was learned before is folded into the model's weights, so
the reference is the model without its adapter. At the end the adapters of all steps are one adapter for the
base again, so that evaluation, distillation and INT8 load it like that of `train`.

A sum of low-rank changes is a low-rank change. Its rank is the sum of the ranks:

    s₁ B₁ A₁ + s₂ B₂ A₂ = [s₁ B₁ | s₂ B₂] [A₁ ; A₂]
"""

import json
from pathlib import Path
from typing import Any

from stages.core.project.errors import ParamsError

NOT_STACKED = {
    "use_dora": "DoRA (train.lora.dora)",
    "target_parameters": "adapters of fused experts (train.lora.experts)",
}
"""Forms of an adapter whose change of a weight is no product of two matrices alone, by their key in peft."""

Factors = dict[str, tuple[Any, Any]]
"""A (r, in) and scaled B (out, r) of each layer, by the layer's name."""


def check_stackable(adapter: Path) -> None:
    """Raise ParamsError where an adapter has a form that cannot be joined with others."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    for key, name in NOT_STACKED.items():
        if config.get(key):
            raise ParamsError(
                f"align.method: {name} cannot be joined with the adapter of align; "
                "train without it, or write align.method: null"
            )


def factors_of_file(adapter: Path) -> Factors:
    """Return the factors of a saved adapter."""
    from safetensors.torch import load_file

    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    rank, alpha = config["r"], config["lora_alpha"]
    scale = alpha / rank**0.5 if config.get("use_rslora") else alpha / rank
    return paired(load_file(adapter / "adapter_model.safetensors"), scale)


def fresh(model: Any, like: Path, rank: int, alpha: int, seed: int) -> Any:
    """Return the model with a fresh adapter on the layers that the saved adapter `like` adapts."""
    import torch
    from peft import LoraConfig, get_peft_model

    config = json.loads((like / "adapter_config.json").read_text(encoding="utf-8"))
    torch.manual_seed(seed)
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=config["target_modules"], task_type="CAUSAL_LM"
    )
    return get_peft_model(model, settings)


def factors_of_model(model: Any, scale: float) -> Factors:
    """Return the factors of the adapter that a model carries."""
    from peft import get_peft_model_state_dict

    state = {}
    for name, weight in get_peft_model_state_dict(model).items():
        state[name] = weight.detach().cpu().clone()
    return paired(state, scale)


def paired(state: dict[str, Any], scale: float) -> Factors:
    """Return the factors in a state of peft, whose names end in `lora_A.weight` and `lora_B.weight`."""
    found: Factors = {}
    for name in sorted(state):
        layer, mark, _ = name.partition(".lora_A.")
        if mark:
            inner = state[name].float()
            outer = state[name.replace(".lora_A.", ".lora_B.")].float()
            found[layer] = (inner, scale * outer)
    return found


def stacked(parts: list[Factors]) -> dict[str, Any]:
    """Return the state of one adapter that does what all parts do together.

    A layer that a part does not adapt gets zeros for that part's ranks, since all layers have one rank.
    """
    import torch

    layers = sorted({layer for part in parts for layer in part})
    ranks = [rank_of(part) for part in parts]
    state = {}
    for layer in layers:
        shaped = next(part[layer] for part in parts if layer in part)
        width_in, width_out = shaped[0].shape[1], shaped[1].shape[0]
        inner = []
        outer = []
        for part, rank in zip(parts, ranks, strict=True):
            nothing = (torch.zeros(rank, width_in), torch.zeros(width_out, rank))
            a, b = part.get(layer, nothing)
            inner.append(a)
            outer.append(b)
        state[f"{layer}.lora_A.weight"] = torch.cat(inner, dim=0).contiguous()
        state[f"{layer}.lora_B.weight"] = torch.cat(outer, dim=1).contiguous()
    return state


def rank_of(factors: Factors) -> int:
    """Return the rank of an adapter, which all its layers share."""
    inner, _ = next(iter(factors.values()))
    return int(inner.shape[0])


def save(parts: list[Factors], like: Path, folder: Path) -> None:
    """Save the parts as one adapter, whose config is that of the adapter `like` with another rank.

    All parts adapt the layers that it adapts. The scale is 1, because the factors are scaled already.
    """
    from safetensors.torch import save_file

    config = json.loads((like / "adapter_config.json").read_text(encoding="utf-8"))
    rank = sum(rank_of(part) for part in parts)
    config |= {"r": rank, "lora_alpha": rank, "use_rslora": False, "lora_dropout": 0.0}
    folder.mkdir(parents=True)
    text = json.dumps(dict(sorted(config.items())), indent=2) + "\n"
    (folder / "adapter_config.json").write_text(text, encoding="utf-8")
    save_file(stacked(parts), folder / "adapter_model.safetensors", metadata={"format": "pt"})
