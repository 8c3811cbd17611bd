"""distill: the tuned model teaches a smaller student that starts from some of the teacher's layers.

In: the base, the adapter of train, the records of augment. Out: a complete model folder; metrics `distill.json` and the
learning curve `distill.csv`.

Loss per token, temperature T, teacher logits z, student logits s (Hinton et al. 2015, arXiv 1503.02531):
(1 - hard_weight) * T² * CE(softmax(z / T), softmax(s / T)) + hard_weight * CE(next token, softmax(s)).
T² keeps the soft gradients of the same size at every temperature.

Refused: a student with no layer, or with more layers than the teacher.
"""

import copy
import tempfile
from pathlib import Path
from typing import Any, Literal

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

    layers: int
    """Layers of the student, taken evenly from first to last of the teacher's."""
    temperature: float
    """Softens both distributions; 1 teaches the teacher's own probabilities, higher values its second choices."""
    hard_weight: float
    """Weight of the loss on the text itself, in [0, 1]; the rest goes to the teacher's distribution."""
    learning_rate: float
    """Peak rate of Muon, which trains the matrices inside the layers; embeddings and norms stay the teacher's."""
    weight_decay: float
    """Decoupled weight decay of the matrices."""
    rows_per_batch: int
    """Texts per step."""
    steps: int
    """Most optimizer steps."""
    warmup: int
    """Steps of linear warm-up, followed by linear decay to zero."""
    eval_every: int
    """Steps between evaluations on the valid wordings."""
    patience: int
    """Evaluations without improvement before training stops."""
    replay_share: float
    """Share of the rows taken from the base's own material, in [0, 1)."""
    max_tokens: int
    """Longest row; what is beyond is cut."""
    precision: Literal["fp32", "bf16", "fp16"]
    """Mixed precision, as in train."""


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
        trainer, watcher = make_trainer(
            params, run, teacher, student, tokenizer, base, augment, Path(scratch), log
        )
        result = trainer.train()
        watcher.write(curve)
        watcher.write_steps(steps)
        with replacing(out) as folder:
            student.save_pretrained(folder)
            tokenizer.padding_side = "left"
            tokenizer.save_pretrained(folder)
    share = student.num_parameters() / teacher.num_parameters()
    best = round(float(trainer.state.best_metric), 4)
    write_json(
        metrics,
        {
            "steps": result.global_step,
            "best_step": int(trainer.state.best_global_step),
            "valid_loss": best,
            "parameters": student.num_parameters(),
            "share_of_teacher": round(share, 4),
        },
    )
    print(
        f"distill: {student.num_parameters():,} parameters, {share:.2f} of the teacher's; best valid loss {best}"
    )


def student_of(teacher: Any, layers: int) -> Any:
    """A trainable copy of the teacher with `layers` of its layers, evenly spaced from first to last."""
    total = teacher.config.num_hidden_layers
    if not 1 <= layers <= total:
        raise ParamsError(
            f"distill.layers: the teacher has {total} layers, got {layers}; write a number from 1 to {total}"
        )
    student = copy.deepcopy(teacher).requires_grad_(True)
    kept = [round(i * (total - 1) / max(1, layers - 1)) for i in range(layers)]
    student.model.layers = type(student.model.layers)(student.model.layers[i] for i in kept)
    for index, layer in enumerate(student.model.layers):
        layer.self_attn.layer_idx = index  # the position of its keys and values in the cache
    student.config.num_hidden_layers = layers
    if getattr(student.config, "layer_types", None):
        student.config.layer_types = [student.config.layer_types[i] for i in kept]
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
) -> tuple[Any, Any]:
    """The Trainer with the distillation loss, and the curve it fills."""
    import torch
    from transformers import EarlyStoppingCallback, Trainer, get_linear_schedule_with_warmup

    from stages.core.models import training
    from stages.core.models.muon import Muon, layer_matrices

    class Distiller(Trainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any
        ) -> Any:
            with torch.inference_mode():
                taught = teacher(
                    input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
                ).logits
            outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            loss = distillation_loss(
                outputs.logits, taught, inputs["labels"], params.temperature, params.hard_weight
            )
            if model.training:
                watcher.see(loss)
            return (loss, outputs) if return_outputs else loss

    data = training.Material.read(base, augment, params.replay_share, run.seed)
    optimizer = Muon(
        layer_matrices(student), lr=params.learning_rate, weight_decay=params.weight_decay
    )
    watcher = training.Curve(log.metric)
    trainer = Distiller(
        model=student,
        args=training.arguments(
            scratch / "checkpoints", params, run, seed=derive(run.seed, "distill")
        ),
        train_dataset=training.token_rows(
            data.train, tokenizer, params.max_tokens, scratch / "train", data.replayed
        ),
        eval_dataset=training.token_rows(
            data.valid, tokenizer, params.max_tokens, scratch / "valid"
        ),
        data_collator=training.collator(tokenizer),
        optimizers=(
            optimizer,
            get_linear_schedule_with_warmup(optimizer, params.warmup, params.steps),
        ),
        callbacks=[watcher, EarlyStoppingCallback(params.patience)],
    )
    return trainer, watcher


def distillation_loss(
    student: Any, teacher: Any, labels: Any, temperature: float, hard_weight: float
) -> Any:
    """The loss of the module docstring; logits (B, T, V), labels (B, T) with -100 where nothing is to be learned."""
    from torch.nn import functional

    wanted = labels[:, 1:] != -100  # position t predicts token t + 1
    student, teacher, labels = (
        student[:, :-1][wanted],
        teacher[:, :-1][wanted],
        labels[:, 1:][wanted],
    )  # (N, V), (N,)
    soft = functional.cross_entropy(
        student / temperature, functional.softmax(teacher / temperature, dim=-1)
    )
    hard = functional.cross_entropy(student, labels)
    return (1 - hard_weight) * temperature**2 * soft + hard_weight * hard
