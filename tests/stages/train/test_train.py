"""train: equal runs are equal bytes, replay is what it says, the base stays as it was, wrong targets are named."""

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from lore.comparison.first_difference import first
from stages import train
from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.training import Material
from stages.core.project.errors import InputError, ModelError, ParamsError
from stages.core.project.params import Run

PARAMS = train.Params(
    lora=train.Lora(r=4, alpha=8, dropout=0.1, target_modules="auto"),
    ewc=train.Ewc(weight=0.1, rows=8, damping=10.0),
    learning_rate=1e-2,
    weight_decay=0.01,
    rows_per_batch=4,
    steps=6,
    warmup=1,
    eval_every=2,
    patience=3,
    replay_share=0.25,
    max_tokens=64,
    precision="fp32",
    gradient_checkpointing=False,
    share=None,
    processes=1,
)


def run(
    params: train.Params, run_params: Run, base: Path, augment: Path, out: Path
) -> dict[str, Any]:
    train.run(
        params,
        run_params,
        base,
        augment,
        out,
        *(out.with_suffix(end) for end in (".json", ".csv", ".steps")),
    )
    report: dict[str, Any] = json.loads(out.with_suffix(".json").read_text())
    return report


def test_run_twice_gives_equal_bytes(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run, folder_bytes: Any
) -> None:
    first, second = (
        run(PARAMS, run_params, tiny_base, tiny_augment, tmp_path / name) for name in "ab"
    )
    assert first == second
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")
    assert (tmp_path / "a.steps").read_text() == (tmp_path / "b.steps").read_text()
    assert set(folder_bytes(tmp_path / "a")) == {
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "manifest.json",
    }


def test_another_seed_gives_another_adapter(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run, folder_bytes: Any
) -> None:
    run(PARAMS, run_params, tiny_base, tiny_augment, tmp_path / "a")
    run(PARAMS, dataclasses.replace(run_params, seed=8), tiny_base, tiny_augment, tmp_path / "b")
    weights = "adapter/adapter_model.safetensors"
    assert folder_bytes(tmp_path / "a")[weights] != folder_bytes(tmp_path / "b")[weights]


