"""What a limit on confidence does: answers that a variant is not sure of become abstentions. No weight changes.

Each variant has a limit of its own. It is chosen on the valid wordings, so that a declared share of the right answers
there may be lost (`core/models/doubt.py`). A variant that answers none of them right has no limit, and nulls. `lore ask
--abstain` and `lore serve --abstain` use the limits, which `manifest.json` holds.

- `doubt.least_confidence`: the limit, in nats per token.
- `doubt.right`, `doubt.abstained`, `doubt.wrong`: shares of the answers to stated probes, with the limit.
- `doubt.invented`, `doubt.outside`: the share of abstentions about subjects that no record knows, as in `verdicts.py`.
- `doubt.general`: questions that the base could answer, never replayed, still answered right.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from stages.core.models import doubt
from stages.core.models.causal_lm import Answer, answered
from stages.core.models.conversation import prompt_text
from stages.core.records.abstention import PHRASES, Phrases
from stages.core.records.record import Record
from stages.evaluate import scores
from stages.evaluate.answers import is_right, key_of, stated
from stages.evaluate.verdicts import Asking, unknown_questions

Row = dict[str, Any]
NAMES = ("right", "abstained", "wrong")
KINDS = ("invented", "outside")
DIGITS = 10**6
"""A limit has six digits behind the point."""


class Own(NamedTuple):
    """An answer to a question about what the base knows."""

    is_right: bool
    confidence: float


class Doubt(NamedTuple):
    """What is asked to choose a limit, and to see what it does."""

    lost: float
    """Largest share of the right answers in valid wordings that the limit may lose."""
    valid: list[Record]
    unknown: dict[str, list[str]]
    """Questions about subjects that no record knows, by their kind."""
    phrases: Phrases
    """How a model abstains in its own words."""

    @classmethod
    def of(
        cls,
        lost: float | None,
        records: list[Record],
        probes: list[Record],
        most: int,
        seed: int,
        phrases: Phrases | None,
    ) -> "Doubt | None":
        """Return what is asked of every variant. None where no limit is wanted.

        `phrases` are those of the aligned model, where there is one.
        """
        if lost is None:
            return None
        valid = [row for row in records if row["split"] == "valid" and row["question"]]
        unknown = unknown_questions(probes, most, seed)
        return cls(lost, valid, unknown, phrases or Phrases(PHRASES))

    def section(
        self,
        judged: list[Row],
        own: Sequence[Own],
        model: Any,
        tokenizer: Any,
        params: Asking,
        seed: int,
    ) -> Row:
        """Return the section `doubt` of a variant. `judged` are its answers to probes, with their confidence."""
        least = self.limit(model, tokenizer, params)
        if least is None:
            return dict.fromkeys(("least_confidence", *NAMES, *KINDS, "general"))
        found: Row = {"least_confidence": least}
        rows = stated(judged)
        clusters = [key_of(row) for row in rows]
        verdicts = [self.verdict(row, least) for row in rows]
        for name in NAMES:
            hits = [given == name for given in verdicts]
            found[name] = scores.clustered_share(hits, clusters, seed)
        for kind, questions in self.unknown.items():
            answers = asked(model, tokenizer, questions, params)
            found[kind] = scores.share([self.abstains(answer, least) for answer in answers])
        kept = [answer.is_right and answer.confidence >= least for answer in own]
        found["general"] = scores.share(kept)
        return found

    def limit(self, model: Any, tokenizer: Any, params: Asking) -> float | None:
        """Return the least confidence at which an answer counts. None where no valid question is answered right."""
        questions = [str(row["question"]) for row in self.valid]
        right = []
        for row, answer in zip(self.valid, asked(model, tokenizer, questions, params), strict=True):
            if is_right(answer.text, [str(row["answer"])]):
                right.append(answer.confidence)
        if not right:
            return None
        least = doubt.least_confidence(right, self.lost)
        # Rounded down, so that rounding withholds no further answer.
        return math.floor(least * DIGITS) / DIGITS

    def abstains(self, answer: Answer, least: float) -> bool:
        """Return whether an answer is an abstention: by the limit, or in the model's own words."""
        is_unsure = answer.confidence < least
        says_so = self.phrases.is_abstention(answer.text)
        return is_unsure or says_so

    def verdict(self, row: Row, least: float) -> str:
        """Return the verdict on a judged answer, with the limit."""
        if self.abstains(Answer(row["answer"], row["confidence"]), least):
            return "abstained"
        return "right" if row["correct"] else "wrong"


def asked(model: Any, tokenizer: Any, questions: Sequence[str], params: Asking) -> list[Answer]:
    """Return the answers to questions."""
    prompts = [prompt_text(tokenizer, question) for question in questions]
    return answered(model, tokenizer, prompts, params.max_new_tokens, params.batch)
