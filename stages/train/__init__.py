"""train: a LoRA adapter from the augmented records, with replay of the base's own texts.

In: the base (`models/base`) and the records of augment (`data/augment`). Out: `adapter/` (peft,
safetensors) and `manifest.json`; metrics `train.json`, the learning curve `train.csv`, and loss and
checksum of every step, `steps/train.csv`.

LoRA: Hu et al. 2021, arXiv 2106.09685; h = W x + (alpha / r) B A x.

What the base knew is kept in three ways (docs/decisions/004-keeping-what-the-base-knows.md).

- Replay: some rows are the base's own texts. On them the loss is the divergence from the base,
  KL(base || tuned) per token (learning without forgetting: Li & Hoiem 2016, arXiv 1606.09282).
- Elastic weight consolidation: a penalty on changes that matter to the base's predictions, by the
  curvature measured on the base's texts (`curvature.py`). It also keeps knowledge that no text shows.
- Steps are taken in coordinates that avoid the directions that matter to the base (`EvenAdamW`).

Training stops early when the loss on the valid wordings has not improved for `patience` evaluations. The
best adapter is kept, not the last. A run that was killed goes on from its last checkpoint, and ends with the
same bytes (`checkpoints.py`).

Refused: target modules that the base does not have, and settings that do not go together.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.mlflow import tracking
from stages.core.models.causal_lm import DTYPE_OF_PRECISION
from stages.core.models.model_folder import sha256_of_files, sha256_of_folder
from stages.core.project import runtime
from stages.core.project.errors import ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.repeatable.seeding import derive, rng_for, seed_torch
from stages.train import continuing, distributed
from stages.train.adapter import (
    Lora,
    add_adapter,
    left_alone,
    load_base,
    lora_layers,
    problems,
    save_adapter,
)

if TYPE_CHECKING:  # the module loads torch
    from stages.core.models import checkpoints

__all__ = ["Ewc", "Lora", "Params", "add_adapter", "lora_layers", "run", "save_adapter"]


@dataclass(frozen=True, config=STRICT)
class Ewc:
    """Elastic weight consolidation against the base."""

    weight: float = 20.0
    """Weight of the penalty, which estimates the divergence KL(base, tuned) on the base's own texts in nats
    per token. Higher keeps more of the base's knowledge and learns slower. 0 switches it off."""
    rows: int = 2560
    """Number of the base's own texts from which the curvature is measured, before training."""
    damping: float = 0.1
    """How far steps avoid what matters to the base. 0.1: far. 1e9: not at all (plain AdamW)."""
    widest: int | None = 2048
    """Layers wider than this have diagonal factors. Full ones take 8 d² bytes and, once, a time of d³ for a
    width of d: at 2,048 about 3 s each, at 11,008 some minutes. null: all are full."""


