"""The columns of the curve of PPO."""

COLUMNS = (
    "iteration",
    "reward",
    "kl",
    "kl_weight",
    "entropy",
    "policy_loss",
    "value_loss",
    "clip_share",
    "length",
    "right",
    "abstained",
    "wrong",
    "unknown_abstained",
    "known_abstained",
    "valid_right",
)
"""One row per iteration. `kl` is in nats per answer, `length` in tokens."""
