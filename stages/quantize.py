"""quantize: the tuned model and the student in INT8, complete folders that load without the float file.

In: base, adapter of train, student of distill. Out: `train/` and `student/`, each with config, safetensors and
tokenizer; metrics `quantize.json`.

The weights of every linear layer become 8-bit integers with one float scale per output row (torchao, symmetric,
weight-only: activations stay float, which costs no accuracy to speak of). Embeddings, norms and the output head keep
their precision: with tied embeddings the head is the embedding.
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

    scheme: Literal["weight_only", "dynamic"]
    """`weight_only`: INT8 weights, float activations; `dynamic`: activations are rounded to INT8 too while running."""


def run(
    params: Params, run: Run, base: Path, train: Path, distill: Path, out: Path, metrics: Path
) -> None:
    """Quantize both models into `out`."""
    seed_torch(run.seed, run.threads)
    sources = {"train": (base / "model", train / "adapter"), "student": (distill, None)}
    sizes = {}
    with replacing(out) as folder:
        for name, (source, adapter) in sources.items():
            sizes[name] = quantize(params, source, adapter, folder / name)
    write_json(metrics, sizes)
    for name, size in sizes.items():
        print(f"quantize: {name}: {size['bytes']:,} bytes, {size['share']:.3f} of float32")


def quantize(params: Params, source: Path, adapter: Path | None, target: Path) -> dict[str, Any]:
    """Save the INT8 form of one model; return its bytes and their share of the float32 bytes."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig
    from transformers import AutoModelForCausalLM, TorchAoConfig

    scheme = (
        Int8WeightOnlyConfig()
        if params.scheme == "weight_only"
        else Int8DynamicActivationInt8WeightConfig()
    )
    with tempfile.TemporaryDirectory() as merged:
        model, tokenizer = load_causal_lm(source, adapter, merge=adapter is not None)
        model.save_pretrained(merged)
        rounded = AutoModelForCausalLM.from_pretrained(
            merged, quantization_config=TorchAoConfig(scheme)
        )
    rounded.save_pretrained(target)
    tokenizer.save_pretrained(target)
    for path in sorted(target.glob("*.safetensors")):
        sort_metadata(path)
    size = sum(path.stat().st_size for path in target.glob("*.safetensors"))
    return {
        "bytes": size,
        "float32_bytes": model.num_parameters() * 4,
        "share": round(size / model.num_parameters() / 4, 4),
    }


def sort_metadata(path: Path) -> None:
    """Rewrite a safetensors file with sorted metadata.

    The library writes them in the random order of a hash map, so that equal models would be different bytes. The
    format: 8 bytes little-endian header length, the header as JSON padded with spaces, the tensors (safetensors format,
    v0.4).
    """
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors stay aligned to eight bytes
    with replacing(path) as temporary:
        temporary.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
