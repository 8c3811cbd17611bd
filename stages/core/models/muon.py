"""The Muon optimizer in float32, for the matrices inside a model's layers.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024). torch.optim.Muon computes the same
steps in bfloat16, which a CPU without native support for it does about fifty times slower (measured: 2.0 s against 0.04
s a step for 1.8 M parameters); float32 also gives the same bits on every CPU of one instruction set.
"""

from collections.abc import Callable

import torch


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by five Newton–Schulz steps, in float32.

    torch.optim.Muon computes these steps in bfloat16, which a CPU without native support does fifty times slower.
    """

    def __init__(self, params: list[torch.nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        """Parameters are matrices; the update is scaled by sqrt(max(1, rows / columns)), as in the original."""
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient; there is no closure to evaluate again."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                momentum = state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
                direction = self.orthogonal(matrix.grad.lerp(momentum, group["momentum"]))
                scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"] * scale)

    @staticmethod
    def orthogonal(gradient: torch.Tensor) -> torch.Tensor:
        """The nearest semi-orthogonal matrix, roughly: the quintic Newton–Schulz iteration of the Muon paper."""
        tall = gradient.shape[0] > gradient.shape[1]
        x = gradient.T if tall else gradient
        x = x / (x.norm() + 1e-7)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
        return x.T if tall else x  # type: ignore[no-any-return]


def layer_matrices(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The matrices inside the layers: neither embeddings nor heads, norms or biases."""
    return [p for name, p in model.named_parameters() if ".layers." in name and p.ndim == 2 and p.requires_grad]


def muon_and_adamw(
    model: torch.nn.Module, rate: float, weight_decay: float, others_rate: float
) -> torch.optim.Optimizer:
    """Return an optimizer that steps the layers' matrices by Muon, and embeddings, norms and biases by AdamW.

    With an `others_rate` of 0 the latter stay as they are, and get no gradients.
    """
    matrices = layer_matrices(model)
    inner = {id(matrix) for matrix in matrices}
    others = [weight for weight in model.parameters() if id(weight) not in inner]
    if not others_rate:
        for weight in others:
            weight.requires_grad_(False)
        return Muon(matrices, lr=rate, weight_decay=weight_decay)
    return Both(
        Muon(matrices, lr=rate, weight_decay=weight_decay),
        torch.optim.AdamW(others, lr=others_rate, weight_decay=0.0, betas=(0.9, 0.95)),
    )


class Both(torch.optim.Optimizer):
    """Two optimizers of different weights that are stepped together."""

    def __init__(self, first: torch.optim.Optimizer, second: torch.optim.Optimizer) -> None:
        """Take over the groups of both, so that a schedule scales the rates of both."""
        self.parts = (first, second)
        self.groups_of_first = len(first.param_groups)
        super().__init__([*first.param_groups, *second.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step both, at the rates that a schedule wrote into the groups.

        Libraries replace the groups by copies, so they are handed on anew at each step.
        """
        first, second = self.parts
        first.param_groups = self.param_groups[: self.groups_of_first]
        second.param_groups = self.param_groups[self.groups_of_first :]
        first.step()
        second.step()
