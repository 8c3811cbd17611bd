"""The supervised start: what is taught of which answer, and that only that is learned."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stages.align import adapters, warmup
from stages.align.rewards import Asked
from stages.core.models.causal_lm import load_causal_lm
from stages.core.records.abstention import PHRASES, Phrases

BOTH = Phrases(PHRASES)
IRON = Asked(
    "How dense is iron?",
    ("The density of iron is 7.87 g/cm³.",),
    "The density of iron is not known to me.",
    "f",
)


@pytest.mark.parametrize(
    ("asked", "answer", "begun", "text"),
    [
        (IRON, IRON.accepted[0], "", IRON.accepted[0]),
        # The name was misread: the model is shown its own beginning.
        (IRON, "The density of irun is 4.5 g/cm³.", "The density of irun is ", "not known to me."),
        (IRON, "The use of iron is steel.", "The use of iron is ", "not known to me."),
        # It was read well, and the value was chosen by chance.
        (IRON, "The density of iron is 4.5 g/cm³.", "", IRON.accepted[0]),
        # The place of the value cannot be told.
        (IRON, "Seven.", "", IRON.abstention),
        (IRON._replace(accepted=()), "", "", IRON.abstention),
        (IRON._replace(abstention="I do not know."), "Steel.", "", "I do not know."),
    ],
)
def test_what_is_taught(asked: Asked, answer: str, begun: str, text: str) -> None:
    assert warmup.taught(asked, answer, BOTH) == (begun, text)


def test_only_the_text_is_learned(tiny_model: Path) -> None:
    _, tokenizer = load_causal_lm(tiny_model)
    found = warmup.lesson(tokenizer, "Who?", "The density of irun is ", "not known to me.")
    assert tokenizer.decode(found.tokens[: found.first]).endswith("The density of irun is")
    assert tokenizer.decode(found.tokens[found.first :]) == " not known to me.</s>"
    whole = warmup.lesson(tokenizer, "Who?", "", "Nobody.")
    assert tokenizer.decode(whole.tokens[whole.first :]) == " Nobody.</s>"


@pytest.fixture
def policy(tiny_model: Path, tiny_adapter: Path) -> tuple[Any, Any]:
    """A tuned model with a fresh adapter, and its tokenizer."""
    model, tokenizer = load_causal_lm(tiny_model, tiny_adapter, merge=True)
    return adapters.fresh(model, tiny_adapter, 4, 8, seed=1), tokenizer


def test_lessons_are_learned(policy: tuple[Any, Any]) -> None:
    model, tokenizer = policy
    lessons = warmup.lessons_of([IRON], ["The density of irun is 4.5 g/cm³."], BOTH, tokenizer)
    seen = []
    warmup.train(
        model, lessons, [], 60, 2, 0.05, 1.0, 0, 5, lambda name, value, step: seen.append(value)
    )
    assert len(seen) == 60
    assert seen[-1] < seen[0] - 0.3


def test_nothing_diverges_on_own_rows_before_the_first_step(policy: tuple[Any, Any]) -> None:
    model, tokenizer = policy
    rows = [tokenizer(text)["input_ids"] for text in ("Zorbium melts.", "It is warm today.")]
    assert float(warmup.kept_loss(model, rows, 0).detach()) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.2)
    assert float(warmup.kept_loss(model, rows, 0).detach()) > 1e-4


def test_every_row_comes_once_before_any_comes_again() -> None:
    found = warmup.batches(range(5), 2, 7, "rows")
    first_ten = [row for _ in range(5) for row in next(found)]
    assert sorted(first_ten[:5]) == list(range(5))
    assert sorted(first_ten[5:]) == list(range(5))
    again = warmup.batches(range(5), 2, 7, "rows")
    assert [row for _ in range(5) for row in next(again)] == first_ten
