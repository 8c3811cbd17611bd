"""Tokens and money: what requests will cost, and the budget that no run may pass.

Without the endpoint's tokenizer, tokens are estimated: four Latin letters, or two thirds of any other character,
make one. The budget counts what the endpoint reported, for all answers of the record together.
"""

import threading
from collections.abc import Iterable
from math import ceil

from stages.augment.teacher.record import Entry
from stages.augment.teacher.requests import Request
from stages.augment.teacher.settings import Prices, Teacher

PER_MESSAGE = 4
"""Tokens around each message in OpenAI's format."""
PER_ITEM = {
    "attribute": 60,
    "statements": 20,
    "questions": 20,
    "valid": 20,
    "probe": 20,
    "text_questions": 90,
    "corrupted": 30,
}
"""Tokens that an item of an answer takes, as a rough guess. A paraphrase takes as many as its text."""
SAFETY = 1.3
"""By how much more tokens are set aside for a prompt than are estimated."""


def tokens_in(text: str) -> int:
    """Estimate the tokens of a text."""
    latin = sum(character.isascii() for character in text)
    return ceil(latin / 4 + (len(text) - latin) * 1.5)


def prompt_tokens(messages: Iterable[dict[str, str]]) -> int:
    """Estimate the tokens of a prompt."""
    return sum(tokens_in(message["content"]) + PER_MESSAGE for message in messages)


def answer_tokens(request: Request) -> int:
    """Estimate the tokens of an answer."""
    each = PER_ITEM.get(request.task) or tokens_in(request.text)
    longest: int = request.settings["max_tokens"]
    return min(request.count * each + 20, longest)


def money_of(prices: Prices, tokens_in_prompts: float, tokens_in_answers: float) -> float:
    """Return what tokens cost, in the currency of the prices."""
    return (tokens_in_prompts * prices.input + tokens_in_answers * prices.output) / 1_000_000


class Budget:
    """What was spent, what is set aside for requests on the way, and whether another one fits.

    Threads share it.
    """

    def __init__(self, teacher: Teacher, answered: Iterable[Entry]) -> None:
        """With what the answers of the record cost already."""
        self.limits = teacher.budget
        self.prices = teacher.prices
        self.input_tokens = 0.0
        self.output_tokens = 0.0
        for entry in answered:
            self.input_tokens += entry.input_tokens
            self.output_tokens += entry.output_tokens
        self.aside_input = 0.0
        self.aside_output = 0.0
        self.changed = threading.Condition()
        self.closed = False

    @property
    def money(self) -> float:
        """What was spent, in money."""
        return money_of(self.prices, self.input_tokens, self.output_tokens)

    def set_aside(self, prompt: float, answer: float) -> bool:
        """Set tokens aside for a request. Return False where they do not fit.

        While other requests are on the way, it waits for what they leave.
        """
        with self.changed:
            while not self.closed:
                if self.fits(prompt, answer):
                    self.aside_input += prompt
                    self.aside_output += answer
                    return True
                if not (self.aside_input or self.aside_output):
                    return False
                self.changed.wait()
            return False

    def fits(self, prompt: float, answer: float) -> bool:
        """Return whether these tokens fit beside all that is spent or set aside."""
        in_prompts = self.input_tokens + self.aside_input + prompt
        in_answers = self.output_tokens + self.aside_output + answer
        tokens, money = self.limits.tokens, self.limits.money
        if tokens is not None and in_prompts + in_answers > tokens:
            return False
        return money is None or money_of(self.prices, in_prompts, in_answers) <= money

    def settle(self, aside: tuple[float, float], spent: tuple[float, float]) -> None:
        """Replace tokens that were set aside by those that were spent."""
        with self.changed:
            self.aside_input -= aside[0]
            self.aside_output -= aside[1]
            self.input_tokens += spent[0]
            self.output_tokens += spent[1]
            self.changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
