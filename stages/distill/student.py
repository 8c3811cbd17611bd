"""The student before it is taught: some of the teacher's layers, narrower MLPs, or a smaller checkpoint.

A student of the teacher's own weights starts near the teacher, so little has to be taught again.
Dropping layers is the coarser cut. Narrowing MLPs keeps every layer, and what the removed channels gave
is passed to the kept ones by least squares (`narrowed`).

Refused: a number of layers that the teacher does not have, a width for MLPs that are experts, a
checkpoint whose vocabulary is another one.
"""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import ModelError, ParamsError

RIDGE = 0.01
"""Added to the diagonal of the channels' second moments, as a share of its mean, so that they have an
inverse."""
MOST_NAMED = 3
"""Tokens that a message names."""


def student_of(teacher: Any, layers: int) -> Any:
    """Return a trainable copy of the teacher with `layers` of its layers, evenly spaced from first to last.

    Raises ParamsError for a number of layers that the teacher does not have.
    """
    total = teacher.config.num_hidden_layers
    if not 1 <= layers <= total:
        raise ParamsError(
            f"distill.layers: the teacher has {total} layers, got {layers}; write a number from 1 to "
            f"{total}, or null for no student"
        )
    student = copy.deepcopy(teacher).requires_grad_(True)
    kept = kept_layers(total, layers)
    layer_list = type(student.model.layers)
    student.model.layers = layer_list([student.model.layers[number] for number in kept])
    for index, layer in enumerate(student.model.layers):
        layer.self_attn.layer_idx = index  # where the cache keeps its keys and values
    config = student.config
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[number] for number in kept]
    # DeepSeek-V2 and V3: the first layers are dense, and the others have experts. As many of the kept
    # layers are dense as were among them.
    dense = getattr(config, "first_k_dense_replace", None)
    if dense is not None:
        config.first_k_dense_replace = sum(number < dense for number in kept)
    return student


def kept_layers(total: int, layers: int) -> list[int]:
    """Return the numbers of the layers that are kept: of 7 layers 3 are 0, 3 and 6. One alone is the first."""
    gaps = max(1, layers - 1)
    return [round(i * (total - 1) / gaps) for i in range(layers)]


def narrowed(student: Any, share: float, batches: Iterable[dict[str, Any]]) -> Any:
    """Keep a share of the channels of every MLP, and return the student.

    An MLP is down(h) with h = act(gate(x)) * up(x), one number per channel. `batches` are inputs of the
    model with `input_ids` and `attention_mask` (B, T), on which h is looked at. With C = Σ h hᵀ over their
    tokens, removing channel j costs at least |down[:, j]|² / C⁻¹[j, j], as in the Optimal Brain Surgeon
    (Hassibi & Stork 1993). The costliest channels are kept (set K). The new `down` is the least-squares
    fit of the old output by the kept channels: down' = down C[:, K] C[K, K]⁻¹.

    Raises ParamsError for a share outside (0, 1], and for a model whose MLPs are experts.
    """
    if not 0 < share <= 1:
        raise ParamsError(f"distill.width: got {share}; write a share above 0 and up to 1, or null")
    mlps = [layer.mlp for layer in student.model.layers]
    if not all(hasattr(mlp, "down_proj") for mlp in mlps):
        raise ParamsError(
            f"distill.width: the MLPs of this model ({student.config.model_type}) are mixtures of experts, "
            "which are not narrowed; write null, and fewer layers"
        )
    kept_count = max(1, round(student.config.intermediate_size * share))
    for mlp, moments in zip(mlps, second_moments(student, mlps, batches), strict=True):
        narrow_mlp(mlp, moments, kept_count)
    student.config.intermediate_size = kept_count
    return student


