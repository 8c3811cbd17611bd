"""Low information: free texts that say nothing particular, found by TF-IDF.

score(text) = Σ_t tf(t) · w(t) / Σ_t tf(t), with w(t) = max(0, 1 - log df(t) / log cap), cap = max(3, common · N).

tf(t) counts the term in the text; df(t) is the number of subjects whose texts hold it (a text without a subject is a
subject of its own), N the number of subjects. w is the usual inverse document frequency, scaled so that a term of one
subject alone weighs 1 and one that `common` of all subjects share weighs 0. The score is a mean over the text's terms,
so it lies in [0, 1] and a text repeated twice scores as once. It reads: the share of the text that is about something
in particular. At the threshold 0.05 fewer than one term in twenty is; boilerplate recurs from subject to subject and
scores 0, knowledge does not (docs/decisions/001-information-score.md).

Facts are not scored: their form is the source's, and what they say is their value.
"""

import math
import re
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from pydantic.dataclasses import dataclass

from stages.core.params import STRICT
from stages.core.record import fold

Row = dict[str, Any]
CHINESE = r"\u3400-\u9fff"
TERM = re.compile(rf"[{CHINESE}]+|[^\W_{CHINESE}]+")


@dataclass(frozen=True, config=STRICT)
class Params:
    """Where boilerplate ends."""

    threshold: float
    """Least score of a free text, in [0, 1]; 0 keeps everything."""
    common: float
    """Share of all subjects from which on a term tells nothing."""


def low_information(rows: list[Row], params: Params) -> dict[str, tuple[str, str]]:
    """id → (reason, evidence) of the free texts below the threshold."""
    texts = [row for row in rows if not row["fact"]]
    scores = information_scores([(row["subject"] or row["id"], row["text"]) for row in texts], params.common)
    return {
        row["id"]: ("low_information", f"score {score:.3f} is below {params.threshold}")
        for row, score in zip(texts, scores, strict=True)
        if score < params.threshold
    }


def information_scores(texts: list[tuple[str, str]], common: float) -> list[float]:
    """The score of each (subject, text)."""
    counts = [Counter(terms(text)) for _, text in texts]
    subjects: defaultdict[str, set[str]] = defaultdict(set)
    for (subject, _), count in zip(texts, counts, strict=True):
        for term in count:
            subjects[term].add(subject)
    cap = math.log(max(3.0, common * len({subject for subject, _ in texts})))
    weight = {term: max(0.0, 1 - math.log(len(found)) / cap) for term, found in subjects.items()}
    return [sum(n * weight[term] for term, n in count.items()) / max(1, count.total()) for count in counts]


def terms(text: str) -> list[str]:
    """Words in lower case; runs of Chinese as pairs of characters (a word there is most often two)."""
    found = []
    for run in TERM.findall(fold(text)):
        chinese = "\u3400" <= run[0] <= "\u9fff" and len(run) > 1
        found += [a + b for a, b in pairwise(run)] if chinese else [run]
    return found
