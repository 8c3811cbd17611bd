"""The formulas of PPO: against brute force, against finite differences, and on tasks with a known optimum."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.align import ppo

WEIGHTS = ppo.Weights(clip=0.2, value_clip=0.2, value=1.0, entropy=0.01)


def lengths_mask(lengths: list[int]) -> Any:
    """A mask (B, T) of rows of these lengths."""
    longest = max(lengths)
    return torch.arange(longest)[None] < torch.tensor(lengths)[:, None]


def advantage_by_sums(
    rewards: list[float], values: list[float], discount: float, smoothing: float
) -> list[float]:
    """A_t = Σ_k (γλ)^k δ_{t+k}, summed as it is defined (Schulman et al. 2016, equation 16)."""
    deltas = []
    for place, reward in enumerate(rewards):
        following = values[place + 1] if place + 1 < len(values) else 0.0
        deltas.append(reward + discount * following - values[place])
    found = []
    for place in range(len(rewards)):
        total = 0.0
        for distance, delta in enumerate(deltas[place:]):
            total += (discount * smoothing) ** distance * delta
        found.append(total)
    return found


@given(st.integers(0, 10_000), st.floats(0.5, 1.0), st.floats(0.0, 1.0))
def test_advantages_are_those_of_brute_force(seed: int, discount: float, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    lengths = [5, 1, 3]
    mask = lengths_mask(lengths)
    rewards = torch.randn(3, 5, generator=generator, dtype=torch.float64) * mask
    values = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    advantages, returns = ppo.advantages_of(rewards, values, mask, discount, smoothing)
    for row, length in enumerate(lengths):
        expected = advantage_by_sums(
            rewards[row, :length].tolist(), values[row, :length].tolist(), discount, smoothing
        )
        assert advantages[row, :length].tolist() == pytest.approx(expected, abs=1e-9)
        assert (advantages[row, length:] == 0).all()
        assert (returns[row, length:] == 0).all()
        wanted = [a + v for a, v in zip(expected, values[row, :length].tolist(), strict=True)]
        assert returns[row, :length].tolist() == pytest.approx(wanted, abs=1e-9)


def test_advantages_are_those_of_torchrl() -> None:
    theirs_module = pytest.importorskip(
        "torchrl.objectives.value.functional", reason="torchrl is not installed"
    )
    torch.manual_seed(0)
    rewards, values = torch.randn(4, 7, 1), torch.randn(4, 7, 1)
    done = torch.zeros(4, 7, 1, dtype=torch.bool)
    done[:, -1] = True
    following = torch.cat([values[:, 1:], torch.zeros(4, 1, 1)], dim=1)
    theirs, _ = theirs_module.generalized_advantage_estimate(
        0.99, 0.95, values, following, rewards, done
    )
    mask = torch.ones(4, 7, dtype=torch.bool)
    ours, _ = ppo.advantages_of(rewards[..., 0], values[..., 0], mask, 0.99, 0.95)
    assert torch.allclose(ours, theirs[..., 0], atol=1e-6)


@given(st.integers(0, 10_000))
def test_whitened_values_have_mean_zero_and_deviation_one(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask = lengths_mask([4, 2, 5])
    values = 3 + 7 * torch.randn(3, 5, generator=generator, dtype=torch.float64)
    chosen = ppo.whitened(values, mask)[mask]
    assert float(chosen.mean()) == pytest.approx(0, abs=1e-9)
    assert float(chosen.std(correction=0)) == pytest.approx(1, abs=1e-6)
    assert (ppo.whitened(values, mask)[~mask] == 0).all()


def test_equal_values_are_whitened_to_zero() -> None:
    mask = lengths_mask([2, 1])
    assert (ppo.whitened(torch.full((2, 2), 5.0), mask) == 0).all()


def test_the_reward_of_an_answer_stands_at_its_last_token() -> None:
    mask = lengths_mask([3, 1])
    log_p = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, 9.0, 9.0]])
    reference = torch.tensor([[-1.5, -2.0, -2.0], [-1.0, 0.0, 0.0]])
    rewards = ppo.rewards_of_tokens(torch.tensor([1.0, -1.0]), log_p, reference, mask, 0.1)
    expected = torch.tensor([[-0.05, 0.0, 0.1 + 1.0], [-1.0, 0.0, 0.0]])
    assert torch.allclose(rewards, expected)


def random_losses(log_p: Any, values: Any, seed: int = 0) -> ppo.Losses:
    """The losses of a random rollout, with policy and values as given (2, 3)."""
    generator = torch.Generator().manual_seed(seed)

    def drawn() -> Any:
        return torch.randn(2, 3, generator=generator, dtype=torch.float64)

    old_log_p = -1 - drawn().abs()
    entropy = -(log_p.exp() * log_p)
    mask = lengths_mask([3, 2])
    return ppo.losses(log_p, old_log_p, values, drawn(), drawn(), drawn(), entropy, mask, WEIGHTS)


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_is_that_of_finite_differences(seed: int) -> None:
    generator = torch.Generator().manual_seed(100 + seed)
    log_p = -1 - torch.randn(2, 3, generator=generator, dtype=torch.float64).abs()
    values = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    log_p.requires_grad_()
    values.requires_grad_()
    random_losses(log_p, values, seed).total.backward()
    step = 1e-6
    for tensor in (log_p, values):
        for place in range(6):
            moved = torch.zeros(6, dtype=torch.float64)
            moved[place] = step
            moved = moved.view(2, 3)
            with torch.no_grad():
                if tensor is log_p:
                    above = random_losses(log_p + moved, values, seed).total
                    below = random_losses(log_p - moved, values, seed).total
                else:
                    above = random_losses(log_p, values + moved, seed).total
                    below = random_losses(log_p, values - moved, seed).total
            slope = float(above - below) / (2 * step)
            assert tensor.grad is not None
            assert float(tensor.grad.flatten()[place]) == pytest.approx(slope, abs=1e-5)


def test_a_ratio_beyond_the_clip_has_no_gradient() -> None:
    """Of a token that became likelier by more than ε and was good, and of one that became rarer and was bad."""
    old = torch.full((1, 2), -2.0)
    log_p = torch.tensor([[-1.0, -3.0]], requires_grad=True)
    advantages = torch.tensor([[1.0, -1.0]])
    mask = lengths_mask([2])
    nothing = torch.zeros(1, 2)
    weights = ppo.Weights(clip=0.2, value_clip=0.2, value=0.0, entropy=0.0)
    found = ppo.losses(log_p, old, nothing, nothing, advantages, nothing, nothing, mask, weights)
    found.total.backward()
    assert log_p.grad is not None
    assert (log_p.grad == 0).all()
    assert float(found.clipped) == 1


def test_the_value_loss_takes_the_worse_of_both_errors() -> None:
    """The value moved from 0 to 1, which is the return. Clipped to 0.2, its error is 0.8."""
    zeros = torch.zeros(1, 1)
    one = torch.ones(1, 1)
    mask = lengths_mask([1])
    found = ppo.losses(zeros, zeros, one, zeros, zeros, one, zeros, mask, WEIGHTS)
    assert float(found.value) == pytest.approx(0.5 * 0.8**2)


def test_padding_changes_nothing() -> None:
    """What stands behind an answer is not seen, not even if it is infinite."""
    torch.manual_seed(0)
    mask = lengths_mask([2, 3])
    tensors: list[Any] = [torch.randn(2, 3) for _ in range(7)]
    loss_of: Any = ppo.losses
    once = loss_of(*tensors, mask, WEIGHTS)
    for tensor in tensors[:2]:
        tensor[~mask] = 50.0
    again = loss_of(*tensors, mask, WEIGHTS)
    assert torch.equal(once.total, again.total)


def test_the_weight_follows_the_target() -> None:
    weight = ppo.AdaptiveWeight(0.1, target=1.0, horizon=1000)
    weight.update(5.0, answers=100)  # far above: the error counts as 0.2
    assert weight.value == pytest.approx(0.1 * 1.02)
    weight.update(0.9, answers=100)
    assert weight.value == pytest.approx(0.1 * 1.02 * 0.99)


def test_without_a_target_the_weight_stays() -> None:
    weight = ppo.AdaptiveWeight(0.1, target=None, horizon=1000)
    weight.update(5.0, answers=100)
    assert weight.value == 0.1


# Tasks with a known optimum: a table of logits is the policy, so that nothing but the formulas is tested.


def optimized(task: Any, steps: int, choices: int, iterations: int, seed: int) -> Any:
    """Train a table of logits (T, V) by PPO on a task, and return its probabilities.

    `task` takes the tokens (B, T) and returns their scores (B,). The policy sees its place alone.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = torch.zeros(steps, choices, requires_grad=True)
    values = torch.zeros(steps, requires_grad=True)
    optimizer = torch.optim.Adam([logits, values], lr=0.1)
    mask = torch.ones(64, steps, dtype=torch.bool)
    for _ in range(iterations):
        shares = torch.softmax(logits.detach(), dim=-1)
        tokens = torch.multinomial(shares, 64, replacement=True, generator=generator).T  # (64, T)
        old = chosen_log_p(logits, tokens).detach()
        old_values = values.detach().expand(64, steps)
        rewards = ppo.rewards_of_tokens(task(tokens), old, old, mask, 0.0)
        advantages, returns = ppo.advantages_of(rewards, old_values, mask, 1.0, 0.95)
        for _ in range(4):
            log_p = chosen_log_p(logits, tokens)
            entropy = -(log_p.exp() * log_p)
            loss = ppo.losses(
                log_p,
                old,
                values.expand(64, steps),
                old_values,
                ppo.whitened(advantages, mask),
                returns,
                entropy,
                mask,
                ppo.Weights(0.2, 0.5, 1.0, 0.0),
            )
            optimizer.zero_grad()
            loss.total.backward()
            optimizer.step()
    return torch.softmax(logits.detach(), dim=-1)


