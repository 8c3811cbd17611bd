"""The losses of distillation are those of the papers, and least at the teacher."""

import pytest
import torch

from stages.distill.losses import Loss, loss_per_token

LOSSES: tuple[Loss, ...] = ("soft_hard", "forward_kl", "reverse_kl", "jsd")


def probabilities(temperature: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 7), torch.randn(4, 7)
    losses = [torch.softmax(logits / temperature, -1) for logits in (student, teacher)]
    return torch.stack([student, teacher]), losses[0], losses[1]


def test_soft_hard_against_the_formula() -> None:
    logits, q, p = probabilities(2.0)
    tokens = torch.tensor([0, 3, 6, 2])
    hard = -torch.log_softmax(logits[0], -1)[range(4), tokens]
    expected = 0.7 * 4 * -(p * q.log()).sum(-1) + 0.3 * hard
    found = loss_per_token(logits[0], logits[1], tokens, "soft_hard", 2.0, 0.3)
    assert torch.allclose(found, expected)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_divergences_against_the_formulas(temperature: float) -> None:
    logits, q, p = probabilities(temperature)
    mean = (p + q) / 2
    forward = (p * (p / q).log()).sum(-1)
    reverse = (q * (q / p).log()).sum(-1)
    halves = 0.5 * (p * (p / mean).log()).sum(-1) + 0.5 * (q * (q / mean).log()).sum(-1)
    expected = {"forward_kl": forward, "reverse_kl": reverse, "jsd": halves}
    for loss, values in expected.items():
        found = loss_per_token(logits[0], logits[1], None, loss, temperature, 0.5)  # type: ignore[arg-type]
        assert torch.allclose(found, temperature**2 * values, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_least_at_the_teacher(loss: Loss) -> None:
    logits, _, _ = probabilities(1.0)
    tokens = torch.zeros(4, dtype=torch.long)
    best = loss_per_token(logits[1], logits[1], tokens, loss, 2.0, 0.0)
    assert (best < loss_per_token(logits[0], logits[1], tokens, loss, 2.0, 0.0)).all()
    if loss != "soft_hard":
        assert torch.allclose(best, torch.zeros(4), atol=1e-6)
