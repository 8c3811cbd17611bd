"""distill: the tuned model teaches a smaller student.

In: the base, the adapter of train, the records of augment. Out: a complete model folder and
`manifest.json`; metrics `distill.json`, the learning curve `distill.csv`, and loss and checksum of every
step, `steps/distill.csv`. With `layers: null` there is no student: the manifest says `left_out`, and the
metrics and tables are empty.

The student starts from the teacher's weights, with fewer layers or narrower MLPs, or from a smaller
checkpoint (`student.py`). On the records it learns from the tuned model (`losses.py`). On the base's own
rows it learns KL(base || student) alone, at every token: the base is the better teacher there, because
tuning costs it something.

Refused: what `student.py` refuses.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.mlflow import tracking
from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.model_folder import save_causal_lm, sha256_of_folder
from stages.core.models.variants import LEFT_OUT
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.repeatable.seeding import derive, rng_for, seed_torch
from stages.distill.losses import Loss, divergence, loss_per_token
from stages.distill.student import narrowed, started_from, student_of

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Type of the teacher's weights. The student's are float32, since small steps are lost in the others."""
LOOKED_AT = 1000
"""Rows on which the channels of MLPs are compared."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """The student and how it is taught."""

    layers: int | None = 4
    """Layers of the student, taken evenly from first to last of the teacher's. Fewer is smaller and forgets
    more. null: no student is made, and the stages behind this one go on without it."""
    width: float | None = Field(default=0.5, gt=0, le=1)
    """Share of the channels of every MLP that the student keeps. Cutting width forgets less than cutting
    layers. null: all of them."""
    start: str = "layers"
    """`layers`: the student starts from the teacher's layers. Or the folder of a smaller checkpoint with
    the same vocabulary, which `layers` and `width` leave as it is."""
    loss: Loss = "forward_kl"
    """On the records. soft_hard: the teacher's softened answers and the text itself. forward_kl, reverse_kl
    or jsd: a divergence from the teacher alone. reverse_kl keeps a small student from answers that the
    teacher never gives."""
    temperature: float = Field(default=1.0, gt=0)
    """Softens both distributions. 1: the teacher's own probabilities. Higher shows the student more of
    the second choices."""
    hard_weight: float = Field(default=0.5, ge=0, le=1)
    """With soft_hard: weight of the loss on the text itself, in [0, 1]. The rest goes to the teacher's
    distribution."""
    learning_rate: float = 0.006
    """Peak rate of Muon, which trains the matrices inside the layers. About 0.001 for a real checkpoint."""
    others_learning_rate: float = Field(default=0.001, ge=0)
    """Peak rate of AdamW, which trains embeddings, norms and biases. 0: they stay as they are, and no
    gradient is computed for them."""
    weight_decay: float = 0.01
    """Decoupled weight decay of the matrices."""
    rows_per_batch: int = 64
    """Texts per step. More is smoother and, per step, slower."""
    steps: int = 700
    """Most optimizer steps. Early stopping may end training sooner."""
    warmup: int = 30
    """Steps of linear warm-up, followed by linear decay to zero."""
    eval_every: int = 100
    """Steps between evaluations on the valid wordings."""
    patience: int = 3
    """Evaluations without improvement before training stops early."""
    replay_share: float = Field(default=0.33, ge=0, lt=1)
    """Share of replayed rows among them and the records, in [0, 1). Higher keeps more of the base's
    knowledge and learns slower. Where the base has too few texts, they come several times."""
    max_tokens: int = 128
    """Longest row in tokens. A longer one is split, as in `train`."""
    most_dropped: float = Field(default=0.0, ge=0, le=1)
    """Largest share of the tokens that may be in rows that are set aside, as in `train`."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Mixed precision, as in `train`. The teacher's weights have this type."""


