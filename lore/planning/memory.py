"""Memory that tuning a model takes on one device, computed from its config.json alone.

Parameters are counted on the meta device, so no weights are needed.

Weights, gradients, optimizer. A step with Adam keeps 16 bytes per trained parameter. In mixed
precision these are 2 for the weight, 2 for its gradient and 12 for the float32 copy, mean and
variance. In float32 they are 4, 4 and 8. With N processes a ZeRO stage gives each the N-th part of
what the optimizer keeps (stage 1), also of the gradients (stage 2), also of the weights, frozen ones
too (stage 3). Source: Rajbhandari et al. 2020, arXiv 1910.02054, section 5. `fsdp2` spreads the frozen weights
alone. Embeddings and head, and two layers at a time, are whole on each process meanwhile.

LoRA trains float32 adapters and keeps the weights in the type of `train.precision` (Hu et al. 2021,
arXiv 2106.09685). QLoRA keeps the linear layers in 4 bits and 0.127 bits of constants (Dettmers et al.
2023, arXiv 2305.14314, section 3) and all others in that type. The fused experts of a mixture are no
linear layers, so they are among the others.

Activations. They follow Korthikanti et al. 2022 (arXiv 2205.05198, section 4), "what the backward
pass needs", for a layer with gated MLP, grouped or latent attention by a fused kernel (no term in the
square of the length) and no dropout. Per token a layer keeps inputs and outputs of both norms,
queries, keys, values, the attention's output, and four times the MLP's width. With checkpointing
each layer keeps its input, and one whole layer is recomputed at a time. A step may be shared by
micro-batches (`train.rows_per_device`). The activations of one of them are kept at a time.

Logits come on top, with their copies in the loss. With small layers and a large vocabulary they are
the largest part.

Curvature. Elastic weight consolidation measures it before the first step, with the outputs and
gradients of all adapted layers at once and without checkpointing. It counts where it takes more than
a step. The factors of layers wider than `train.ewc.widest` are diagonals.

DeepSpeed's own buffers and rows longer than `max_tokens` are not counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError

FULL = "full"
LORA = "LoRA"
QLORA = "QLoRA"
METHODS = (FULL, LORA, QLORA)
ZERO_STAGES = {"ddp": 0, "zero1": 1, "zero2": 2, "zero3": 3, "fsdp2": 0}
"""What DeepSpeed shards, by the ways to share a step (train.share). With one process, `ddp` is no sharing."""
SHARES = tuple(ZERO_STAGES)
FOUR_BITS = (4 + 0.127) / 8
"""Bytes of a weight in QLoRA's NF4 with double quantisation."""
ADAM_32 = (4.0, 4.0, 8.0)
ADAM_16 = (2.0, 2.0, 12.0)
"""Bytes per trained parameter of the weight, its gradient, and what the optimizer keeps."""


@dataclass(frozen=True)
class Model:
    """The numbers of a model that decide its memory."""

    name: str
    parameters: int
    linear: int
    """Weights of linear layers except the output head. QLoRA keeps these in 4 bits."""
    adapter: int
    """Parameters of the LoRA adapter."""
    per_token: tuple[int, ...]
    """Elements that each layer keeps per token for the backward pass."""
    hidden: int
    vocabulary: int
    factors: int
    """Elements of the curvature's factors A and G over all adapted layers (stages/train/curvature.py)."""
    root_seconds: float
    """Seconds that the inverse roots of these factors take on this machine, at most."""
    outputs: int
    """Widths of the outputs of all adapted layers."""


@dataclass(frozen=True)
class Settings:
    """The settings of a run that decide its memory.

    Every row counts as `max_tokens` long, so the result is an upper bound.
    """

    rows: int
    """Rows that a process shows the model at once: a micro-batch."""
    max_tokens: int
    mixed: bool
    """Whether activations and frozen weights have 16 bits. Else they have 32."""
    curvature_rows: int
    """Rows in which elastic weight consolidation measures the curvature at once. 0: it does not."""
    processes: int = 1
    gaps: float = 1.0
    """Memory of a process divided by that of its tensors.

    Measured on a CPU: 1.4 to 3.0, since glibc keeps freed blocks.
    """


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
        """Bytes at the peak: while the curvature is measured, or in a step."""
        step = self.gradients + self.optimizer + self.activations + self.logits
        return round(self.weights + self.factors + max(step, self.measuring))


