"""LoRA of a high rank on narrow layers: one product per layer and token instead of three.

LoRA: Hu et al. 2021, arXiv 2106.09685; h = W x + s B (A' x).
"""

from functools import partial
from typing import Any

import torch


def compute_at_once(model: Any) -> list[str]:
    """Let adapted layers compute (W + s B A') x where peft computes W x + s B (A' x). Return their names.

    Of a layer of d_in inputs, d_out outputs and rank r, a step then takes 6 d_in d_out operations per token,
    instead of 4 d_in d_out + 6 r (d_in + d_out). That is less where r is large for the width, as in a small
    model. (A linear layer takes 2 d_in d_out for its output, as many for the gradient of its input, and as
    many again for that of its weight. A frozen weight needs the last one only in the first form.) The
    product B A' is computed anew in every pass. A few hundred tokens make up for it.

    Values and gradients are the same up to rounding. Layers stay as they are where peft's form is shorter,
    and where W is not a float32 matrix of its own: in 4 bits, in half precision, or with dropout or DoRA.
    """
    changed = []
    for name, layer in model.named_modules():
        if hasattr(layer, "lora_A") and is_shorter_at_once(layer):
            layer.forward = partial(forward_at_once, layer, layer.forward)
            changed.append(name)
    return changed


def is_shorter_at_once(layer: Any) -> bool:
    """Return whether `compute_at_once` changes a layer."""
    linear = getattr(layer, "base_layer", None)
    if type(linear) is not torch.nn.Linear or linear.weight.dtype is not torch.float32:
        return False
    if list(layer.lora_A) != ["default"] or layer.use_dora["default"]:
        return False
    if not isinstance(layer.lora_dropout["default"], torch.nn.Identity):
        return False
    rank: int = layer.r["default"]
    operations_of_peft = 6 * rank * (linear.in_features + linear.out_features)
    operations_at_once = 2 * linear.in_features * linear.out_features
    return operations_at_once < operations_of_peft


def forward_at_once(layer: Any, forward_of_peft: Any, inputs: Any) -> Any:
    """Return the outputs (..., d_out) of an adapted layer for inputs (..., d_in)."""
    if layer.disable_adapters or layer.merged:
        return forward_of_peft(inputs)
    linear = layer.base_layer
    down = layer.lora_A["default"].weight  # A' (r, in)
    up = layer.lora_B["default"].weight  # B (out, r)
    scale = layer.scaling["default"]  # s
    weight = torch.addmm(linear.weight, up, down, alpha=scale)  # (out, in)
    return torch.nn.functional.linear(inputs, weight, linear.bias)
