"""Causal language models: loading and answering. Safetensors only; no code that a model brings along."""

from pathlib import Path
from typing import Any

from stages.core.models.conversation import load_tokenizer
from stages.core.project.errors import ModelError

DTYPE_OF_PRECISION = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""The type of frozen weights, by the setting `precision`. Weights that are trained are float32."""


def load_causal_lm(
    folder: Path,
    adapter: Path | None = None,
    *,
    merge: bool = False,
    device: str = "cpu",
    dtype: str = "float32",
) -> tuple[Any, Any]:
    """Load the model (in eval mode) and the tokenizer of a folder. An INT8 folder loads like a float one.

    `adapter` is put on top of the model and, with `merge`, folded into its weights. `device` is `cpu` or
    `auto` (a GPU where there is one). The weights get the type `dtype` (float32, bfloat16 or float16),
    whatever the files hold. Raises ModelError where weights, tokenizer or adapter are missing or do not
    fit.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of loading, which takes no time
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder}: no safetensors here; make it with `dvc repro` or fetch it with `dvc pull`"
        )
    tokenizer = load_tokenizer(folder)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=getattr(torch, dtype),
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = _first_line(error)
        raise ModelError(f"{folder}: the model cannot be loaded ({reason})") from None
    if adapter is not None:
        model = _with_adapter(model, adapter, merge)
    return model.to(_device(device)).eval(), tokenizer


def generate(
    model: Any, tokenizer: Any, prompts: list[str], max_new_tokens: int, batch: int
) -> list[str]:
    """Return greedy answers, in the order of the prompts.

    Decoding stops at the end token or after `max_new_tokens`. Prompts of like length share a batch. The
    batches depend on the prompts alone, so that equal calls give equal answers.
    """
    import torch
    from tqdm import tqdm

    # Indices of the prompts, shortest prompt first; equal prompts keep their order.
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i], i))
    starts = range(0, len(order), batch)
    bar = tqdm(starts, desc="answering", unit="batch", disable=None, leave=False)
    answers = [""] * len(prompts)
    for start in bar:
        chosen = order[start : start + batch]
        texts = [prompts[i] for i in chosen]
        inputs = tokenizer(texts, return_tensors="pt", padding=True).to(model.device)
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        # The output (B, P + N) repeats the prompt's P tokens before the N new ones.
        prompt_length = inputs["input_ids"].shape[1]
        new_tokens = output[:, prompt_length:]
        generated = tokenizer.batch_decode(new_tokens, skip_special_tokens=True)
        for i, text in zip(chosen, generated, strict=True):
            answers[i] = text.strip()
    return answers


def _with_adapter(model: Any, adapter: Path, merge: bool) -> Any:
    from peft import PeftModel

    if not (adapter / "adapter_model.safetensors").is_file():
        raise ModelError(
            f"{adapter}: no adapter here; make it with `dvc repro train` or fetch it with `dvc pull`"
        )
    try:
        adapted = PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = _first_line(error)
        raise ModelError(f"{adapter}: the adapter does not fit this base ({reason})") from None
    if merge:
        return adapted.merge_and_unload(safe_merge=True)
    return adapted


def _device(device: str) -> str:
    import torch

    if device == "auto" and torch.cuda.is_available():
        return "cuda"
    return "cpu"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
