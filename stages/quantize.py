"""quantize: the tuned model and the student in INT8, complete folders that load without the float file.

In: base, adapter of train, student of distill. Out: `train/` and `student/`, each with config, safetensors
and tokenizer; metrics `quantize.json`.

The weights of every linear layer become 8-bit integers with one float scale per output row (torchao,
symmetric). With `weight_only`, activations stay float, which costs hardly any accuracy. Embeddings, norms
and the output head keep their precision: with tied embeddings the head is the embedding.
"""

import json
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.core.models.causal_lm import load_causal_lm
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
    """Quantize both models into `out`."""
    seed_torch(run.seed, run.threads)
    with replacing(out) as folder:
        sizes = {
            "train": quantize(params, base / "model", train / "adapter", folder / "train"),
            "student": quantize(params, distill, None, folder / "student"),
        }
    write_json(metrics, sizes)
    for name, size in sizes.items():
        print(f"quantize: {name}: {size['bytes']:,} bytes, {size['share']:.3f} of float32")


def quantize(params: Params, source: Path, adapter: Path | None, target: Path) -> dict[str, Any]:
    """Save the INT8 form of one model; return its bytes and their share of the float32 bytes."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig
    from transformers import AutoModelForCausalLM, TorchAoConfig

    schemes = {
        "weight_only": Int8WeightOnlyConfig,
        "dynamic": Int8DynamicActivationInt8WeightConfig,
    }
    scheme = schemes[params.scheme]()
    with tempfile.TemporaryDirectory() as merged:
        model, tokenizer = load_causal_lm(source, adapter, merge=adapter is not None)
        model.save_pretrained(merged)
        quantized = AutoModelForCausalLM.from_pretrained(
            merged, quantization_config=TorchAoConfig(scheme)
        )
    quantized.save_pretrained(target)
    tokenizer.save_pretrained(target)
    size = 0
    for path in sorted(target.glob("*.safetensors")):
        sort_metadata(path)
        size += path.stat().st_size
    float32_bytes = model.num_parameters() * 4
    return {
        "bytes": size,
        "float32_bytes": float32_bytes,
        "share": round(size / float32_bytes, 4),
    }


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