def run(
    params: Params,
    run: Run,
    base: Path,
    train: Path,
    augment: Path,
    out: Path,
    metrics: Path,
    curve: Path,
    steps: Path,
) -> None:
    """Teach a student and save it into `out`, or leave it out."""
    from stages.core.models import training
    from stages.core.models.lora_product import compute_at_once

    if params.layers is None:
        leave_out(training.Curve(ignore), out, metrics, curve, steps)
        return
    seed_torch(run.seed, run.threads)
    adapter = train / "adapter"
    merged, tokenizer = load_causal_lm(
        base / "model", adapter=adapter, merge=True, device=run.device
    )
    parameters_of_teacher = merged.num_parameters()
    rows = training.Material.read(base, augment, params.replay_share, run.seed)
    student = first_student(params, params.layers, run, merged, tokenizer, rows)
    del merged
    dtype = DTYPES[params.precision]
    teacher, _ = load_causal_lm(base / "model", adapter, device=run.device, dtype=dtype)
    compute_at_once(teacher)

    with tempfile.TemporaryDirectory() as scratch, tracking.run("distill", params) as log:
        trainer, watcher, counts = make_trainer(
            params, run, teacher, student, tokenizer, rows, Path(scratch), log
        )
        result = trainer.train()
        watcher.write(curve)
        watcher.write_steps(steps)
    size = student.num_parameters()
    share = round(size / parameters_of_teacher, 4)
    manifest = {
        "parameters": size,
        "share_of_teacher": share,
        "layers": student.config.num_hidden_layers,
        "start": params.start,
        "start_sha256": None if params.start == "layers" else sha256_of_folder(Path(params.start)),
    }
    with replacing(out) as folder:
        save_causal_lm(student, tokenizer, folder)
        write_json(folder / "manifest.json", manifest)
    best_loss = round(float(trainer.state.best_metric), 4)
    summary = {
        "steps": result.global_step,
        "best_step": int(trainer.state.best_global_step),
        "valid_loss": best_loss,
        "parameters": size,
        "share_of_teacher": share,
        **counts.report(),
    }
    write_json(metrics, summary)
    print(
        f"distill: {size:,} parameters, {share:.2f} of the teacher's; best valid loss {best_loss}"
    )
    if counts.rows_replayed:
        print(counts.replay_line("distill"))


def ignore(name: str, value: float, step: int) -> None:
    """Take a number of a curve that nobody watches."""


def leave_out(nothing: Any, out: Path, metrics: Path, curve: Path, steps: Path) -> None:
    """Write the outputs of a run without a student: DVC wants each of them. `nothing` is an empty curve."""
    with replacing(out) as folder:
        folder.mkdir()
        write_json(folder / "manifest.json", LEFT_OUT)
    write_json(metrics, LEFT_OUT)
    nothing.write(curve)
    nothing.write_steps(steps)
    print("distill: left out, since distill.layers is null")


def first_student(
    params: Params, layers: int, run: Run, merged: Any, tokenizer: Any, rows: Any
) -> Any:
    """Return the student before it is taught. Its weights are float32. `merged` is the tuned model."""
    if params.start != "layers":
        return started_from(Path(params.start), merged, tokenizer, run.device)
    student = student_of(merged, layers)
    if params.width is None:
        return student
    looked_at = [*rows.train, *rows.replayed]
    count = min(LOOKED_AT, len(looked_at))
    chosen = rng_for(run.seed, "width").sample(looked_at, count)
    texts = [row.text for row in chosen]
    return narrowed(student, params.width, batches_of(texts, tokenizer, params, merged.device))


