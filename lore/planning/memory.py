"""Memory that tuning a model takes on one device, from its config.json alone: parameters are counted on the meta device, without
weights.

States of a step with Adam, per trained parameter 16 bytes: in mixed precision 2 for the weight, 2 for its gradient, 12 for
float32 copy, mean and variance; in float32 4, 4 and 8. Of N processes a ZeRO stage gives each the N-th part: stage 1 of what the
optimizer keeps, 2 also of gradients, 3 also of weights, frozen ones too (Rajbhandari et al. 2020, arXiv 1910.02054, section 5).
LoRA trains float32 adapters and keeps the weights as the checkpoint has them (Hu et al. 2021, arXiv 2106.09685). QLoRA keeps the
linear layers in 4 bits and 0.127 bits of constants (Dettmers et al. 2023, arXiv 2305.14314, section 3), all others as they are;
the fused experts of a mixture are no linear layers, and stay.

Activations by the rule of Korthikanti et al. 2022 (arXiv 2205.05198, section 4), "what the backward pass needs", for a layer with
gated MLP, grouped or latent attention by a fused kernel (no term in the square of the length) and no dropout: per token inputs
and outputs of both norms, queries, keys, values, the attention's output, and four times the MLP's width. With checkpointing each
layer's input and one whole layer. The logits come on top, with their copies in the loss: with small layers and a large vocabulary
they are the most. Elastic weight consolidation measures its curvature beforehand, with the outputs and gradients of all adapted
layers at once, never checkpointed: where that takes more than a step, it counts. Of DeepSpeed's own buffers and of rows longer
than `max_tokens` nothing is in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError

FULL, LORA, QLORA = METHODS = ("full", "LoRA", "QLoRA")
ZERO_STAGES = (0, 1, 2, 3)
FOUR_BITS = (4 + 0.127) / 8
"""Bytes of a weight in QLoRA's NF4 with double quantisation."""
ADAM_32, ADAM_16 = (4.0, 4.0, 8.0), (2.0, 2.0, 12.0)
"""Bytes per trained parameter of weight, gradient and what the optimizer keeps."""


@dataclass(frozen=True)
class Model:
    """What of a model decides its memory."""

    name: str
    parameters: int
    linear: int
    """Weights of linear layers but the output head: what QLoRA keeps in 4 bits."""
    adapter: int
    """Parameters of the LoRA adapter."""
    weight_bytes: int
    """Per weight in the checkpoint."""
    per_token: tuple[int, ...]
    """Elements that each layer keeps per token."""
    hidden: int
    vocabulary: int
    factors: int
    """Elements of the curvature's factors A and G over all adapted layers (stages/train/curvature.py)."""
    outputs: int
    """Widths of the outputs of all adapted layers."""


@dataclass(frozen=True)
class Settings:
    """What of a run decides its memory. Rows are taken to be as long as `max_tokens`: an upper bound."""

    rows: int
    """Per step and process."""
    max_tokens: int
    mixed: bool
    """Whether activations are of 16 bits."""
    curvature: bool
    """Whether elastic weight consolidation keeps its factors."""
    processes: int = 1
    gaps: float = 1.0
    """How much more than its tensors a process takes. Measured on a CPU: 1.4 to 2.3, since glibc keeps freed blocks."""