def need(model: Model, run: Settings, method: str, checkpointing: bool, share: str) -> Need:
    """Return the bytes that a step takes on each device. `share` is one of `SHARES`."""
    # Each ZeRO stage divides one part more among the processes.
    zero = ZERO_STAGES[share]
    weights_share = run.processes if zero >= 3 else 1
    gradients_share = run.processes if zero >= 2 else 1
    optimizer_share = run.processes if zero >= 1 else 1

    # Bytes of weights that are not trained, and number of parameters that are.
    element = 2 if run.mixed else 4  # bytes of an activation, and of a frozen weight
    if method == FULL:
        frozen = 0.0
        trained = model.parameters
    elif method == LORA:
        frozen = float(model.parameters * element)
        trained = model.adapter
    else:
        others = model.parameters - model.linear
        frozen = model.linear * FOUR_BITS + others * element
        trained = model.adapter
    if share == "fsdp2" and run.processes > 1:
        gathered = gathered_parameters(model) * element
        frozen = min(frozen, frozen / run.processes + gathered)
    mixed = method == FULL and run.mixed  # adapters are float32 whatever the activations are
    weight, gradient, adam = ADAM_16 if mixed else ADAM_32

    tokens = run.rows * run.max_tokens
    all_layers = sum(model.per_token)
    kept = all_layers
    if checkpointing:
        kept = model.hidden * len(model.per_token) + max(model.per_token)
    # Three copies in the type of the activations, and two float32 ones in the loss.
    logits_of_token = model.vocabulary * (3 * element + 8)

    factors = 0
    measuring = 0.0
    if run.curvature_rows and method != FULL:
        # Without ZeRO the optimizer steps by the factors' inverse roots, kept beside the factors.
        copies = 2 if zero == 0 else 1
        factors = 4 * model.factors * copies
        measured_tokens = run.curvature_rows * run.max_tokens
        outputs_of_token = (all_layers + model.outputs) * element
        measuring = measured_tokens * (outputs_of_token + logits_of_token) * run.gaps

    return Need(
        weights=(frozen + weight * trained) / weights_share,
        gradients=gradient * trained / gradients_share,
        optimizer=adam * trained / optimizer_share,
        activations=tokens * kept * element * run.gaps,
        logits=tokens * logits_of_token * run.gaps,
        factors=float(factors),
        measuring=measuring,
    )


def gathered_parameters(model: Model) -> int:
    """Return the parameters that are whole on a process with `fsdp2`: embeddings and head, and two layers."""
    ends = min(model.parameters, 2 * model.vocabulary * model.hidden)
    of_layer = (model.parameters - ends) // len(model.per_token)
    return ends + 2 * of_layer


def model_of(folder: Path, lora: Any, widest: int | None, device: str = "cpu") -> Model:
    """Read config.json of a folder and count its parameters.

    `lora` is the section train.lora, `widest` is train.ewc.widest, and `device` the one that is tried for the
    time of an inverse root.

    Raises InputError where there is no config.json that transformers knows, ModelError where the
    target modules do not fit.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from stages.train import add_adapter, lora_layers, widths_of
    from stages.train.curvature import foretold

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{folder}: no config.json of a causal language model ({reason}); "
            "name its folder with --config"
        ) from None
    # All of these are counted before the adapter is added, which changes the model.
    head = model.get_output_embeddings()
    linear = 0
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear) and layer is not head:
            linear += layer.weight.numel()
    parameters = model.num_parameters()
    with torch.device("meta"):
        adapted = add_adapter(model, lora, 0)
    trained, _ = adapted.get_nb_trainable_parameters()
    widths = widths_of(lora_layers(adapted))
    cost = foretold(widths, widest, device)
    return Model(
        name=f"{folder} ({config.model_type})",
        parameters=parameters,
        linear=linear,
        adapter=trained,
        per_token=tuple(kept_per_token(config)),
        hidden=config.hidden_size,
        vocabulary=config.vocab_size,
        factors=cost.numbers,
        root_seconds=cost.seconds,
        outputs=sum(width_out for _, width_out in widths),
    )


def kept_per_token(config: Any) -> Iterator[int]:
    """Yield the elements that each layer keeps per token for the backward pass."""

    def size_of(name: str, default: int = 0) -> int:
        """Return a size of the config. Absent, null and 0 all mean the default."""
        return getattr(config, name, None) or default

    hidden = config.hidden_size
    heads = config.num_attention_heads
    latent = size_of("kv_lora_rank")
    if latent:  # multi-head latent attention (DeepSeek-V2)
        query = size_of("qk_nope_head_dim") + size_of("qk_rope_head_dim")
        value = size_of("v_head_dim")
        # Queries and keys, values and outputs, and twice both latent vectors.
        attention = heads * (2 * query + 2 * value) + 2 * (latent + size_of("q_lora_rank"))
    else:
        head_size = size_of("head_dim", hidden // heads)
        groups = size_of("num_key_value_heads", heads)
        # Queries and outputs of every head, keys and values of every group.
        attention = head_size * (2 * heads + 2 * groups)

    experts = size_of("n_routed_experts") or size_of("num_experts")
    dense_width = size_of("intermediate_size", 4 * hidden)
    expert_width = size_of("moe_intermediate_size", dense_width)
    active = size_of("num_experts_per_tok", 1) + size_of("n_shared_experts")
    first_mixture = size_of("first_k_dense_replace")
    for number in range(config.num_hidden_layers):
        width = dense_width
        if experts and number >= first_mixture:
            width = expert_width * active
        yield 4 * hidden + attention + 4 * width