def second_moments(model: Any, mlps: list[Any], batches: Iterable[dict[str, Any]]) -> list[Any]:
    """Return C = Σ h hᵀ (channels, channels) in float64 for each MLP, over all tokens that are no padding."""
    import torch

    moments: list[Any] = [0.0] * len(mlps)
    shown: Any = None

    def watch(number: int) -> Any:
        def hook(_: Any, inputs: Any) -> None:
            hidden = inputs[0][shown].double()  # (N, channels)
            moments[number] = moments[number] + hidden.T @ hidden

        return hook

    hooks = []
    for number, mlp in enumerate(mlps):
        hooks.append(mlp.down_proj.register_forward_pre_hook(watch(number)))
    was_training = model.training
    model.eval()
    for batch in batches:
        shown = batch["attention_mask"].bool()  # (B, T)
        with torch.no_grad():
            model(**batch)
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return moments


def narrow_mlp(mlp: Any, moments: Any, kept_count: int) -> None:
    """Keep `kept_count` channels of one MLP. `moments` (channels, channels) is C of `narrowed`."""
    import torch

    down = mlp.down_proj.weight.detach().double()  # (H, channels)
    ridge = RIDGE * moments.diagonal().mean()
    moments = moments + ridge * torch.eye(len(moments), dtype=moments.dtype, device=moments.device)
    costs = down.square().sum(0) / torch.linalg.inv(moments).diagonal()  # (channels,)
    # Sorted, so that kept channels stay in their order.
    kept = costs.topk(kept_count).indices.sort().values
    fitted = torch.linalg.solve(moments[kept][:, kept], moments[kept] @ down.T).T  # (H, kept)
    for projection in (mlp.gate_proj, mlp.up_proj):
        replace(projection, "weight", projection.weight.detach()[kept])
        if projection.bias is not None:
            replace(projection, "bias", projection.bias.detach()[kept])
        projection.out_features = kept_count
    replace(mlp.down_proj, "weight", fitted.to(mlp.down_proj.weight.dtype))
    mlp.down_proj.in_features = kept_count
    if hasattr(mlp, "intermediate_size"):
        mlp.intermediate_size = kept_count


def replace(layer: Any, name: str, values: Any) -> None:
    """Give a layer a parameter of another shape."""
    import torch

    trainable = getattr(layer, name).requires_grad
    setattr(layer, name, torch.nn.Parameter(values.contiguous(), requires_grad=trainable))


def started_from(folder: Path, teacher: Any, tokenizer: Any, device: str) -> Any:
    """Return the student that starts from a smaller checkpoint of the teacher's family, in float32.

    Its distribution is compared with the teacher's token by token, so both must have one vocabulary.
    Raises ModelError where they differ.
    """
    if not folder.is_dir():
        raise ModelError(
            f"distill.start: {folder}: no such folder; write the path of a checkpoint, or layers"
        )
    student, own_tokenizer = load_causal_lm(folder, device=device)
    compare_vocabularies(folder, tokenizer.get_vocab(), own_tokenizer.get_vocab())
    sizes = [model.get_output_embeddings().weight.shape[0] for model in (teacher, student)]
    if sizes[0] != sizes[1]:
        # Checkpoints of one family are padded to different numbers of rows. Those have no token.
        student.resize_token_embeddings(sizes[0], mean_resizing=False)
    return student.requires_grad_(True)


def compare_vocabularies(folder: Path, teachers: dict[str, int], own: dict[str, int]) -> None:
    """Raise ModelError where a token of one vocabulary is missing in the other, or has another id."""
    differing = []
    for token in sorted(teachers.keys() | own.keys()):
        if teachers.get(token) != own.get(token):
            differing.append(token)
    if not differing:
        return
    examples = []
    for token in differing[:MOST_NAMED]:
        examples.append(f"{token!r} is {teachers.get(token)} there and {own.get(token)} here")
    raise ModelError(
        f"distill.start: {folder} has another vocabulary than the teacher: {len(differing)} tokens differ "
        f"({'; '.join(examples)}); take a checkpoint of the teacher's family, or write start: layers"
    )
