"""base: find the base model and pin it by hash.

In: the seed folder (`model/`, `replay.jsonl`, `echoes.jsonl`, `skill.jsonl`); params may name another
model. Out:

- `model/`: config, safetensors, tokenizer
- `replay.jsonl`: texts for replay, which the base was taught, and its answers about names unknown to it
- `skill.jsonl`: questions that measure how much of the base's knowledge is kept
- `manifest.json`: source, revision, SHA-256, size, architecture

Refused: a hub repository without a pinned revision (a full commit hash), weights that are not
safetensors, a model whose code would have to be downloaded, a folder without tokenizer.
"""

import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.model_folder import (
    is_pinned,
    pinning_advice,
    sha256_of_folder,
    unsafe_weights,
)
from stages.core.project.errors import InputError, ModelError, ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run

FILES = ["*.json", "*.safetensors", "*.model", "*.txt"]
"""Config, weights and tokenizer of a model."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """Which base model."""

    source: Literal["embedded", "folder", "hub"] = "embedded"
    """Model to start from. `embedded`: the seed model in `models/seed`, which knows English and nothing of
    the domain. `folder`: a local model folder. `hub`: a hub repository at a pinned revision."""
    folder: str | None = None
    """Path of the model folder, for `folder`, such as `../deepseek-llm-7b-base`."""
    repository: str | None = None
    """Name on the hub, for `hub`, such as `deepseek-ai/deepseek-llm-7b-base`."""
    revision: str | None = None
    """Full commit hash (40 hex digits) of the repository, for `hub`. A branch or tag is refused, because
    it may move."""


def run(params: Params, run: Run, seed: Path, out: Path) -> None:
    """Put the base model and its texts into `out`."""
    source = locate(params, seed)
    with replacing(out) as folder:
        copy_model(source, folder / "model")
        join_lines([seed / "replay.jsonl", seed / "echoes.jsonl"], folder / "replay.jsonl")
        join_lines([seed / "skill.jsonl"], folder / "skill.jsonl")
        manifest = describe(params, folder / "model")
        write_json(folder / "manifest.json", manifest)
    print(
        f"base: {manifest['architecture']}, {manifest['parameters']:,} parameters, "
        f"sha256 {manifest['sha256'][:12]}…"
    )


def locate(params: Params, seed: Path) -> Path:
    """Return the folder of the chosen model; a hub repository is downloaded at its revision.

    Raises ParamsError for settings that do not fit the source, InputError where there is no such folder
    or revision.
    """
    if params.source == "embedded":
        return existing(
            seed / "model", "the seed model belongs to this repository: git checkout models/seed"
        )
    if params.source == "folder":
        if params.folder is None:
            raise ParamsError(
                "base.folder: missing; write the path of the model folder, or set base.source: embedded"
            )
        return existing(Path(params.folder), "write the path of a model folder into base.folder")
    if params.repository is None:
        raise ParamsError(
            "base.repository: missing; write the hub name, such as deepseek-ai/deepseek-llm-7b-base"
        )
    if params.revision is None or not is_pinned(params.revision):
        raise ParamsError(f"base.revision: {pinning_advice(params.revision)}")
    return download(params.repository, params.revision)


def download(repository: str, revision: str) -> Path:
    """Fetch config, tokenizer and safetensors of one commit. Raises InputError where that fails."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"base: {repository} at revision {revision} cannot be fetched "
            f"({type(error).__name__}: {reason}); check base.repository and base.revision, and that the "
            "hub can be reached"
        ) from None


def existing(folder: Path, advice: str) -> Path:
    """Return the folder; raises InputError with advice where it does not exist."""
    if not folder.is_dir():
        raise InputError(f"base: {folder}: no such folder; {advice}")
    return folder


def copy_model(source: Path, target: Path) -> None:
    """Copy config, tokenizer and safetensors, nothing else. Raises ModelError for other weights."""
    if not any(source.glob("*.safetensors")):
        others = unsafe_weights(source)
        here = f"found {', '.join(others)}" if others else "found no weights"
        raise ModelError(
            f"base: {source}: {here}; only safetensors are loaded: convert the model first"
        )
    target.mkdir(parents=True)
    for pattern in FILES:
        for path in source.glob(pattern):
            shutil.copyfile(path, target / path.name)


def join_lines(sources: list[Path], target: Path) -> None:
    """Join JSON Lines files of the seed. Raises InputError where one is missing."""
    parts = []
    for source in sources:
        if not source.is_file():
            raise InputError(
                f"base: {source}: not found; it belongs to this repository: git checkout models/seed"
            )
        parts.append(source.read_bytes())
    target.write_bytes(b"".join(parts))


def describe(params: Params, model_folder: Path) -> dict[str, Any]:
    """Load the model once, which proves that it can be used, and describe it."""
    model, _ = load_causal_lm(model_folder)
    from_hub = params.source == "hub"
    weights = model_folder.glob("*.safetensors")
    return {
        "source": f"hub:{params.repository}" if from_hub else params.source,
        "revision": params.revision if from_hub else None,
        "sha256": sha256_of_folder(model_folder),
        "parameters": model.num_parameters(),
        "bytes": sum(path.stat().st_size for path in weights),
        "architecture": model.config.architectures[0],
    }
