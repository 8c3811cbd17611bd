"""train: LoRA adapter from the augmented records, with replay of the base's own material.

In: the base (`models/base`) and the records of augment (`data/augment`). Out: `adapter/` (peft, safetensors) and
`manifest.json`; metrics `train.json` and the learning curve `train.csv`.

LoRA: Hu et al. 2021, arXiv 2106.09685; h = W x + (alpha / r) B A x. Without replay a model of this size keeps 0.1 of
what it knew; with a third of the rows replayed it keeps nearly all (docs/experiments.md). Training stops early when the
loss on the valid wordings has not improved for `patience` evaluations; the best adapter is kept, not the last.

Refused: target modules that the base does not have.
"""

import json
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.core import tracking
from stages.core.errors import ModelError
from stages.core.models import load_causal_lm, sha256_of_folder
from stages.core.output import replacing, write_json
from stages.core.params import STRICT, Run
from stages.core.seeding import derive, seed_torch


@dataclass(frozen=True, config=STRICT)
class Lora:
    """The adapter."""

    r: int
    """Rank of the update: higher stores more facts and costs more time and bytes."""
    alpha: int
    """Scale of the update is alpha / r."""
    dropout: float
    """Share of the adapter's inputs dropped while training, in [0, 1)."""
    target_modules: Literal["auto"] | list[str]
    """`auto`: every linear layer but the output head; or names such as [q_proj, v_proj]."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """How the adapter is trained."""

    lora: Lora
    optimizer: Literal["adamw", "muon"]
    """`muon` learns facts in far fewer steps (docs/experiments.md); `adamw` is what most recipes for large models use."""
    learning_rate: float
    """Peak rate, reached after `warmup`, then lowered along a cosine to zero."""
    weight_decay: float
    """Decoupled weight decay."""
    rows_per_batch: int
    """Texts per step."""
    steps: int
    """Most optimizer steps; early stopping may end sooner."""
    warmup: int
    """Steps of linear warm-up."""
    eval_every: int
    """Steps between evaluations on the valid wordings; also the spacing of the learning curve."""
    patience: int
    """Evaluations without improvement before training stops."""
    replay_share: float
    """Share of the rows taken from the base's own material, in [0, 1): higher forgets less and learns slower."""
    max_tokens: int
    """Longest row; what is beyond is cut."""
    precision: Literal["fp32", "bf16", "fp16"]
    """Mixed precision: fp32 on a CPU, bf16 on a recent GPU, fp16 on an older one."""
    gradient_checkpointing: bool
    """Trade time (about a third more) for memory: activations are computed twice."""


def run(params: Params, run: Run, base: Path, augment: Path, out: Path, metrics: Path, curve: Path) -> None:
    """Train the adapter into `out`."""
    seed_torch(run.seed, run.threads)
    model, tokenizer = load_causal_lm(base / "model", device=run.device)
    adapted = add_adapter(model, params.lora, derive(run.seed, "adapter"))
    with tempfile.TemporaryDirectory() as scratch, tracking.run("train", params) as log:
        trainer, watcher = make_trainer(params, run, adapted, tokenizer, base, augment, Path(scratch), log)
        result = trainer.train()
        best = best_point(trainer.state)
        watcher.write(curve)
        with replacing(out) as folder:
            save_adapter(adapted, folder / "adapter")
            manifest = {"base_sha256": sha256_of_folder(base / "model"), "steps": result.global_step, **best}
            (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    trainable, total = adapted.get_nb_trainable_parameters()
    summary = {"steps": result.global_step, **best, "trainable_parameters": trainable}
    write_json(metrics, summary)
    print(f"train: {trainable:,} of {total:,} parameters, stopped after {result.global_step} of {params.steps} steps,")
    print(f"       best valid loss {best['valid_loss']} at step {best['best_step']}")


def add_adapter(model: Any, lora: Lora, seed: int) -> Any:
    """The model with a fresh adapter. Raises ModelError where the target modules do not fit."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear" if lora.target_modules == "auto" else lora.target_modules,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        names = sorted({n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)})
        raise ModelError(f"train.lora.target_modules: {error}; the linear layers of this base are {', '.join(names)}") from None


def make_trainer(
    params: Params, run: Run, model: Any, tokenizer: Any, base: Path, augment: Path, scratch: Path, log: tracking.Log
) -> tuple[Any, Any]:
    """The Trainer and the curve it fills."""
    from transformers import EarlyStoppingCallback, Trainer, get_cosine_schedule_with_warmup

    from stages.core import training
    from stages.core.muon import Muon, layer_matrices

    data = training.Material.read(base, augment, params.replay_share, run.seed)
    watcher = training.Curve(log.metric)
    optimizers = (None, None)
    if params.optimizer == "muon":
        muon = Muon(layer_matrices(model), lr=params.learning_rate, weight_decay=params.weight_decay)
        optimizers = (muon, get_cosine_schedule_with_warmup(muon, params.warmup, params.steps))
    trainer = Trainer(
        model=model,
        args=training.arguments(
            scratch / "checkpoints",
            params,
            run,
            seed=derive(run.seed, "train"),
            learning_rate=params.learning_rate,
            weight_decay=params.weight_decay,
            lr_scheduler_type="cosine",
            activation_checkpointing=params.gradient_checkpointing,
        ),
        train_dataset=training.token_rows(data.train, tokenizer, params.max_tokens, scratch / "train"),
        eval_dataset=training.token_rows(data.valid, tokenizer, params.max_tokens, scratch / "valid"),
        data_collator=training.collator(tokenizer),
        optimizers=optimizers,
        callbacks=[watcher, EarlyStoppingCallback(params.patience)],
    )
    return trainer, watcher


def best_point(state: Any) -> dict[str, float]:
    """Step and valid loss of the adapter that is kept."""
    return {"best_step": int(state.best_global_step), "valid_loss": round(float(state.best_metric), 4)}


def save_adapter(model: Any, folder: Path) -> None:
    """Save the adapter so that equal adapters are equal bytes.

    peft writes sets in hash order and a model card with versions: lists are sorted, the card is dropped. The path of
    the base is dropped too, since the manifest pins the base by its hash.
    """
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config = {key: sorted(value) if isinstance(value, list) else value for key, value in sorted(config.items())}
    path.write_text(json.dumps(config | {"base_model_name_or_path": None}, indent=2) + "\n")
