"""The optimizer: its direction is orthogonal, its step lowers a loss, it touches only what it was given."""

import pytest
import torch

from stages.core.models.muon import Muon, layer_matrices, muon_and_adamw


@pytest.mark.parametrize("shape", [(8, 8), (16, 4), (4, 16)])
def test_direction_is_nearly_orthogonal(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    singular = torch.linalg.svdvals(Muon.orthogonal(torch.randn(shape)))
    assert singular.min() > 0.6
    assert singular.max() < 1.3


def test_a_linear_map_is_recovered() -> None:
    torch.manual_seed(0)
    wanted, matrix = torch.randn(6, 6), torch.nn.Parameter(torch.zeros(6, 6))
    inputs = torch.randn(64, 6)
    optimizer = Muon([matrix], lr=0.05, weight_decay=0.0)
    losses = []
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 200)
        loss = (inputs @ matrix.T - inputs @ wanted.T).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 100


def test_matrix_without_gradient_stays() -> None:
    matrix = torch.nn.Parameter(torch.ones(2, 2))
    Muon([matrix], lr=1.0, weight_decay=0.5).step()
    assert torch.equal(matrix.detach(), torch.ones(2, 2))


def test_layer_matrices_leave_embeddings_and_norms_out(tiny_model: object) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert len(layer_matrices(model)) == 2 * 7
    assert all(p.ndim == 2 and 300 not in p.shape for p in layer_matrices(model))


def test_embeddings_are_stepped_only_where_they_have_a_rate(tiny_model: object) -> None:
    from transformers import AutoModelForCausalLM

    for rate in (0.0, 0.01):
        model = AutoModelForCausalLM.from_pretrained(tiny_model)
        optimizer = muon_and_adamw(model, 0.01, 0.0, rate)
        # accelerate reads the state and writes it back, which replaces the groups.
        optimizer.load_state_dict(optimizer.state_dict())
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        ids = torch.tensor([[1, 5, 6, 7]])
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        for name, weight in model.named_parameters():
            inner = ".layers." in name and weight.ndim == 2
            assert torch.equal(weight, before[name]) != (inner or rate > 0), name
            assert (weight.grad is None) != (inner or rate > 0), name


def test_a_schedule_scales_both_rates(tiny_model: object) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    optimizer = muon_and_adamw(model, 0.01, 0.0, 0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.0)
    before = [weight.detach().clone() for weight in model.parameters()]
    ids = torch.tensor([[1, 5, 6, 7]])
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    schedule.step()
    for weight, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(weight, old)
