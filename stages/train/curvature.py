"""How much each weight of the base matters to its predictions: Kronecker-factored curvature, and its penalty.

Elastic weight consolidation (Kirkpatrick et al. 2017, arXiv 1612.00796) with the Kronecker-factored Fisher
matrix instead of its diagonal (Ritter et al. 2018, arXiv 1805.07810). For a linear layer y = W x the Fisher
matrix is taken as A ⊗ G with

    A = mean over tokens of x xᵀ (in, in)
    G = sum over tokens of g gᵀ / number of predicted tokens (out, out)

where g is the gradient, with respect to y, of the log-probability of a token that is drawn from the model's
own prediction. A change ΔW then moves the base's predictions by about ½ tr(G ΔW A ΔWᵀ), in nats of
KL(base || tuned) per predicted token, layers taken as independent. For LoRA, ΔW = s B A', so the penalty
costs products of rank r only.

Replay keeps the texts that it shows. The penalty keeps everything that is stored in the same directions,
shown or not.

A factor of a layer wider than `widest` is kept as its diagonal (d,). A full one of width d takes 4 d² bytes,
and its inverse root a time that grows with d³: at a width of 11,008 that is half a gigabyte and some minutes
for each of hundreds of factors.

The same factors say in which direction to step. `EvenAdamW` takes its steps in coordinates in which the
penalty weighs every direction alike, so it moves furthest where the base's predictions change least.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""A (in, in) and G (out, out), by name of the layer. Those of wide layers are diagonals: (in,), (out,)."""
Recording = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""Input (B, T, in) and output (B, T, out) of a run of the model, by name of the layer."""


def factors(
    model: nn.Module,
    batches: Iterable[dict[str, torch.Tensor]],
    names: set[str],
    seed: int,
    widest: int | None = None,
) -> Factors:
    """Return the factors of the named linear layers over batches. Those wider than `widest` are diagonals.

    A batch has `input_ids`, `attention_mask` and `labels`, each (B, T). Labels only say which tokens are
    predicted (-100: not). Their values are drawn from the model, as the definition of the Fisher matrix
    demands.
    """
    generator = torch.Generator().manual_seed(seed)
    input_sums = {name: torch.zeros(()) for name in names}
    gradient_sums = {name: torch.zeros(()) for name in names}
    tokens = 0
    predictions = 0
    for batch in batches:
        mask = batch["attention_mask"].bool()  # (B, T)
        # Position t predicts token t + 1.
        predicted = batch["labels"][:, 1:] != -100  # (B, T - 1), with N tokens set
        with recorded(model, names) as seen:
            outputs = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
            logits = outputs.logits[:, :-1][predicted]  # (N, V)
            # Drawn on the CPU, so that every device draws the same tokens.
            probabilities = logits.detach().softmax(-1).cpu()
            drawn = torch.multinomial(probabilities, 1, generator=generator)  # (N, 1)
            targets = drawn[:, 0].to(logits.device)
            loss = nn.functional.cross_entropy(logits, targets, reduction="sum")
            layer_outputs = [output for _, output in seen.values()]
            gradients = torch.autograd.grad(loss, layer_outputs)
            for name, gradient in zip(seen, gradients, strict=True):
                layer_input, _ = seen[name]
                x = at_tokens(layer_input.detach(), mask)  # (tokens, in)
                g = at_tokens(gradient, mask)  # (tokens, out)
                input_sums[name] = input_sums[name].to(x.device) + products(x, widest)
                gradient_sums[name] = gradient_sums[name].to(g.device) + products(g, widest)
        tokens += int(mask.sum())
        predictions += int(predicted.sum())
    result: Factors = {}
    for name in sorted(names):
        a = input_sums[name] / max(1, tokens)
        g = gradient_sums[name] / max(1, predictions)
        result[name] = (a, g)
    return result


def at_tokens(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the states of the tokens that are no padding, float32 of shape (tokens, width).

    `states` is (B, T, width). The latent attention of DeepSeek hands one of its layers (B, 1, T, width).
    """
    batch, length = mask.shape
    return states.reshape(batch, length, states.shape[-1])[mask].float()


def products(rows: torch.Tensor, widest: int | None) -> torch.Tensor:
    """Return the sum of outer products (d, d) of rows (N, d), or its diagonal (d,) where d > `widest`."""
    if widest is not None and rows.shape[1] > widest:
        return rows.square().sum(dim=0)
    return rows.T @ rows


