"""How a question is put to a model, and where its answer ends: one form for training, evaluation and serving.

The model folder decides. Where its tokenizer has a chat template, a question is the user's turn of a
conversation and the answer is the assistant's. Where it has none, the prompt is plain:

    Question: What is the symbol of iron?
    Answer: The symbol of iron is Fe.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.core.project.errors import ModelError
from stages.core.records.prompt import question_prompt

FIRST_LINE = "first line"
"""Rule for a plain prompt: an answer ends at its first line break."""
ASSISTANT_TURN = "assistant's turn"
"""Rule for a chat template: an answer is what the assistant says, without its thoughts."""
THOUGHT_END = "</think>"
"""Ends the thoughts of a reasoning model. The answer stands behind it."""
ANSWER_MARK = "\ue000"
"""Stands for the answer while a template is rendered. This private character stands in no text."""


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a model folder.

    It pads on the left, because answers begin at the end of the prompt. Raises ModelError where there is
    no tokenizer that can be used.

    Two things are mended. A tokenizer that is to add the begin token adds it: transformers 5 reads the
    `LlamaTokenizerFast` of DeepSeek's checkpoints as a plain byte-level tokenizer, and loses its
    `add_bos_token`. And where there is no padding token, the end token pads. Attention mask and labels
    come from lengths, never from token ids, so an end token that is learned is still learned.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"{folder}: no usable tokenizer ({reason}); put tokenizer.json beside the weights"
        ) from None
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"{folder}: the tokenizer has no end token, so no answer could end; write eos_token into "
            "tokenizer_config.json"
        )
    begins = tokenizer.bos_token_id in opening_tokens(tokenizer)
    if is_to_begin_texts(folder) and tokenizer.bos_token_id is not None and not begins:
        add_begin_token(tokenizer, folder)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def is_to_begin_texts(folder: Path) -> bool:
    """Return whether the folder's tokenizer_config.json demands the begin token before every text."""
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return False
    config = json.loads(path.read_text(encoding="utf-8"))
    return config.get("add_bos_token") is True


def add_begin_token(tokenizer: Any, folder: Path) -> None:
    """Make a tokenizer put its begin token before every text, also when it is saved and loaded again.

    Raises ModelError where it cannot be changed.
    """
    from tokenizers import processors

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            f"{folder}: tokenizer_config.json says add_bos_token, but the tokenizer adds no begin token; "
            "put a tokenizer.json there whose post-processor adds it"
        )
    begin = tokenizer.bos_token
    begin_first = processors.TemplateProcessing(
        single=[begin, "$A"], special_tokens=[(begin, tokenizer.bos_token_id)]
    )
    steps = [begin_first]
    if backend.post_processor is not None:
        steps.insert(0, backend.post_processor)
    backend.post_processor = processors.Sequence(steps)


def prompt_text(tokenizer: Any, question: str) -> str:
    """Return the text that the model continues with the answer."""
    if not tokenizer.chat_template:
        return question_prompt(question)
    before, _ = around_answer(tokenizer, question)
    return before.rstrip(" ")


def conversation_text(
    tokenizer: Any, question: str, answer: str, is_whole: bool = True
) -> tuple[str, str]:
    """Return the prompt, and the whole text: the prompt, the answer and what the template puts behind it.

    Nothing stands behind an answer that is not whole, because it goes on. The end token is not part of the
    text of a plain prompt. `training.token_rows` puts it behind the row.
    """
    prompt = prompt_text(tokenizer, question)
    if not tokenizer.chat_template:
        return prompt, f"{prompt} {answer}"
    before, behind = around_answer(tokenizer, question)
    return prompt, before + answer.strip() + (behind if is_whole else "")


def around_answer(tokenizer: Any, question: str) -> tuple[str, str]:
    """Return what the chat template renders before an answer and behind it.

    Raises ModelError where the template cannot render a question and an answer.
    """
    from jinja2 import TemplateError

    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": ANSWER_MARK},
    ]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except (TemplateError, ValueError, TypeError) as error:
        raise ModelError(
            f"{tokenizer.name_or_path}: the chat template cannot render a question and its answer "
            f"({error}); mend chat_template.jinja, or remove it to use the plain prompt"
        ) from None
    before, mark, behind = text.rpartition(ANSWER_MARK)
    if not mark:
        raise ModelError(
            f"{tokenizer.name_or_path}: the chat template leaves the assistant's answer out; mend "
            "chat_template.jinja, or remove it to use the plain prompt"
        )
    return before, behind


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of texts, with the begin token exactly once and no end token.

    A chat template may write the begin token itself. Then the tokenizer's own one is left out.
    """
    if not texts:
        return []
    opening = opening_tokens(tokenizer)
    rows: list[list[int]] = tokenizer(list(texts), add_special_tokens=False, verbose=False)[
        "input_ids"
    ]
    encoded = []
    for ids in rows:
        begins_already = ids[: len(opening)] == opening
        encoded.append(ids if begins_already else opening + ids)
    return encoded


def opening_tokens(tokenizer: Any) -> list[int]:
    """Return the tokens that the tokenizer puts before every text: the begin token, or none."""
    whole: list[int] = tokenizer("a")["input_ids"]
    bare: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
    for start in range(len(whole)):
        if whole[start : start + len(bare)] == bare:
            return whole[:start]
    return []


def answer_rule(tokenizer: Any) -> str:
    """Return the name of the rule by which generated text becomes an answer. Reports state it."""
    return ASSISTANT_TURN if tokenizer.chat_template else FIRST_LINE


def answer_of(tokenizer: Any, tokens: list[int]) -> str:
    """Return the answer in the tokens that a model wrote behind a prompt."""
    if answer_rule(tokenizer) == FIRST_LINE:
        return first_answer(tokenizer.decode(tokens, skip_special_tokens=True))
    text: str = tokenizer.decode(behind_thoughts(tokenizer, tokens), skip_special_tokens=True)
    return text.strip()


def behind_thoughts(tokenizer: Any, tokens: list[int]) -> list[int]:
    """Return the tokens behind the last end of thoughts, or all of them."""
    (thought_end, *further) = tokenizer(THOUGHT_END, add_special_tokens=False)["input_ids"]
    if further or thought_end not in tokens:
        return tokens  # a tokenizer that has no token for it is no reasoning model's
    last = max(place for place, token in enumerate(tokens) if token == thought_end)
    return tokens[last + 1 :]


def first_answer(text: str) -> str:
    """Return the answer as a user of a chat would take it: up to the first line break behind a word."""
    return text.strip().partition("\n")[0].strip()