@dataclass(frozen=True, config=STRICT)
class Update:
    """What differs where training goes on from a version (`continue_from`)."""

    epochs: Annotated[float, Field(gt=0)] | None = 1.0
    """Passes over the rows about new and changed facts, with those that are replayed. null: `train.steps` and
    `train.epochs` say how long."""
    rate: float = Field(default=0.2, gt=0, le=1)
    """Peak rate, as a share of `train.learning_rate`. Higher learns faster and forgets more of the version."""
    rehearse_share: float = Field(default=0.15, ge=0, le=1)
    """Share of the version's rows about unchanged facts that is replayed. Higher keeps more and takes longer."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """How the adapter is trained."""

    lora: Lora = field(default_factory=Lora)
    """The adapter (LoRA): the weights that are trained beside those of the base."""
    base_bits: Literal[4] | None = None
    """4: the base's linear layers are held in 4 bits while the adapter is trained (QLoRA), for a base that
    does not fit the GPU. It needs bitsandbytes, and is slow on a CPU. null: in the type of `precision`."""
    ewc: Ewc = field(default_factory=Ewc)
    """Elastic weight consolidation: a penalty on changes that matter to the base's predictions. What
    the curvature takes in memory and time is printed before it is measured."""
    learning_rate: float = 0.004
    """Peak rate of AdamW, reached after `warmup`, then lowered as `schedule` says. 1e-3 to 5e-3 for a small
    model, 1e-4 to 3e-4 for a 7B checkpoint."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate goes on after the warm-up: along a cosine to zero, along a line to zero, or not at
    all."""
    clip_norm: float = Field(default=1.0, ge=0)
    """Longest gradient of a step, as the Euclidean norm over all trained weights. A longer one is shortened
    to it. 0: none is."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW. Higher keeps the adapter's weights smaller."""
    rows_per_batch: int = 64
    """Texts per step, over all processes. More is smoother and, per step, slower. With `packing`, the
    number of packed sequences."""
    rows_per_device: int | None = Field(default=None, ge=1)
    """Texts that a device is shown at once. Their gradients add up to those of the step, so the steps are
    the same up to rounding. The curvature of `ewc` is measured on as many at once. Fewer take less memory
    and more time. null: all that the device has in a step. It must divide `rows_per_batch / processes`."""
    steps: int | None = 1200
    """Most optimizer steps. Recall grows with them: `metrics/train.csv` shows where it levels off. Early
    stopping may end training sooner. null: `epochs` says how long."""
    epochs: float | None = Field(default=None, gt=0)
    """Most passes over all rows, instead of `steps`. null: `steps` says how long."""
    warmup: int = 40
    """Steps of linear warm-up, before the rate falls."""
    eval_every: int = 120
    """Steps between evaluations on the valid wordings, and between points of the learning curve."""
    patience: int = 3
    """Evaluations without improvement before training stops early."""
    checkpoint_every: int | None = None
    """Steps between checkpoints, from which a killed run goes on. They lie in `.memo` until the run ends.
    null: as `eval_every`. No byte of an output depends on it. With ZeRO (`share`) there are none."""
    continue_from: str | None = None
    """Full commit hash of an earlier knowledge version. Its adapter is the start, new and changed facts are
    learned as `update` says, and what it knew is kept (by `update.rehearse_share` and `ewc`). The base and `lora`
    must be as they were. A branch or tag is refused, because it may move. null: a fresh adapter learns all
    facts."""
    update: Update = field(default_factory=Update)
    """How long, how fast, and with what share of the old rows training goes on from a version."""
    forgetting_budget: Annotated[float, Field(gt=0)] | None = None
    """Most nats per token by which the tuned model may differ from the base on the valid wordings, as
    KL(base || tuned). Training stops at the first evaluation beyond it, and the adapter before is kept.
    null: no limit."""
    replay_share: float = 0.25
    """Share of the rows taken from the base's own texts, in [0, 1). Higher keeps more of the base's
    knowledge and learns slower. Where the base has too few texts (`base.replay`), they come several times."""
    max_tokens: int = 128
    """Longest row in tokens. A longer one is split: a free text into windows that overlap, an answer into
    windows that repeat the question or the end of it. So every token is trained once. A pair whose question
    alone is as long is set aside."""
    most_dropped: float = Field(default=0.0, ge=0, le=1)
    """Largest share of the tokens that may be in rows that are set aside. Above it, nothing is trained."""
    loss_on: Literal["answer", "all"] = "answer"
    """What is learned of a question–answer pair: the answer alone, or the question, too. A free text is
    learned as a whole."""
    packing: bool = False
    """Put several rows into one sequence of up to `max_tokens` tokens. They do not see each other. It saves
    the time that padding takes where rows differ in length. A model that cannot keep rows apart is
    refused."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Mixed precision: `fp32` on a CPU, `bf16` on a recent GPU, `fp16` on an older one. The frozen base is
    loaded in this type, whatever its files hold. The adapter's weights are float32."""
    gradient_checkpointing: bool = False
    """Trade time for memory: activations are computed twice. A step is about a third slower, and
    activations no longer fill the memory. For large checkpoints."""
    share: distributed.Share = None
    """How `processes` share a step. `ddp`: each holds the whole base. `fsdp2`: the base is spread over them, for
    one that does not fit a device. `zero1`, `zero2`, `zero3`, or a whole DeepSpeed config: ZeRO shards the
    optimizer's state, gradients, parameters, and takes plain AdamW's steps (`ewc.damping` has no effect). It
    needs a C++ compiler. null: one process."""
    processes: int = 1
    """Processes that share the rows of a step, one per GPU, over all machines (see docs/training.md). The steps
    are those of one process up to rounding."""

    def of_update(self) -> "Params":
        """Return the settings where training goes on from a version: `update` in place of length and rate."""
        settings = replace(self, learning_rate=self.learning_rate * self.update.rate)
        if self.update.epochs is None:
            return settings
        return replace(settings, steps=None, epochs=self.update.epochs)