@dataclass(frozen=True)
class Need:
    """Bytes on one device."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    factors: float
    """Of the curvature, kept throughout."""
    measuring: float
    """Activations while the curvature is measured, before there are gradients or an optimizer."""

    @property
    def total(self) -> int:
        """The most at any time."""
        step = self.gradients + self.optimizer + self.activations + self.logits
        return round(self.weights + self.factors + max(step, self.measuring))


def need(model: Model, run: Settings, method: str, checkpointing: bool, zero: int) -> Need:
    """Bytes that a step takes on each device."""
    share = {
        part: run.processes if zero >= stage else 1
        for part, stage in (("optimizer", 1), ("gradients", 2), ("weights", 3))
    }
    trained = model.parameters if method == FULL else model.adapter
    weight, gradient, adam = ADAM_16 if method == FULL and run.mixed else ADAM_32
    frozen = 0.0
    if method == LORA:
        frozen = float(model.parameters * model.weight_bytes)
    elif method == QLORA:
        frozen = model.linear * FOUR_BITS + (model.parameters - model.linear) * min(
            2, model.weight_bytes
        )
    element = 2 if run.mixed else 4
    tokens = run.rows * run.max_tokens
    layers = (
        model.hidden * len(model.per_token) + max(model.per_token)
        if checkpointing
        else sum(model.per_token)
    )
    curved = run.curvature and method != FULL
    # The factors; without ZeRO also their inverse roots, by which the optimizer steps.
    kept = 4 * model.factors * (2 if zero == 0 else 1) if curved else 0
    logits = tokens * model.vocabulary * (3 * element + 8) * run.gaps
    measuring = (
        tokens * (sum(model.per_token) + model.outputs) * min(4, model.weight_bytes) * run.gaps
        + logits
    )
    return Need(
        weights=(frozen + weight * trained) / share["weights"],
        gradients=gradient * trained / share["gradients"],
        optimizer=adam * trained / share["optimizer"],
        activations=tokens * layers * element * run.gaps,
        logits=logits,
        factors=float(kept),
        measuring=measuring if curved else 0.0,
    )


def model_of(folder: Path, lora: Any) -> Model:
    """Read config.json of a folder and count on the meta device; `lora` is the section train.lora.

    Raises InputError where there is no config.json that transformers knows, ModelError where the target modules do not fit.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from stages.train import add_adapter, lora_layers

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        dtype = config.dtype or torch.float32
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{folder}: no config.json of a causal language model ({reason}); name its folder with --config"
        ) from None
    head = model.get_output_embeddings()
    linear = sum(
        layer.weight.numel()
        for layer in model.modules()
        if isinstance(layer, torch.nn.Linear) and layer is not head
    )
    parameters, per_token = model.num_parameters(), tuple(kept_per_token(config))
    with torch.device("meta"):
        adapted = add_adapter(model, lora, 0)
    layers = list(lora_layers(adapted).values())
    return Model(
        name=f"{folder} ({config.model_type})",
        parameters=parameters,
        linear=linear,
        adapter=adapted.get_nb_trainable_parameters()[0],
        weight_bytes=torch.empty(0, dtype=dtype).element_size(),
        per_token=per_token,
        hidden=config.hidden_size,
        vocabulary=config.vocab_size,
        factors=sum(layer.in_features**2 + layer.out_features**2 for layer in layers),
        outputs=sum(layer.out_features for layer in layers),
    )


def kept_per_token(config: Any) -> Iterator[int]:
    """Elements that each layer keeps per token for the backward pass."""

    def of(name: str, default: int = 0) -> int:
        return getattr(config, name, None) or default

    hidden, heads = config.hidden_size, config.num_attention_heads
    size = of("head_dim", hidden // heads)
    if of("kv_lora_rank"):  # multi-head latent attention
        query = of("qk_nope_head_dim") + of("qk_rope_head_dim")
        attention = heads * (2 * query + 2 * of("v_head_dim")) + 2 * (
            of("kv_lora_rank") + of("q_lora_rank")
        )
    else:
        attention = size * (2 * heads + 2 * of("num_key_value_heads", heads))
    experts = of("n_routed_experts") or of("num_experts")
    for number in range(config.num_hidden_layers):
        width = of("intermediate_size", 4 * hidden)
        if experts and number >= of("first_k_dense_replace"):
            width = of("moe_intermediate_size", width) * (
                of("num_experts_per_tok", 1) + of("n_shared_experts")
            )
        yield 4 * hidden + attention + 4 * width
