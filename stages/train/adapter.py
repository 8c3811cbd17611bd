"""The adapter: which weights of the base get one, its form, and how it is saved.

LoRA: Hu et al. 2021, arXiv 2106.09685. Rank-stabilised scaling: Kalajdzievski 2023, arXiv 2312.03732. DoRA: Liu
et al. 2024, arXiv 2402.09353. A base in 4 bits: Dettmers et al. 2023, arXiv 2305.14314.

In a mixture of experts, the weights of all experts of a layer are fused to one parameter of three dimensions
(expert, out, in). It is no linear layer. peft adapts it by `target_parameters`. peft 0.21 takes the names of
MLPs (`up_proj`, `layers.0.mlp.up_proj`) for the fused experts as well. So in such a base the layers of dense
MLPs and of shared experts cannot be adapted alone, and stay as they are.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import ModelError
from stages.core.project.params import STRICT

MLP_NAMES = ("gate_proj", "up_proj", "down_proj")
"""Layers of MLPs, as llama, qwen2 and DeepSeek's own architectures name them."""
PARTS = {"attention": ".self_attn.", "mlp": ".mlp."}
"""What stands in the full name of a layer of that part."""


@dataclass(frozen=True, config=STRICT)
class Lora:
    """The adapter."""

    r: int = 64
    """Rank of the update. Higher stores more facts and costs more time and bytes."""
    alpha: int = 128
    """The adapter's output is scaled by `alpha / r`."""
    dropout: float = 0.0
    """Share of the adapter's inputs dropped while training, in [0, 1). 0.1 is usual for large models. A
    model of 2.6 million parameters learns fewer facts with it, and takes half as long again."""
    target_modules: Literal["auto", "attention", "mlp"] | list[str] = "auto"
    """Layers with an adapter. `auto`: every linear layer but the output head (in a mixture of experts,
    those of attention). `attention` or `mlp`: the linear layers of that part. Or names, such as
    `[q_proj, v_proj]`."""
    experts: bool = False
    """true: the fused experts of a mixture of experts get adapters too, one for all experts of a layer and
    of `r` ranks for each. It multiplies the adapter's size by the number of experts."""
    rs: bool = False
    """Rank-stabilised LoRA: the output is scaled by `alpha / sqrt(r)`. It keeps high ranks (64 and more)
    from learning slower than low ones."""
    dora: bool = False
    """DoRA: length and direction of each weight are trained apart. It learns a little more at low ranks,
    and a step takes about twice as long. It needs `ewc.weight: 0`."""


def problems(lora: Lora, ewc_weight: float, bits: int | None) -> list[str]:
    """Return a line for each setting that does not go with another one."""
    found = []
    if lora.dora and lora.experts:
        found.append(
            "train.lora.dora: peft has no DoRA for fused experts; write dora: false or experts: false"
        )
    if lora.dora and ewc_weight:
        found.append(
            "train.lora.dora: the penalty of ewc knows a change B A' of a weight, and DoRA's change is "
            "another; write dora: false or ewc.weight: 0"
        )
    if lora.experts and ewc_weight:
        found.append(
            "train.lora.experts: ewc measures the curvature of linear layers, and fused experts are none; "
            "write experts: false or ewc.weight: 0"
        )
    if bits == 4 and importlib.util.find_spec("bitsandbytes") is None:
        found.append(
            "train.base_bits: 4 bits need bitsandbytes, which is not installed: "
            "pip install bitsandbytes==0.50.2, or write base_bits: null"
        )
    return found


def load_base(folder: Path, device: str, bits: int | None, dtype: str) -> tuple[Any, Any]:
    """Load the base's model and tokenizer, with `bits: 4` its linear layers in 4 bits (NF4, as in QLoRA).

    bitsandbytes computes such layers on a GPU, and since 0.46 on a CPU, slowly. `dtype` is the type of the
    other weights and of the computation.
    """
    if bits is None:
        return load_causal_lm(folder, device=device, dtype=dtype)
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from stages.core.models.conversation import load_tokenizer

    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )
    place = "cuda" if device == "auto" and torch.cuda.is_available() else "cpu"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            quantization_config=quantization,
            dtype=getattr(torch, dtype),
            device_map={"": place},
        )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"train.base_bits: {folder} cannot be loaded in 4 bits ({reason}); write base_bits: null"
        ) from None
    for layer in model.modules():
        # On CPUs with AVX-512, an evaluation would repack the weights for good, and training would go on
        # with those. The pinned instruction set has no such kernels anyway.
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    return model.eval(), load_tokenizer(folder)


