"""A checkpoint that a stage uses as an engine: what its settings may name, what it must contain, its hash.

It is a folder, or a repository on the hub at a commit that was fetched before: stages fetch no engine.
Only safetensors are loaded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stages.core.models.model_folder import (
    is_pinned,
    pinning_advice,
    sha256_of_files,
    unsafe_weights,
)
from stages.core.project.errors import InputError

FILES = ["*.json", "*.safetensors", "*.txt"]
NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?", re.ASCII)
"""Name of a repository on the hub: openai/whisper-small, or gpt2 without an owner."""
State = tuple[tuple[str, int, int], ...]
"""Name, bytes and time of the last change (ns) of every file of a model.

After a change the model is hashed and loaded anew.
"""


@dataclass(frozen=True)
class Checkpoint:
    """A kind of checkpoint."""

    stage: str
    """The stage that uses it."""
    example: str
    """How to name one: a Whisper folder, or a name on the hub such as openai/whisper-small."""
    needed: Mapping[str, tuple[str, ...]]
    """What it must contain beside its weights, and the files that may be it."""
    called: str
    """What it is loaded as: a Whisper model."""
    check: str
    """What to look at where loading fails."""

    def problems(self, model: str | None, revision: str | None) -> list[str]:
        """Return what is wrong with the settings, and with the files where `model` is a folder."""
        if model is None:
            return [f"model: missing; write the path of {self.example}"]
        folder = Path(model)
        if folder.is_dir():
            problems = []
            if revision is not None:
                problems.append("revision: a folder is pinned by its content; remove it")
            for problem in self.lacking(folder):
                problems.append(f"model: {problem}")
            return problems
        if not NAME.fullmatch(model):
            return [f"model: {model!r} is no folder and no name on the hub; write one of the two"]
        if not is_pinned(revision):
            return [f"revision: {model!r} is no folder, and {pinning_advice(revision)}"]
        return []

    def lacking(self, folder: Path) -> list[str]:
        """Return what is missing in the folder of a checkpoint, and what to do about it."""
        problems = []
        if not any(folder.glob("*.safetensors")):
            others = unsafe_weights(folder)
            but = f" (but {', '.join(others)})" if others else ""
            problems.append(
                f"{folder}: no safetensors here{but}, and weights in other formats are not loaded; "
                "convert the model, or take a revision that has them"
            )
        for name, patterns in self.needed.items():
            if not any((folder / pattern).is_file() for pattern in patterns):
                problems.append(
                    f"{folder}: no {name} here; copy it from where the checkpoint comes from, or, where "
                    "it was trained further, from the one that it began as"
                )
        return problems

    def folder_of(self, model: str, revision: str | None) -> Path:
        """Return the folder of a model. Raises InputError where a file is missing or it was never fetched."""
        folder = Path(model)
        if not folder.is_dir():
            folder = self._fetched_before(model, revision)
        problems = self.lacking(folder)
        if problems:
            raise InputError("\n".join(f"{self.stage}: {problem}" for problem in problems))
        return folder

    def _fetched_before(self, model: str, revision: str | None) -> Path:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            folder = snapshot_download(
                model, revision=revision, allow_patterns=FILES, local_files_only=True
            )
        except (LocalEntryNotFoundError, HFValidationError):
            raise InputError(
                f"{self.stage}: {model} at revision {revision} is not on this machine, and {self.stage} "
                f"fetches nothing; fetch it once: HF_HUB_OFFLINE=0 hf download {model} --revision {revision}"
            ) from None
        return Path(folder)

    def load(self, folder: Path, model: Any, *others: Any) -> list[Any]:
        """Load a model and what belongs to it, such as a tokenizer, by their classes of transformers.

        Weights are float32, and no code of the checkpoint runs. Raises InputError.
        """
        from safetensors import SafetensorError
        from transformers.utils import logging

        logging.set_verbosity_error()  # it warns of settings that checkpoints bring along
        logging.disable_progress_bar()
        safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        weights: dict[str, Any] = {
            "use_safetensors": True,
            "dtype": "float32",
            "output_loading_info": True,
        }
        try:
            loaded, report = model.from_pretrained(folder, **weights, **safe)
            parts = [loaded.eval()]
            for other in others:
                parts.append(other.from_pretrained(folder, **safe))
        except (
            OSError,
            ValueError,
            RuntimeError,
            TypeError,
            AttributeError,
            KeyError,
            SafetensorError,
        ) as error:
            message = str(error)
            reason = message.splitlines()[0] if message else type(error).__name__
            raise self._unusable(folder, reason) from None
        missing = sorted(report["missing_keys"])
        if missing:  # transformers fills them with random numbers
            raise self._unusable(folder, f"no weights for {', '.join(missing[:3])} …")
        return parts

    def _unusable(self, folder: Path, reason: str) -> InputError:
        return InputError(
            f"{self.stage}: {folder} cannot be loaded as {self.called}: {reason}; check {self.check}"
        )

    def identity(self, model: str, revision: str | None) -> str:
        """Return name, commit and hash. Raises InputError as `folder_of` does."""
        folder = self.folder_of(model, revision)
        name = folder.resolve().name if revision is None else f"{model} at {revision}"
        return f"{name} sha256 {digest_of(folder, state_of(folder))}"


def files_of(folder: Path) -> list[Path]:
    """Return the files of a model that are loaded.

    Other tools leave files beside them, such as the times in the `.cache` of `hf download`.
    """
    files: list[Path] = []
    for pattern in FILES:
        files += folder.glob(pattern)
    return sorted(files)


def state_of(folder: Path) -> State:
    """Return the state of a model's files now."""
    state = []
    for path in files_of(folder):
        status = path.stat()
        state.append((path.name, status.st_size, status.st_mtime_ns))
    return tuple(state)


@cache  # it is asked for every sound file
def digest_of(folder: Path, state: State) -> str:
    """Return the hash of a model in this state."""
    return sha256_of(folder)


def sha256_of(folder: Path) -> str:
    """Return the SHA-256 over the sorted names and the contents of the files that are loaded."""
    return sha256_of_files(folder, files_of(folder))
