"""The fit: the gradient is that of the loss, the optimum is one, and chance stays chance."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.reward.training import fitted, loss_of


def drawn(seed: int, rows: int = 30, width: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, width)), rng.uniform(0.5, 4, size=rows)


@given(st.integers(0, 10**6))
def test_the_gradient_is_that_of_the_loss(seed: int) -> None:
    differences, counts = drawn(seed)
    weights = np.random.default_rng(seed + 1).normal(size=4)
    _, gradient = loss_of(weights, differences, counts, 0.1)
    step = 1e-6
    for place in range(4):
        up, down = weights.copy(), weights.copy()
        up[place] += step
        down[place] -= step
        above, _ = loss_of(up, differences, counts, 0.1)
        below, _ = loss_of(down, differences, counts, 0.1)
        assert gradient[place] == pytest.approx((above - below) / (2 * step), abs=1e-6)


def test_the_preferences_of_a_known_judge_are_found() -> None:
    """Pairs drawn from a Bradley–Terry model with known weights."""
    rng = np.random.default_rng(3)
    truth = np.array([2.0, -1.0, 0.0])
    differences = rng.normal(size=(4000, 3))
    is_better = rng.uniform(size=4000) < 1 / (1 + np.exp(-differences @ truth))
    differences[~is_better] *= -1
    fit = fitted(differences, np.ones(4000), 1e-6)
    assert fit.weights == pytest.approx(truth, abs=0.15)
    _, gradient = loss_of(fit.weights, differences, np.ones(4000), 1e-6)
    assert np.abs(gradient).max() < 1e-5


def test_no_difference_is_chance_and_a_huge_one_overflows_nothing() -> None:
    nothing = fitted(np.zeros((5, 3)), np.ones(5), 0.01)
    assert nothing.loss == pytest.approx(math.log(2))
    assert not nothing.weights.any()
    loss, gradient = loss_of(np.array([-1.0]), np.array([[1e5]]), np.ones(1), 0.0)
    assert loss == pytest.approx(1e5)
    assert gradient == pytest.approx([-1e5])


def test_a_pair_that_counts_twice_counts_as_two() -> None:
    differences, _ = drawn(1)
    twice = np.concatenate([differences, differences[:1]])
    counts = np.ones(30)
    counts[0] = 2
    of_counts = fitted(differences, counts, 0.1)
    assert of_counts.weights == pytest.approx(fitted(twice, np.ones(31), 0.1).weights, abs=1e-5)


def test_the_same_pairs_give_the_same_bits() -> None:
    differences, counts = drawn(2)
    once = fitted(differences, counts, 0.1)
    assert once.weights.tobytes() == fitted(differences, counts, 0.1).weights.tobytes()
