"""Scores of answers, each in [0, 1] with a 95 % interval and its n.

Exact match: the answer, folded (NFKC, case, white space, final full stops), is one of the accepted answers, which are
the full sentence, the value with its unit and, for a number, the number. Numbers compare as they are written. The
interval is Wilson's (E. B. Wilson, 1927).
BLEU (sacrebleu, effective order) and ROUGE-L F1 (rouge-score) are means over full-sentence answers; Chinese is cut into
characters for both. Entity F1 is micro-averaged: 2 hits / (entities expected + entities answered), each answer's
entities a multiset, found by rules fixed beforehand (`entity_pattern`). Their intervals are bootstrapped (percentiles of
1,000 seeded resamples; B. Efron, 1979).
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from stages.core.records.record import fold

Z = 1.959964  # two-sided 95 % of the normal distribution
RESAMPLES = 1000
CHINESE = re.compile(r"[\u3400-\u9fff]")
NUMBER = r"-?\d+(?:\.\d+)?"
NAME = r"(?<=\s)[A-ZÀ-ÖØ-Þ][\w'’-]*(?: [A-ZÀ-ÖØ-Þ][\w'’-]*)*"

Floats = npt.NDArray[np.float64]


class Score(TypedDict):
    """A value, its interval, and the number of things it was measured on."""

    value: float
    low: float
    high: float
    n: int


def is_right(answer: str, accepted: list[str]) -> bool:
    """Exact match of the folded answer with one of the accepted ones."""
    return strip(answer) in {strip(text) for text in accepted}


def strip(text: str) -> str:
    """Folded, without final full stops."""
    return fold(text).rstrip(".。 ")


def share(hits: list[bool]) -> Score:
    """Share of hits with Wilson's interval; an empty list gives 0 in [0, 1]."""
    n = len(hits)
    if n == 0:
        return {"value": 0.0, "low": 0.0, "high": 1.0, "n": 0}
    return rounded(sum(hits) / n, *wilson(sum(hits), n), n)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n > 0."""
    p = hits / n
    centre, half = p + Z**2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    low, high = (centre - half) / (1 + Z**2 / n), (centre + half) / (1 + Z**2 / n)
    return max(0.0, low), min(1.0, high)


def texts(pairs: list[tuple[str, str]], entity: re.Pattern[str], seed: int) -> dict[str, Score]:
    """BLEU, ROUGE-L and entity F1 of (expected, answer) pairs."""
    overlap = np.array([*map(overlaps(), pairs)])  # (n, 2)
    counts = np.array([entity_counts(entity, *pair) for pair in pairs], dtype=np.float64)  # (n, 3)
    return {
        "bleu": bootstrap(overlap[:, :1], mean, seed),
        "rouge_l": bootstrap(overlap[:, 1:], mean, seed),
        "entity_f1": bootstrap(counts, micro_f1, seed),
    }


def overlaps() -> Callable[[tuple[str, str]], tuple[float, float]]:
    """A function that gives BLEU and ROUGE-L F1 of one (expected, answer) pair."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU

    bleus = {
        chinese: BLEU(effective_order=True, tokenize="zh" if chinese else "13a")
        for chinese in (False, True)
    }
    rouges = {
        chinese: RougeScorer(["rougeL"], tokenizer=Characters() if chinese else None)
        for chinese in (False, True)
    }

    def score(pair: tuple[str, str]) -> tuple[float, float]:
        expected, answer = pair
        chinese = bool(CHINESE.search(expected))
        bleu = bleus[chinese].sentence_score(answer, [expected]).score / 100
        return bleu, rouges[chinese].score(expected, answer)["rougeL"].fmeasure

    return score


class Characters:
    """Tokenizer for ROUGE: a Chinese character is a token, and so is any other word."""

    def tokenize(self, text: str) -> list[str]:
        """Tokens of a text."""
        return re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+", fold(text))


def entity_pattern(names: Iterable[str], units: Iterable[str]) -> re.Pattern[str]:
    """What counts as an entity, longest first: a known name (subject, value in words) as it is written; a number with a
    known unit behind it, or without; capitalised words that do not begin the text."""

    def any_of(words: Iterable[str]) -> str:
        return (
            "|".join(
                re.escape(word) for word in sorted(set(words), key=lambda word: (-len(word), word))
            )
            or "(?!)"
        )

    return re.compile(
        rf"(?<!\w)(?:{any_of(names)})(?!\w)|{NUMBER}(?: ?(?:{any_of(units)})(?!\w))?|{NAME}"
    )


def entity_counts(pattern: re.Pattern[str], expected: str, answer: str) -> tuple[int, int, int]:
    """Entities that both texts have, that are expected, and that are answered."""
    wanted, found = Counter(pattern.findall(expected)), Counter(pattern.findall(answer))
    return (wanted & found).total(), wanted.total(), found.total()


def mean(values: Floats) -> float:
    """Mean of a column; `values`: (n, 1)."""
    return float(values.mean())


def micro_f1(counts: Floats) -> float:
    """F1 of summed counts, 1 where there is nothing to find; `counts`: (n, 3)."""
    hits, wanted, found = counts.sum(axis=0)
    return float(2 * hits / (wanted + found)) if wanted + found else 1.0


def bootstrap(values: Floats, statistic: Callable[[Floats], float], seed: int) -> Score:
    """A statistic of rows (n, k) with the percentiles 2.5 and 97.5 of its value on resampled rows."""
    n = len(values)
    rng = np.random.default_rng(seed)
    low, high = np.percentile(
        [statistic(values[rng.integers(n, size=n)]) for _ in range(RESAMPLES)], [2.5, 97.5]
    )
    return rounded(statistic(values), float(low), float(high), n)


def rounded(value: float, low: float, high: float, n: int) -> Score:
    """To four digits."""
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4), "n": n}
