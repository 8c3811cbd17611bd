"""How good a reward model is: by the share of pairs that it orders rightly, and whether it knows how sure it is."""

from collections.abc import Sequence

import numpy as np

BINS = 10


def accuracy(margins: Sequence[float]) -> float:
    """Return the share of pairs whose better answer has the higher score. An equal score is half right."""
    right = 0.0
    for margin in margins:
        right += 1.0 if margin > 0 else 0.5 * (margin == 0)
    return right / len(margins)


def calibration_error(margins: Sequence[float]) -> float:
    """Return the expected calibration error (Guo et al. 2017, arXiv 1706.04599).

    The model is σ(|margin|) sure of the answer that it prefers. In each of ten bins between 0.5 and 1, the mean of
    that is compared with the share of pairs that it ordered rightly. The differences are weighed by the pairs of the
    bin. 0 is best.
    """
    values = np.asarray(margins, dtype=np.float64)
    sure = 1 / (1 + np.exp(-np.abs(values)))
    right = np.where(values > 0, 1.0, 0.0)
    right[values == 0] = 0.5
    # 0.5 falls into the first bin, and 1 into the last.
    places = np.minimum(((sure - 0.5) * 2 * BINS).astype(int), BINS - 1)
    error = 0.0
    for place in range(BINS):
        inside = places == place
        if inside.any():
            gap = abs(float(sure[inside].mean() - right[inside].mean()))
            error += gap * float(inside.mean())
    return error
