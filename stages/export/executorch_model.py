"""ExecuTorch: one program file for phones and small devices, run by XNNPACK on their CPU.

`model.pte` holds the graph with its key-value cache, and the weights. It takes tokens (1, N) and their positions (N,),
and gives scores (1, N, vocabulary). It answers what ExecuTorch's runners ask of a program: end tokens, longest
context, layers. The tokenizer lies beside it. Two builds give equal bytes.

`pte` has float32 weights. `pte_8da8w` has INT8 weights, one scale for each output of a layer, and activations that
become INT8 while running, one scale for each token. The embedding stays float.

The cache has a fixed size, so the context is at most CONTEXT tokens, whatever the model could read.
"""

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stages.core.models.causal_lm import end_tokens, load_causal_lm
from stages.core.project.errors import ModelError
from stages.export.files import architecture_of

TYPES = ("pte", "pte_8da8w")
PROGRAM = "model.pte"
ARCHITECTURES = ("LlamaForCausalLM", "Qwen2ForCausalLM")
"""Those that were built and compared with torch (docs/export.md)."""
CONTEXT = 2048
"""Longest context of a program, in tokens. A layer's cache takes 8 bytes for each token and channel."""


def problems(folder: Path) -> list[str]:
    """Return why the model in a folder cannot be exported, and what to do."""
    found = []
    if find_spec("executorch") is None:
        found.append(
            'executorch not installed; pip install "lorekeep[executorch]", or take the format out'
        )
    architecture = architecture_of(folder)
    if architecture not in ARCHITECTURES:
        found.append(
            f"no export for {architecture}, only for {', '.join(ARCHITECTURES)}; write [split] instead"
        )
    return found


def context_of(folder: Path) -> int:
    """Return the longest context of the program of a model folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return min(CONTEXT, int(config["max_position_embeddings"]))


def make(source: Path, target: Path, name: str) -> None:
    """Write the program of a float model folder. Raises ModelError where the library cannot make it."""
    context = context_of(source)
    model, tokenizer = load_causal_lm(source)
    if name == "pte_8da8w":
        to_8da8w(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both libraries warn of their own inside
            program = lowered(model, context, said_of(model, tokenizer, context))
    except Exception as error:  # each of many passes raises its own
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"export: {name}: executorch could not build the model ({type(error).__name__}: {reason}); take the "
            "format out of export.formats, or install the version that pyproject.toml names"
        ) from None
    target.mkdir(parents=True)
    (target / PROGRAM).write_bytes(program)
    tokenizer.save_pretrained(target)


def to_8da8w(model: Any) -> None:
    """Give all linear layers INT8 weights by output channel, and INT8 activations by token (dynamic)."""
    import torch
    from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
    from torchao.quantization.granularity import PerAxis

    config = Int8DynamicActivationIntxWeightConfig(
        weight_dtype=torch.int8, weight_granularity=PerAxis(0)
    )
    quantize_(model, config)


def said_of(model: Any, tokenizer: Any, context: int) -> dict[str, Any]:
    """Return what the program says of itself, by the names that ExecuTorch's runners ask for."""
    config = model.config.get_text_config()
    return {
        "get_bos_id": tokenizer.bos_token_id,
        "get_eos_ids": end_tokens(model, tokenizer),
        "get_max_seq_len": context - 1,
        "get_max_context_len": context,
        "get_n_layers": config.num_hidden_layers,
        "get_vocab_size": config.vocab_size,
        "enable_dynamic_shape": True,
        "use_kv_cache": True,
    }


def lowered(model: Any, context: int, said: dict[str, Any]) -> bytes:
    """Trace a model with a cache of `context` tokens, and return the bytes of its program."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from transformers import GenerationConfig
    from transformers.integrations.executorch import TorchExportableModuleWithStaticCache

    model.requires_grad_(False)
    model.generation_config = GenerationConfig(
        use_cache=True,
        cache_implementation="static",
        max_length=context,
        cache_config={"batch_size": 1, "max_cache_len": context},
    )
    with_cache = TorchExportableModuleWithStaticCache(model, 1, context)
    number = torch.export.Dim("tokens", min=1, max=context - 1)
    example = {"input_ids": torch.tensor([[1, 2, 3]]), "cache_position": torch.arange(3)}
    with torch.no_grad():
        traced = torch.export.export(
            with_cache,
            (),
            example,
            dynamic_shapes={"input_ids": {1: number}, "cache_position": {0: number}},
            strict=True,  # otherwise the lowering fails, with torch 2.13 and executorch 1.5
        )
    constants = {name: value for name, value in said.items() if value is not None}
    edge = to_edge_transform_and_lower(
        traced, partitioner=[XnnpackPartitioner()], constant_methods=constants
    )
    program: bytes = edge.to_executorch().buffer
    return program


class PteDecoder:
    """A program in ExecuTorch's runtime. It uses as many threads as the runtime chooses."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library calls its runtime experimental
            from executorch.runtime import Runtime

            self._program = Runtime.get().load_program(folder / PROGRAM)
        self._forward = self._program.load_method("forward")
        self._read_before = 0

    def first(self, prompt: list[int]) -> int:
        """Read a prompt from the first place of the cache on."""
        self._read_before = 0
        return self._read(prompt)

    def following(self, token: int) -> int:
        """Read one more token."""
        return self._read([token])

    def _read(self, tokens: list[int]) -> int:
        import torch

        before = self._read_before
        self._read_before += len(tokens)
        positions = torch.arange(before, self._read_before)
        (scores,) = self._forward.execute([torch.tensor([tokens]), positions])
        return int(scores[0, -1].argmax())
