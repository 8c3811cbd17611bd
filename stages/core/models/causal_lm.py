"""Models on disk and in memory: loading, answering, hashing. Safetensors only; no code that a model brings along."""

import hashlib
from pathlib import Path
from typing import Any

from stages.core.project.errors import ModelError


def load_causal_lm(
    folder: Path, adapter: Path | None = None, *, merge: bool = False, device: str = "cpu"
) -> tuple[Any, Any]:
    """Model (eval mode) and tokenizer of a folder; an INT8 folder loads the same way as a float one.

    `adapter` is put on top of it and, with `merge`, folded into its weights. `device` is `cpu` or `auto` (a GPU where
    there is one). Raises ModelError where weights, tokenizer or adapter are missing or do not fit.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of loading, which takes no time
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder}: no safetensors here; make it with `dvc repro` or fetch it with `dvc pull`"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder}: no usable tokenizer ({_first_line(error)}); put tokenizer.json beside the weights"
        ) from None
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder}: the model cannot be loaded ({_first_line(error)})") from None
    if adapter is not None:
        model = _with_adapter(model, adapter, merge)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return model.to(_device(device)).eval(), tokenizer


def generate(
    model: Any, tokenizer: Any, prompts: list[str], max_new_tokens: int, batch: int
) -> list[str]:
    """Greedy answers, in the order of the prompts; decoding stops at the end token or after `max_new_tokens`.

    Prompts of like length share a batch, in an order given by the prompts alone, so that equal calls give equal
    answers.
    """
    import torch
    from tqdm import tqdm

    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i], i))
    answers = [""] * len(prompts)
    bar = tqdm(
        range(0, len(order), batch), desc="answering", unit="batch", disable=None, leave=False
    )
    for start in bar:
        chosen = order[start : start + batch]
        inputs = tokenizer([prompts[i] for i in chosen], return_tensors="pt", padding=True).to(
            model.device
        )
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        texts = tokenizer.batch_decode(
            output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        for i, text in zip(chosen, texts, strict=True):
            answers[i] = text.strip()
    return answers


def sha256_of_folder(folder: Path) -> str:
    """SHA-256 over the sorted relative names and the contents of all files below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def _with_adapter(model: Any, adapter: Path, merge: bool) -> Any:
    from peft import PeftModel

    if not (adapter / "adapter_model.safetensors").is_file():
        raise ModelError(
            f"{adapter}: no adapter here; make it with `dvc repro train` or fetch it with `dvc pull`"
        )
    try:
        adapted = PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(
            f"{adapter}: the adapter does not fit this base ({_first_line(error)})"
        ) from None
    return adapted.merge_and_unload(safe_merge=True) if merge else adapted


def _device(device: str) -> str:
    import torch

    return "cuda" if device == "auto" and torch.cuda.is_available() else "cpu"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
