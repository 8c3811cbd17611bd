"""Causal language models: loading and answering. Safetensors only; no code that a model brings along."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

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


class Answer(NamedTuple):
    """An answer, and how sure the model is of it."""

    text: str
    confidence: float
    """Mean log-probability of its tokens, the end token included, in nats: at most 0. Of no token at all it is 0."""


def generate(
    model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: int, batch: int
) -> list[str]:
    """Return the texts of `answered`."""
    found = answered(model, tokenizer, prompts, max_new_tokens, batch)
    return [answer.text for answer in found]


def answered(
    model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: int, batch: int
) -> list[Answer]:
    """Return greedy answers, in the order of the prompts, by the rule `conversation.answer_rule`.

    `prompts` are those of `conversation.prompt_text`. Decoding stops where the answer ends, or after
    `max_new_tokens`. The checkpoint's own generation config counts for its end tokens alone: what it says
    about sampling and penalties is for chats. Prompts of like length share a batch. The batches depend on
    the prompts alone, so that equal calls give equal answers.
    """
    import torch
    from tqdm import tqdm

    # Indices of the prompts, shortest prompt first; equal prompts keep their order.
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i], i))
    starts = range(0, len(order), batch)
    bar = tqdm(starts, desc="answering", unit="batch", disable=None, leave=False)
    answers = [Answer("", 0.0)] * len(prompts)
    tokens = encode(tokenizer, prompts)
    ends = Ends(model, tokenizer)
    for start in bar:
        chosen = order[start : start + batch]
        rows = {"input_ids": [tokens[i] for i in chosen]}
        inputs = tokenizer.pad(rows, padding_side="left", return_tensors="pt").to(model.device)
        with torch.inference_mode():
            written = continued(
                model, inputs["input_ids"], inputs["attention_mask"], max_new_tokens, ends
            )
        for i, (new_tokens, log_p) in zip(chosen, written, strict=True):
            confidence = log_p / len(new_tokens) if new_tokens else 0.0
            answers[i] = Answer(answer_of(tokenizer, new_tokens), confidence)
    return answers


class Written(NamedTuple):
    """What a model wrote behind a prompt."""

    tokens: list[int]
    """The end token included."""
    log_p: float
    """The sum of their log-probabilities, in nats."""


def continued(
    model: Any, prompts: Any, mask: Any, max_new_tokens: int, ends: "Ends"
) -> list[Written]:
    """Return what the model writes greedily behind each prompt.

    `prompts` (B, P) are padded on the left, and `mask` (B, P) is 0 on the padding. A row leaves the batch
    when its answer ends. `model.generate` goes on with all rows until the last one ends. On 1,903 probes of
    the seed this takes 0.65 (base) to 0.88 (train) of its time.
    """
    import torch

    prompt_length = prompts.shape[1]
    answers = [Written([], 0.0)] * len(prompts)
    # Of the rows that go on: their places in the batch, all their tokens, and those not yet in the cache.
    places = torch.arange(len(prompts))
    tokens = prompts
    unseen = prompts
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    log_p = torch.zeros(len(prompts), device=prompts.device)
    cache = None
    for _ in range(max_new_tokens):
        output = model(
            input_ids=unseen,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        logits = output.logits[:, -1].float()  # (A, V)
        unseen = logits.argmax(dim=-1, keepdim=True)  # (A, 1)
        log_p = log_p + logits.amax(dim=-1) - logits.logsumexp(dim=-1)  # (A,)
        tokens = torch.cat([tokens, unseen], dim=1)
        mask = torch.cat([mask, torch.ones_like(unseen)], dim=1)
        positions = positions[:, -1:] + 1

        ended = ends.reached(tokens, prompt_length)  # (A,)
        if not ended.any():
            continue
        for row in ended.nonzero()[:, 0].tolist():
            answers[places[row]] = Written(tokens[row, prompt_length:].tolist(), float(log_p[row]))
        going_on = (~ended).nonzero()[:, 0]
        if len(going_on) == 0:
            return answers
        places = places[going_on.cpu()]
        tokens = tokens[going_on]
        unseen = unseen[going_on]
        mask = mask[going_on]
        positions = positions[going_on]
        log_p = log_p[going_on]
        cache.batch_select_indices(going_on)
    for row, place in enumerate(places.tolist()):
        answers[place] = Written(tokens[row, prompt_length:].tolist(), float(log_p[row]))
    return answers


class Ends:
    """Knows where an answer ends: at an end token, or behind its first line where the rule says so."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        import torch

        self.tokens = torch.tensor(end_tokens(model, tokenizer), device=model.device)
        self.lines = None
        if answer_rule(tokenizer) == FIRST_LINE:
            self.lines = LineEnds(
                tokenizer, model.config.get_text_config().vocab_size, model.device
            )

    def reached(self, tokens: Any, prompt_length: int) -> Any:
        """Return for each row of `tokens` (A, P + N) whether its newest token ends its answer: bool (A,)."""
        import torch

        ended = torch.isin(tokens[:, -1], self.tokens)
        if self.lines is not None:
            ended = ended | self.lines.reached(tokens, prompt_length)
        return ended


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

    def __init__(self, tokenizer: Any, vocabulary: int, device: Any) -> None:
        """`vocabulary` is the model's number of tokens, which may be more than the tokenizer's."""
        import torch

        texts = tokenizer.batch_decode([[number] for number in range(vocabulary)])
        has_words = [bool(text.strip()) for text in texts]
        ends_line = ["\n" in text.lstrip() for text in texts]
        breaks_line = ["\n" in text for text in texts]
        self.has_words = torch.tensor(has_words, device=device)
        """By token id: whether it is more than white space."""
        self.ends_line = torch.tensor(ends_line, device=device)
        """By token id: whether a line break stands in it behind a word, as in a full stop with a break."""
        self.breaks_line = torch.tensor(breaks_line, device=device)
        """By token id: whether a line break stands in it."""

    def reached(self, tokens: Any, prompt_length: int) -> Any:
        """Return for each row of `tokens` (A, P + N) whether its newest token ends the answer's first line.

        It is cheap: it looks up tokens in tables.
        """
        newest = tokens[:, -1]  # (A,)
        earlier = tokens[:, prompt_length:-1]  # (A, N - 1)
        begun = self.has_words[earlier].any(dim=1)  # the answer has a word already
        return self.ends_line[newest] | (begun & self.breaks_line[newest])


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
