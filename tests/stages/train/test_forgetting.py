"""forgetting: the divergence is that of its definition, and the adapter beyond the budget is not kept."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from stages import train
from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import ParamsError
from stages.core.project.params import Run
from stages.train.forgetting import NOT_LEARNED, batches_of, divergence
from tests.stages.train.test_train import PARAMS, run


def test_the_divergence_is_that_of_its_definition(tiny_base: Path) -> None:
    model, tokenizer = load_causal_lm(tiny_base / "model")
    adapted = train.add_adapter(model, train.Lora(r=4), 1)
    ids = torch.tensor([tokenizer("Neon is a gas.")["input_ids"]])
    labels = ids.clone()
    labels[:, :2] = NOT_LEARNED
    batch = {"input_ids": ids, "labels": labels, "replayed": torch.zeros(1)}
    assert divergence(adapted, [batch]) == 0.0  # a fresh adapter changes nothing

    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.train()
    found = divergence(adapted, [batch, batch])
    assert adapted.training
    with torch.no_grad():
        adapted.eval()
        tuned = adapted(input_ids=ids).logits[0, 1:-1].log_softmax(-1)
        with adapted.disable_adapter():
            base = adapted(input_ids=ids).logits[0, 1:-1].log_softmax(-1)
    expected = (base.exp() * (base - tuned)).sum() / len(base)
    assert found == pytest.approx(float(expected), rel=1e-4)
    assert found > 0.01


def test_rows_are_taken_in_order_and_the_last_batch_is_short() -> None:
    class Batch(list[int]):
        def to(self, device: str) -> "Batch":
            return self

    assert list(batches_of([1, 2, 3], Batch, 2, "cpu")) == [[1, 2], [3]]


def test_training_stops_beyond_the_budget_and_keeps_the_adapter_before(
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    folder_bytes: Any,
) -> None:
    wide = dataclasses.replace(PARAMS, steps=12, forgetting_budget=1e9)
    free = dataclasses.replace(PARAMS, steps=12)
    first = run(free, run_params, tiny_base, tiny_augment, tmp_path / "free")
    assert run(wide, run_params, tiny_base, tiny_augment, tmp_path / "wide") == first
    weights = "adapter/adapter_model.safetensors"
    assert folder_bytes(tmp_path / "free")[weights] == folder_bytes(tmp_path / "wide")[weights]

    # Nothing is allowed, so the first evaluation is beyond it.
    none = dataclasses.replace(PARAMS, steps=12, forgetting_budget=1e-9)
    with pytest.raises(ParamsError, match=r"forgetting_budget: 1e-09 nats .* at the first"):
        run(none, run_params, tiny_base, tiny_augment, tmp_path / "none")


def test_a_budget_between_two_evaluations(
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = iter([0.1, 0.2, 0.9, 1.0, 1.1, 1.2])
    monkeypatch.setattr("stages.train.forgetting.divergence", lambda *_: next(measured))
    params = dataclasses.replace(PARAMS, steps=12, forgetting_budget=0.5)
    report = run(params, run_params, tiny_base, tiny_augment, tmp_path / "out")
    assert report["steps"] == 6
    assert report["best_step"] in (2, 4)
    printed = capsys.readouterr().out
    assert re.search(
        r"0\.900 nats per token at step 6 exceed the forgetting budget of 0\.5", printed
    )
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["best_step"] == report["best_step"]