def batches_of(
    texts: list[str], tokenizer: Any, params: Params, device: Any
) -> Iterator[dict[str, Any]]:
    """Yield inputs of a model (`input_ids`, `attention_mask`), padded on the right."""
    import torch

    from stages.core.models.conversation import encode

    token_rows = [ids[: params.max_tokens] for ids in encode(tokenizer, texts)]
    token_rows.sort(key=len)  # little padding
    for start in range(0, len(token_rows), params.rows_per_batch):
        chosen = token_rows[start : start + params.rows_per_batch]
        longest = len(chosen[-1])
        ids = torch.full((len(chosen), longest), tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(chosen):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        yield {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


def make_trainer(
    params: Params,
    run: Run,
    teacher: Any,
    student: Any,
    tokenizer: Any,
    rows: Any,
    scratch: Path,
    log: tracking.Log,
) -> tuple[Any, Any, Any]:
    """Return the Trainer with the distillation loss, the curve that it fills, and the counts of its tokens.

    `teacher` carries its adapter, so that the base can be asked, too. `rows` is training.Material.
    """
    from datasets import concatenate_datasets
    from transformers import EarlyStoppingCallback, get_linear_schedule_with_warmup

    from stages.core.models import training
    from stages.core.models.muon import muon_and_adamw

    train_rows, counts = training.token_rows(
        rows.train, tokenizer, params.max_tokens, scratch / "train"
    )
    kept_rows, kept_counts = training.token_rows(
        [], tokenizer, params.max_tokens, scratch / "replay", rows.replayed, loss_on="all"
    )
    valid_rows, valid_counts = training.token_rows(
        rows.valid, tokenizer, params.max_tokens, scratch / "valid"
    )
    counts.check(params.max_tokens, params.most_dropped, "distill", "train")
    kept_counts.check(params.max_tokens, params.most_dropped, "distill", "replayed")
    valid_counts.check(params.max_tokens, params.most_dropped, "distill", "valid")
    if len(kept_rows):
        train_rows = concatenate_datasets([train_rows, kept_rows])
    optimizer = muon_and_adamw(
        student, params.learning_rate, params.weight_decay, params.others_learning_rate
    )
    schedule = get_linear_schedule_with_warmup(optimizer, params.warmup, params.steps)
    watcher = training.Curve(log.metric)

    class Distiller(training.StepTrainer):
        def compute_loss(
            self,
            model: Any,
            inputs: Any,
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            shown = training.model_inputs(inputs)
            replayed = inputs["replayed"].bool()  # (B,)
            taught = teaching_logits(teacher, shown, replayed)
            outputs = model(**shown)
            loss = distillation_loss(outputs.logits, taught, inputs["labels"], replayed, params)
            loss = loss * self.part_of_step(inputs["labels"], num_items_in_batch)
            if model.training:
                watcher.see(loss)
            return (loss, outputs) if return_outputs else loss

    arguments = training.arguments(
        scratch / "checkpoints",
        params,
        run,
        seed=derive(run.seed, "distill"),
        remove_unused_columns=False,  # the loss needs `replayed`, which the model does not take
    )
    trainer = Distiller(
        model=student,
        args=arguments,
        train_dataset=train_rows,
        eval_dataset=valid_rows,
        data_collator=training.collator(tokenizer),
        optimizers=(optimizer, schedule),
        callbacks=[watcher, EarlyStoppingCallback(params.patience)],
    )
    return trainer, watcher, counts.plus(kept_counts)


def teaching_logits(teacher: Any, shown: dict[str, Any], replayed: Any) -> Any:
    """Return the logits (B, T, V) that the student is to learn: of the base on replayed rows.

    `replayed` (B,) is a mask. On other rows they are those of the tuned model.
    """
    import torch

    tuned = ~replayed
    logits: Any = None
    with torch.no_grad():
        for chosen in (tuned, replayed):
            if not chosen.any():
                continue
            part = {name: values[chosen] for name, values in shown.items()}
            if chosen is tuned:
                found = teacher(**part).logits
            else:
                with teacher.disable_adapter():
                    found = teacher(**part).logits
            if logits is None:
                logits = found.new_zeros((len(replayed), *found.shape[1:]))
            logits[chosen] = found
    return logits


def distillation_loss(
    student: Any, teacher: Any, labels: Any, replayed: Any, params: Params
) -> Any:
    """Return the mean per token: the loss of `params` on new rows, the divergence alone on replayed ones.

    Logits of student and teacher are (B, T, V), labels (B, T) with -100 where nothing is to be learned,
    replayed (B,) bool.
    """
    import torch

    # Position t predicts token t + 1: the last position predicts nothing, the first token is not
    # predicted. Only the predictions whose label is to be learned count.
    learned = labels[:, 1:] != -100  # (B, T - 1)
    total = torch.zeros((), device=labels.device)
    for is_replayed in (False, True):
        chosen = learned & (replayed == is_replayed)[:, None]  # (B, T - 1), with N set
        student_logits = student[:, :-1][chosen]  # (N, V)
        teacher_logits = teacher[:, :-1][chosen].to(student_logits.dtype)
        next_tokens = labels[:, 1:][chosen]  # (N,)
        if is_replayed:
            form: Loss = "forward_kl" if params.loss == "soft_hard" else params.loss
            losses = divergence(student_logits, teacher_logits, form, temperature=1.0)
        else:
            losses = loss_per_token(
                student_logits,
                teacher_logits,
                next_tokens,
                params.loss,
                params.temperature,
                params.hard_weight,
            )
        total = total + losses.sum()
    return total / learned.sum()
