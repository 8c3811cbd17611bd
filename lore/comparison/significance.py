"""Whether a score differs between two versions by more than chance: better, worse, or inside the noise.

Where both versions were asked the same things, they are compared pair by pair. A pair is a fact, or a
subject with all its facts. The test is the exact form of McNemar's (Q. McNemar, Psychometrika 12,
1947): a two-sided binomial test on the pairs that changed. The interval of the difference is
Newcombe's for paired proportions (R. G. Newcombe, Statistics in Medicine 17, 1998, 2635, method 10).

Elsewhere it is Newcombe's interval for two independent proportions (the same volume, 873, method 10).
That is wider than it need be where the same questions were asked. A score is outside the noise where
this interval leaves out 0.

All intervals are at 95 percent, for each score alone. So of twenty scores that did not change, one on
average is called better or worse.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.core.project.artifacts import EVALUATE_METRICS
from stages.core.project.errors import InputError
from stages.evaluate.scores import wilson

if TYPE_CHECKING:
    from lore.versions.version import Version

Row = dict[str, Any]
Cells = tuple[int, int, int, int]
"""Numbers of pairs: right in both versions, lost, gained, wrong in both."""
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
"""Scores whose single results are in data/evaluate/facts.parquet, and the columns that name a pair.

The first of these columns that is filled counts. A question about no fact has its text alone.
"""
NEGLIGIBLE = 1e-17
"""Share of a sum that a float no longer sees."""
HITS = ["variant", "fact", "subject", "question", "correct"]


def scores_of(version: "Version") -> Row:
    """Return metrics/evaluate.json of a version. Without the file, nothing.

    Raises InputError where the file is damaged: a score in it is not whole.
    """
    document = version.document(EVALUATE_METRICS)
    if document is None:
        return {}
    metrics: Row = document if isinstance(document, dict) else {}
    damaged = [] if isinstance(document, dict) else ["it"]
    for variant in metrics:
        for path in SCORES.values():
            score = look_up(metrics, variant, *path)
            if score is not None and not is_whole(score):
                damaged.append(".".join([variant, *path]))
    if damaged:
        raise InputError(
            f"{EVALUATE_METRICS} of {version.label}: {damaged[0]} is no score with its interval; "
            "git checkout brings the file back, or dvc repro makes it again"
        )
    return metrics


def is_whole(score: Row) -> bool:
    """Whether a score has its value, its interval and the number of answers."""
    for key in ("value", "low", "high", "n"):
        number = score.get(key)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            return False
    return True


def judge(metrics_a: Row, metrics_b: Row, answers_a: pa.Table, answers_b: pa.Table) -> list[Row]:
    """Return one row per variant and score.

    A row holds both scores, the difference with its interval, the method and the verdict.
    """
    pairs = {score: dict(counted(answers_a, answers_b, names)) for score, names in PAIRED.items()}
    new_variants = [name for name in metrics_b if name not in metrics_a]
    rows = []
    for variant in [*metrics_a, *new_variants]:
        for score, path in SCORES.items():
            a = look_up(metrics_a, variant, *path)
            b = look_up(metrics_b, variant, *path)
            if a is None and b is None:
                continue
            cells = pairs.get(score, {}).get(variant, (0, 0, 0, 0))
            row: Row = {"variant": variant, "score": score, "a": a, "b": b}
            rows.append(row | verdict_on(a, b, cells))
    return rows


def verdict_on(a: Row | None, b: Row | None, cells: Cells) -> Row:
    """Judge one score of one variant: by its pairs where there are any, else by both intervals."""
    if a is None:
        return {"method": "none", "n": 0, "verdict": "only in b"}
    if b is None:
        return {"method": "none", "n": 0, "verdict": "only in a"}
    if sum(cells):
        return paired(*cells)
    return unpaired(a, b)


def look_up(metrics: Row, *path: str) -> Row | None:
    """Return the score at a path of names in metrics/evaluate.json, or None."""
    entry: Any = metrics
    for name in path:
        if not isinstance(entry, dict):
            return None
        entry = entry.get(name)
    if isinstance(entry, dict) and "value" in entry:
        return entry
    return None


def counted(a: pa.Table, b: pa.Table, names: tuple[str, ...]) -> Iterator[tuple[str, Cells]]:
    """Yield the cells of the paired table of each variant. A pair of several rows is right if all are.

    `names` are the columns that name a pair, as in PAIRED.
    """
    # Both tables get one numbering of the keys: the same fact has the same code on both sides.
    keys_a = pc.coalesce(*(a[name] for name in names)).combine_chunks()
    keys_b = pc.coalesce(*(b[name] for name in names)).combine_chunks()
    keys = pa.chunked_array([keys_a, keys_b]).dictionary_encode().combine_chunks()
    codes = keys.indices.to_numpy()
    number_of_keys = int(codes.max(initial=-1)) + 1
    side_a = side(a, codes[: len(a)], number_of_keys)
    side_b = side(b, codes[len(a) :], number_of_keys)
    for variant in side_a.keys() & side_b.keys():
        # Masks over all keys. A key that one side did not ask counts in no cell.
        asked_a, right_a = side_a[variant]
        asked_b, right_b = side_b[variant]
        asked = asked_a & asked_b
        yield (
            variant,
            (
                int((asked & right_a & right_b).sum()),
                int((asked & right_a & ~right_b).sum()),
                int((asked & ~right_a & right_b).sum()),
                int((asked & ~right_a & ~right_b).sum()),
            ),
        )


def side(table: pa.Table, codes: np.ndarray, size: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return for each variant two masks over all keys: which were asked, which were right throughout.

    `codes` (rows,) is the key of each row, from 0 to `size` - 1. Both masks have the shape (size,).
    """
    variants = table["variant"].combine_chunks().dictionary_encode()
    names = variants.dictionary.to_pylist()
    # One number per variant and key. With 10 keys, key 3 of the second variant is 13. The counts of
    # these numbers, cut into rows of 10, say for each variant how often each key was asked.
    cells = variants.indices.to_numpy().astype(np.int64) * size + codes
    wrong = ~table["correct"].to_numpy(zero_copy_only=False).astype(bool)
    shape = (len(names), size)
    asked = np.bincount(cells, minlength=len(names) * size).reshape(shape) > 0
    failed = np.bincount(cells[wrong], minlength=len(names) * size).reshape(shape) > 0
    masks = {}
    for number, name in enumerate(names):
        right = asked[number] & ~failed[number]
        masks[name] = (asked[number], right)
    return masks


