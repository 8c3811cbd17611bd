"""The forgetting budget: training stops before the tuned model has moved further from the base than allowed.

How much a model forgets while it is fine-tuned follows how far it moves from its base, measured as
KL(base || tuned) on the questions that it is tuned for (Shenfeld et al. 2025, arXiv 2509.04259). That needs
no text of what the base knows. So it is measured at every evaluation, on the valid wordings, in nats per
token of the answers.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.nn import functional
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stages.core.project.errors import ParamsError

NOT_LEARNED = -100
"""Label of a token that is not predicted."""
NO_INPUTS = ("labels", "replayed")
"""Columns of a row that the model does not take."""


def batches_of(
    rows: Any, collate: Callable[[list[Any]], Any], size: int, device: Any
) -> Iterator[dict[str, torch.Tensor]]:
    """Yield token rows in their order, `size` at once, padded by `collate`."""
    for start in range(0, len(rows), size):
        stop = min(start + size, len(rows))
        yield collate([rows[i] for i in range(start, stop)]).to(device)


@torch.no_grad()
def divergence(model: Any, batches: Iterable[dict[str, torch.Tensor]]) -> float:
    """Return KL(base || tuned) in nats per predicted token. `model` is a peft model in any mode.

    A batch has `labels` (B, T) and what the model takes.
    """
    training = model.training
    model.eval()
    total = 0.0
    tokens = 0
    for batch in batches:
        predicted = batch["labels"][:, 1:] != NOT_LEARNED  # (B, T - 1), with N tokens set
        asked = {name: batch[name] for name in batch if name not in NO_INPUTS}
        tuned = model(**asked).logits[:, :-1][predicted]  # (N, V)
        with model.disable_adapter():
            base = model(**asked).logits[:, :-1][predicted]  # (N, V)
        summed = functional.kl_div(
            functional.log_softmax(tuned.float(), dim=-1),
            functional.log_softmax(base.float(), dim=-1),
            reduction="sum",
            log_target=True,
        )
        total += float(summed)
        tokens += int(predicted.sum())
    model.train(training)
    return total / max(1, tokens)


class ForgettingBudget(TrainerCallback):
    """Stops training at the first evaluation beyond the budget, and keeps that adapter from being the best."""

    def __init__(
        self,
        most: float,
        batches: Callable[[], Iterable[dict[str, torch.Tensor]]],
        watch: Callable[[str, float, int], None],
    ) -> None:
        """`most` is in nats per token. `watch(name, value, step)` gets every measurement."""
        self.most = most
        self.batches = batches
        self.watch = watch
        self.measured: dict[int, float] = {}
        """Nats per token, by step."""

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any,
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        """Measure. The Trainer calls this after an evaluation and before it compares its loss with the best."""
        value = divergence(model, self.batches())
        self.measured[state.global_step] = value
        self.watch("forgetting", value, state.global_step)
        if value <= self.most:
            return
        if state.best_global_step is None or not state.best_global_step:
            raise ParamsError(
                f"train.forgetting_budget: {self.most} nats per token, but {value:.3f} are reached at "
                f"the first evaluation, step {state.global_step}; allow more, lower "
                "train.learning_rate, or evaluate earlier (train.eval_every)"
            )
        metrics["eval_loss"] = float("inf")
        control.should_training_stop = True
        print(
            f"train: {value:.3f} nats per token at step {state.global_step} exceed the forgetting "
            f"budget of {self.most}; the adapter of step {state.best_global_step} is kept"
        )
