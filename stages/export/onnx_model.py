"""ONNX with a key-value cache: written by the model builder of onnxruntime-genai, run by onnxruntime.

The builder writes `model.onnx` (the graph), `model.onnx.data` (the weights), `genai_config.json` for
onnxruntime-genai, and the tokenizer. Two builds give equal bytes.

`onnx` has float32 weights. `onnx_int8` has INT8 weights in blocks of 32, each with a float scale (MatMulNBits).
Activations become INT8 while running (accuracy level 4), so that the products are sums of integers. The embedding
stays float.

onnxruntime chooses its kernels by the CPU. `run.isa` does not reach it, so another kind of CPU may change the last
bits of a logit, and rarely an answer. The files do not depend on the CPU.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stages.core.project.errors import ModelError
from stages.export.files import architecture_of

PRECISIONS = {"onnx": "fp32", "onnx_int8": "int8"}
"""The builder's name of the precision, by format."""
LIBRARIES = ("onnx", "onnx_ir", "onnxruntime", "onnxruntime_genai", "onnxscript")
ARCHITECTURES = ("LlamaForCausalLM", "Qwen2ForCausalLM")
"""Those that were built and compared with torch (docs/export.md). The builder knows more."""
HEAD_UNIT = 16
"""onnxruntime 1.32 refuses a head whose width is no multiple of this, when it runs the file."""


def problems(folder: Path) -> list[str]:
    """Return why the model in a folder cannot be exported, and what to do."""
    found = []
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        found.append(
            f'{names} not installed; pip install "lorekeep[export]", or take the format out'
        )
    architecture = architecture_of(folder)
    if architecture not in ARCHITECTURES:
        found.append(
            f"no export for {architecture}, only for {', '.join(ARCHITECTURES)}; write [split] instead"
        )
        return found
    width = width_of_head(folder)
    if width % HEAD_UNIT != 0:
        found.append(
            f"a head is {width} wide, and onnxruntime's attention takes multiples of {HEAD_UNIT}; write [split] "
            "or a GGUF format instead"
        )
    return found


def width_of_head(folder: Path) -> int:
    """Return how many numbers of a token one attention head sees, by config.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    said = config.get("head_dim")
    return int(said or config["hidden_size"] // config["num_attention_heads"])


def make(source: Path, target: Path, precision: str) -> None:
    """Build the ONNX model of a float model folder. Raises ModelError with the builder's last line."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
        command += ["-i", str(source), "-o", str(target), "-p", precision, "-e", "cpu", "-c", cache]
        # The builder would send a token to the hub, and run code of a model that asks for it.
        command += ["--extra_options", "hf_token=false", "hf_remote=false"]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
        built = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    if built.returncode != 0 or not (target / "model.onnx").is_file():
        lines = built.stderr.strip().splitlines() or ["it says nothing"]
        raise ModelError(
            f"export: the builder of onnxruntime-genai could not build the model ({lines[-1]}); take the format "
            "out of export.formats, or install the versions of requirements.lock"
        )


class OnnxDecoder:
    """A session of onnxruntime, and the keys and values of what was read."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 3  # errors
        self.session = onnxruntime.InferenceSession(
            folder / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        config = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
        decoder = config["model"]["decoder"]
        # batch, heads, positions, width of a head
        self.empty = (1, decoder["num_key_value_heads"], 0, decoder["head_size"])
        self.layers = decoder["num_hidden_layers"]
        self.past: dict[str, Any] = {}
        self.length = 0

    def first(self, prompt: list[int]) -> int:
        """Read a prompt with an empty cache."""
        import numpy as np

        self.length = 0
        self.past = {}
        for layer in range(self.layers):
            self.past[f"past_key_values.{layer}.key"] = np.zeros(self.empty, dtype=np.float32)
            self.past[f"past_key_values.{layer}.value"] = np.zeros(self.empty, dtype=np.float32)
        return self._read(prompt)

    def following(self, token: int) -> int:
        """Read one more token."""
        return self._read([token])

    def _read(self, tokens: list[int]) -> int:
        import numpy as np

        self.length += len(tokens)
        inputs = {
            "input_ids": np.array([tokens], dtype=np.int64),
            "attention_mask": np.ones((1, self.length), dtype=np.int64),
        }
        names = ["logits"]
        for layer in range(self.layers):
            names += [f"present.{layer}.key", f"present.{layer}.value"]
        logits, *present = self.session.run(names, inputs | self.past)
        # The keys and values that were returned are the next call's past ones, in the same order.
        self.past = dict(zip(self.past, present, strict=True))
        return int(logits[0, -1].argmax())
