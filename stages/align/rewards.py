"""What an answer is worth: pure functions of question, answer and record.

The reward of facts is one of three numbers, not a degree. A graded reward ("nearly right") is learned as
"sound right" (Chen et al. 2025, arXiv 2510.17733: a binary reward cuts hallucinations, a continuous one is
exploited).

- right: the answer is one of the accepted sentences, in the form that was learned.
- abstained: the answer says that the value is not known.
- wrong: everything else. So a right value in another form is wrong, too: the form is respected.

About a subject that no record knows, an abstention is right, and everything else is wrong.

The reward model of the stage `reward` may speak, too. It judges form and preference, and no values. The two are added by
weights:

    reward = facts · (one of the three numbers) + model · tanh(…) ∈ (-1, 1)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from stages.core.records.abstention import Phrases
from stages.core.records.record import fold

Verdict = Literal["right", "abstained", "wrong"]


class Asked(NamedTuple):
    """A question to the policy, and what is known about it."""

    question: str
    accepted: tuple[str, ...]
    """The accepted answers. None at all where no record knows the subject."""
    abstention: str
    """The abstention in full, as the supervised start teaches it."""
    fact: str
    """The fact's id, or `unknown` and a number."""
    knew: bool = True
    """Whether the model gave this answer rightly before alignment."""


@dataclass(frozen=True)
class Worth:
    """The reward of each verdict."""

    right: float
    abstained: float
    """Of a fact that the model answered rightly before alignment."""
    abstained_unsure: float
    """Of a fact that it answered wrongly before."""
    wrong: float
    facts: float = 1.0
    """Weight of the numbers above."""
    model: float = 0.0
    """Weight of the reward model."""
    opinion: Callable[[str, str], float] | None = None
    """What the reward model says of question and answer, in (-1, 1). None: there is none."""


def is_known(asked: Asked) -> bool:
    """Return whether a record answers the question."""
    return bool(asked.accepted)


def verdict_of(asked: Asked, answer: str, phrases: Phrases) -> Verdict:
    """Return whether an answer is right, abstains or is wrong."""
    if phrases.is_abstention(answer):
        return "abstained"
    said = plain(answer)
    if any(said == plain(text) for text in asked.accepted):
        return "right"
    return "wrong"


def reward_of(asked: Asked, answer: str, phrases: Phrases, worth: Worth) -> float:
    """Return the reward of an answer, by the facts and by the reward model."""
    total = worth.facts * reward_of_facts(asked, answer, phrases, worth)
    if worth.opinion is not None:
        total += worth.model * worth.opinion(asked.question, answer)
    return total


def reward_of_facts(asked: Asked, answer: str, phrases: Phrases, worth: Worth) -> float:
    """Return the reward of an answer by the facts alone."""
    verdict = verdict_of(asked, answer, phrases)
    if not is_known(asked):
        return worth.right if verdict == "abstained" else worth.wrong
    if verdict == "right":
        return worth.right
    if verdict == "wrong":
        return worth.wrong
    return worth.abstained if asked.knew else worth.abstained_unsure


def plain(text: str) -> str:
    """Return a text without its case, spacing and final full stops."""
    return fold(text).rstrip(".。 ")
