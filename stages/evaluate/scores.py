"""Scores of answers, each in [0, 1] with a 95 % interval and its n.

Exact match: the answer, folded (NFKC, case, white space, final full stops), is one of the accepted answers.
These are the full sentence, the value with its unit and, for a number, the number. Numbers compare as they
are written. Where each answer is about another fact, the interval is Wilson's (E. B. Wilson, 1927).

Several answers about one fact, asked in several wordings, are not independent. Their interval is
bootstrapped over facts: percentiles of 1,000 seeded resamples, each of which draws whole facts (the cluster
bootstrap: A. C. Davison and D. V. Hinkley, 1997, section 3.8). `n` is the number of answers.

BLEU (sacrebleu, effective order) and ROUGE-L F1 (rouge-score) are means over full-sentence answers. Both
take a Chinese character as a token. Entity F1 is micro-averaged: 2 hits / (entities expected + entities
answered). Each answer's entities are a multiset, found by rules that are fixed beforehand
(`entity_pattern`). These three intervals are bootstrapped over facts too (B. Efron, 1979).

A number is near where it lies within a tolerance of the expected one (`is_near`). An answer contains the
value where the value stands in it as a whole.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from stages.core.records.record import fold
from stages.core.records.stated import states

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


def contains(answer: str, accepted: Iterable[str]) -> bool:
    """Return whether one of the accepted answers stands in the answer as a whole."""
    return any(states(answer, text) for text in accepted)


def is_near(answer: str, value: str, subject: str, relative: float) -> bool:
    """Return whether the first number of an answer lies within a tolerance of a value.

    `relative` is a share of the value. Numbers in the subject's name, such as in uranium-235, do not count.
    Words are never near.
    """
    try:
        expected = float(value)
    except ValueError:
        return False
    rest = fold(answer).replace(fold(subject), " ") if subject else fold(answer)
    # A comma between groups of three digits is no decimal point: 1,538 is 1538.
    rest = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", rest)
    found = re.search(NUMBER, rest)
    if found is None:
        return False
    return abs(float(found[0]) - expected) <= relative * abs(expected)


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


def clustered_share(hits: Sequence[bool], clusters: Sequence[Hashable], seed: int) -> Score:
    """Return the share of hits, with an interval over clusters: the fact of each answer, for example.

    Wilson's interval is taken where each cluster has one hit or miss. Where all answers are right, or all
    are wrong, resamples do not differ. Then Wilson's interval of as many answers as there are clusters is
    taken, which is the wider one.
    """
    n = len(hits)
    number = len(set(clusters))
    if n == number:
        return share(list(hits))
    right = sum(hits)
    if right in (0, n):
        low, high = wilson(number if right else 0, number)
        return rounded(right / n, low, high, n)
    rows = np.array([[float(hit), 1.0] for hit in hits])  # (n, 2)
    score = bootstrap(by_cluster(rows, clusters), ratio, seed)
    score["n"] = n
    return score


def by_cluster(values: Floats, clusters: Sequence[Hashable]) -> Floats:
    """Return the sums of the rows (n, k) of each cluster, in the order of their first rows: (clusters, k)."""
    position: dict[Hashable, int] = {}
    for cluster in clusters:
        position.setdefault(cluster, len(position))
    sums = np.zeros((len(position), values.shape[1]))
    np.add.at(sums, [position[cluster] for cluster in clusters], values)
    return sums


def ratio(sums: Floats) -> float:
    """Return the sum of the first column of (n, 2), divided by that of the second."""
    total, count = sums.sum(axis=0)
    return float(total / count)


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


def texts(
    pairs: list[tuple[str, str]],
    entity: re.Pattern[str],
    seed: int,
    clusters: Sequence[Hashable] | None = None,
) -> dict[str, Score]:
    """Return BLEU, ROUGE-L and entity F1 of (expected, answer) pairs.

    `clusters`: the fact of each pair. Without them, each pair is a cluster of its own.
    """
    if clusters is None:
        clusters = range(len(pairs))
    overlap_of = overlaps()
    overlap_rows = []
    count_rows = []
    for expected, answer in pairs:
        overlap_rows.append(overlap_of((expected, answer)))
        count_rows.append(entity_counts(entity, expected, answer))
    one = np.ones((len(pairs), 1))
    overlap = np.hstack([np.array(overlap_rows), one])  # (n, 3): BLEU, ROUGE-L, 1
    counts = np.array(count_rows, dtype=np.float64)  # (n, 3): hits, expected, answered
    overlap_of_cluster = by_cluster(overlap, clusters)
    scores = {
        "bleu": bootstrap(overlap_of_cluster[:, [0, 2]], ratio, seed),
        "rouge_l": bootstrap(overlap_of_cluster[:, [1, 2]], ratio, seed),
        "entity_f1": bootstrap(by_cluster(counts, clusters), micro_f1, seed),
    }
    for score in scores.values():
        score["n"] = len(pairs)
    return scores


def overlaps() -> Callable[[tuple[str, str]], tuple[float, float]]:
    """Return a function that gives BLEU and ROUGE-L F1 of one (expected, answer) pair."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU

    bleu_of_words = BLEU(effective_order=True, tokenize="13a")
    bleu_of_chinese = BLEU(effective_order=True, tokenize="zh")
    rouge_of_words = RougeScorer(["rougeL"])
    rouge_of_chinese = RougeScorer(["rougeL"], tokenizer=Characters())

    @cache  # the same answer to several wordings is scored once
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
