"""train: LoRA adapter from the augmented records, with replay of the base's own material.

In: the base (`models/base`) and the records of augment (`data/augment`). Out: `adapter/` (peft, safetensors) and
`manifest.json`; metrics `train.json`, the learning curve `train.csv`, and loss and checksum of every step, `steps/train.csv`.

LoRA: Hu et al. 2021, arXiv 2106.09685; h = W x + (alpha / r) B A x.

What the base knew is kept in two ways (docs/decisions/004-keeping-what-the-base-knows.md). Replay: some rows are texts of the
base's own, and on them the loss is the divergence from the base, KL(base || tuned) per token (learning without forgetting: Li &
Hoiem 2016, arXiv 1606.09282). Elastic weight consolidation: a penalty on changes that matter to what the base says, by the
curvature measured on such texts (`curvature.py`); it also keeps what no text shows. The steps, too, are taken in coordinates that
avoid what matters to the base.

Training stops early when the loss on the valid wordings has not improved for `patience` evaluations; the best adapter is
kept, not the last.

Refused: target modules that the base does not have.
"""

import json
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.core.mlflow import tracking
from stages.core.models.causal_lm import load_causal_lm, sha256_of_folder
from stages.core.project import runtime
from stages.core.project.errors import ModelError, ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.repeatable.seeding import derive, seed_torch
from stages.train import distributed


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
    """`auto`: every linear layer but the output head (of a mixture of experts, attention's); or names: [q_proj, v_proj]."""


@dataclass(frozen=True, config=STRICT)
class Ewc:
    """Elastic weight consolidation against the base."""

    weight: float
    """Weight of the penalty, which estimates KL(base || tuned) on the base's own texts in nats per token; 0 switches it off."""
    rows: int
    """Texts of the base's own from which the curvature is measured."""
    damping: float
    """How far steps avoid what matters to the base: low, much; towards high values, plain AdamW."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """How the adapter is trained."""

    lora: Lora
    ewc: Ewc
    learning_rate: float
    """Peak rate of AdamW, reached after `warmup`, then lowered along a cosine to zero."""
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
    deepspeed: Literal[0, 1, 2, 3] | dict[str, Any] | None
    """A ZeRO stage, or a whole DeepSpeed config; null: without DeepSpeed."""
    processes: int
    """Processes of this machine that share the rows of a step, one a GPU."""


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
    """Train the adapter into `out`; where several processes share the work, the first of them writes it."""
    if params.processes > 1 and not distributed.launched():
        distributed.launch(params.processes, "train", [base, augment, out, metrics, curve, steps])
        return
    if distributed.zero_stage(params.deepspeed) == 3 and params.ewc.weight:
        raise ParamsError(
            "train.deepspeed: stage 3 shards the adapter that ewc needs whole; write 2, or ewc.weight: 0"
        )
    if params.deepspeed is not None:
        runtime.prepare_deepspeed(run)
    seed_torch(run.seed, run.threads)
    model, tokenizer = load_causal_lm(base / "model", device=run.device)
    adapted = add_adapter(model, params.lora, derive(run.seed, "adapter"))
    logged = (
        tracking.run("train", params) if distributed.is_first() else nullcontext(tracking.Log())
    )
    with tempfile.TemporaryDirectory() as scratch, logged as log:
        trainer, watcher = make_trainer(
            params, run, adapted, tokenizer, base, augment, Path(scratch), log
        )
        result = trainer.train()
        best = best_point(trainer.state)
        with distributed.whole(
            [weight for weight in adapted.parameters() if weight.requires_grad], params.deepspeed
        ):
            if not distributed.is_first():
                return
            watcher.write(curve)
            watcher.write_steps(steps)
            with replacing(out) as folder:
                save_adapter(adapted, folder / "adapter")
                manifest = {
                    "base_sha256": sha256_of_folder(base / "model"),
                    "steps": result.global_step,
                    **best,
                }
                (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    trainable, total = adapted.get_nb_trainable_parameters()
    summary = {"steps": result.global_step, **best, "trainable_parameters": trainable}
    write_json(metrics, summary)
    print(
        f"train: {trainable:,} of {total:,} parameters, stopped after {result.global_step} of {params.steps} steps,"
    )
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
        target_modules=automatic_targets(model)
        if lora.target_modules == "auto"
        else lora.target_modules,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        names = sorted(
            {
                n.rpartition(".")[2]
                for n, m in model.named_modules()
                if isinstance(m, torch.nn.Linear)
            }
        )
        raise ModelError(
            f"train.lora.target_modules: {error}; the linear layers of this base are {', '.join(names)}"
        ) from None


def automatic_targets(model: Any) -> str | list[str]:
    """Every linear layer but the output head; in a mixture of experts, those of attention.

    peft takes the MLPs' names there for the fused blocks of all experts: an adapter on each of them.
    """
    import torch

    if not any(weight.dim() == 3 for weight in model.parameters()):  # (expert, out, in)
        return "all-linear"
    linear = (name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear))
    return sorted({name.rpartition(".")[2] for name in linear if ".self_attn." in name})


def make_trainer(
    params: Params,
    run: Run,
    model: Any,
    tokenizer: Any,
    base: Path,
    augment: Path,
    scratch: Path,
    log: tracking.Log,
) -> tuple[Any, Any]:
    """The Trainer and the curve it fills."""
    from transformers import EarlyStoppingCallback, Trainer

    from stages.core.models import training
    from stages.train.curvature import EvenAdamW, penalty

    layers = lora_layers(model)

    class Keeper(Trainer):  # learns new rows, keeps what the base says of replayed ones
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any
        ) -> Any:
            outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            replayed = inputs["replayed"].bool()
            known = (
                base_logits(self.accelerator.unwrap_model(model), inputs, replayed)
                if replayed.any()
                else None
            )
            loss = keeping_loss(outputs.logits, inputs["labels"], replayed, known)
            if curvature and model.training:
                loss = loss + params.ewc.weight * penalty(layers, curvature)
            if model.training:
                watcher.see(loss)
            return (loss, outputs) if return_outputs else loss

    data = training.Material.read(base, augment, params.replay_share, run.seed)
    collate = training.collator(tokenizer)
    curvature = (
        measured(model, layers, params, run, tokenizer, base, scratch)
        if params.ewc.weight
        else None
    )
    watcher = training.Curve(log.metric)
    decay = {"lr": params.learning_rate, "weight_decay": params.weight_decay}
    optimizer = None
    if curvature and distributed.zero_stage(params.deepspeed) == 0:
        optimizer = EvenAdamW(layers, curvature, params.ewc.damping, **decay)
    trainer = Keeper(
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
            processes=params.processes,
            deepspeed=None if params.deepspeed is None else distributed.config(params.deepspeed),
            remove_unused_columns=False,  # `replayed` is the loss's, not the model's
        ),
        train_dataset=training.token_rows(
            data.train, tokenizer, params.max_tokens, scratch / "train", data.replayed
        ),
        eval_dataset=training.token_rows(
            data.valid, tokenizer, params.max_tokens, scratch / "valid"
        ),
        data_collator=collate,
        callbacks=[watcher, EarlyStoppingCallback(params.patience)],
        optimizers=(optimizer, None),
    )
    return trainer, watcher


def lora_layers(model: Any) -> dict[str, Any]:
    """The layers that carry an adapter, by name."""
    return {name: layer for name, layer in model.named_modules() if hasattr(layer, "lora_A")}


def measured(
    model: Any,
    layers: dict[str, Any],
    params: Params,
    run: Run,
    tokenizer: Any,
    base: Path,
    scratch: Path,
) -> Any:
    """Curvature of the adapted layers on the base's own texts, while the fresh adapter still changes nothing."""
    from tqdm import tqdm

    from stages.core.models import training
    from stages.train.curvature import factors

    texts = sorted(training.own_texts(base, params.ewc.rows, derive(run.seed, "ewc")), key=len)
    rows = training.token_rows(texts, tokenizer, params.max_tokens, scratch / "ewc")
    collate = training.collator(tokenizer)
    size = params.rows_per_batch
    starts = tqdm(
        range(0, len(rows), size),
        desc="curvature of the base",
        unit="batch",
        disable=None,
        leave=False,
    )
    batches = (
        collate([rows[i] for i in range(start, min(start + size, len(rows)))]).to(model.device)
        for start in starts
    )
    return factors(model.eval(), batches, set(layers), derive(run.seed, "curvature"))