def paired(both: int, lost: int, gained: int, neither: int) -> Row:
    """Apply McNemar's exact test and Newcombe's paired interval to the cells of a paired table.

    `both` pairs are right in both versions, `lost` only in the first, `gained` only in the second.
    """
    n = both + lost + gained + neither
    before = (both + lost) / n
    after = (both + gained) / n
    low_a, high_a = wilson(both + lost, n)
    low_b, high_b = wilson(both + gained, n)
    phi = correlation(both, lost, gained, neither)
    difference = after - before
    low = difference - half_width(after - low_b, high_a - before, phi)
    high = difference + half_width(high_b - after, before - low_a, phi)

    # The verdict is the test's. The interval shows how large the difference may be.
    p = mcnemar(lost, gained)
    verdict = NOISE
    if p < LEVEL:
        verdict = "better" if gained > lost else "worse"
    three_digits = float(f"{p:.3g}")
    return {
        "method": "mcnemar",
        "n": n,
        "lost": lost,
        "gained": gained,
        "p": three_digits,
        **rounded(difference, low, high),
        "verdict": verdict,
    }


def half_width(one: float, other: float, phi: float) -> float:
    """Combine the distances from two proportions to their limits, as Newcombe does for pairs.

    It is the square root of one² - 2·phi·one·other + other².
    """
    square = one**2 - 2 * phi * one * other + other**2
    # Rounding may leave a square a little below 0.
    return math.sqrt(max(0.0, square))


def unpaired(a: Row, b: Row) -> Row:
    """Apply Newcombe's interval to two scores with their Wilson intervals."""
    difference = b["value"] - a["value"]
    # The lowest difference has b at its lower limit and a at its upper one, and so the other way round.
    low = difference - math.hypot(b["value"] - b["low"], a["high"] - a["value"])
    high = difference + math.hypot(b["high"] - b["value"], a["value"] - a["low"])
    if low > 0:
        verdict = "better"
    elif high < 0:
        verdict = "worse"
    else:
        verdict = NOISE
    n = min(a["n"], b["n"])
    return {"method": "newcombe", "n": n, **rounded(difference, low, high), "verdict": verdict}


def mcnemar(lost: int, gained: int) -> float:
    """Return the two-sided exact p of the pairs that changed.

    It is twice the chance that a fair coin, thrown once for each of them, falls on one side as rarely
    as the rarer change was seen, or more rarely: 2 · Σ C(n, i) / 2ⁿ for i from 0 to min(lost, gained).
    """
    n = lost + gained
    k = min(lost, gained)
    # The largest term, i = k, is computed by logarithms, because C(n, k) of many pairs fits no float.
    log_of_choices = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    term = math.exp(log_of_choices - n * math.log(2))
    total = term
    while k and term > NEGLIGIBLE * total:  # further terms are smaller still
        term *= k / (n - k + 1)  # C(n, k - 1) = C(n, k) · k / (n - k + 1)
        k -= 1
        total += term
    return min(1.0, 2 * total)


def correlation(both: int, lost: int, gained: int, neither: int) -> float:
    """Return phi of a paired table with Newcombe's correction for continuity, 0 where a margin is empty."""
    margins = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    if margins == 0:
        return 0.0
    product = float(both * neither - lost * gained)
    # Only a positive correlation is corrected. The correction does not make it negative.
    if product > 0:
        n = both + lost + gained + neither
        product = max(0.0, product - n / 2)
    return product / math.sqrt(margins)


def rounded(difference: float, low: float, high: float) -> Row:
    """Round to four digits, as scores are. The interval of a difference lies within -1 and 1."""
    return {
        "difference": round(difference, 4),
        "low": round(max(-1.0, low), 4),
        "high": round(min(1.0, high), 4),
    }
