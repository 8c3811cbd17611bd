"""A model folder on disk: its hash, weights that are not loaded, and how a hub model is pinned."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

UNSAFE_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx")
"""Weights that are not loaded: they may run code, or they are not for transformers."""
COMMIT = re.compile(r"[0-9a-f]{40}")
"""A full commit hash, such as 0123456789abcdef0123456789abcdef01234567."""


def unsafe_weights(folder: Path) -> list[str]:
    """Return the sorted names of weights in formats that are not loaded."""
    names = []
    for pattern in UNSAFE_WEIGHTS:
        for path in folder.glob(pattern):
            names.append(path.name)
    return sorted(names)


def is_pinned(revision: str | None) -> bool:
    """Return whether a revision of a hub repository is a full commit hash. A branch or tag may move."""
    return revision is not None and COMMIT.fullmatch(revision) is not None


def pinning_advice(revision: str | None) -> str:
    """Return what to say about a revision that is not pinned."""
    return (
        f"a hub model needs a full commit hash (40 hex digits), got {revision!r}; "
        "copy it from the repository's list of commits, because a branch or tag may move"
    )


def sha256_of_folder(folder: Path) -> str:
    """Return the SHA-256 over the sorted relative names and the contents of all files below `folder`."""
    return sha256_of_files(folder, [path for path in folder.rglob("*") if path.is_file()])


def sha256_of_files(folder: Path, files: Iterable[Path]) -> str:
    """Return the SHA-256 over the sorted names, relative to `folder`, and the contents of files."""
    digest = hashlib.sha256()
    for path in sorted(files):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def save_causal_lm(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save a whole model folder: weights, config, tokenizer with its chat template, generation config.

    The generation config is saved as the checkpoint has it. transformers refuses to save one that names
    a `temperature` without `do_sample` once any field of it was changed, as training changes the end
    token. To refuse it here would throw away the training, and to drop the temperature would change what
    other programs read.
    """
    from transformers import GenerationConfig

    generation = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        model.save_pretrained(folder)
    finally:
        model.generation_config = generation
    generation.to_json_file(folder / "generation_config.json", keys_to_pop=["compile_config"])
    padding_side = tokenizer.padding_side
    tokenizer.padding_side = "left"  # as for generation
    tokenizer.save_pretrained(folder)
    tokenizer.padding_side = padding_side
