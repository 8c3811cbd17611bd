"""curvature: the factors are those of the formula, and the penalty estimates how far a change moves the predictions."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stages import train
from stages.core.models.causal_lm import load_causal_lm
from stages.train.curvature import (
    EvenAdamW,
    Factors,
    at_tokens,
    factors,
    foretold,
    inverse_root,
    penalty,
    roots,
)
from tests.checkpoints import write_checkpoint

LORA = train.Lora(r=4, alpha=8, dropout=0.0, target_modules="auto")


@pytest.fixture
def adapted(tiny_model: Path) -> torch.nn.Module:
    model: torch.nn.Module = train.add_adapter(load_causal_lm(tiny_model)[0], LORA, 3).eval()
    return model


def batches(count: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    made = []
    for _ in range(count):
        ids = torch.randint(3, 300, (8, 12), generator=generator)
        mask = torch.ones_like(ids)
        mask[:4, 9:] = 0
        made.append(
            {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}
        )
    return made


def test_factors_are_symmetric_and_of_the_layer_s_sizes(adapted: torch.nn.Module) -> None:
    layers = train.lora_layers(adapted)
    found = factors(adapted, batches(2), set(layers), seed=1)
    assert set(found) == set(layers)
    for name, (a, g) in found.items():
        assert a.shape[0] == layers[name].in_features
        assert g.shape[0] == layers[name].out_features
        assert torch.allclose(a, a.T)
        assert torch.allclose(g, g.T)
        assert float(torch.linalg.eigvalsh(g.double()).min()) > -1e-9
    again = factors(adapted, batches(2), set(layers), seed=1)
    assert all(
        torch.equal(found[name][0], again[name][0]) and torch.equal(found[name][1], again[name][1])
        for name in found
    )


def test_padding_counts_nothing(adapted: torch.nn.Module) -> None:
    layers = set(train.lora_layers(adapted))
    (batch,) = batches(1)
    other = dict(batch, input_ids=batch["input_ids"].masked_fill(batch["attention_mask"] == 0, 7))
    first, second = factors(adapted, [batch], layers, 1), factors(adapted, [other], layers, 1)
    assert all(torch.allclose(first[name][0], second[name][0], atol=1e-6) for name in layers)


def test_input_factor_is_the_mean_of_outer_products(adapted: torch.nn.Module) -> None:
    (batch,) = batches(1)
    name = next(
        name for name in train.lora_layers(adapted) if name.endswith("layers.0.self_attn.q_proj")
    )
    kept = []
    layer = train.lora_layers(adapted)[name]
    handle = layer.register_forward_hook(lambda layer, arguments, output: kept.append(arguments[0]))
    adapted(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    handle.remove()
    x = kept[0][batch["attention_mask"].bool()]
    a, _ = factors(adapted, [batch], {name}, 1)[name]
    assert torch.allclose(a, x.T @ x / len(x), atol=1e-6)


def test_penalty_is_nothing_at_first_and_grows_with_the_square_of_the_change(
    adapted: torch.nn.Module,
) -> None:
    layers = train.lora_layers(adapted)
    curvature = factors(adapted, batches(2), set(layers), 1)
    assert penalty(layers, curvature).item() == 0
    torch.manual_seed(4)
    for layer in layers.values():
        torch.nn.init.normal_(layer.lora_B["default"].weight)
    once = penalty(layers, curvature).item()
    for layer in layers.values():
        layer.lora_B["default"].weight.data *= 2
    assert once > 0
    assert penalty(layers, curvature).item() == pytest.approx(4 * once, rel=1e-4)


def test_penalty_against_the_formula(adapted: torch.nn.Module) -> None:
    name, layer = next(iter(train.lora_layers(adapted).items()))
    torch.nn.init.normal_(layer.lora_B["default"].weight)
    a, g = factors(adapted, batches(1), {name}, 1)[name]
    change = layer.get_delta_weight("default")
    assert torch.isclose(
        penalty({name: layer}, {name: (a, g)}),
        0.5 * torch.trace(g @ change @ a @ change.T),
        rtol=1e-4,
    )


def test_penalty_estimates_the_divergence_of_a_small_change(adapted: torch.nn.Module) -> None:
    data = batches(40)
    layers = train.lora_layers(adapted)
    curvature = factors(adapted, data, set(layers), 1)
    name = next(name for name in layers if name.endswith("layers.1.mlp.down_proj"))
    torch.manual_seed(4)
    torch.nn.init.normal_(layers[name].lora_B["default"].weight, std=0.05)
    total = count = 0.0
    with torch.no_grad():
        for batch in data:
            known = train.base_logits(adapted, batch, torch.ones(8, dtype=torch.bool))
            tuned = adapted(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).logits
            loss = train.keeping_loss(
                tuned, batch["labels"], torch.ones(8, dtype=torch.bool), known
            )
            total, count = total + float(loss), count + 1
    assert penalty(layers, curvature).item() == pytest.approx(total / count, rel=0.5)


def test_inverse_root_against_its_definition() -> None:
    torch.manual_seed(1)
    factor = torch.cov(torch.randn(6, 20))
    root = inverse_root(factor, 0.1)
    scaled = factor.double() / factor.double().trace() * 6
    assert torch.allclose(
        root @ root @ (scaled + 0.1 * torch.eye(6)), torch.eye(6, dtype=torch.float64), atol=1e-6
    )


def test_a_layer_that_never_spoke_is_left_as_it_is() -> None:
    assert torch.allclose(
        inverse_root(torch.zeros(3, 3), 0.25), 2 * torch.eye(3, dtype=torch.float64)
    )


@pytest.fixture
def learning(adapted: torch.nn.Module) -> tuple[dict[str, Any], Factors, dict[str, torch.Tensor]]:
    """Layers, curvature, and a batch to learn."""
    layers = train.lora_layers(adapted)
    return layers, factors(adapted, batches(4), set(layers), 1), batches(1)[0]


def steps(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: dict[str, torch.Tensor],
    count: int,
) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()


def test_steps_are_those_of_adamw_in_the_other_coordinates(
    adapted: torch.nn.Module, learning: Any
) -> None:
    layers, curvature, batch = learning
    name, layer = next(iter(layers.items()))
    fresh = layer.lora_A["default"].weight.detach().clone()
    optimizer = EvenAdamW(
        {name: layer}, roots({name: layer}, curvature, 0.1), lr=0.01, weight_decay=0.1
    )
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    p, q = optimizer.inner[down], optimizer.outer[up]
    inner = [fresh.clone().requires_grad_(), torch.zeros_like(up).requires_grad_()]  # A'' and B'
    plain = torch.optim.AdamW(inner, lr=0.01, weight_decay=0.1)
    for _ in range(4):
        assert torch.allclose(down, inner[0] @ p, atol=1e-5)
        assert torch.allclose(up, q @ inner[1], atol=1e-5)
        steps(adapted, optimizer, batch, 1)
        plain.zero_grad()
        tuned = {
            f"{name}.lora_A.default.weight": inner[0] @ p,
            f"{name}.lora_B.default.weight": q @ inner[1],
        }
        torch.func.functional_call(adapted, tuned, kwargs=batch).loss.backward()
        plain.step()


def test_the_fresh_adapter_still_changes_nothing_and_speaks_as_loud_as_before(
    learning: Any,
) -> None:
    layers, curvature, _ = learning
    before = {
        name: layer.lora_A["default"].weight.detach().clone() for name, layer in layers.items()
    }
    EvenAdamW(layers, roots(layers, curvature, 0.1))
    assert penalty(layers, curvature).item() == 0
    for name, layer in layers.items():
        a = curvature[name][0]
        loud = [
            torch.trace(down @ a @ down.T).item()
            for down in (before[name], layer.lora_A["default"].weight)
        ]
        assert loud[1] == pytest.approx(loud[0], rel=0.9)


def test_much_damping_is_plain_adamw(tiny_model: Path, learning: Any) -> None:
    _, curvature, batch = learning
    moved = []
    for damping in (1e9, None):
        model = train.add_adapter(load_causal_lm(tiny_model)[0], LORA, 3).eval()
        layers = train.lora_layers(model)
        weights = [p for p in model.parameters() if p.requires_grad]
        chosen = (
            torch.optim.AdamW(weights, lr=0.01)
            if damping is None
            else EvenAdamW(layers, roots(layers, curvature, damping), lr=0.01)
        )
        steps(model, chosen, batch, 3)
        moved.append([layer.get_delta_weight("default") for layer in layers.values()])
    assert all(torch.allclose(one, other, atol=1e-3) for one, other in zip(*moved, strict=True))


def test_it_learns_a_row_at_less_cost_for_the_base(tiny_model: Path, learning: Any) -> None:
    _, curvature, batch = learning
    costs = []
    for damping in (0.1, 1e9):
        model = train.add_adapter(load_causal_lm(tiny_model)[0], LORA, 3).eval()
        layers = train.lora_layers(model)
        optimizer = EvenAdamW(layers, roots(layers, curvature, damping), lr=0.003)
        aim = model(**batch).loss.item() - 0.05
        for _ in range(200):
            steps(model, optimizer, batch, 1)
            if model(**batch).loss.item() < aim:
                break
        else:
            pytest.fail("nothing was learned in 200 steps")
        costs.append(penalty(layers, curvature).item())
    assert costs[0] < costs[1]


def test_a_wide_layer_has_diagonals(adapted: torch.nn.Module) -> None:
    layers = train.lora_layers(adapted)
    full = factors(adapted, batches(2), set(layers), 1)
    mixed = factors(adapted, batches(2), set(layers), 1, widest=32)
    for name, layer in layers.items():
        for width, whole, found in zip(
            (layer.in_features, layer.out_features), full[name], mixed[name], strict=True
        ):
            expected = whole.diagonal() if width > 32 else whole
            assert torch.allclose(found, expected, atol=1e-7)
    assert any(a.dim() == 1 for a, _ in mixed.values())
    assert any(a.dim() == 2 for a, _ in mixed.values())


def test_diagonals_count_as_diagonal_matrices(adapted: torch.nn.Module) -> None:
    """Penalty, inverse roots and steps are those of the matrices that have the diagonals and zeros."""
    layers = train.lora_layers(adapted)
    thin = factors(adapted, batches(2), set(layers), 1, widest=1)
    full = {name: (torch.diag(a), torch.diag(g)) for name, (a, g) in thin.items()}
    of_thin, of_full = roots(layers, thin, 0.1), roots(layers, full, 0.1)
    for name in layers:
        for one, other in zip(of_thin[name], of_full[name], strict=True):
            assert one.dim() == 1
            assert torch.allclose(torch.diag(one), other, atol=1e-5)
    torch.manual_seed(4)
    for layer in layers.values():
        torch.nn.init.normal_(layer.lora_B["default"].weight)
    assert penalty(layers, thin).item() == pytest.approx(penalty(layers, full).item(), rel=1e-4)

    weight = next(iter(layers.values())).lora_B["default"].weight
    down = next(iter(layers.values())).lora_A["default"].weight
    one, other = EvenAdamW(layers, of_thin), EvenAdamW(layers, of_full)
    for changed in (weight, down):
        assert torch.allclose(
            one.turned(changed, changed), other.turned(changed, changed), atol=1e-4
        )


def test_layers_with_the_same_inputs_share_their_root(adapted: torch.nn.Module) -> None:
    layers = train.lora_layers(adapted)
    found = roots(layers, factors(adapted, batches(1), set(layers), 1), 0.1)
    of = {name.rpartition(".")[2]: p for name, (p, _) in found.items() if "layers.0." in name}
    assert torch.equal(of["q_proj"], of["v_proj"])
    assert not torch.equal(of["q_proj"], of["o_proj"])


def test_the_cost_is_foretold() -> None:
    cost = foretold([(256, 512)], widest=None)
    assert cost.bytes(with_roots=True) == 2 * 4 * (256**2 + 512**2)
    assert cost.bytes(with_roots=False) == 4 * (256**2 + 512**2)
    assert cost.seconds > 0
    thin = foretold([(256, 512)], widest=256)
    assert thin.bytes(with_roots=True) == 2 * 4 * (256**2 + 512)
    assert thin.seconds < cost.seconds
    assert foretold([(256, 512)], widest=1).seconds == 0


def test_the_time_of_a_root_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A root of half the trial's width takes an eighth of its time, one of twice the width eight times."""
    monkeypatch.setattr("stages.train.curvature.seconds_of_root", lambda device: 0.5)
    assert foretold([(256, 1024)], widest=None).seconds == pytest.approx(0.5 / 8 + 0.5 * 8)


@pytest.mark.parametrize("architecture", ["deepseek_v2", "deepseek_v3"])
def test_latent_attention_has_factors_for_each_of_its_layers(
    tmp_path: Path, architecture: str
) -> None:
    """transformers gives kv_b_proj a dimension more than the other layers."""
    base = load_causal_lm(write_checkpoint(tmp_path / "base", architecture))[0]
    model: Any = train.add_adapter(base, LORA, 3).eval()
    layers = train.lora_layers(model)
    assert any(name.endswith("kv_b_proj") for name in layers)
    measured = factors(model, batches(1), set(layers), seed=4)
    assert measured.keys() == layers.keys()
    for name, (a, g) in measured.items():
        assert a.shape[0] == layers[name].in_features
        assert g.shape[0] == layers[name].out_features
        assert float(a.trace()) > 0


def test_states_are_those_of_the_tokens_in_their_order() -> None:
    states = torch.arange(2 * 3 * 2).reshape(2, 3, 2)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    expected = [[0.0, 1.0], [2.0, 3.0], [6.0, 7.0]]
    assert at_tokens(states, mask).tolist() == expected
    assert at_tokens(states[:, None], mask).tolist() == expected