def run(
    params: Params,
    run: Run,
    base: Path,
    augment: Path,
    out: Path,
    metrics: Path,
    curve: Path,
    steps: Path,
) -> None:
    """Train the adapter into `out`. Where several processes share the work, the first of them writes it."""
    ewc_weight = params.ewc.weight
    wrong = [
        *problems(params.lora, ewc_weight, params.base_bits),
        *distributed.problems(params.share, params.processes, ewc_weight, params.base_bits),
    ]
    if params.continue_from is not None:
        continuing.check_commit(params.continue_from)
        params = params.of_update()
    if wrong:
        raise ParamsError("\n  ".join(["params.yaml:", *wrong]))
    if params.processes > 1 and not distributed.launched():
        distributed.launch(params.processes, "train", [base, augment, out, metrics, curve, steps])
        return
    if distributed.deepspeed_config(params.share) is not None:
        runtime.prepare_deepspeed(run)
    from stages.core.models import checkpoints

    seed_torch(run.seed, run.threads)
    on_cpu = run.device == "cpu"
    if distributed.launched():
        distributed.join(params.processes, on_cpu)
    base_sha256 = sha256_of_folder(base / "model")
    run_key = checkpoints.key("train", params, run, hashes_of_inputs(base, base_sha256, augment))
    distributed.check_same(run_key)
    store = checkpoints.Store("train", run_key)

    spreads = params.share == "fsdp2" and params.processes > 1
    dtype = DTYPE_OF_PRECISION[params.precision]
    device = "cpu" if spreads else run.device
    model, tokenizer = load_base(base / "model", device, params.base_bits, dtype)
    adapted = add_adapter(model, params.lora, derive(run.seed, "adapter"))
    if spreads:
        distributed.spread(adapted, on_cpu)

    first_process = distributed.is_first()
    tracked = tracking.run("train", params) if first_process else nullcontext(tracking.Log())
    with checkpoints.scratch("train") as scratch, tracked as log:
        start = None
        if params.continue_from is not None:
            start = continuing.prepare(
                params.continue_from,
                out,
                augment,
                scratch / "version",
                adapted,
                base_sha256,
                params.update.rehearse_share,
                run.seed,
            )
        trainer, watcher, counts = make_trainer(
            params, run, adapted, tokenizer, base, augment, scratch, store, start, log
        )
        result = trainer.train()
        best = best_point(trainer.state)
        trained = [weight for weight in adapted.parameters() if weight.requires_grad]
        watcher.add_up()
        with distributed.whole(trained, params.share):
            if not first_process:
                return
            watcher.write(curve)
            watcher.write_steps(steps)
            manifest = {
                "base_sha256": base_sha256,
                "steps": result.global_step,
                **best,
            }
            if start is not None:
                manifest["continued_from"] = start.report()
            with replacing(out) as folder:
                save_adapter(adapted, folder / "adapter")
                write_json(folder / "manifest.json", manifest)
    trainable, total = adapted.get_nb_trainable_parameters()
    summary = {
        "steps": result.global_step,
        **best,
        "trainable_parameters": trainable,
        **counts.report(),
    }
    write_json(metrics, summary)
    store.clear()
    if counts.rows_replayed:
        print(counts.replay_line("train"))
    if start is not None:
        facts = ", ".join(f"{number} {kind}" for kind, number in start.changes.counts().items())
        print(
            f"train: went on from {start.version.commit[:12]}: facts: {facts}; "
            f"{len(start.rehearsed)} of its rows replayed"
        )
    alone = left_alone(adapted)
    if alone:
        named = ", ".join(f"{number} × {name}" for name, number in alone.items())
        print(f"train: layers without an adapter (train.lora.target_modules): {named}")
    print(
        f"train: {trainable:,} of {total:,} parameters, stopped after {result.global_step} of "
        f"{trainer.args.max_steps} steps,"
    )
    print(f"       best valid loss {best['valid_loss']} at step {best['best_step']}")


