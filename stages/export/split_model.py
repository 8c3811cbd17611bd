"""A model in two parts: the feature extractor and the decision layer, for two devices or two processes.

`features/` is a model folder of its own: the embedding, all layers and the last norm, with the tokenizer. Of a
token it makes a vector. `decision/` holds the output head: of a vector it makes one score per token. Each part
is one safetensors file. Where the head is the embedding (tied), its weights lie in both.

    tokens ──▶ features ──(one vector of float32)──▶ decision ──▶ next token

On one kind of CPU the two parts give the logits of the whole model to the bit: the same products are summed in
the same order. `make` checks this, and refuses a model that does more between its parts than the head.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import ModelError
from stages.core.project.output import write_json
from stages.export import decision

FEATURES = "features"
DECISION = "decision"
MANIFEST = "manifest.json"
CHECKED_TOKENS = 16
"""Tokens on which the parts are compared with the whole."""


def make(source: Path, target: Path) -> None:
    """Write the two parts of a float model folder. Raises ModelError where they are not the whole model."""
    import torch
    from safetensors.torch import save_file

    model, tokenizer = load_causal_lm(source)
    head = model.get_output_embeddings()
    target.mkdir(parents=True)
    model.base_model.save_pretrained(target / FEATURES)
    tokenizer.save_pretrained(target / FEATURES)
    weights = {"weight": head.weight.detach().contiguous()}
    if head.bias is not None:
        weights["bias"] = head.bias.detach().contiguous()
    (target / DECISION).mkdir()
    save_file(weights, target / DECISION / decision.WEIGHTS)
    vocabulary, width = head.weight.shape
    write_json(
        target / MANIFEST,
        {"width": width, "vocabulary": vocabulary, "tied": head.weight is embedding_of(model)},
    )

    ids = torch.arange(CHECKED_TOKENS)[None] % vocabulary  # (1, T)
    features = load_features(target)
    layer = decision.load(target / DECISION)
    with torch.inference_mode():
        whole = model(input_ids=ids).logits
        parts = layer(features(input_ids=ids).last_hidden_state)
    if not torch.equal(whole, parts):
        difference = float((whole - parts).abs().max())
        raise ModelError(
            f"export: split: the two parts do not give the logits of the whole model (they differ by up to "
            f"{difference:.3g}); {type(model).__name__} does more than the head behind its last layer; take split out "
            "of export.formats"
        )


def embedding_of(model: Any) -> Any:
    """Return the weights of the input embedding."""
    return model.get_input_embeddings().weight


def load_features(folder: Path) -> Any:
    """Load the feature extractor of a split folder, in float32 and eval mode."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(
        folder / FEATURES,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
    )
    return model.eval()


@contextmanager
def decision_process(folder: Path, threads: int) -> Iterator["RemoteDecision"]:
    """Start the decision layer of a split folder as a process of its own, and yield a connection to it."""
    command = [sys.executable, "-m", "stages.export.serve_decision", str(folder / DECISION)]
    command += ["--threads", str(threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise ModelError(
                    f"export: split: the process of {folder / DECISION} ended before it listened"
                )
            address = json.loads(line)
            with socket.create_connection((address["host"], address["port"])) as connection:
                yield RemoteDecision(connection)
        finally:
            process.terminate()


class RemoteDecision:
    """The decision layer behind a socket."""

    def __init__(self, connection: socket.socket) -> None:
        # Without a delay: requests are small, and each waits for the answer to the last.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection

    def token(self, vector: Any) -> int:
        """Return the likeliest token for a vector of float32 (width)."""
        decision.send_vector(self.connection, vector)
        return decision.receive_token(self.connection)


class SplitDecoder:
    """The feature extractor here, with its key-value cache, and the decision layer elsewhere."""

    def __init__(self, folder: Path, remote: RemoteDecision) -> None:
        self.features = load_features(folder)
        self.remote = remote
        self.cache: Any = None

    def first(self, prompt: list[int]) -> int:
        """Read a prompt with an empty cache."""
        self.cache = None
        return self._read(prompt)

    def following(self, token: int) -> int:
        """Read one more token."""
        return self._read([token])

    def _read(self, tokens: list[int]) -> int:
        import torch

        with torch.inference_mode():
            output = self.features(
                input_ids=torch.tensor([tokens]), past_key_values=self.cache, use_cache=True
            )
        self.cache = output.past_key_values
        return self.remote.token(output.last_hidden_state[0, -1].numpy())
