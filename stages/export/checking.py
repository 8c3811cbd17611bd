"""The check of an export: the same questions to it and to its float twin, compared one by one."""

import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from stages.core.models.causal_lm import Ends
from stages.core.models.conversation import answer_of, encode, prompt_text
from stages.core.models.variants import MAX_NEW_TOKENS
from stages.core.project.errors import InputError
from stages.core.records.record import read_records
from stages.core.repeatable.seeding import derive

Row = dict[str, Any]


class Decoder(Protocol):
    """A runtime that holds a model, and reads token after token."""

    def first(self, prompt: list[int]) -> int:
        """Forget what was read, read the tokens of a prompt, and return the likeliest next token."""

    def following(self, token: int) -> int:
        """Read one more token, and return the likeliest next one."""


class Question(NamedTuple):
    """A validation question, and what is expected."""

    fact: str
    text: str
    expected: str
    tokens: list[int]
    """The prompt."""


class Questions(NamedTuple):
    """What is asked."""

    chosen: list[Question]
    too_long: int
    """Questions left out because prompt and longest answer are more tokens than the model takes."""


class Answers(NamedTuple):
    """The answers of a decoder, in the order of the questions, and how fast they came."""

    texts: list[str]
    tokens: int
    """Tokens that were written."""
    seconds: float
    """For all answers, one at a time."""
    first_token_seconds: list[float]
    """From a prompt to the first token, per question."""


class TorchDecoder:
    """A model of transformers, with its key-value cache."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.cache: Any = None

    def first(self, prompt: list[int]) -> int:
        """Read a prompt with an empty cache."""
        self.cache = None
        return self._read(prompt)

    def following(self, token: int) -> int:
        """Read one more token."""
        return self._read([token])

    def _read(self, tokens: list[int]) -> int:
        import torch

        ids = torch.tensor([tokens], device=self.model.device)
        with torch.inference_mode():
            output = self.model(
                input_ids=ids, past_key_values=self.cache, use_cache=True, logits_to_keep=1
            )
        self.cache = output.past_key_values
        return int(output.logits[0, -1].argmax())


def questions(augment: Path, tokenizer: Any, most: int, seed: int, longest: int) -> Questions:
    """Return at most `most` validation questions, drawn by a hash and sorted by their text.

    `longest` is the number of tokens that the model takes. Raises InputError where there is no question.
    """
    records = read_records(augment / "records.parquet")
    rows = [row for row in records if row["split"] == "valid" and row["kind"] == "qa"]
    if not rows:
        raise InputError(
            f"{augment}: no validation question, so no export can be checked; run dvc repro augment"
        )
    rows.sort(key=lambda row: derive(seed, "export", row["id"]))
    drawn = sorted(rows[:most], key=lambda row: (row["question"] or "", row["id"]))
    prompts = encode(tokenizer, [prompt_text(tokenizer, row["question"] or "") for row in drawn])
    chosen = []
    too_long = 0
    for row, tokens in zip(drawn, prompts, strict=True):
        if len(tokens) + MAX_NEW_TOKENS > longest:
            too_long += 1
            continue
        chosen.append(
            Question(row["fact"] or "", row["question"] or "", row["answer"] or "", tokens)
        )
    if not chosen:
        raise InputError(
            f"{augment}: each of the {too_long} validation questions is too long for a model of {longest} "
            f"tokens, {MAX_NEW_TOKENS} of them for the answer, so no export can be checked"
        )
    return Questions(chosen, too_long)


def answers(decoder: Decoder, asked: Questions, model: Any, tokenizer: Any, name: str) -> Answers:
    """Ask a decoder all questions, one at a time, greedily.

    An answer ends where it does for `model` and `tokenizer` in evaluate (`causal_lm.Ends`). `name` is
    shown with the progress.
    """
    import torch
    from tqdm import tqdm

    ends = Ends(model, tokenizer)
    texts = []
    written_tokens = 0
    seconds = 0.0
    first_token_seconds = []
    for question in tqdm(asked.chosen, desc=f"asking {name}", unit="question", disable=None):
        started = time.perf_counter()
        token = decoder.first(question.tokens)
        first_token_seconds.append(time.perf_counter() - started)
        written = [token]
        while len(written) < MAX_NEW_TOKENS:
            all_tokens = torch.tensor([question.tokens + written], device=model.device)
            if ends.reached(all_tokens, len(question.tokens)).item():
                break
            token = decoder.following(token)
            written.append(token)
        seconds += time.perf_counter() - started
        written_tokens += len(written)
        texts.append(answer_of(tokenizer, written))
    return Answers(texts, written_tokens, seconds, first_token_seconds)


def is_right(answer: str, expected: str) -> bool:
    """Return whether an answer is the expected one, whatever the white space."""
    return answer.split() == expected.split()


def rows(name: str, asked: Questions, texts: list[str]) -> list[Row]:
    """Return one row per question, as in `answers.parquet`."""
    made = []
    for question, answer in zip(asked.chosen, texts, strict=True):
        made.append(
            {
                "format": name,
                "fact": question.fact,
                "question": question.text,
                "expected": question.expected,
                "answer": answer,
                "right": is_right(answer, question.expected),
            }
        )
    return made


def compared(asked: Questions, twin: list[str], exported: list[str]) -> dict[str, int]:
    """Return how many answers of an export are the twin's, are right, were lost and were gained."""
    counts = {"same_text": 0, "right": 0, "lost": 0, "gained": 0}
    for question, twins, exports in zip(asked.chosen, twin, exported, strict=True):
        twin_right = is_right(twins, question.expected)
        export_right = is_right(exports, question.expected)
        counts["same_text"] += twins == exports
        counts["right"] += export_right
        counts["lost"] += twin_right and not export_right
        counts["gained"] += export_right and not twin_right
    return counts
