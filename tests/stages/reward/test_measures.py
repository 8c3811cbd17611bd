"""Accuracy and calibration, by hand."""

import numpy as np
import pytest

from stages.reward.measures import accuracy, calibration_error


def test_accuracy() -> None:
    assert accuracy([1.0, -1.0, 0.0, 2.0]) == 0.625


def test_a_judge_who_is_as_often_right_as_he_is_sure_is_calibrated() -> None:
    rng = np.random.default_rng(1)
    margins = rng.normal(scale=2, size=20_000)
    is_right = rng.uniform(size=20_000) < 1 / (1 + np.exp(-np.abs(margins)))
    signed = np.where(is_right, np.abs(margins), -np.abs(margins))
    assert calibration_error(list(signed)) < 0.015


@pytest.mark.parametrize(
    ("margins", "error"),
    [
        ([50.0, 50.0], 0.0),  # sure and right
        ([-50.0, -50.0], 1.0),  # sure and wrong
        ([50.0, -50.0], 0.5),
        ([0.0, 0.0], 0.0),  # half sure, half right
        ([1e-9, 1e-9], 0.5),  # half sure, always right
    ],
)
def test_by_hand(margins: list[float], error: float) -> None:
    assert calibration_error(margins) == pytest.approx(error)