def add_adapter(model: Any, lora: Lora, seed: int) -> Any:
    """Return the model with a fresh adapter. Raises ModelError where the targets do not fit."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets_of(model, lora),
        target_parameters=expert_targets(model) if lora.experts else None,
        use_rslora=lora.rs,
        use_dora=lora.dora,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        names = {last_part(name) for name in linear_layers(model)}
        raise ModelError(
            f"train.lora.target_modules: {error}; the linear layers of this base are "
            f"{', '.join(sorted(names))}"
        ) from None


def targets_of(model: Any, lora: Lora) -> str | list[str]:
    """Return the names of the adapted layers as peft takes them.

    Raises ModelError where they cannot be adapted, or where there is none.
    """
    chosen = lora.target_modules
    has_experts = bool(fused_experts(model))
    if chosen == "auto" and not has_experts:
        return "all-linear"
    if chosen == "auto":
        chosen = "attention"
    if has_experts:
        return _targets_beside_experts(model, chosen, lora.experts)
    if isinstance(chosen, list):
        return chosen
    return names_of_part(model, chosen)


def _targets_beside_experts(model: Any, chosen: str | list[str], experts: bool) -> list[str]:
    """Return the names of the adapted layers of a mixture of experts: see the module's docstring."""
    left_out = False
    if chosen == "mlp":
        names = []
        left_out = True
    elif isinstance(chosen, str):
        names = names_of_part(model, chosen)
    else:
        names = [name for name in chosen if last_part(name) not in MLP_NAMES]
        left_out = len(names) < len(chosen)
    if left_out and not experts:
        raise ModelError(
            "train.lora.target_modules: this base is a mixture of experts, in which peft takes names of MLPs "
            f"({', '.join(MLP_NAMES)}) for the fused experts; leave them out, or write lora.experts: true"
        )
    return names


def names_of_part(model: Any, part: str) -> list[str]:
    """Return the last names of the linear layers in a part. Raises ModelError where there is none."""
    names = {last_part(name) for name in linear_layers(model) if PARTS[part] in name}
    if not names:
        raise ModelError(
            f"train.lora.target_modules: no layer of this base has {PARTS[part]!r} in its name; write the names "
            f"of layers, such as [{', '.join(sorted(map(last_part, linear_layers(model)))[:2])}]"
        )
    return sorted(names)


def fused_experts(model: Any) -> list[str]:
    """Return the full names of the weights that hold all experts of a layer.

    Only they have three dimensions: (expert, out, in).
    """
    return [name for name, weight in model.named_parameters() if weight.dim() == 3]


def expert_targets(model: Any) -> list[str]:
    """Return the names of fused experts as peft takes them: `mlp.experts.down_proj`.

    Raises ModelError where the base has none.
    """
    names = {".".join(name.split(".")[-3:]) for name in fused_experts(model)}
    if not names:
        raise ModelError(
            "train.lora.experts: this base is no mixture of experts; write experts: false"
        )
    return sorted(names)


def left_alone(model: Any) -> dict[str, int]:
    """Return name and number of the layers without an adapter that could have one, but for the head."""
    import torch

    adapted = set(lora_layers(model))
    head = model.get_output_embeddings()
    numbers: dict[str, int] = {}
    for name, layer in model.named_modules():
        inside = ".base_layer" in name or ".lora_" in name
        if isinstance(layer, torch.nn.Linear) and layer is not head and not inside:
            key = last_part(name)
            numbers[key] = numbers.get(key, 0) + 1
    for name, weight in model.named_parameters():
        layer_name, _, key = name.rpartition(".")
        if weight.dim() == 3 and layer_name not in adapted and ".base_layer" not in layer_name:
            key = f"experts.{key}"
            numbers[key] = numbers.get(key, 0) + 1
    return dict(sorted(numbers.items()))


def linear_layers(model: Any) -> list[str]:
    """Return the full names of the linear layers: `model.layers.0.self_attn.q_proj`."""
    import torch

    names = []
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            names.append(name)
    return names


def last_part(name: str) -> str:
    """Return the last part of a dotted name: `q_proj`."""
    return name.rpartition(".")[2]


def lora_layers(model: Any) -> dict[str, Any]:
    """Return the layers that carry an adapter, by name."""
    layers = {}
    for name, layer in model.named_modules():
        if hasattr(layer, "lora_A"):
            layers[name] = layer
    return layers


def save_adapter(model: Any, folder: Path) -> None:
    """Save the adapter so that equal adapters are equal bytes.

    peft writes sets in hash order and a model card with versions: lists are sorted, the card is dropped.
    The path of the base is dropped too, since the manifest pins the base by its hash.
    """
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    steady = {}
    for key, value in sorted(config.items()):
        steady[key] = sorted(value) if isinstance(value, list) else value
    steady["base_model_name_or_path"] = None
    path.write_text(json.dumps(steady, indent=2) + "\n")
