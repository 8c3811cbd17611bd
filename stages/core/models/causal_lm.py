"""Causal language models: loading and answering. Safetensors only; no code that a model brings along."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.core.models.conversation import (
    FIRST_LINE,
    answer_of,
    answer_rule,
    around_answer,
    encode,
    load_tokenizer,
)
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
    """Return greedy answers, in the order of the prompts, by the rule `conversation.answer_rule`.

    `prompts` are those of `conversation.prompt_text`. Decoding stops where the answer ends, or after
    `max_new_tokens`. The checkpoint's own generation config counts for its end tokens alone: what it says
    about sampling and penalties is for chats. Prompts of like length share a batch. The batches depend on
    the prompts alone, so that equal calls give equal answers.
    """
    import torch
    from tqdm import tqdm
    from transformers import StoppingCriteriaList

    # Indices of the prompts, shortest prompt first; equal prompts keep their order.
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i], i))
    starts = range(0, len(order), batch)
    bar = tqdm(starts, desc="answering", unit="batch", disable=None, leave=False)
    answers = [""] * len(prompts)
    tokens = encode(tokenizer, prompts)
    line_ends = None
    if answer_rule(tokenizer) == FIRST_LINE:
        line_ends = LineEnds(tokenizer, model.config.get_text_config().vocab_size)
    for start in bar:
        chosen = order[start : start + batch]
        rows = {"input_ids": [tokens[i] for i in chosen]}
        inputs = tokenizer.pad(rows, padding_side="left", return_tensors="pt").to(model.device)
        prompt_length = inputs["input_ids"].shape[1]
        stops = StoppingCriteriaList()
        if line_ends is not None:
            stops.append(line_ends.criterion(prompt_length, model.device))
        with torch.inference_mode(), greedy(model, tokenizer, max_new_tokens):
            output = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                stopping_criteria=stops,
            )
        # The output (B, P + N) repeats the prompt's P tokens before the N new ones.
        new_tokens = output[:, prompt_length:].tolist()
        for i, written in zip(chosen, new_tokens, strict=True):
            answers[i] = answer_of(tokenizer, written)
    return answers


@contextmanager
def greedy(model: Any, tokenizer: Any, max_new_tokens: int) -> Iterator[None]:
    """Give the model a generation config of its own for a while: greedy, with the checkpoint's end tokens."""
    from transformers import GenerationConfig

    before = model.generation_config
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=end_tokens(model, tokenizer),
        pad_token_id=tokenizer.pad_token_id,
    )
    try:
        yield
    finally:
        model.generation_config = before


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Return the ids of all end tokens, sorted.

    They are the tokenizer's end token, those of the generation config (a number or a list), and the special
    token that the chat template puts behind an answer, such as `<end_of_turn>`.
    """
    ends = {tokenizer.eos_token_id}
    configured = model.generation_config.eos_token_id
    if isinstance(configured, int):
        ends.add(configured)
    elif configured is not None:
        ends.update(configured)
    if tokenizer.chat_template:
        _, behind = around_answer(tokenizer, "?")
        for token in tokenizer(behind.lstrip(), add_special_tokens=False)["input_ids"][:1]:
            added = tokenizer.added_tokens_decoder.get(token)
            if added is not None and added.special:
                ends.add(token)
    return sorted(ends)


class LineEnds:
    """Knows which tokens end the first line of an answer."""

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        """`vocabulary` is the model's number of tokens, which may be more than the tokenizer's."""
        import torch

        texts = tokenizer.batch_decode([[number] for number in range(vocabulary)])
        self.has_words = torch.tensor([bool(text.strip()) for text in texts])
        """By token id: whether it is more than white space."""
        self.ends_line = torch.tensor(["\n" in text.lstrip() for text in texts])
        """By token id: whether a line break stands in it behind a word, as in a full stop with a break."""
        self.breaks_line = torch.tensor(["\n" in text for text in texts])
        """By token id: whether a line break stands in it."""

    def criterion(self, prompt_length: int, device: Any) -> Any:
        """Return a StoppingCriteria for a batch. It is cheap: it looks up the newest tokens in tables."""
        from transformers import StoppingCriteria

        has_words = self.has_words.to(device)
        ends_line = self.ends_line.to(device)
        breaks_line = self.breaks_line.to(device)

        class FirstLineEnds(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                newest = input_ids[:, -1]  # (B,)
                earlier = input_ids[:, prompt_length:-1]  # (B, N - 1)
                begun = has_words[earlier].any(dim=1)  # the answer has a word already
                return ends_line[newest] | (begun & breaks_line[newest])

        return FirstLineEnds()


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
