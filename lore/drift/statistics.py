"""Tests of whether two samples come from one distribution, each with a p-value and a size of the difference.

- Numbers: Kolmogorov–Smirnov (scipy), size by the population stability index.
- Categories: chi-square of the counts, size by Cramér's V.
- Texts: a classifier that tells new from old by character n-grams (Rabanser, Günnemann and Lipton, Failing
  Loudly, 2019), size by its AUC on texts that it was not trained on.

Many tests together find a difference by chance. Their p-values are adjusted by Holm (1979), so that a report on
data without drift raises an alarm in at most the declared share of cases.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
BINS = 10
"""Bins of the population stability index, with equal shares of the reference."""
FOLDS = 5
SMALLEST_SHARE = 1e-4
"""Share of an empty bin, whose logarithm would be infinite."""
FEWEST_EXPECTED = 5
"""Categories with a lower expected count are counted together, as the chi-square test asks for."""
MOST_TEXTS = 4000
"""Texts of each side that the classifier reads."""


@dataclass(frozen=True)
class Result:
    """What a test says."""

    p: float
    """Probability of a difference at least as large, without drift."""
    size: float
    """PSI, Cramér's V or AUC. It says how large the difference is, where p says how sure."""


def numbers(reference: Numbers, now: Numbers) -> Result:
    """Compare numbers. Both samples need at least eight: the p-value is that of large samples."""
    from scipy.stats import ks_2samp

    # The exact p-value fails for some samples with ties. The asymptotic one never does.
    test = ks_2samp(reference, now, method="asymp")
    return Result(float(test.pvalue), stability_index(reference, now))


def stability_index(reference: Numbers, now: Numbers) -> float:
    """Return the population stability index: sum of (q - p) · ln(q / p) over the bins.

    p and q are the shares of reference and sample in a bin. Below 0.1 counts as stable, above 0.25 as changed.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    p = shares_in_bins(reference, edges)
    q = shares_in_bins(now, edges)
    return float(np.sum((q - p) * np.log(q / p)))


def shares_in_bins(sample: Numbers, edges: Numbers) -> Numbers:
    """Return the share of a sample in each bin, never 0. `edges` are the inner ones, ascending."""
    # searchsorted gives 0 below the first edge, and len(edges) above the last one.
    places = np.searchsorted(edges, sample, side="right")
    counts = np.bincount(places, minlength=len(edges) + 1)
    return np.maximum(counts / len(sample), SMALLEST_SHARE)


def categories(reference: Sequence[str], now: Sequence[str]) -> Result:
    """Compare categories. Rare ones are counted together. Both samples need at least one."""
    from scipy.stats import chi2_contingency

    table = count_table(reference, now)
    if table.shape[1] < 2:
        return Result(1.0, 0.0)
    statistic, p, _, _ = chi2_contingency(table, correction=False)
    # Of a table with two rows, Cramér's V is the root of chi-square over the number of values.
    return Result(float(p), float(np.sqrt(statistic / table.sum())))


def count_table(reference: Sequence[str], now: Sequence[str]) -> Numbers:
    """Return counts of shape (2, categories): reference, then now."""
    before, after = Counter(reference), Counter(now)
    total = len(reference) + len(now)
    columns = []
    rare = [0, 0]
    for name in sorted(before.keys() | after.keys()):
        together = before[name] + after[name]
        smaller = min(len(reference), len(now))
        if together * smaller / total < FEWEST_EXPECTED:
            rare[0] += before[name]
            rare[1] += after[name]
        else:
            columns.append([before[name], after[name]])
    if sum(rare):
        columns.append(rare)
    return np.array(columns, dtype=np.float64).T


def texts(reference: Sequence[str], now: Sequence[str], seed: int) -> tuple[Result, Numbers]:
    """Compare texts. Return the result, and for each text of `now` how new it looks, in [0, 1].

    Both samples need at least FOLDS texts. At most MOST_TEXTS of each are read, the others count as 0.
    """
    from scipy.stats import mannwhitneyu
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    rng = np.random.default_rng(seed)
    old = drawn(len(reference), rng)
    new = drawn(len(now), rng)
    read = [reference[place] for place in old] + [now[place] for place in new]
    labels = np.array([0] * len(old) + [1] * len(new))
    # Hashes need no vocabulary, so no fold sees the words of another.
    vectorizer = HashingVectorizer(analyzer="char_wb", ngram_range=(1, 3), n_features=2**16)
    features = vectorizer.transform(read)
    scores = np.zeros(len(read))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(features, labels):
        model = LogisticRegression(class_weight="balanced", max_iter=300)
        model.fit(features[train], labels[train])
        scores[test] = model.predict_proba(features[test])[:, 1]
    old_scores, new_scores = scores[: len(old)], scores[len(old) :]
    test_of_order = mannwhitneyu(new_scores, old_scores, alternative="greater")
    # The U statistic over the number of pairs is the area under the ROC curve.
    area = float(test_of_order.statistic) / (len(old) * len(new))
    newness = np.zeros(len(now))
    newness[new] = new_scores
    return Result(float(test_of_order.pvalue), area), newness


def drawn(number: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return at most MOST_TEXTS places of `number`, ascending."""
    if number <= MOST_TEXTS:
        return np.arange(number)
    return np.sort(rng.choice(number, MOST_TEXTS, replace=False))


def adjusted(values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method, in the order given."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    result = [1.0] * len(values)
    largest = 0.0
    for rank, place in enumerate(order):
        # The smallest of n is multiplied by n, the next by n - 1 …, and none falls below an earlier one.
        largest = max(largest, min(1.0, values[place] * (len(values) - rank)))
        result[place] = largest
    return result
