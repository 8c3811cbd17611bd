"""A checkpoint in llama.cpp's format GGUF, turned into safetensors, config and tokenizer.

transformers reads the format with the package `gguf`: it gives quantised weights back their floats. Each
float is what the file says, so the model is the one that the file holds, not the one that was quantised.

The weights are written as bfloat16 where the file is quantised, since four or eight bits hold no more.
Otherwise they keep the file's type.

Out of one file comes always the same folder: nothing in it depends on the clock or on chance.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError, ModelError

PLAIN_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""GGUF's names of the types that are not quantised, and torch's."""
BEGIN_KEY = "tokenizer.ggml.add_bos_token"
"""Says in a GGUF file whether texts begin with the begin token."""


def gguf_file(folder: Path) -> Path | None:
    """Return the GGUF file that a path names: itself, or the only one of a folder without safetensors.

    Raises ModelError where a folder holds several, of which one must be chosen.
    """
    if folder.is_file():
        return folder if folder.suffix == ".gguf" else None
    if any(folder.glob("*.safetensors")):
        return None
    found = sorted(folder.glob("*.gguf"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ModelError(
            f"base: {folder}: holds {len(found)} GGUF files ({names}); name one of them in base.folder. "
            "Where they are parts of one model, join them first: llama-gguf-split --merge"
        )
    return found[0] if found else None


def convert(source: Path, target: Path) -> None:
    """Write the model of a GGUF file as a model folder.

    Raises InputError where the package `gguf` is not installed, ModelError where transformers cannot read
    the file.
    """
    if find_spec("gguf") is None:
        raise InputError(
            f"base: {source}: a GGUF file is read with the package gguf, which is not installed; "
            "pip install gguf, or name a folder with safetensors in base.folder"
        )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True}
    try:
        dtype = getattr(torch, stored_type(source))
        tokenizer = AutoTokenizer.from_pretrained(source.parent, **place)
        model = AutoModelForCausalLM.from_pretrained(source.parent, dtype=dtype, **place)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"base: {source}: transformers cannot read this GGUF file ({reason}); take the model's "
            "safetensors instead, or another quantisation of it"
        ) from None
    remove_marks(model)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    tidy_tokenizer(source, target / "tokenizer_config.json")


def stored_type(source: Path) -> str:
    """Return the type to write: that of the file's matrices, or bfloat16 where any is quantised."""
    from gguf import GGUFReader

    # Vectors, such as the weights of norms, are float32 in all files.
    types = {
        tensor.tensor_type.name for tensor in GGUFReader(source).tensors if len(tensor.shape) > 1
    }
    if len(types) == 1:
        return PLAIN_TYPES.get(types.pop(), "bfloat16")
    return "float32" if types == {"F32", "F16"} else "bfloat16"


def remove_marks(model: Any) -> None:
    """Remove the marks of a quantised model. The weights in memory are plain, but save_pretrained refuses."""
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def tidy_tokenizer(source: Path, path: Path) -> None:
    """Write into tokenizer_config.json whether texts begin with the begin token, as the GGUF file says.

    What transformers notes about the call that loaded it is removed.
    """
    config = json.loads(path.read_text(encoding="utf-8"))
    for key in ("gguf_file", "is_local", "local_files_only"):
        config.pop(key, None)
    begins = begins_with_bos(source)
    if begins is not None:
        config["add_bos_token"] = begins
    text = json.dumps(config, indent=2, ensure_ascii=False, sort_keys=True)
    path.write_text(f"{text}\n", encoding="utf-8")


def begins_with_bos(source: Path) -> bool | None:
    """Return what the file says about the begin token. None: nothing."""
    from gguf import GGUFReader

    field = GGUFReader(source).get_field(BEGIN_KEY)
    return None if field is None else bool(field.contents())
