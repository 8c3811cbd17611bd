"""A reward model: a frozen sentence encoder, and a linear head on what it says of question and answer.

The vectors of question and answer, q and a, have length 1. The head sees

    φ(q, a) = [a, q ∘ a, |q − a|]

so the answer alone, and how it lies to the question in each dimension. The score is w · φ(q, a). The question
alone is not in φ, because it is the same for both answers of a pair. The head is what `reward` trains.

As a reward, a score becomes `tanh((score − centre) / 2)`, in (-1, 1). The centre is the mean score of the answers
that were trained with, because a Bradley–Terry model fixes differences of scores alone. A bound keeps one answer
from paying more than the truth.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.models.checkpoint import Checkpoint
from stages.core.models.variants import is_left_out
from stages.core.project.errors import ModelError
from stages.core.project.output import write_json
from stages.core.retrieval.encoder import PACKAGED, Encoder, packaged_folder

HEAD = "head.safetensors"
MANIFEST = "manifest.json"
CHECKPOINT = Checkpoint(
    stage="reward",
    example="all-MiniLM-L6-v2, a BERT folder, or a name on the hub such as google-bert/bert-base-chinese",
    needed={
        "configuration": ("config.json",),
        "tokenizer": ("tokenizer.json", "vocab.txt"),
    },
    called="a BERT-family encoder",
    check="that it is a BERT-family model with its tokenizer",
)
Array = NDArray[np.float64]


def problems(model: str, revision: str | None) -> list[str]:
    """Return what is wrong with the settings of an encoder, a line each without the stage's name."""
    if model == PACKAGED:
        return ["revision: the packaged encoder has none; remove it"] if revision else []
    return CHECKPOINT.problems(model, revision)


def encoder_of(model: str, revision: str | None, threads: int, remembers: bool = True) -> Encoder:
    """Return an encoder: the packaged one, a folder, or a hub name at a commit that was fetched before.

    A folder without the settings of sentence-transformers is a plain BERT, whose last states are averaged.
    Raises InputError and ModelError.
    """
    if model == PACKAGED:
        folder = packaged_folder("reward.model")
    else:
        folder = CHECKPOINT.folder_of(model, revision)
    return Encoder.at(folder, threads, remembers)


def features(question: Array, answer: Array) -> Array:
    """Return φ(q, a), of shape (3 · dimensions,)."""
    return np.concatenate([answer, question * answer, np.abs(question - answer)])


class Scorer:
    """A trained reward model."""

    def __init__(self, encoder: Any, weights: Array, centre: float) -> None:
        """`encoder` has `vector(text)`. `weights` has the shape (3 · dimensions,)."""
        self._encoder = encoder
        self._weights = weights
        self._centre = centre
        self._known: dict[str, Array] = {}

    def vector(self, text: str) -> Array:
        """Return the vector of a text, which is kept as long as the scorer."""
        if text not in self._known:
            self._known[text] = self._encoder.vector(text).astype(np.float64)
        return self._known[text]

    def score(self, question: str, answer: str) -> float:
        """Return the score of an answer. Only differences of scores have a meaning."""
        seen = features(self.vector(question), self.vector(answer))
        return float(seen @ self._weights)

    def reward(self, question: str, answer: str) -> float:
        """Return the score as a reward, in (-1, 1)."""
        return math.tanh((self.score(question, answer) - self._centre) / 2)


def save(folder: Path, weights: Array, centre: float, manifest: dict[str, Any]) -> None:
    """Write head and manifest into a folder that exists."""
    from safetensors.numpy import save_file

    tensors = {"centre": np.array([centre], dtype="<f4"), "weights": weights.astype("<f4")}
    save_file(tensors, folder / HEAD)
    write_json(folder / MANIFEST, manifest)


def load(folder: Path, threads: int) -> Scorer:
    """Load what `reward` made.

    Raises ModelError where nothing was trained, the files are damaged, or the encoder is another one. Raises
    InputError where the encoder is not there.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if is_left_out(folder):
        raise ModelError(
            f"{folder}: no reward model was trained, since reward.model is null; write reward.model: {PACKAGED}, "
            "or align.reward.model: 0"
        )
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        tensors = load_file(folder / HEAD)
        model, revision = manifest["model"], manifest["revision"]
        weights = tensors["weights"].astype(np.float64)
        centre = float(tensors["centre"][0])
        expected = (3 * int(manifest["dimensions"]),)
        identity = str(manifest["encoder_sha256"])
    except (OSError, ValueError, KeyError, TypeError, IndexError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"{folder}: cannot be read as a reward model ({reason}); make it with dvc repro reward"
        ) from None
    if weights.shape != expected or not np.isfinite(weights).all():
        raise ModelError(
            f"{folder}: the head has the shape {weights.shape} and not {expected}, or holds no numbers; "
            "make it with dvc repro reward"
        )
    encoder = encoder_of(model, revision, threads, remembers=False)
    if encoder.identity != identity:
        raise ModelError(
            f"{folder}: {encoder.folder} is another encoder than the one that the head was trained on; "
            "run dvc repro --force reward"
        )
    return Scorer(encoder, weights, centre)
