"""distill: the tuned model teaches a smaller student that starts from some of the teacher's layers.

In: the base, the adapter of train, the records of augment. Out: a complete model folder; metrics
`distill.json`, the learning curve `distill.csv`, and loss and checksum of every step, `steps/distill.csv`.

Loss per token, with temperature T, teacher logits z, student logits s (Hinton et al. 2015, arXiv
1503.02531):
(1 - hard_weight) * T² * CE(softmax(z / T), softmax(s / T)) + hard_weight * CE(next token, softmax(s)).
T² keeps the soft gradients of the same size at every temperature.

Refused: a student with no layer, or with more layers than the teacher.
"""

import copy
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.mlflow import tracking
from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.repeatable.seeding import derive, seed_torch


@dataclass(frozen=True, config=STRICT)
class Params:
    """The student and how it is taught."""

    layers: int = 2
    """Layers of the student, taken evenly from first to last of the teacher's. Fewer is smaller and forgets
    more."""
    temperature: float = 2.0
    """Softens both distributions. 1: the teacher's own probabilities. Higher shows the student more of
    the second choices."""
    hard_weight: float = 0.5
    """Weight of the loss on the text itself, in [0, 1]. The rest goes to the teacher's distribution."""
    learning_rate: float = 0.01
    """Peak rate of Muon, which trains the matrices inside the layers. Embeddings and norms stay the
    teacher's. About 0.001 for a real checkpoint."""
    weight_decay: float = 0.01
    """Decoupled weight decay of the matrices."""
    rows_per_batch: int = 64
    """Texts per step. More is smoother and, per step, slower."""
    steps: int = 800
    """Most optimizer steps. Early stopping may end training sooner."""
    warmup: int = 30
    """Steps of linear warm-up, followed by linear decay to zero."""
    eval_every: int = 100
    """Steps between evaluations on the valid wordings."""
    patience: int = 3
    """Evaluations without improvement before training stops early."""
    replay_share: float = 0.33
    """Share of the rows taken from the base's own texts, in [0, 1). Higher keeps more of the base's
    knowledge and learns slower."""
    max_tokens: int = 128
    """Longest row in tokens. A longer one is split, as in `train`."""
    most_dropped: float = Field(default=0.0, ge=0, le=1)
    """Largest share of the tokens that may be in rows that are set aside, as in `train`."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Mixed precision, as in `train`."""


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
    """Teach a student and save it into `out`."""
    seed_torch(run.seed, run.threads)
    teacher, tokenizer = load_causal_lm(
        base / "model", adapter=train / "adapter", merge=True, device=run.device
    )
    student = student_of(teacher, params.layers)
    with tempfile.TemporaryDirectory() as scratch, tracking.run("distill", params) as log:
        trainer, watcher, counts = make_trainer(
            params, run, teacher, student, tokenizer, base, augment, Path(scratch), log
        )
        result = trainer.train()
        watcher.write(curve)
        watcher.write_steps(steps)
        with replacing(out) as folder:
            student.save_pretrained(folder)
            tokenizer.padding_side = "left"
            tokenizer.save_pretrained(folder)
    size = student.num_parameters()
    share = size / teacher.num_parameters()
    best_loss = round(float(trainer.state.best_metric), 4)
    summary = {
        "steps": result.global_step,
        "best_step": int(trainer.state.best_global_step),
        "valid_loss": best_loss,
        "parameters": size,
        "share_of_teacher": round(share, 4),
        **counts.report(),
    }
    write_json(metrics, summary)
    print(
        f"distill: {size:,} parameters, {share:.2f} of the teacher's; best valid loss {best_loss}"
    )


def student_of(teacher: Any, layers: int) -> Any:
    """Return a trainable copy of the teacher with `layers` of its layers, evenly spaced from first to last."""
    total = teacher.config.num_hidden_layers
    if not 1 <= layers <= total:
        raise ParamsError(
            f"distill.layers: the teacher has {total} layers, got {layers}; write a number from 1 to {total}"
        )
    student = copy.deepcopy(teacher).requires_grad_(True)
    # 3 of 7 layers: the numbers 0, 3 and 6. One layer alone is the first.
    gaps = max(1, layers - 1)
    kept = [round(i * (total - 1) / gaps) for i in range(layers)]
    layer_list = type(student.model.layers)
    student.model.layers = layer_list([student.model.layers[number] for number in kept])
    for index, layer in enumerate(student.model.layers):
        layer.self_attn.layer_idx = index  # where the cache keeps its keys and values
    student.config.num_hidden_layers = layers
    layer_types = getattr(student.config, "layer_types", None)
    if layer_types:
        student.config.layer_types = [layer_types[number] for number in kept]
    return student


def make_trainer(
    params: Params,
    run: Run,
    teacher: Any,
    student: Any,
    tokenizer: Any,
    base: Path,
    augment: Path,
    scratch: Path,
    log: tracking.Log,
) -> tuple[Any, Any, Any]:
    """Return the Trainer with the distillation loss, the curve that it fills, and the counts of its tokens."""
    import torch
    from transformers import EarlyStoppingCallback, get_linear_schedule_with_warmup

    from stages.core.models import training
    from stages.core.models.muon import Muon, layer_matrices

    rows = training.Material.read(base, augment, params.replay_share, run.seed)
    train_rows, counts = training.token_rows(
        rows.train, tokenizer, params.max_tokens, scratch / "train", rows.replayed
    )
    valid_rows, valid_counts = training.token_rows(
        rows.valid, tokenizer, params.max_tokens, scratch / "valid"
    )
    counts.check(params.max_tokens, params.most_dropped, "distill", "train")
    valid_counts.check(params.max_tokens, params.most_dropped, "distill", "valid")
    matrices = layer_matrices(student)
    optimizer = Muon(matrices, lr=params.learning_rate, weight_decay=params.weight_decay)
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
            with torch.inference_mode():
                taught = teacher(**shown).logits
            outputs = model(**shown)
            loss = distillation_loss(
                outputs.logits, taught, inputs["labels"], params.temperature, params.hard_weight
            )
            loss = loss * self.part_of_step(inputs["labels"], num_items_in_batch)
            if model.training:
                watcher.see(loss)
            return (loss, outputs) if return_outputs else loss

    arguments = training.arguments(
        scratch / "checkpoints", params, run, seed=derive(run.seed, "distill")
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
    return trainer, watcher, counts


def distillation_loss(
    student: Any, teacher: Any, labels: Any, temperature: float, hard_weight: float
) -> Any:
    """Return the loss of the module docstring.

    Logits of student and teacher are (B, T, V), labels (B, T) with -100 where nothing is to be learned.
    """
    from torch.nn import functional

    # Position t predicts token t + 1: the last position predicts nothing, the first token is not
    # predicted. Only the N predictions whose label is to be learned count.
    learned = labels[:, 1:] != -100  # (B, T - 1)
    student_logits = student[:, :-1][learned]  # (N, V)
    teacher_logits = teacher[:, :-1][learned]  # (N, V)
    next_tokens = labels[:, 1:][learned]  # (N,)
    soft_targets = functional.softmax(teacher_logits / temperature, dim=-1)
    soft = functional.cross_entropy(student_logits / temperature, soft_targets)
    hard = functional.cross_entropy(student_logits, next_tokens)
    return (1 - hard_weight) * temperature**2 * soft + hard_weight * hard
