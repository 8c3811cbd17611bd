"""The Muon optimizer in float32, for the matrices inside a model's layers, with Adam for everything else.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024). torch.optim.Muon computes the same
steps in bfloat16, which a CPU without native support for it does about fifty times slower; float32 also gives the same
bits on every CPU of one instruction set.
"""

from collections.abc import Callable
from typing import Any

import torch

MOMENTUM = 0.95
BETAS = (0.9, 0.95)
EPSILON = 1e-8


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised by Newton–Schulz; groups with `muon: False` are updated by Adam.

    The update of an (m, n) matrix is scaled by sqrt(max(1, m / n)), as in the original; weight decay is decoupled.
    """

    def __init__(self, model: torch.nn.Module, matrix_lr: float, other_lr: float, weight_decay: float = 0.0) -> None:
        """`matrix_lr` is the spectral norm of one update of a matrix; `other_lr` is Adam's rate."""
        inner, others = split_parameters(model)
        groups = [
            {"params": inner, "lr": matrix_lr, "weight_decay": weight_decay, "muon": True},
            {"params": others, "lr": other_lr, "weight_decay": 0.0, "muon": False},
        ]
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            update = self._muon if group["muon"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update(parameter, parameter.grad), alpha=-group["lr"])

    def _muon(self, matrix: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        state = self._state(matrix, "momentum")
        momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return orthogonal(gradient.lerp(momentum, MOMENTUM)) * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5

    def _adam(self, parameter: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        state = self._state(parameter, "mean", "square")
        state["step"] = state.get("step", 0) + 1
        mean = state["mean"].lerp_(gradient, 1 - BETAS[0]) / (1 - BETAS[0] ** state["step"])
        square = state["square"].lerp_(gradient.square(), 1 - BETAS[1]) / (1 - BETAS[1] ** state["step"])
        return mean / (square.sqrt() + EPSILON)

    def _state(self, parameter: torch.Tensor, *names: str) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        for name in names:
            if name not in state:
                state[name] = torch.zeros_like(parameter)
        return state


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Roughly the nearest semi-orthogonal matrix: the singular values of (m, n) are driven towards 1."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.775 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


def split_parameters(model: torch.nn.Module) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """Trainable parameters: (matrices inside layers; embeddings, heads, norms and biases)."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    inner = [parameter for name, parameter in named if parameter.ndim == 2 and ".layers." in name]
    others = [parameter for name, parameter in named if not (parameter.ndim == 2 and ".layers." in name)]
    return inner, others
