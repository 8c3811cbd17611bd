"""How sure a model is of an answer, and abstentions where it is not sure enough. No weight is changed.

The confidence of an answer is the mean log-probability of its tokens, its end token included, in nats (Malinin and
Gales 2021, arXiv 2002.07650: length-normalised likelihood). `causal_lm.answered` gives it. The least confidence that is
accepted is chosen on questions with known answers: a declared share of the right ones may lie below it. This is selective
prediction at a coverage (Geifman and El-Yaniv 2017, arXiv 1705.08500).

Such a rule cannot make a wrong answer right. It is the baseline that alignment by training must beat.
"""

import math
from collections.abc import Sequence

from stages.core.models.causal_lm import Answer
from stages.core.records.abstention import abstention_for


def least_confidence(right: Sequence[float], lost: float) -> float:
    """Return the least confidence that is accepted, so that at most a share `lost` of the right answers is lost.

    `right` are the confidences of right answers, at least one. Equal ones are kept or lost together.
    """
    ordered = sorted(right)
    place = min(math.floor(lost * len(ordered)), len(ordered) - 1)
    return ordered[place]


def or_abstention(answer: Answer, least: float, question: str) -> str:
    """Return the answer's text, or an abstention in the question's language where the model is less sure than `least`."""
    if answer.confidence >= least:
        return answer.text
    return abstention_for(question)
