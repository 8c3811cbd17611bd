"""Rollouts: answers by chance that depend on nothing but their draws, and ratios of exactly 1 before any update."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stages import align
from stages.align import adapters, rollouts, training
from stages.align.rewards import Asked, Worth
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import prompt_text
from stages.core.records.abstention import PHRASES, Phrases

QUESTIONS = ["When does iron melt?", "Who found radium?", "Is neon a gas at all, or is it not?"]
WORTH = Worth(1.0, 0.0, 0.2, -1.0)


@pytest.fixture
def policy(tiny_model: Path, tiny_adapter: Path) -> tuple[Any, Any]:
    """A tuned model with a fresh adapter, and its tokenizer."""
    model, tokenizer = load_causal_lm(tiny_model, tiny_adapter, merge=True)
    return adapters.fresh(model, tiny_adapter, 4, 8, seed=1), tokenizer


def generator(seed: int = 3) -> Any:
    return torch.Generator().manual_seed(seed)


def test_the_same_draws_give_the_same_answers(policy: tuple[Any, Any]) -> None:
    first = rollouts.sampled(*policy, QUESTIONS, 8, 1.0, generator())
    assert rollouts.sampled(*policy, QUESTIONS, 8, 1.0, generator()) == first
    assert rollouts.sampled(*policy, QUESTIONS, 8, 1.0, generator(4)) != first
    assert all(1 <= len(answer) <= 8 for answer in first)


def test_a_token_is_drawn_by_its_probability() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]])).repeat(4, 1)
    draws = torch.tensor([0.1, 0.21, 0.69, 0.71])
    assert rollouts.drawn(logits, draws).tolist() == [0, 1, 1, 2]


def test_a_draw_beside_rounding_is_a_token() -> None:
    """The shares may add up to a little less than 1."""
    assert rollouts.drawn(torch.tensor([[0.0, 0.0]]), torch.tensor([1.0])).tolist() == [1]


def test_a_sharp_policy_samples_its_greedy_answer(policy: tuple[Any, Any]) -> None:
    """With the logits times a thousand, chance has no choice left."""
    model, tokenizer = policy
    head = model.get_output_embeddings()
    head.register_forward_hook(lambda module, inputs, output: output * 1000)
    prompts = [prompt_text(tokenizer, question) for question in QUESTIONS]
    greedy = generate(model, tokenizer, prompts, 8, 3)
    rolled = rollouts.rollout(model, tokenizer, QUESTIONS, 8, 1.0, generator())
    assert rolled.answers == greedy


def test_what_was_written_is_marked(policy: tuple[Any, Any]) -> None:
    model, tokenizer = policy
    rolled = rollouts.rollout(model, tokenizer, QUESTIONS, 8, 1.0, generator())
    written = rollouts.sampled(model, tokenizer, QUESTIONS, 8, 1.0, generator())
    for row, answer in enumerate(written):
        assert rolled.tokens[row, 1:][rolled.written[row]].tolist() == answer
        assert int(rolled.attention[row].sum()) > len(answer)


def test_packing_moves_answers_to_the_front() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    written = torch.tensor([[False, True, True], [True, False, False]])
    assert rollouts.packed(values, written).tolist() == [[2.0, 3.0], [4.0, 0.0]]
    assert rollouts.front_mask(written).tolist() == [[True, True], [True, False]]


def plan(**changes: Any) -> training.Plan:
    """The default plan, with short answers."""
    found: training.Plan = align.plan_of(align.Params(max_new_tokens=6))
    return found._replace(answers=3, minibatch=2, **changes)


@pytest.fixture
def batch(policy: tuple[Any, Any]) -> tuple[Any, Any, training.Batch]:
    """A policy, its value head and a rollout."""
    model, tokenizer = policy
    asked = [Asked(question, ("Iron.",), "Not known to me.", "f") for question in QUESTIONS]
    head = training.value_head(model, 0)
    found = training.collected(
        model, tokenizer, head, asked, plan(), Phrases(PHRASES), WORTH, 0.1, generator()
    )
    return model, head, found


def test_the_ratio_is_exactly_one_before_the_first_update(
    batch: tuple[Any, Any, training.Batch],
) -> None:
    model, head, found = batch
    for part in training.parts_of(3, 2):
        losses = training.losses_of(model, head, found, part, plan())
        assert (losses.ratio == 1).all()
        assert float(losses.clipped) == 0


def test_a_fresh_adapter_does_not_diverge(batch: tuple[Any, Any, training.Batch]) -> None:
    _, _, found = batch
    assert found.divergence == 0


def test_the_ratio_leaves_one_after_an_update(batch: tuple[Any, Any, training.Batch]) -> None:
    model, head, found = batch
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW([*weights, *head.parameters()], lr=0.01)
    # What is better than expected differs from token to token.
    found = found._replace(advantages=torch.randn_like(found.advantages) * found.mask)
    training.updated(model, head, optimizer, weights, found, plan(), 1, False, 0)
    losses = training.losses_of(model, head, found, slice(0, 2), plan())
    assert not (losses.ratio == 1).all()


def test_only_the_value_head_learns_at_first(batch: tuple[Any, Any, training.Batch]) -> None:
    model, head, found = batch
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    before = training.copied(weights)
    optimizer = torch.optim.AdamW([*weights, *head.parameters()], lr=0.01, weight_decay=0.0)
    training.updated(model, head, optimizer, weights, found, plan(), 1, True, 0)
    assert all(torch.equal(a, b) for a, b in zip(weights, before, strict=True))
    assert float(head.weight.detach().abs().max()) > 0
