"""curvature: the factors are those of the formula, and the penalty estimates how far a change moves the predictions."""

from pathlib import Path

import pytest
import torch

from stages import train
from stages.core.models import load_causal_lm
from stages.train.curvature import factors, penalty

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
        made.append({"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)})
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
    assert all(torch.equal(found[name][0], again[name][0]) and torch.equal(found[name][1], again[name][1]) for name in found)


def test_padding_counts_nothing(adapted: torch.nn.Module) -> None:
    layers = set(train.lora_layers(adapted))
    (batch,) = batches(1)
    other = dict(batch, input_ids=batch["input_ids"].masked_fill(batch["attention_mask"] == 0, 7))
    first, second = factors(adapted, [batch], layers, 1), factors(adapted, [other], layers, 1)
    assert all(torch.allclose(first[name][0], second[name][0], atol=1e-6) for name in layers)


def test_input_factor_is_the_mean_of_outer_products(adapted: torch.nn.Module) -> None:
    (batch,) = batches(1)
    name = next(name for name in train.lora_layers(adapted) if name.endswith("layers.0.self_attn.q_proj"))
    kept = []
    layer = train.lora_layers(adapted)[name]
    handle = layer.register_forward_hook(lambda layer, arguments, output: kept.append(arguments[0]))
    adapted(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    handle.remove()
    x = kept[0][batch["attention_mask"].bool()]
    a, _ = factors(adapted, [batch], {name}, 1)[name]
    assert torch.allclose(a, x.T @ x / len(x), atol=1e-6)


def test_penalty_is_nothing_at_first_and_grows_with_the_square_of_the_change(adapted: torch.nn.Module) -> None:
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
    assert torch.isclose(penalty({name: layer}, {name: (a, g)}), 0.5 * torch.trace(g @ change @ a @ change.T), rtol=1e-4)


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
            tuned = adapted(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            loss = train.keeping_loss(tuned, batch["labels"], torch.ones(8, dtype=torch.bool), known)
            total, count = total + float(loss), count + 1
    assert penalty(layers, curvature).item() == pytest.approx(total / count, rel=0.5)
