"""How much each weight of the base matters to what the base knows: Kronecker-factored curvature, and the penalty it gives.

Elastic weight consolidation (Kirkpatrick et al. 2017, arXiv 1612.00796) with the Kronecker-factored Fisher matrix instead of its
diagonal (Ritter et al. 2018, arXiv 1805.07810). For a linear layer y = W x the Fisher matrix is taken as A ⊗ G with

    A = mean over tokens of x xᵀ (in, in),   G = sum over tokens of g gᵀ / number of predicted tokens (out, out),

where g is the gradient of the log-probability of a token drawn from the model's own prediction with respect to y. A change ΔW
then moves the base's predictions by about ½ tr(G ΔW A ΔWᵀ), in nats of KL(base || tuned) per predicted token, layers taken as
independent. For LoRA, ΔW = s B A', so the penalty costs products of rank r only.

Unlike replay, which keeps the texts that it shows, this keeps what is stored in the same directions, shown or not.

The same factors tell which way to go: `EvenAdamW` takes its steps in coordinates in which the penalty weighs every direction
alike, so that it moves furthest where the base minds least.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn

Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""By name of the layer: A (in, in) and G (out, out)."""


def factors(
    model: nn.Module, batches: Iterable[dict[str, torch.Tensor]], names: set[str], seed: int
) -> Factors:
    """The factors of the named linear layers over batches of `input_ids`, `attention_mask` and `labels`, each (B, T).

    Labels only tell which tokens are predicted (-100: not); their values are drawn from the model, as the Fisher matrix wants.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = {name: torch.zeros(()) for name in names}
    gradients = {name: torch.zeros(()) for name in names}
    tokens = predicted = 0
    for batch in batches:
        mask, wanted = batch["attention_mask"].bool(), batch["labels"][:, 1:] != -100
        with recorded(model, names) as seen:
            logits = model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).logits[:, :-1][wanted]
            drawn = torch.multinomial(logits.detach().softmax(-1).cpu(), 1, generator=generator)[
                :, 0
            ].to(logits.device)
            loss = nn.functional.cross_entropy(logits, drawn, reduction="sum")
            outputs = [output for _, output in seen.values()]
            for name, gradient in zip(seen, torch.autograd.grad(loss, outputs), strict=True):
                x, g = (
                    seen[name][0].detach()[mask].float(),
                    gradient[mask].float(),
                )  # (tokens, in), (tokens, out)
                inputs[name] = inputs[name].to(x.device) + x.T @ x
                gradients[name] = gradients[name].to(g.device) + g.T @ g
        tokens, predicted = tokens + int(mask.sum()), predicted + int(wanted.sum())
    return {
        name: (inputs[name] / max(1, tokens), gradients[name] / max(1, predicted))
        for name in sorted(names)
    }


@contextmanager
def recorded(
    model: nn.Module, names: set[str]
) -> Iterator[dict[str, tuple[torch.Tensor, torch.Tensor]]]:
    """Fills with (input, output) of the named layers while the model runs, with a graph behind the outputs."""
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def watch(name: str) -> Any:
        def hook(
            layer: nn.Module, arguments: tuple[torch.Tensor, ...], output: torch.Tensor
        ) -> None:
            seen[name] = (arguments[0], output)

        return hook

    def begin(
        layer: nn.Module, arguments: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> torch.Tensor:
        return output.detach().requires_grad_()  # frozen weights alone would leave no graph

    hooks = [
        layer.register_forward_hook(watch(name))
        for name, layer in model.named_modules()
        if name in names
    ]
    hooks.append(model.get_input_embeddings().register_forward_hook(begin))  # type: ignore[operator]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def penalty(layers: dict[str, Any], curvature: Factors) -> torch.Tensor:
    """½ Σ tr(G ΔW A ΔWᵀ) over peft's LoRA layers, named as in `factors`: nats per predicted token."""
    total = torch.zeros(())
    for name, layer in layers.items():
        a, g = curvature[name]
        down, up = (
            layer.lora_A["default"].weight,
            layer.lora_B["default"].weight,
        )  # (r, in), (out, r)
        scale = layer.scaling["default"]
        total = total.to(up.device) + 0.5 * scale**2 * ((up.T @ g @ up) * (down @ a @ down.T)).sum()
    return total


def inverse_root(factor: torch.Tensor, damping: float) -> torch.Tensor:
    """(F / mean eigenvalue of F + damping · I)^(-1/2) of a symmetric matrix (d, d), in float64."""
    scaled = factor.double() / (factor.double().trace() / len(factor)).clamp(
        min=torch.finfo(torch.float64).tiny
    )
    values, vectors = torch.linalg.eigh(scaled)
    return cast(torch.Tensor, (vectors * (values.clamp(min=0) + damping).rsqrt()) @ vectors.T)


class EvenAdamW(torch.optim.AdamW):
    """AdamW on LoRA in coordinates in which the base's curvature is even: B = Q B', A' = A'' P, steps are those of B' and A''.

    P and Q are the damped inverse roots of the factors A and G, scaled so that the adapter's inner activations on the base's own
    texts are as large as without P, and so that Q has the norm of the identity. In these coordinates the penalty of this module
    is the plain ½ ‖B' A''‖², as far as it is not damped: preconditioning by the Fisher matrix of what is to be kept, not of what
    is learned, which K-FAC takes (Martens & Grosse 2015, arXiv 1503.05671).
    """

    def __init__(
        self, layers: dict[str, Any], curvature: Factors, damping: float, **settings: Any
    ) -> None:
        """`layers` as in `penalty`; their fresh A' is turned into the new coordinates. `settings` are those of AdamW."""
        weights = [layer.lora_A["default"].weight for layer in layers.values()]
        weights += [layer.lora_B["default"].weight for layer in layers.values()]
        super().__init__(weights, **settings)
        self.inner: dict[torch.Tensor, torch.Tensor] = {}
        """P (in, in) by A'."""
        self.outer: dict[torch.Tensor, torch.Tensor] = {}
        """Q (out, out) by B."""
        tiny = torch.finfo(torch.float64).tiny
        for name, layer in layers.items():
            a, g = (factor.double() for factor in curvature[name])
            p, q = inverse_root(a, damping), inverse_root(g, damping)
            p *= (a.trace().clamp(min=tiny) / (p @ a @ p).trace().clamp(min=tiny)).sqrt()
            q *= (len(q) / q.square().sum()).sqrt()
            down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            self.inner[down], self.outer[up] = p.to(down), q.to(up)
            with torch.no_grad():
                down.copy_(self.turned(down, down))

    def turned(self, weight: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        """A change of B' or A'' as one of B or A', and a gradient the other way: P and Q are symmetric."""
        return change @ self.inner[weight] if weight in self.inner else self.outer[weight] @ change

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; there is no closure to evaluate again."""
        starts = {}
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.grad = self.turned(weight, weight.grad)
                    starts[weight] = weight * (
                        1 - group["lr"] * group["weight_decay"]
                    )  # decay is the same in both
        super().step()
        for weight, start in starts.items():
            weight.copy_(start + self.turned(weight, weight - start))
