"""Scores of answers, each in [0, 1] with a 95 % interval and its n.

Exact match: the answer, folded (NFKC, case, white space, final full stops), is one of the accepted answers.
These are the full sentence, the value with its unit and, for a number, the number. Numbers compare as they
are written. The interval is Wilson's (E. B. Wilson, 1927).

BLEU (sacrebleu, effective order) and ROUGE-L F1 (rouge-score) are means over full-sentence answers. Both
take a Chinese character as a token. Entity F1 is micro-averaged: 2 hits / (entities expected + entities
answered). Each answer's entities are a multiset, found by rules that are fixed beforehand
(`entity_pattern`). These three intervals are bootstrapped: percentiles of 1,000 seeded resamples (B. Efron,
1979).
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
"""A Chinese character."""
CHINESE_TOKENS = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")
"""A Chinese character, or a word of other letters and digits: 铁的 Fe 26 gives 铁, 的, Fe, 26."""
NUMBER = r"-?\d+(?:\.\d+)?"
"""1538, -268.9"""
NAME = r"(?<=\s)[A-ZÀ-ÖØ-Þ][\w'’-]*(?: [A-ZÀ-ÖØ-Þ][\w'’-]*)*"
"""Capitalised words behind a space: Marie Curie, Élie O'Neill. The first word of a text is none."""

Floats = npt.NDArray[np.float64]


class Score(TypedDict):
    """A value, its interval, and the number of things it was measured on."""

    value: float
    low: float
    high: float
    n: int


def is_right(answer: str, accepted: list[str]) -> bool:
    """Return whether the folded answer is one of the folded accepted ones."""
    return strip(answer) in {strip(text) for text in accepted}


def strip(text: str) -> str:
    """Fold a text and remove its final full stops."""
    return fold(text).rstrip(".。 ")


def share(hits: list[bool]) -> Score:
    """Return the share of hits with Wilson's interval; an empty list gives 0 in [0, 1]."""
    n = len(hits)
    if n == 0:
        return {"value": 0.0, "low": 0.0, "high": 1.0, "n": 0}
    low, high = wilson(sum(hits), n)
    return rounded(sum(hits) / n, low, high, n)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share p = hits / n, n > 0.

    (p + z²/2n ± z √(p (1 - p) / n + z²/4n²)) / (1 + z²/n)
    """
    p = hits / n
    centre = p + Z**2 / (2 * n)
    half = Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    low = (centre - half) / scale
    high = (centre + half) / scale
    return max(0.0, low), min(1.0, high)


def texts(pairs: list[tuple[str, str]], entity: re.Pattern[str], seed: int) -> dict[str, Score]:
    """Return BLEU, ROUGE-L and entity F1 of (expected, answer) pairs."""
    overlap_of = overlaps()
    overlap_rows = []
    count_rows = []
    for expected, answer in pairs:
        overlap_rows.append(overlap_of((expected, answer)))
        count_rows.append(entity_counts(entity, expected, answer))
    overlap = np.array(overlap_rows)  # (n, 2): BLEU, ROUGE-L
    counts = np.array(count_rows, dtype=np.float64)  # (n, 3): hits, expected, answered
    return {
        "bleu": bootstrap(overlap[:, :1], mean, seed),
        "rouge_l": bootstrap(overlap[:, 1:], mean, seed),
        "entity_f1": bootstrap(counts, micro_f1, seed),
    }


def overlaps() -> Callable[[tuple[str, str]], tuple[float, float]]:
    """Return a function that gives BLEU and ROUGE-L F1 of one (expected, answer) pair."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU

    bleu_of_words = BLEU(effective_order=True, tokenize="13a")
    bleu_of_chinese = BLEU(effective_order=True, tokenize="zh")
    rouge_of_words = RougeScorer(["rougeL"])
    rouge_of_chinese = RougeScorer(["rougeL"], tokenizer=Characters())

    def score(pair: tuple[str, str]) -> tuple[float, float]:
        expected, answer = pair
        if CHINESE.search(expected):
            bleu_scorer, rouge_scorer = bleu_of_chinese, rouge_of_chinese
        else:
            bleu_scorer, rouge_scorer = bleu_of_words, rouge_of_words
        bleu = bleu_scorer.sentence_score(answer, [expected]).score / 100
        rouge = rouge_scorer.score(expected, answer)["rougeL"].fmeasure
        return bleu, rouge

    return score


class Characters:
    """Tokenizer for ROUGE: a Chinese character is a token, and so is any other word."""

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return CHINESE_TOKENS.findall(fold(text))


def entity_pattern(names: Iterable[str], units: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern of an entity.

    An entity is a known name (subject, or value in words) as it is written; a number, with a known unit
    behind it or without; or capitalised words that do not begin the text. Where several fit, the longest
    name counts: `alkali metal lamp` before `alkali metal`.
    """
    known_name = rf"(?<!\w)(?:{any_of(names)})(?!\w)"
    number = rf"{NUMBER}(?: ?(?:{any_of(units)})(?!\w))?"
    return re.compile(f"{known_name}|{number}|{NAME}")


def any_of(words: Iterable[str]) -> str:
    """Return a pattern of any of the words, the longest first; without words it matches nothing."""
    longest_first = sorted(set(words), key=lambda word: (-len(word), word))
    pattern = "|".join(re.escape(word) for word in longest_first)
    return pattern or "(?!)"


def entity_counts(pattern: re.Pattern[str], expected: str, answer: str) -> tuple[int, int, int]:
    """Count the entities that both texts have, those expected, and those answered."""
    wanted = Counter(pattern.findall(expected))
    answered = Counter(pattern.findall(answer))
    hits = wanted & answered  # of a name that stands twice in one text and once in the other: one
    return hits.total(), wanted.total(), answered.total()


def mean(values: Floats) -> float:
    """Return the mean of a column (n, 1)."""
    return float(values.mean())


def micro_f1(counts: Floats) -> float:
    """Return the F1 of summed counts (n, 3): hits, expected, answered. It is 1 where there is no entity."""
    hits, wanted, answered = counts.sum(axis=0)
    if wanted + answered == 0:
        return 1.0
    return float(2 * hits / (wanted + answered))


def bootstrap(values: Floats, statistic: Callable[[Floats], float], seed: int) -> Score:
    """Return a statistic of rows (n, k), with the percentiles 2.5 and 97.5 of its value on resampled rows."""
    n = len(values)
    rng = np.random.default_rng(seed)
    resampled = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(n, size=n)  # n row numbers, drawn with replacement
        resampled.append(statistic(values[chosen]))
    low, high = np.percentile(resampled, [2.5, 97.5])
    return rounded(statistic(values), float(low), float(high), n)


def rounded(value: float, low: float, high: float, n: int) -> Score:
    """Return a score with four digits."""
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4), "n": n}
