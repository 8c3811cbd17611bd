"""The head of the reward model: the model of Bradley and Terry, fitted to pairs.

A person or rule prefers answer y⁺ to y⁻ with the probability

    P(y⁺ ≻ y⁻ | x) = σ(s(x, y⁺) − s(x, y⁻)),   s(x, y) = w · φ(x, y)

(Bradley and Terry 1952, Biometrika 39:324; for answers of language models Stiennon et al. 2020, arXiv 2009.01325, and
Ouyang et al. 2022, arXiv 2203.02155). The loss is its negative logarithm over the pairs, and λ/2 ‖w‖². With a linear score
it is convex, so there is one optimum and nothing depends on an order or a start. L-BFGS finds it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MOST_STEPS = 1000


class Fit(NamedTuple):
    """A fitted head."""

    weights: Array
    """(D,)"""
    loss: float
    """Mean negative log-likelihood of a pair, in nats, without the penalty. log 2 = 0.693 is chance."""


def fitted(differences: Array, counts: Array, penalty: float) -> Fit:
    """Return the optimum of `loss_of`.

    `differences` are φ(x, y⁺) − φ(x, y⁻), of shape (N, D). `counts` (N,) says how often each pair counts.
    """
    from scipy.optimize import minimize

    start = np.zeros(differences.shape[1])
    settings: Any = {"maxiter": MOST_STEPS, "gtol": 1e-7, "ftol": 1e-12}
    found = minimize(
        loss_of, start, (differences, counts, penalty), "L-BFGS-B", jac=True, options=settings
    )
    weights = np.asarray(found.x, dtype=np.float64)
    loss, _ = loss_of(weights, differences, counts, 0.0)
    return Fit(weights, loss)


def loss_of(
    weights: Array, differences: Array, counts: Array, penalty: float
) -> tuple[float, Array]:
    """Return the loss and its gradient (D,).

    −log σ(d) = log(1 + exp(−d)), whose derivative is −σ(−d).
    """
    margins = differences @ weights  # (N,)
    total = counts.sum()
    # Without overflow for a large negative margin.
    losses = np.logaddexp(0.0, -margins)
    slopes = -np.exp(-np.logaddexp(0.0, margins))
    loss = float((counts * losses).sum() / total + penalty / 2 * weights @ weights)
    gradient = differences.T @ (counts * slopes) / total + penalty * weights
    return loss, gradient