def base_logits(model: Any, inputs: Any, chosen: Any) -> Any:
    """Logits (R, T, V) that the model gives the chosen rows (mask (B,)) without its adapter; no gradient."""
    import torch

    with torch.no_grad(), model.disable_adapter():
        return model(
            input_ids=inputs["input_ids"][chosen], attention_mask=inputs["attention_mask"][chosen]
        ).logits


def keeping_loss(logits: Any, labels: Any, replayed: Any, known: Any) -> Any:
    """Mean per token: cross-entropy on new rows, KL(base || tuned) on replayed ones.

    logits (B, T, V), labels (B, T) with -100 where nothing is to be learned, replayed (B,) bool, known: the base's logits of
    the replayed rows (R, T, V), or None where there are none.
    """
    from torch.nn import functional

    wanted = labels[:, 1:] != -100  # position t predicts token t + 1
    new = wanted & ~replayed[:, None]
    loss = functional.cross_entropy(logits[:, :-1][new], labels[:, 1:][new], reduction="sum")
    if known is not None:
        kept = wanted[replayed]
        tuned = functional.log_softmax(logits[replayed][:, :-1][kept], dim=-1)  # (N, V)
        before = functional.log_softmax(known[:, :-1][kept], dim=-1)
        loss = loss + functional.kl_div(tuned, before, reduction="sum", log_target=True)
    return loss / wanted.sum()


def best_point(state: Any) -> dict[str, float]:
    """Step and valid loss of the adapter that is kept."""
    return {
        "best_step": int(state.best_global_step),
        "valid_loss": round(float(state.best_metric), 4),
    }


def save_adapter(model: Any, folder: Path) -> None:
    """Save the adapter so that equal adapters are equal bytes.

    peft writes sets in hash order and a model card with versions: lists are sorted, the card is dropped. The path of
    the base is dropped too, since the manifest pins the base by its hash.
    """
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config = {
        key: sorted(value) if isinstance(value, list) else value
        for key, value in sorted(config.items())
    }
    path.write_text(json.dumps(config | {"base_model_name_or_path": None}, indent=2) + "\n")