def times(rows: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Return rows (N, d) times a factor (d, d), or times its diagonal (d,)."""
    if factor.dim() == 1:
        return rows * factor
    return rows @ factor


@dataclass(frozen=True)
class Cost:
    """What the curvature of the adapted layers costs."""

    numbers: int
    """Elements of the factors A and G of all layers. A wide layer's count as diagonals."""
    seconds: float
    """Of the inverse roots at most, estimated from one on this machine. Layers that share a root count each."""

    def bytes(self, with_roots: bool) -> int:
        """Return the bytes of the factors in float32, and of as many inverse roots where they are kept."""
        copies = 2 if with_roots else 1
        return 4 * copies * self.numbers


WIDTH_OF_TRIAL = 512


def foretold(
    widths: Iterable[tuple[int, int]], widest: int | None, device: str | torch.device = "cpu"
) -> Cost:
    """Return the cost for layers of these widths (in, out). Takes some milliseconds, to try the device.

    The time of an inverse root grows with the cube of the width. On a GPU a small one takes longer than this
    cube says, so the estimate is too high there.
    """
    numbers = 0
    cubes = 0
    for widths_of_layer in widths:
        for width in widths_of_layer:
            if widest is not None and width > widest:
                numbers += width
            else:
                numbers += width**2
                cubes += width**3
    if not cubes:
        return Cost(numbers, 0.0)
    return Cost(numbers, cubes * seconds_of_root(device) / WIDTH_OF_TRIAL**3)


def seconds_of_root(device: str | torch.device) -> float:
    """Return the seconds that the inverse root of a random factor of `WIDTH_OF_TRIAL` takes.

    Beside other programs, the clock also counts their time. Then the CPU time is less, and counts.
    """
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(WIDTH_OF_TRIAL, WIDTH_OF_TRIAL, generator=generator)
    factor = (rows.T @ rows).to(device)
    took = 0.0
    for _ in range(2):  # the first one also loads the library, so the second counts
        started, used = time.perf_counter(), time.process_time()
        inverse_root(factor, 0.1).cpu()  # waits for a GPU
        took = min(time.perf_counter() - started, time.process_time() - used)
    return took


@contextmanager
def recorded(model: nn.Module, names: set[str]) -> Iterator[Recording]:
    """Yield a recording that fills while the model runs. The outputs in it have a graph behind them."""
    seen: Recording = {}

    def recorder(name: str) -> Any:
        def hook(
            layer: nn.Module, arguments: tuple[torch.Tensor, ...], output: torch.Tensor
        ) -> None:
            seen[name] = (arguments[0], output)

        return hook

    def begin_graph(
        layer: nn.Module, arguments: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> torch.Tensor:
        return output.detach().requires_grad_()  # frozen weights alone would leave no graph

    hooks = []
    for name, layer in model.named_modules():
        if name in names:
            hooks.append(layer.register_forward_hook(recorder(name)))
    embeddings = model.get_input_embeddings()  # type: ignore[operator]
    hooks.append(embeddings.register_forward_hook(begin_graph))
    try:
        yield seen
    finally:
        for handle in hooks:
            handle.remove()


Weights = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""A' (r, in) and B (out, r), by name of the layer."""


def penalty(
    layers: dict[str, Any], curvature: Factors, starts: Weights | None = None
) -> torch.Tensor:
    """Return ½ Σ tr(G ΔW A ΔWᵀ) over peft's LoRA layers, named as in `factors`: nats per predicted token.

    With ΔW = s B A' the trace is s² tr((Bᵀ G B) (A' A A'ᵀ)): both brackets are (r, r) and symmetric, so it
    is the sum over the products of their elements. Where training started from other weights A'₀ and B₀
    than those of the base, the change is s (B A' - B₀ A'₀). That is the same formula with (B, -B₀) and
    (A', A'₀), of rank 2 r.
    """
    total = torch.zeros(())
    for name, layer in layers.items():
        a, g = curvature[name]  # (in, in), (out, out)
        down = layer.lora_A["default"].weight  # A' (r, in)
        up = layer.lora_B["default"].weight  # B (out, r)
        if starts is not None:
            down_then, up_then = starts[name]
            down = torch.cat([down, down_then])  # (2 r, in)
            up = torch.cat([up, -up_then], dim=1)  # (out, 2 r)
        scale = layer.scaling["default"]  # s
        trace = ((times(up.T, g) @ up) * (times(down, a) @ down.T)).sum()
        total = total.to(up.device) + 0.5 * scale**2 * trace
    return total


def inverse_root(factor: torch.Tensor, damping: float) -> torch.Tensor:
    """Return (F / mean eigenvalue of F + damping · I)^(-1/2) of a symmetric matrix F (d, d), in float64.

    Of a diagonal (d,) it is the diagonal (d,).
    """
    tiny = torch.finfo(torch.float64).tiny
    factor = factor.double()
    if factor.dim() == 1:
        return (factor / factor.mean().clamp(min=tiny) + damping).rsqrt()
    mean_eigenvalue = factor.trace() / len(factor)
    scaled = factor / mean_eigenvalue.clamp(min=tiny)
    # F = V diag(λ) Vᵀ, so f(F) = V diag(f(λ)) Vᵀ. Rounding can make an eigenvalue slightly negative.
    values, vectors = torch.linalg.eigh(scaled)
    roots = (values.clamp(min=0) + damping).rsqrt()  # (d,)
    return cast(torch.Tensor, (vectors * roots) @ vectors.T)


def roots(layers: dict[str, Any], curvature: Factors, damping: float) -> Factors:
    """Return P (in, in) and Q (out, out) of each layer in float32, or their diagonals: see `EvenAdamW`."""
    from tqdm import tqdm

    tiny = torch.finfo(torch.float64).tiny
    found: Factors = {}
    before: tuple[torch.Tensor, torch.Tensor] | None = None
    """A and P of the layer before. Queries, keys and values have the same inputs, so they share P."""
    for name in tqdm(layers, desc="inverse roots", unit="layer", disable=None, leave=False):
        a, g = curvature[name]
        if before is not None and torch.equal(before[0], a):
            p = before[1]
        else:
            wide = a.double()
            p = inverse_root(wide, damping)
            # The mean square of P x over the base's texts is tr(P A P).
            if wide.dim() == 1:
                size, turned_size = wide.sum(), (p * wide * p).sum()
            else:
                size, turned_size = wide.trace(), (p @ wide @ p).trace()
            p *= (size.clamp(min=tiny) / turned_size.clamp(min=tiny)).sqrt()
            before = (a, p)
        q = inverse_root(g, damping)
        q *= (len(q) / q.square().sum()).sqrt()
        found[name] = (p.float(), q.float())
    return found


class EvenAdamW(torch.optim.AdamW):
    """AdamW on LoRA in coordinates in which the base's curvature is even.

    B = Q B' and A' = A'' P, and the steps are those of B' and A''. P and Q are the damped inverse roots of
    the factors A and G. P is scaled so that the adapter's inner activations on the base's own texts are as
    large as without P, and Q so that it has the norm of the identity.

    Without damping, the penalty of this module is the plain ½ ‖B' A''‖² in these coordinates. So this is
    preconditioning by the Fisher matrix of the knowledge to be kept. K-FAC takes that of the knowledge to
    be learned (Martens & Grosse 2015, arXiv 1503.05671).
    """

    def __init__(
        self, layers: dict[str, Any], found: Factors, fresh: bool = True, **settings: Any
    ) -> None:
        """`layers` as in `penalty`, `found` is what `roots` returns. `settings` are those of AdamW.

        A `fresh` A' is random, and is turned into the new coordinates. One that was trained stays.
        """
        downs = [layer.lora_A["default"].weight for layer in layers.values()]
        ups = [layer.lora_B["default"].weight for layer in layers.values()]
        super().__init__(downs + ups, **settings)
        self.inner: dict[torch.Tensor, torch.Tensor] = {}
        """P (in, in) by A'."""
        self.outer: dict[torch.Tensor, torch.Tensor] = {}
        """Q (out, out) by B."""
        for name, layer in layers.items():
            p, q = found[name]
            down = layer.lora_A["default"].weight
            up = layer.lora_B["default"].weight
            self.inner[down] = p.to(down)
            self.outer[up] = q.to(up)
            if fresh:
                with torch.no_grad():
                    down.copy_(self.turned(down, down))

    def turned(self, weight: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        """Turn a change of B' or A'' into one of B or A'.

        It turns a gradient the other way, too, since P and Q are symmetric.
        """
        if weight in self.inner:
            return times(change, self.inner[weight])
        outer = self.outer[weight]
        if outer.dim() == 1:
            return outer[:, None] * change
        return outer @ change

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step. `closure` is not used: there is no loss to evaluate again."""
        starts = {}
        for group in self.param_groups:
            decay = 1 - group["lr"] * group["weight_decay"]
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.grad = self.turned(weight, weight.grad)
                    # Decay is the same in both coordinates, so the step proper begins behind it.
                    starts[weight] = weight * decay
        super().step()
        for weight, start in starts.items():
            weight.copy_(start + self.turned(weight, weight - start))
