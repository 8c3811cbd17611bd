"""The losses of distillation, per predicted token. Logits are (N, V), next tokens are (N,).

- `soft_hard` (Hinton et al. 2015, arXiv 1503.02531), with temperature T, teacher logits z, student
  logits s: (1 - hard_weight) * T² * CE(softmax(z / T), softmax(s / T))
  + hard_weight * CE(next token, softmax(s)). T² keeps the soft gradients of one size.
- `forward_kl`: T² * KL(teacher || student). It is large where the student lacks what the teacher says.
- `reverse_kl`: T² * KL(student || teacher). It is large where the student says what the teacher does not.
- `jsd`: T² times the Jensen–Shannon divergence, half of each against their mean. With `reverse_kl` it is
  one of the forms of generalized knowledge distillation (Agarwal et al. 2023, arXiv 2306.13649).
"""

import math
from typing import Any, Literal

Loss = Literal["soft_hard", "forward_kl", "reverse_kl", "jsd"]


def loss_per_token(
    student: Any, teacher: Any, next_tokens: Any, loss: Loss, temperature: float, hard_weight: float
) -> Any:
    """Return the loss (N,) of the module docstring."""
    from torch.nn import functional

    if loss != "soft_hard":
        return divergence(student, teacher, loss, temperature)
    soft_targets = functional.softmax(teacher / temperature, dim=-1)
    soft = functional.cross_entropy(student / temperature, soft_targets, reduction="none")
    hard = functional.cross_entropy(student, next_tokens, reduction="none")
    return (1 - hard_weight) * temperature**2 * soft + hard_weight * hard


def divergence(student: Any, teacher: Any, loss: Loss, temperature: float) -> Any:
    """Return T² times a divergence (N,) between the softened distributions of student and teacher."""
    import torch
    from torch.nn import functional

    students = functional.log_softmax(student / temperature, dim=-1)  # (N, V), log probabilities
    teachers = functional.log_softmax(teacher / temperature, dim=-1)
    if loss == "forward_kl":
        found = kl(teachers, students)
    elif loss == "reverse_kl":
        found = kl(students, teachers)
    else:
        mean = torch.logaddexp(students, teachers) - math.log(2)
        found = 0.5 * kl(teachers, mean) + 0.5 * kl(students, mean)
    return temperature**2 * found


def kl(p: Any, q: Any) -> Any:
    """Return KL(p || q) (N,) of log probabilities (N, V)."""
    return (p.exp() * (p - q)).sum(-1)
