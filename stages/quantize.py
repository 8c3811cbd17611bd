"""quantize: the tuned model and the student in INT8, complete folders that load without the float file.

In: base, adapter of train, student of distill. Out: `train/` and `student/`, each with config, safetensors
and tokenizer, and `manifest.json`; metrics `quantize.json`. Without a student (`distill.layers: null`)
there is `train/` alone. The manifest and the metrics say what share of the bytes became 8-bit integers,
and what stayed float.

The weights of every linear layer become 8-bit integers with one float scale per output row (torchao,
symmetric). With `weight_only`, activations stay float, which costs hardly any accuracy. Embeddings, norms,
the output head and fused experts keep their precision. With tied embeddings the head is the embedding.
Fused experts are one weight for all experts and no linear layer, so torchao does not see them.
"""

import json
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.core.models import variants
from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.model_folder import save_causal_lm
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.repeatable.seeding import seed_torch


@dataclass(frozen=True, config=STRICT)
class Params:
    """How weights are rounded."""

    scheme: Literal["weight_only", "dynamic"] = "weight_only"
    """`weight_only`: INT8 weights, float activations. `dynamic`: activations become INT8 too while running,
    which is faster where the CPU has integer kernels, and a little less exact."""


def run(
    params: Params, run: Run, base: Path, train: Path, distill: Path, out: Path, metrics: Path
) -> None:
    """Quantize the tuned model, and the student where there is one, into `out`."""
    seed_torch(run.seed, run.threads)
    with replacing(out) as folder:
        sizes = {"train": quantize(params, base / "model", train / "adapter", folder / "train")}
        if not variants.is_left_out(distill):
            sizes["student"] = quantize(params, distill, None, folder / "student")
        write_json(folder / "manifest.json", {"scheme": params.scheme, "models": sizes})
    write_json(metrics, sizes)
    for name, size in sizes.items():
        shares = ", ".join(f"{kind} {share:.3f}" for kind, share in size["shares"].items())
        print(
            f"quantize: {name}: {size['bytes']:,} bytes, {size['share']:.3f} of float32; shares: {shares}"
        )


def quantize(params: Params, source: Path, adapter: Path | None, target: Path) -> dict[str, Any]:
    """Save the INT8 form of one model.

    Return its bytes, their share of the float32 bytes, and the shares of `shares_of_bytes`.
    """
    import torch
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig
    from transformers import AutoModelForCausalLM, TorchAoConfig

    schemes = {
        "weight_only": Int8WeightOnlyConfig,
        "dynamic": Int8DynamicActivationInt8WeightConfig,
    }
    scheme = schemes[params.scheme]()
    with tempfile.TemporaryDirectory() as merged:
        model, tokenizer = load_causal_lm(source, adapter, merge=adapter is not None)
        save_causal_lm(model, tokenizer, Path(merged))
        quantized = AutoModelForCausalLM.from_pretrained(
            merged,
            quantization_config=TorchAoConfig(scheme),
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
        )
    save_causal_lm(quantized, tokenizer, target)
    size = 0
    for path in sorted(target.glob("*.safetensors")):
        sort_metadata(path)
        size += path.stat().st_size
    float32_bytes = model.num_parameters() * 4
    return {
        "bytes": size,
        "float32_bytes": float32_bytes,
        "share": round(size / float32_bytes, 4),
        "shares": shares_of_bytes(quantized),
    }


def shares_of_bytes(model: Any) -> dict[str, float]:
    """Return the shares of the model's bytes: `int8`, and the kinds of weights that stayed float.

    A weight with two names, such as the embedding that is the head, counts once, under the first. Scales
    are counted with the INT8 weights that they belong to.
    """
    from torchao.utils import TorchAOBaseTensor

    embedding = model.get_input_embeddings().weight
    head = model.get_output_embeddings().weight
    sizes: dict[str, int] = {}
    for weight in model.parameters():
        size = weight.numel() * weight.element_size()
        if isinstance(weight, TorchAOBaseTensor):
            kind = "int8"
            # One byte per weight, and a float32 scale per row.
            size = weight.numel() + 4 * weight.shape[0]
        elif weight is embedding:
            kind = "embeddings"
        elif weight is head:
            kind = "head"
        elif weight.dim() == 3:  # (experts, out, in)
            kind = "fused experts"
        else:
            kind = "others"
        sizes[kind] = sizes.get(kind, 0) + size
    total = sum(sizes.values())
    return {kind: round(size / total, 4) for kind, size in sizes.items()}


def sort_metadata(path: Path) -> None:
    """Rewrite a safetensors file with sorted metadata.

    The library writes them in the random order of a hash map, so that equal models would be different
    bytes. The format (safetensors v0.4): 8 bytes with the header's length, little-endian; the header as
    JSON, padded with spaces; the tensors.
    """
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    tensors = content[8 + length :]
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    # Tensors must stay aligned to eight bytes: a header of 13 bytes gets 3 spaces.
    padding = -len(text) % 8
    text += b" " * padding
    with replacing(path) as temporary:
        temporary.write_bytes(len(text).to_bytes(8, "little") + text + tensors)