def hashes_of_inputs(base: Path, base_sha256: str, augment: Path) -> list[str]:
    """Return the hashes of everything that the stage reads."""
    texts = [path for path in base.glob("*.jsonl") if path.is_file()]
    records = [path for path in augment.rglob("*") if path.is_file()]
    return [base_sha256, sha256_of_files(base, texts), sha256_of_files(augment, records)]


def make_trainer(
    params: Params,
    run: Run,
    model: Any,
    tokenizer: Any,
    base: Path,
    augment: Path,
    scratch: Path,
    store: "checkpoints.Store",
    start: continuing.Start | None,
    log: tracking.Log,
) -> tuple[Any, Any, Any]:
    """Return the Trainer, the curve that it fills, and the counts of the tokens of its train rows."""
    from transformers import EarlyStoppingCallback

    from stages.core.models import training
    from stages.core.models.checkpoints import Resumable
    from stages.core.models.lora_product import compute_at_once
    from stages.train.curvature import EvenAdamW, penalty
    from stages.train.forgetting import ForgettingBudget, batches_of

    if params.packing:
        training.check_packing(model, "train")
    if params.share in (None, "ddp"):  # each process holds whole weights
        compute_at_once(model)
    learned = None if start is None else start.changes.learned
    rehearsed = 0 if start is None else len(start.rehearsed)
    rows = training.Material.read(base, augment, params.replay_share, run.seed, learned, rehearsed)
    replayed = rows.replayed
    if start is not None:
        replayed = replayed + [training.Row.of_record(record) for record in start.rehearsed]
    train_rows, counts = training.token_rows(
        rows.train,
        tokenizer,
        params.max_tokens,
        scratch / "train",
        replayed,
        loss_on=params.loss_on,
        packing=params.packing,
    )
    valid_rows, valid_counts = training.token_rows(
        rows.valid,
        tokenizer,
        params.max_tokens,
        scratch / "valid",
        loss_on=params.loss_on,
        packing=params.packing,
    )
    counts.check(params.max_tokens, params.most_dropped, "train", "train")
    valid_counts.check(params.max_tokens, params.most_dropped, "train", "valid")
    steps = training.number_of_steps(
        params.steps, params.epochs, len(train_rows), params.rows_per_batch, "train"
    )
    collate = training.collator(tokenizer)
    layers = lora_layers(model)
    curvature: Any = None
    if params.ewc.weight:
        curvature = measured(model, layers, params, run, tokenizer, base, scratch, store, start)
    optimizer = None  # the Trainer's own AdamW
    if curvature and distributed.zero_stage(params.share) == 0:
        optimizer = EvenAdamW(
            layers,
            inverse_roots(layers, curvature, params, store),
            fresh=start is None,
            lr=params.learning_rate,
            weight_decay=params.weight_decay,
        )
    starts = None if start is None else start.of_layers(layers)
    spreads = distributed.spreads_base(params.share, params.processes)
    watcher = training.Curve(log.metric)

    class Keeper(Resumable):
        """Learns new rows, and keeps the base's predictions on replayed ones."""

        def compute_loss(
            self,
            model: Any,
            inputs: Any,
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            outputs = model(**training.model_inputs(inputs))
            replayed = inputs["replayed"].bool()  # (B,)
            known = None
            # Of a base that is spread, all processes must compute, also those without a replayed row.
            if spreads or replayed.any():
                plain_model = self.accelerator.unwrap_model(model)
                before = None if start is None else start.weights
                known = known_logits(plain_model, inputs, replayed, before)
            loss = keeping_loss(outputs.logits, inputs["labels"], replayed, known)
            loss = loss * self.part_of_step(inputs["labels"], num_items_in_batch)
            if curvature and model.training:
                # The penalty belongs to the step, so each micro-batch has a part of it.
                parts = self.current_gradient_accumulation_steps
                loss = loss + params.ewc.weight / parts * penalty(layers, curvature, starts)
            if model.training:
                watcher.see(loss)
            return (loss, outputs) if return_outputs else loss

        def _wrap_model(self, model: Any, training: bool = True, dataloader: Any = None) -> Any:
            """Take the place of the Trainer's method, which knows no base that is spread and an adapter that is not."""
            wrapped = super()._wrap_model(model, training, dataloader)
            if params.share != "fsdp2" or not spreads or not training or wrapped is not self.model:
                return wrapped
            # Mixed precision alone.
            self.accelerator.prepare_model(model, device_placement=False, evaluation_mode=True)
            return distributed.averaging(model)

    arguments = training.arguments(
        scratch / "checkpoints",
        params,
        run,
        seed=derive(run.seed, "train"),
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        lr_scheduler_type=training.SCHEDULES[params.schedule],
        max_grad_norm=params.clip_norm,
        activation_checkpointing=params.gradient_checkpointing,
        processes=params.processes,
        rows_per_device=params.rows_per_device,
        steps=steps,
        deepspeed=distributed.deepspeed_config(params.share),
        remove_unused_columns=False,  # the loss needs `replayed`, which the model does not take
    )
    callbacks: list[Any] = [watcher, EarlyStoppingCallback(params.patience)]
    rows_alone = params.rows_per_device or params.rows_per_batch
    if params.forgetting_budget is not None:
        measured_on = partial(batches_of, valid_rows, collate, rows_alone, arguments.device)
        callbacks.append(ForgettingBudget(params.forgetting_budget, measured_on, log.metric))
    if params.processes > 1:
        rows_of_all = arguments.eval_batch_size * params.processes
        train_rows = training.SharedRows(train_rows, params.rows_per_batch, params.rows_per_batch)
        valid_rows = training.SharedRows(valid_rows, rows_alone, rows_of_all)
    trainer = Keeper(
        store=store,
        every=params.checkpoint_every or params.eval_every,
        curve=watcher,
        model=model,
        args=arguments,
        train_dataset=train_rows,
        eval_dataset=valid_rows,
        data_collator=collate,
        callbacks=callbacks,
        optimizers=(optimizer, None),
    )
    return trainer, watcher, counts


def measured(
    model: Any,
    layers: dict[str, Any],
    params: Params,
    run: Run,
    tokenizer: Any,
    base: Path,
    scratch: Path,
    store: "checkpoints.Store",
    start: continuing.Start | None,
) -> Any:
    """Measure the curvature of the adapted layers on the base's own texts.

    At this time a fresh adapter still changes nothing, so the model is the base. Where training goes on from
    a version, the model is that version, and as many of its records of kept facts are measured too.
    """
    from tqdm import tqdm

    from stages.core.models import training
    from stages.train.curvature import factors, foretold

    device = device_of(layers)

    def batches() -> Iterator[Any]:
        own = training.own_rows(base, params.ewc.rows, derive(run.seed, "ewc"))
        if start is not None:
            records = start.kept_records()
            chance = rng_for(run.seed, "ewc of the version")
            chosen = chance.sample(records, min(params.ewc.rows, len(records)))
            own += [training.Row.of_record(record) for record in chosen]
        # Rows of like length share a batch, so little of it is padding.
        own.sort(key=lambda row: len(row.text))
        rows, _ = training.token_rows(own, tokenizer, params.max_tokens, scratch / "ewc")
        collate = training.collator(tokenizer)
        at_once = rows_of_curvature(params)
        firsts = range(0, len(rows), at_once)
        bar = tqdm(firsts, desc="curvature of the base", unit="batch", disable=None, leave=False)
        for first in bar:
            behind_last = min(first + at_once, len(rows))
            batch = [rows[i] for i in range(first, behind_last)]
            yield collate(batch).to(device)

    if distributed.is_first():
        cost = foretold(widths_of(layers), params.ewc.widest, device)
        with_roots = distributed.zero_stage(params.share) == 0
        said = f"train: the curvature of {len(layers)} layers takes {cost.bytes(with_roots) / 1e9:.2f} GB"
        if with_roots:
            said += f", its inverse roots about {cost.seconds:.0f} s"
        print(f"{said} (train.ewc.widest, train.ewc.weight)")

    def compute() -> dict[str, Any]:
        seed = derive(run.seed, "curvature")
        found = factors(model.eval(), batches(), set(layers), seed, params.ewc.widest)
        return as_tensors(found)

    return as_factors(store.remembered("curvature", compute), layers, device)


def device_of(layers: dict[str, Any]) -> Any:
    """Return the device of the adapter of layers. Weights of the base may be spread."""
    for layer in layers.values():
        return layer.lora_A["default"].weight.device
    raise ValueError("no layer has an adapter")


def rows_of_curvature(params: Params) -> int:
    """Return the number of rows in which the curvature is measured at once: those of a micro-batch."""
    return params.rows_per_device or params.rows_per_batch


def widths_of(layers: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the widths (in, out) of layers, as `foretold` takes them."""
    widths = []
    for layer in layers.values():
        widths.append((layer.in_features, layer.out_features))
    return widths


def inverse_roots(
    layers: dict[str, Any], curvature: Any, params: Params, store: "checkpoints.Store"
) -> Any:
    """Return P and Q of each layer, as `EvenAdamW` takes them."""
    from stages.train.curvature import roots

    def compute() -> dict[str, Any]:
        return as_tensors(roots(layers, curvature, params.ewc.damping))

    return as_factors(store.remembered("roots", compute), layers, device_of(layers))


def as_tensors(found: Any) -> dict[str, Any]:
    """Return the two matrices of each layer by names, as a checkpoint takes them."""
    tensors = {}
    for name, (inner, outer) in found.items():
        tensors[f"in/{name}"] = inner
        tensors[f"out/{name}"] = outer
    return tensors


def as_factors(tensors: dict[str, Any], layers: dict[str, Any], device: Any) -> Any:
    """Return what `as_tensors` was given."""
    found = {}
    for name in sorted(layers):
        found[name] = (tensors[f"in/{name}"].to(device), tensors[f"out/{name}"].to(device))
    return found


def known_logits(model: Any, inputs: Any, replayed: Any, before: Any) -> Any:
    """Return `base_logits` of the replayed rows, or None where there are none. The model is run all the same."""
    if replayed.any():
        return base_logits(model, inputs, replayed, before)
    first = replayed.clone()
    first[0] = True
    base_logits(model, inputs, first, before)
    return None


def base_logits(model: Any, inputs: Any, chosen: Any, before: Any = None) -> Any:
    """Return the logits (R, T, V) of the chosen rows before training, without a gradient.

    They are those of the base, or of the adapter `before` (weights by name). `chosen` is a mask (B,) with R
    rows set.
    """
    import torch

    from stages.core.models import training

    shown = {}
    for name, value in training.model_inputs(inputs).items():
        shown[name] = value[chosen] if torch.is_tensor(value) else value
    if before is None:
        untuned = model.disable_adapter()
    else:
        untuned = continuing.as_before(model, before)
    with torch.no_grad(), untuned:
        outputs = model(**shown)
    return outputs.logits


def keeping_loss(logits: Any, labels: Any, replayed: Any, known: Any) -> Any:
    """Return the mean per token of cross-entropy on new rows and KL(base || tuned) on replayed ones.

    logits (B, T, V), labels (B, T) with -100 where nothing is to be learned, replayed (B,) bool. `known`
    are the base's logits of the replayed rows (R, T, V), or None where there are no such rows.
    """
    from torch.nn import functional

    # Position t predicts token t + 1: the last position predicts nothing, the first token is not
    # predicted.
    predicted = labels[:, 1:] != -100  # (B, T - 1)
    next_tokens = labels[:, 1:]  # (B, T - 1)
    predictions = logits[:, :-1]  # (B, T - 1, V)

    new = predicted & ~replayed[:, None]  # (B, T - 1)
    loss = functional.cross_entropy(predictions[new], next_tokens[new], reduction="sum")
    if known is not None:
        kept = predicted[replayed]  # (R, T - 1), with N tokens set
        tuned = functional.log_softmax(logits[replayed][:, :-1][kept], dim=-1)  # (N, V)
        before = functional.log_softmax(known[:, :-1][kept], dim=-1)  # (N, V)
        loss = loss + functional.kl_div(tuned, before, reduction="sum", log_target=True)
    # A process that shares a step may have rows without a loss alone.
    return loss / predicted.sum().clamp(min=1)


def best_point(state: Any) -> dict[str, float]:
    """Return step and valid loss of the adapter that is kept."""
    return {
        "best_step": int(state.best_global_step),
        "valid_loss": round(float(state.best_metric), 4),
    }
