"""Whether a score differs between two versions by more than chance: better, worse, or inside the noise.

Where the same things were asked in both versions (facts; subjects with all their facts), pair by pair: the exact form of
McNemar's test (Q. McNemar, Psychometrika 12, 1947), a two-sided binomial test on the pairs that changed. The interval of the
difference is Newcombe's for paired proportions (R. G. Newcombe, Statistics in Medicine 17, 1998, 2635, method 10). Elsewhere
Newcombe's interval for two independent proportions (the same volume, 873, method 10), which is wider than need be where the
same questions were asked; it is outside the noise where it leaves out 0. All at 95 percent, for each score alone: of twenty
scores that did not change, one on average is called better or worse.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.evaluate.scores import wilson

Row = dict[str, Any]
LEVEL = 0.05
NOISE = "inside the noise"
SCORES = {
    "probes": ("probes", "exact_match"),
    "tasks": ("tasks", "completion"),
    "general": ("general", "exact_match"),
    "general_replayed": ("general_replayed", "exact_match"),
}
"""Where metrics/evaluate.json holds each score of a variant."""
PAIRED = {"probes": ("fact", "question"), "tasks": ("subject", "fact", "question")}
"""Scores of which data/evaluate/facts.parquet holds the single results, and the first column that is filled names the pair."""
NEGLIGIBLE = 1e-17
"""Share of a sum that a float no longer sees."""
HITS = ["variant", "fact", "subject", "question", "correct"]


def judge(metrics_a: Row, metrics_b: Row, answers_a: pa.Table, answers_b: pa.Table) -> list[Row]:
    """One row per variant and score: both scores, the difference with its interval, the method and the verdict."""
    pairs = {score: dict(counted(answers_a, answers_b, names)) for score, names in PAIRED.items()}
    rows = []
    for variant in [*metrics_a, *(name for name in metrics_b if name not in metrics_a)]:
        for score, path in SCORES.items():
            a, b = (look_up(metrics, variant, *path) for metrics in (metrics_a, metrics_b))
            if a is None and b is None:
                continue
            row: Row = {"variant": variant, "score": score, "a": a, "b": b}
            if a is None or b is None:
                row |= {
                    "method": "none",
                    "n": 0,
                    "verdict": "only in " + ("b" if a is None else "a"),
                }
            elif sum(pairs.get(score, {}).get(variant, ())):
                row |= paired(*pairs[score][variant])
            else:
                row |= unpaired(a, b)
            rows.append(row)
    return rows


def look_up(metrics: Row, *path: str) -> Row | None:
    """A score, or None."""
    found: Any = metrics
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) and "value" in found else None


def counted(
    a: pa.Table, b: pa.Table, names: tuple[str, ...]
) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """Per variant: how many pairs are right in both, lost, gained, wrong in both. A pair of several rows is right if all are."""
    keys = pa.chunked_array(
        [pc.coalesce(*(table[name] for name in names)).combine_chunks() for table in (a, b)]
    )
    codes = keys.dictionary_encode().combine_chunks().indices.to_numpy()
    size = int(codes.max(initial=-1)) + 1
    sides = [side(a, codes[: len(a)], size), side(b, codes[len(a) :], size)]
    for variant in sides[0].keys() & sides[1].keys():
        (asked_a, right_a), (asked_b, right_b) = sides[0][variant], sides[1][variant]
        both = asked_a & asked_b
        table = [
            both & right_a & right_b,
            both & right_a & ~right_b,
            both & ~right_a & right_b,
            both & ~right_a & ~right_b,
        ]
        yield variant, tuple(int(cell.sum()) for cell in table)  # type: ignore[misc]


def side(table: pa.Table, codes: np.ndarray, size: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per variant, which of `size` keys were asked, and which of those were answered right throughout."""
    variants = table["variant"].combine_chunks().dictionary_encode()
    wrong = ~table["correct"].to_numpy(zero_copy_only=False).astype(bool)
    names = variants.dictionary.to_pylist()
    cells = variants.indices.to_numpy().astype(np.int64) * size + codes
    asked, failed = (
        np.bincount(chosen, minlength=len(names) * size).reshape(-1, size) > 0
        for chosen in (cells, cells[wrong])
    )
    return {
        name: (asked[number], asked[number] & ~failed[number]) for number, name in enumerate(names)
    }


def paired(both: int, lost: int, gained: int, neither: int) -> Row:
    """McNemar's exact test and Newcombe's interval for the four cells of a paired table."""
    n = both + lost + gained + neither
    p = mcnemar(lost, gained)
    before, after = (both + lost) / n, (both + gained) / n
    phi = correlation(both, lost, gained, neither)
    (low_a, high_a), (low_b, high_b) = wilson(both + lost, n), wilson(both + gained, n)
    difference = after - before

    def half(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))

    low, high = (
        difference - half(after - low_b, high_a - before),
        difference + half(high_b - after, before - low_a),
    )
    verdict = NOISE if p >= LEVEL else "better" if gained > lost else "worse"
    numbers = {"n": n, "lost": lost, "gained": gained, "p": float(f"{p:.3g}")}
    return {"method": "mcnemar", **numbers, **rounded(difference, low, high), "verdict": verdict}


def unpaired(a: Row, b: Row) -> Row:
    """Newcombe's interval from two scores with their Wilson intervals."""
    difference = b["value"] - a["value"]
    low = difference - math.hypot(b["value"] - b["low"], a["high"] - a["value"])
    high = difference + math.hypot(b["high"] - b["value"], a["value"] - a["low"])
    verdict = "better" if low > 0 else "worse" if high < 0 else NOISE
    return {
        "method": "newcombe",
        "n": min(a["n"], b["n"]),
        **rounded(difference, low, high),
        "verdict": verdict,
    }


def mcnemar(lost: int, gained: int) -> float:
    """Two-sided exact p: twice the chance that of all pairs that changed so few, or fewer, went one way by a fair coin."""
    n, k = lost + gained, min(lost, gained)
    term = total = math.exp(
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
    )
    while k and term > NEGLIGIBLE * total:  # further ones are smaller still
        term *= k / (n - k + 1)
        k -= 1
        total += term
    return min(1.0, 2 * total)


def correlation(both: int, lost: int, gained: int, neither: int) -> float:
    """Phi of a paired table with Newcombe's correction for continuity; 0 where a margin is empty."""
    margins = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    if margins == 0:
        return 0.0
    product = both * neither - lost * gained
    if product > 0:
        product = max(0, 2 * product - (both + lost + gained + neither)) / 2  # type: ignore[assignment]
    return product / math.sqrt(margins)


def rounded(difference: float, low: float, high: float) -> Row:
    """To four digits, as scores are."""
    return {
        "difference": round(difference, 4),
        "low": round(max(-1.0, low), 4),
        "high": round(min(1.0, high), 4),
    }
