"""A checkpoint on disk that a stage uses as an engine: what its settings may name, what it must hold, and its hash.

A folder, or a repository on the hub at a commit, which was fetched before: stages fetch no engine. Safetensors only.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError

FILES = ["*.json", "*.safetensors", "*.txt"]
OTHERS = ["*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx"]
"""Weights that are not loaded, since they may run code, or are not for transformers."""
NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?", re.ASCII)
"""Of a repository on the hub."""
State = tuple[tuple[str, int, int], ...]
"""Name, bytes and time of the last change (ns) of every file of a model: after one, it is hashed and loaded anew."""


@dataclass(frozen=True)
class Checkpoint:
    """A kind of checkpoint."""

    stage: str
    """Whose engine it is."""
    example: str
    """How to name one: a Whisper folder, or a name on the hub such as openai/whisper-small."""
    needed: Mapping[str, tuple[str, ...]]
    """What it must hold beside its weights, and the files that may be it."""
    called: str
    """What it is loaded as: a Whisper model."""
    check: str
    """What to look at where that fails."""

    def problems(self, model: str | None, revision: str | None) -> list[str]:
        """What is wrong with the settings, and with the files of a folder."""
        if model is None:
            return [f"model: missing; write the path of {self.example}"]
        if Path(model).is_dir():
            pinned = (
                ["revision: a folder is pinned by its content; remove it"]
                if revision is not None
                else []
            )
            return pinned + [f"model: {problem}" for problem in self.lacking(Path(model))]
        if not NAME.fullmatch(model):
            return [f"model: {model!r} is no folder and no name on the hub; write one of the two"]
        if not re.fullmatch(r"[0-9a-f]{40}", revision or ""):
            return [
                f"revision: {model!r} is no folder, and a hub model needs a full commit hash (40 hex digits), got {revision!r}; "
                "copy it from the repository's list of commits, because a branch or tag may move"
            ]
        return []

    def lacking(self, folder: Path) -> list[str]:
        """What of a checkpoint is not in a folder, and what to do about it."""
        found = []
        if not any(folder.glob("*.safetensors")):
            others = ", ".join(
                sorted(path.name for pattern in OTHERS for path in folder.glob(pattern))
            )
            but = f" (but {others})" if others else ""
            found.append(
                f"{folder}: no safetensors here{but}, and weights in other formats are not loaded; convert the model, or take a "
                "revision that has them"
            )
        return found + [
            f"{folder}: no {name} here; copy it from where the checkpoint comes from, or, where it was trained further, from the "
            "one that it began as"
            for name, patterns in self.needed.items()
            if not any((folder / pattern).is_file() for pattern in patterns)
        ]

    def folder_of(self, model: str, revision: str | None) -> Path:
        """The folder of a model. Raises InputError where it lacks a file, or was not fetched before."""
        folder = Path(model)
        if not folder.is_dir():
            from huggingface_hub import snapshot_download
            from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

            try:
                folder = Path(
                    snapshot_download(
                        model, revision=revision, allow_patterns=FILES, local_files_only=True
                    )
                )
            except (LocalEntryNotFoundError, HFValidationError):
                raise InputError(
                    f"{self.stage}: {model} at revision {revision} is not on this machine, and {self.stage} fetches nothing; "
                    f"fetch it once: HF_HUB_OFFLINE=0 hf download {model} --revision {revision}"
                ) from None
        if missing := self.lacking(folder):
            raise InputError("\n".join(f"{self.stage}: {problem}" for problem in missing))
        return folder

    def load(self, folder: Path, model: Any, *others: Any) -> list[Any]:
        """The model of that class of transformers, in float32, without code of its own, and what goes with it: a tokenizer.

        Raises InputError.
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
            loaded, told = model.from_pretrained(folder, **weights, **safe)
            found = [loaded.eval(), *(other.from_pretrained(folder, **safe) for other in others)]
        except (
            OSError,
            ValueError,
            RuntimeError,
            TypeError,
            AttributeError,
            KeyError,
            SafetensorError,
        ) as error:
            raise self._unusable(
                folder, str(error).splitlines()[0] if str(error) else type(error).__name__
            ) from None
        if told["missing_keys"]:  # transformers fills them with random numbers
            raise self._unusable(
                folder, f"no weights for {', '.join(sorted(told['missing_keys'])[:3])} …"
            )
        return found

    def _unusable(self, folder: Path, reason: str) -> InputError:
        return InputError(
            f"{self.stage}: {folder} cannot be loaded as {self.called}: {reason}; check {self.check}"
        )

    def identity(self, model: str, revision: str | None) -> str:
        """Name, commit and hash. Raises InputError as `folder_of` does."""
        folder = self.folder_of(model, revision)
        name = folder.resolve().name if revision is None else f"{model} at {revision}"
        return f"{name} sha256 {digest_of(folder, state_of(folder))}"


def files_of(folder: Path) -> list[Path]:
    """What is loaded of a model: not what tools leave beside it, such as the times in the `.cache` of `hf download`."""
    return sorted(path for pattern in FILES for path in folder.glob(pattern))


def state_of(folder: Path) -> State:
    """The files of a model as they lie there now."""
    found = ((path.name, path.stat()) for path in files_of(folder))
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in found)


@cache  # asked for with every sound file
def digest_of(folder: Path, state: State) -> str:
    """The hash of a model in this state."""
    return sha256_of(folder)


def sha256_of(folder: Path) -> str:
    """SHA-256 over the sorted names and the contents of what is loaded of a model."""
    digest = hashlib.sha256()
    for path in files_of(folder):
        with path.open("rb") as file:
            digest.update(
                f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
            )
    return digest.hexdigest()
