"""Proximal policy optimization on tokens: the formulas, each with its paper. Nothing here knows of texts.

A state is a prompt with the tokens written so far, and an action is the next token. Tensors are (B, T): row b
is an answer, place t is its token number t. `mask` (B, T) is true on tokens that were written, and false on
padding.

- PPO: Schulman et al. 2017, arXiv 1707.06347.
- Advantages, GAE(λ): Schulman et al. 2016, arXiv 1506.02438.
- A penalty for the distance to a reference inside the reward, and its adaptive weight: Ziegler et al. 2019,
  arXiv 1909.08593.
- Clipped values and whitened advantages: Engstrom et al. 2020, arXiv 2005.12729.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

EPSILON = 1e-8
"""Keeps a division by a standard deviation of zero finite."""


def masked_mean(values: Any, mask: Any) -> Any:
    """Return the mean of the values (B, T) where the mask is true. It is 0 where it is true nowhere."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def whitened(values: Any, mask: Any) -> Any:
    """Return the values (B, T) with mean 0 and standard deviation 1 over the mask, and 0 elsewhere."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    return (values - mean) / (variance + EPSILON).sqrt() * mask


def rewards_of_tokens(scores: Any, log_p: Any, reference: Any, mask: Any, weight: float) -> Any:
    """Return the reward of each token (B, T): -weight · (log π - log π_ref), and the score at the last token.

    `scores` (B,) judge whole answers. `log_p` and `reference` (B, T) are the log-probabilities of the tokens
    under the policy that wrote them, and under the reference. Ziegler et al. 2019, equation 2.
    """
    rewards = -weight * (log_p - reference) * mask
    last = last_places(mask)
    rewards = rewards.clone()
    for row, place in enumerate(last.tolist()):
        rewards[row, place] += scores[row]
    return rewards


def last_places(mask: Any) -> Any:
    """Return the place of the last written token of each row: (B,)."""
    return mask.long().sum(dim=1) - 1


def advantages_of(
    rewards: Any, values: Any, mask: Any, discount: float, smoothing: float
) -> tuple[Any, Any]:
    """Return the advantages and the returns (B, T), by GAE(λ).

        δ_t = r_t + γ V_{t+1} - V_t
        A_t = δ_t + γ λ A_{t+1}
        R_t = A_t + V_t

    Behind the last token of a row there is no value and no advantage. `discount` is γ, `smoothing` is λ.
    Schulman et al. 2016, equation 16.
    """
    import torch

    advantages = torch.zeros_like(rewards)
    next_advantage = torch.zeros_like(rewards[:, 0])  # (B,)
    next_value = torch.zeros_like(rewards[:, 0])
    # From the last place to the first. On padding both stay 0, so that a row ends at its last token.
    for place in range(rewards.shape[1] - 1, -1, -1):
        written = mask[:, place]
        delta = rewards[:, place] + discount * next_value - values[:, place]
        next_advantage = (delta + discount * smoothing * next_advantage) * written
        next_value = values[:, place] * written
        advantages[:, place] = next_advantage
    return advantages, (advantages + values) * mask


class Losses(NamedTuple):
    """The loss of a minibatch, and what it is made of."""

    total: Any
    policy: Any
    value: Any
    entropy: Any
    """Mean entropy of the next token, in nats."""
    clipped: Any
    """Share of the tokens whose ratio was clipped."""
    ratio: Any
    """π / π_old of each token: (B, T)."""


@dataclass(frozen=True)
class Weights:
    """How the parts of the loss are weighed and clipped."""

    clip: float
    """ε: a ratio beyond 1 ± ε carries no further gradient."""
    value_clip: float
    """A value moves at most so far from the one of the rollout, as far as the loss sees it."""
    value: float
    entropy: float


def losses(
    log_p: Any,
    old_log_p: Any,
    values: Any,
    old_values: Any,
    advantages: Any,
    returns: Any,
    entropy: Any,
    mask: Any,
    weights: Weights,
) -> Losses:
    """Return the loss of a minibatch; every tensor is (B, T).

    ratio  = exp(log π - log π_old)
    policy = -mean min(ratio · A, clip(ratio, 1 - ε, 1 + ε) · A)          Schulman et al. 2017, eq. 7
    value  = ½ mean max((V - R)², (clip(V, V_old ± c) - R)²)              Engstrom et al. 2020, sect. 3
    total  = policy + w_V · value - w_H · mean H                          Schulman et al. 2017, eq. 9
    """
    import torch

    ratio = torch.where(mask, log_p - old_log_p, torch.zeros_like(log_p)).exp()
    bounded = ratio.clamp(1 - weights.clip, 1 + weights.clip)
    policy = -masked_mean(torch.minimum(ratio * advantages, bounded * advantages), mask)

    moved = old_values + (values - old_values).clamp(-weights.value_clip, weights.value_clip)
    errors = torch.maximum((values - returns) ** 2, (moved - returns) ** 2)
    value = 0.5 * masked_mean(errors, mask)

    mean_entropy = masked_mean(entropy, mask)
    total = policy + weights.value * value - weights.entropy * mean_entropy
    clipped = masked_mean((ratio != bounded).to(ratio.dtype), mask)
    return Losses(total, policy, value, mean_entropy, clipped.detach(), ratio.detach())


class AdaptiveWeight:
    """The weight β of the penalty, which follows a target of the KL divergence per answer.

        e = clip(KL / target - 1, -0.2, 0.2),   β ← β (1 + e · answers / horizon)

    Ziegler et al. 2019, section 2.2. There the factor is 1 + 0.1 e for each batch. Here it is spread over a
    number of answers, so that the size of a rollout does not change it.
    """

    MOST = 0.2
    """Most that one rollout counts as an error."""

    def __init__(self, weight: float, target: float | None, horizon: int) -> None:
        """`target` is in nats per answer; None keeps the weight. `horizon` is in answers."""
        self.value = weight
        self._target = target
        self._horizon = horizon

    def update(self, divergence: float, answers: int) -> None:
        """Take the KL per answer of a rollout of so many answers."""
        if self._target is None:
            return
        error = divergence / self._target - 1
        error = max(-self.MOST, min(self.MOST, error))
        self.value *= 1 + error * answers / self._horizon