def test_the_adapter_learns_and_the_base_stays(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    before, _ = load_causal_lm(tiny_base / "model")
    report = run(
        dataclasses.replace(PARAMS, steps=60, eval_every=10),
        run_params,
        tiny_base,
        tiny_augment,
        tmp_path / "a",
    )
    curve = (tmp_path / "a.csv").read_text().splitlines()
    assert curve[0] == "step,train_loss,valid_loss"
    assert report["valid_loss"] < float(curve[1].split(",")[2]) - 0.1
    after, _ = load_causal_lm(tiny_base / "model")
    assert all(
        torch.equal(p, q) for p, q in zip(before.parameters(), after.parameters(), strict=True)
    )


def test_early_stopping_ends_a_run_that_gets_no_better(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    params = dataclasses.replace(PARAMS, steps=40, eval_every=1, patience=2, learning_rate=0.0)
    assert run(params, run_params, tiny_base, tiny_augment, tmp_path / "a")["steps"] < 40


@pytest.mark.parametrize("change", [{"precision": "bf16"}, {"gradient_checkpointing": True}])
def test_settings_for_large_models_work(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run, change: dict[str, Any]
) -> None:
    plain = run(PARAMS, run_params, tiny_base, tiny_augment, tmp_path / "a")
    changed = run(
        dataclasses.replace(PARAMS, **change), run_params, tiny_base, tiny_augment, tmp_path / "b"
    )
    assert changed["valid_loss"] == pytest.approx(plain["valid_loss"], abs=0.05)


def test_named_targets_and_wrong_ones(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    named = dataclasses.replace(PARAMS.lora, target_modules=["q_proj", "v_proj"])
    report = run(
        dataclasses.replace(PARAMS, lora=named), run_params, tiny_base, tiny_augment, tmp_path / "a"
    )
    assert report["trainable_parameters"] == 2 * 2 * 4 * (32 + 32)
    wrong = dataclasses.replace(
        PARAMS, lora=dataclasses.replace(PARAMS.lora, target_modules=["query"])
    )
    with pytest.raises(
        ModelError,
        match=r"train.lora.target_modules: .*query.*the linear layers of this base are .*q_proj",
    ):
        run(wrong, run_params, tiny_base, tiny_augment, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_replay_share_is_a_share_of_all_rows(tiny_base: Path, tiny_augment: Path) -> None:
    without = Material.read(tiny_base, tiny_augment, 0.0, seed=1)
    with_replay = Material.read(tiny_base, tiny_augment, 0.25, seed=1)
    assert (len(without.train), len(without.replayed)) == (9, 0)
    assert (len(with_replay.train), len(with_replay.replayed)) == (9, 3)
    assert all("Zorbium" in row.text for row in with_replay.replayed)
    assert with_replay == Material.read(tiny_base, tiny_augment, 0.25, seed=1)
    # Rows of facts kept from the version before are trained beside them, and count too.
    beside = Material.read(tiny_base, tiny_augment, 0.25, seed=1, others=3)
    assert len(beside.replayed) == round((len(without.train) + 3) / 3)
    assert not [row for row in with_replay.train if "9?" in row.text]  # wordings of valid and probe


def test_a_base_with_few_texts_says_them_several_times(tiny_base: Path, tiny_augment: Path) -> None:
    own = len((tiny_base / "replay.jsonl").read_text().splitlines())
    material = Material.read(tiny_base, tiny_augment, 0.9, seed=1)
    assert len(material.replayed) == 9 * len(material.train) > own
    times = Counter(row.text for row in material.replayed)
    assert len(times) == own
    assert max(times.values()) - min(times.values()) <= 1
    (tiny_base / "replay.jsonl").write_text("")
    assert Material.read(tiny_base, tiny_augment, 0.9, seed=1).replayed == []


def test_loss_against_the_formula() -> None:
    torch.manual_seed(0)
    tuned, known = torch.randn(2, 3, 5), torch.randn(1, 3, 5)
    labels = torch.tensor([[1, 4, -100], [0, 2, 3]])
    terms = [-torch.log_softmax(tuned[0, 0], -1)[4]]  # the new row: position 0 predicts token 4
    for position in (0, 1):  # the replayed row
        p = torch.softmax(known[0, position], -1)
        terms.append((p * (p.log() - torch.log_softmax(tuned[1, position], -1))).sum())
    loss = train.keeping_loss(tuned, labels, torch.tensor([False, True]), known)
    assert torch.isclose(loss, torch.stack(terms).mean())
    assert torch.isclose(
        train.keeping_loss(tuned[:1], labels[:1], torch.tensor([False]), None), terms[0]
    )


def test_a_replayed_row_costs_nothing_before_training(tiny_model: Path) -> None:
    model, _ = load_causal_lm(tiny_model)
    adapted = train.add_adapter(model, PARAMS.lora, 3).eval()
    inputs = {
        "input_ids": torch.tensor([[1, 5, 6, 7]]),
        "attention_mask": torch.ones(1, 4, dtype=torch.long),
    }
    replayed = torch.tensor([True])
    known = train.base_logits(adapted, inputs, replayed)
    assert not known.requires_grad
    with torch.no_grad():
        loss = train.keeping_loss(adapted(**inputs).logits, inputs["input_ids"], replayed, known)
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_the_penalty_keeps_the_base_closer(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    changes = {}
    for weight in (0.0, 1000.0):
        ewc = train.Ewc(weight=weight, rows=12, damping=1e9)  # AdamW as ever: the penalty alone
        params = dataclasses.replace(PARAMS, ewc=ewc, replay_share=0.0, steps=20, eval_every=20)
        run(params, run_params, tiny_base, tiny_augment, tmp_path / str(weight))
        before, _ = load_causal_lm(tiny_base / "model")
        after, tokenizer = load_causal_lm(
            tiny_base / "model", tmp_path / str(weight) / "adapter", merge=True
        )
        ids = tokenizer(["Zorbium melts at 3 °C."], return_tensors="pt")["input_ids"]
        with torch.no_grad():
            p, q = (torch.log_softmax(model(ids).logits, -1) for model in (before, after))
        changes[weight] = float((p.exp() * (p - q)).sum())
    assert changes[1000.0] < changes[0.0] / 2


def test_missing_split_is_named(tiny_base: Path, tiny_augment: Path) -> None:
    from stages.core.records.record import read, write

    rows = [row for row in read(tiny_augment / "records.parquet") if row["split"] != "valid"]
    write(tiny_augment / "records.parquet", rows)
    with pytest.raises(InputError, match="no record of split 'valid'; check the augment section"):
        Material.read(tiny_base, tiny_augment, 0.25, seed=1)


def test_the_first_step_that_differs_is_told(
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disturbance before step 4 that is too small for the four digits of the learning curve."""
    from stages.core.models import training

    run(PARAMS, run_params, tiny_base, tiny_augment, tmp_path / "a")

    on_step_end = training.Curve.on_step_end

    def moved(curve: Any, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        if state.global_step == 3:
            weight = next(weight for weight in model.parameters() if weight.requires_grad)
            weight.data.view(-1)[0] += 1e-6
        on_step_end(curve, args, state, control, model)

    monkeypatch.setattr(training.Curve, "on_step_end", moved)
    run(PARAMS, run_params, tiny_base, tiny_augment, tmp_path / "b")
    found = first("steps.csv", *((tmp_path / f"{name}.steps").read_bytes() for name in "ab"))
    assert found
    assert found.where == "row 2 (step 3), column weights"


def test_a_checksum_sees_one_bit() -> None:
    from stages.core.models.training import checksum

    weights = [torch.randn(3, 5).requires_grad_(), torch.randn(4).requires_grad_(), torch.randn(2)]
    before = checksum(weights)
    assert checksum(weights) == before
    weights[2].add_(1)  # not trained
    assert checksum(weights) == before
    for weight in weights[:2]:
        bits = weight.data.view(torch.int32).view(-1)
        bits[1] ^= 1
        assert checksum(weights) != before
        bits[1] ^= 1
    assert checksum(reversed(weights[:2])) != before
    assert (
        checksum([weight.data.to(torch.bfloat16).requires_grad_() for weight in weights[:2]]).dtype
        == torch.int64
    )


def losses_of(out: Path) -> list[float]:
    """The loss of every step."""
    lines = out.with_suffix(".steps").read_text().splitlines()[1:]
    return [float(line.split(",")[1]) for line in lines]


@pytest.mark.usefixtures("no_store")
def test_micro_batches_give_the_loss_of_the_whole_step(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    """Their rows have different numbers of tokens, and some are replayed. The penalty counts once."""
    plain = dataclasses.replace(PARAMS, lora=dataclasses.replace(PARAMS.lora, dropout=0.0))
    for rows in (None, 2, 1):
        params = dataclasses.replace(plain, rows_per_device=rows)
        run(params, run_params, tiny_base, tiny_augment, tmp_path / str(rows))
    whole = losses_of(tmp_path / "None")
    assert len(whole) == 6
    assert losses_of(tmp_path / "2") == pytest.approx(whole, abs=1e-4)
    assert losses_of(tmp_path / "1") == pytest.approx(whole, abs=1e-4)


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize(("rows_per_device", "at_once"), [(None, 4), (2, 2)])
def test_the_curvature_is_measured_on_as_many_rows_as_a_device_is_shown(
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
    rows_per_device: int | None,
    at_once: int,
) -> None:
    from stages.train import curvature

    sizes = []
    factors = curvature.factors

    def spy(model: Any, batches: Any, *arguments: Any) -> Any:
        kept = list(batches)
        sizes.extend(len(batch["input_ids"]) for batch in kept)
        return factors(model, kept, *arguments)

    monkeypatch.setattr(curvature, "factors", spy)
    params = dataclasses.replace(PARAMS, rows_per_device=rows_per_device, steps=2)
    run(params, run_params, tiny_base, tiny_augment, tmp_path / "a")
    assert set(sizes[:-1]) == {at_once}
    assert sum(sizes) == PARAMS.ewc.rows


def test_rows_that_cannot_be_shared_evenly_are_refused(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    params = dataclasses.replace(PARAMS, rows_per_device=3)
    with pytest.raises(
        ParamsError,
        match=r"rows_per_device: the 4 rows .* cannot be shown 3 at a time; write a divisor of 4",
    ):
        run(params, run_params, tiny_base, tiny_augment, tmp_path / "a")


@pytest.mark.usefixtures("no_store")
def test_the_length_may_be_given_in_epochs(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    """Nine new rows and three replayed ones make three steps an epoch."""
    params = dataclasses.replace(PARAMS, steps=None, epochs=2.0)
    assert run(params, run_params, tiny_base, tiny_augment, tmp_path / "a")["steps"] == 6
    both = dataclasses.replace(PARAMS, epochs=2.0)
    with pytest.raises(
        ParamsError, match=r"train\.steps, train\.epochs: got 6 and 2\.0; write one of both"
    ):
        run(both, run_params, tiny_base, tiny_augment, tmp_path / "b")


@pytest.mark.usefixtures("no_store")
def test_tokens_are_counted_and_too_many_dropped_ones_stop_training(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    report = run(PARAMS, run_params, tiny_base, tiny_augment, tmp_path / "a")
    assert report["tokens_read"] > report["tokens_trained"] > 0
    assert (report["tokens_dropped"], report["rows_split"]) == (0, 0)
    short = dataclasses.replace(PARAMS, max_tokens=16)
    with pytest.raises(
        ParamsError, match=r"train\.max_tokens: 16 leaves out \d+\.\d% .* train rows"
    ):
        run(short, run_params, tiny_base, tiny_augment, tmp_path / "b")
    allowed = dataclasses.replace(short, most_dropped=1.0)
    with pytest.raises(
        ParamsError, match=r"train\.max_tokens: none of the valid rows fits into 16 tokens"
    ):
        run(allowed, run_params, tiny_base, tiny_augment, tmp_path / "c")


@pytest.mark.usefixtures("no_store")
def test_packed_rows_train_and_take_fewer_sequences(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    params = dataclasses.replace(PARAMS, packing=True, max_tokens=128, steps=None, epochs=2.0)
    report = run(params, run_params, tiny_base, tiny_augment, tmp_path / "a")
    assert report["steps"] < 6
    assert all(loss > 0 for loss in losses_of(tmp_path / "a"))


@pytest.mark.parametrize("schedule", ["linear", "constant"])
@pytest.mark.usefixtures("no_store")
def test_the_rate_follows_its_schedule(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run, schedule: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    params = dataclasses.replace(PARAMS, schedule=schedule)
    run(params, run_params, tiny_base, tiny_augment, tmp_path / "a")
    # The log tells the rate of steps 2, 4 and 6. The peak is reached in step 2.
    rates = [
        float(rate) for rate in re.findall(r"'learning_rate': '([^']+)'", capsys.readouterr().out)
    ]
    expected = [0.01, 0.006, 0.002] if schedule == "linear" else [0.01, 0.01, 0.01]
    assert rates == pytest.approx(expected, rel=1e-3)


@pytest.mark.usefixtures("no_store")
def test_the_base_is_frozen_in_the_type_of_the_precision_and_the_adapter_is_float32(
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from safetensors.torch import load_file

    seen: list[Any] = []
    add_adapter = train.add_adapter

    def spy(model: Any, *arguments: Any) -> Any:
        adapted = add_adapter(model, *arguments)
        for weight in adapted.parameters():
            seen.append((weight.requires_grad, weight.dtype))
        return adapted

    monkeypatch.setattr(train, "add_adapter", spy)
    params = dataclasses.replace(PARAMS, precision="bf16")
    run(params, run_params, tiny_base, tiny_augment, tmp_path / "a")
    assert set(seen) == {(False, torch.bfloat16), (True, torch.float32)}
    saved = load_file(tmp_path / "a" / "adapter" / "adapter_model.safetensors")
    assert {weight.dtype for weight in saved.values()} == {torch.float32}