def chosen_log_p(logits: Any, tokens: Any) -> Any:
    """log π of the tokens (B, T) under a table (T, V)."""
    log_p = torch.log_softmax(logits, dim=-1)
    return log_p.expand(len(tokens), *log_p.shape).gather(2, tokens[:, :, None])[:, :, 0]


@pytest.mark.parametrize("seed", range(3))
def test_a_bandit_over_tokens_finds_the_best_arm(seed: int) -> None:
    """Six arms. Arm 4 pays 1, arm 2 pays 0.8, the others nothing."""
    pays = torch.tensor([0.0, 0.0, 0.8, 0.0, 1.0, 0.0])
    shares = optimized(lambda tokens: pays[tokens[:, 0]], 1, 6, 80, seed)
    assert int(shares[0].argmax()) == 4
    assert float(shares[0, 4]) > 0.95


@pytest.mark.parametrize("seed", range(3))
def test_credit_reaches_back_over_several_steps(seed: int) -> None:
    """The reward comes after five tokens, and depends on the first and the last of them."""

    def task(tokens: Any) -> Any:
        return 0.5 * (tokens[:, 0] == 1) + 0.5 * (tokens[:, 4] == 2)

    shares = optimized(task, 5, 4, 120, seed)
    assert float(shares[0, 1]) > 0.9
    assert float(shares[4, 2]) > 0.9
