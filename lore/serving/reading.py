"""From the tokens of an answer to its text, by the rule of `stages.core.models.conversation`."""

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.core.models.causal_lm import end_tokens
from stages.core.models.conversation import (
    ASSISTANT_TURN,
    FIRST_LINE,
    THOUGHT_END,
    answer_of,
    answer_rule,
)

BROKEN = "\ufffd"
"""Stands for bytes that are not a whole character yet."""


class Reader:
    """Knows where answers end, and their text. One for all answers of a model."""

    def __init__(self, tokenizer: Any, folder: Path) -> None:
        """`folder` is the model's, for the end tokens of its generation config."""
        from transformers import GenerationConfig

        configured = SimpleNamespace(eos_token_id=None)
        if (folder / "generation_config.json").is_file():
            configured = GenerationConfig.from_pretrained(folder, local_files_only=True)
        self.tokenizer = tokenizer
        self.ends = set(end_tokens(SimpleNamespace(generation_config=configured), tokenizer))
        self.stops_behind_line = answer_rule(tokenizer) == FIRST_LINE
        self.thought_end: int | None = None
        if answer_rule(tokenizer) == ASSISTANT_TURN:
            tokens = tokenizer(THOUGHT_END, add_special_tokens=False)["input_ids"]
            self.thought_end = tokens[0] if len(tokens) == 1 else None
        self.text_of_token = functools.lru_cache(maxsize=65_536)(self._text_of_token)

    def _text_of_token(self, token: int) -> str:
        return str(self.tokenizer.decode([token]))

    def breaks_line(self, token: int, is_begun: bool) -> bool:
        """Return whether a token ends the first line of an answer, as `causal_lm.LineEnds` does.

        `is_begun`: the answer has a word already.
        """
        text = self.text_of_token(token)
        if is_begun:
            return "\n" in text
        return "\n" in text.lstrip()

    def text(self, tokens: list[int], is_whole: bool) -> str:
        """Return the answer in the tokens. Of one that is not whole, what can no longer change."""
        if is_whole:
            return answer_of(self.tokenizer, tokens)
        if self.thought_end is not None and self.thought_end not in tokens:
            return ""
        return answer_of(self.tokenizer, tokens).rstrip(BROKEN)


class Answer:
    """One answer as it grows."""

    def __init__(self, reader: Reader, stops: list[str]) -> None:
        """`stops` are texts before which the answer ends."""
        self.reader = reader
        self.stops = stops
        self.tokens: list[int] = []
        self.text = ""
        """What can no longer change."""
        self.confidence: float | None = None
        """Mean log-probability of its tokens, in nats, when it is whole. None where the engine does not tell it."""
        self.is_stopped = False
        """Whether an end was reached. Otherwise the answer was cut off at its greatest length."""
        self._has_words = False

    def add(self, token: int) -> bool:
        """Take the next token, and return whether the answer ends with it."""
        self.tokens.append(token)
        reader = self.reader
        if token in reader.ends:
            self.is_stopped = True
        elif reader.stops_behind_line:
            self.is_stopped = reader.breaks_line(token, self._has_words)
            self._has_words = self._has_words or bool(reader.text_of_token(token).strip())
        if self.stops and not self.is_stopped:
            self.is_stopped = any(stop in reader.text(self.tokens, True) for stop in self.stops)
        return self.is_stopped

    def grown(self, is_whole: bool) -> str:
        """Return what has joined the text since the last call."""
        now = self.reader.text(self.tokens, is_whole)
        for stop in self.stops:
            now = now.partition(stop)[0]
        if not is_whole:
            now = now[: len(now) - self._held_back(now)]
        if not now.startswith(self.text):
            # A tokenizer that rewrites what it wrote before. What was sent cannot be taken back.
            return ""
        new = now[len(self.text) :]
        self.text = now
        return new

    def _held_back(self, text: str) -> int:
        """Return how many characters at the end may turn out to be the beginning of a stop text."""
        most = 0
        for stop in self.stops:
            for length in range(1, len(stop)):
                if text.endswith(stop[:length]):
                    most = max(most, length)
        return most
