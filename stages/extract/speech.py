"""Engines that recognise speech: from samples to text and how sure the engine is of it.

pocketsphinx (github.com/cmusphinx/pocketsphinx) with its model of English, without case and punctuation; its confidence is the
utterance's posterior probability to the power of 1 / words. Whisper (arXiv:2212.04356) through transformers, from safetensors and
without code of the model's; its confidence is the geometric mean of the tokens' probabilities. Both begin anew with every
utterance, so what they say does not depend on what came before. The number of threads is that of `run.threads`.
"""

import re
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages.core.errors import InputError
from stages.core.models import sha256_of_folder

RATE = 16_000
FILES = ["*.json", "*.safetensors", "*.txt"]
LONGEST = 224
"""Tokens of an utterance: half of what Whisper's decoder holds, as in the paper."""
Recognise = Callable[[Any], tuple[str, float]]
"""From (samples,) of 16 bits, 16,000 a second, to text and confidence in [0, 1], to two digits."""
State = tuple[tuple[str, int, int], ...]
"""Name, bytes and time of the last change (ns) of every file of a model: after one, it is hashed and loaded anew."""


def problems(engine: str, lang: str, model: str | None, revision: str | None) -> list[str]:
    """What is wrong with the settings of an engine."""
    if engine == "pocketsphinx":
        found = [] if lang == "en" else [f"engine: pocketsphinx knows English alone, `lang` is {lang!r}; set engine: whisper"]
        return found + ["model: pocketsphinx brings its own; remove it, or set engine: whisper"] * (model is not None)
    if model is None:
        return ["model: missing; write the path of a Whisper folder, or a name on the hub such as openai/whisper-small"]
    if not Path(model).is_dir() and not re.fullmatch(r"[0-9a-f]{40}", revision or ""):
        return [
            f"revision: {model!r} is no folder, and a hub model needs a full commit hash (40 hex digits), got {revision!r}; "
            "copy it from the repository's list of commits, because a branch or tag may move"
        ]
    return []


def engine(name: str, model: str | None, revision: str | None, lang: str) -> Recognise:
    """The function that recognises. Raises InputError where its model cannot be had."""
    if name == "pocketsphinx":
        return pocketsphinx()
    folder = folder_of(str(model), revision)
    return whisper(folder, lang, state_of(folder))


def engine_version(name: str, model: str | None, revision: str | None) -> str:
    """Names and versions: another engine, version or model may hear otherwise."""
    found = f"pocketsphinx {version('pocketsphinx')}"
    if name == "pocketsphinx":
        return f"{found} en-us, scipy {version('scipy')}"
    folder = folder_of(str(model), revision)
    digest = digest_of(folder, state_of(folder))
    libraries = ", ".join(f"{library} {version(library).split('+')[0]}" for library in ("transformers", "torch", "scipy"))
    return f"whisper {model} sha256 {digest}, {libraries}, {found}"


def folder_of(model: str, revision: str | None) -> Path:
    """The folder of a model. Raises InputError where it holds no safetensors, or was not fetched before."""
    folder = Path(model)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(model, revision=revision, allow_patterns=FILES, local_files_only=True))
        except LocalEntryNotFoundError:
            raise InputError(
                f"extract: {model} at revision {revision} is not on this machine, and extract fetches nothing; fetch it once: "
                f"HF_HUB_OFFLINE=0 hf download {model} --revision {revision}"
            ) from None
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            f"extract: {folder}: no safetensors here, and weights in other formats are not loaded; convert the model"
        )
    return folder


def state_of(folder: Path) -> State:
    """The files of a model as they lie there now."""
    found = ((path.relative_to(folder).as_posix(), path.stat()) for path in folder.rglob("*") if path.is_file())
    return tuple(sorted((name, status.st_size, status.st_mtime_ns) for name, status in found))


@cache  # asked for with every sound file
def digest_of(folder: Path, state: State) -> str:
    """The hash of a model in this state."""
    return sha256_of_folder(folder)


@cache
def pocketsphinx() -> Recognise:
    """Its recogniser, with the model of its package."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=float(RATE), loglevel="FATAL")

    def recognise(samples: Any) -> tuple[str, float]:
        decoder.reinit_feat()  # forgets the level and the noise of what came before
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        words = found.hypstr.split() if found else []
        return (" ".join(words), round(min(1.0, found.prob) ** (1 / len(words)), 2)) if words else ("", 0.0)

    return recognise


@cache
def whisper(folder: Path, lang: str, state: State = ()) -> Recognise:
    """The recogniser of a Whisper checkpoint in this state. Raises InputError where it cannot be loaded."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoFeatureExtractor, AutoTokenizer, WhisperForConditionalGeneration
    from transformers.utils import logging

    logging.set_verbosity_error()  # it warns of settings that checkpoints bring along
    logging.disable_progress_bar()
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = WhisperForConditionalGeneration.from_pretrained(folder, use_safetensors=True, dtype="float32", **safe).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
        features = AutoFeatureExtractor.from_pretrained(folder, **safe)
    except (OSError, ValueError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"extract: {folder} cannot be loaded as a Whisper model: {reason}; check `model`") from None
    speaks = {"language": lang, "task": "transcribe"} if getattr(model.generation_config, "is_multilingual", False) else {}

    def recognise(samples: Any) -> tuple[str, float]:
        sound = features(samples.astype("float32") / 32768, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True)
        with torch.inference_mode():
            found = model.generate(
                **sound, **speaks, do_sample=False, num_beams=1, max_new_tokens=LONGEST, return_dict_in_generate=True,
                output_scores=True,
            )  # fmt: skip
            scores = model.compute_transition_scores(found.sequences, found.scores, normalize_logits=True)
        text = tokenizer.decode(found.sequences[0], skip_special_tokens=True)
        return " ".join(text.split()), round(float(scores[0].mean().exp()), 2)

    return recognise
