"""Parts that `train` and `distill` share: texts → memory-mapped token rows → the Hugging Face Trainer.

A row is a whole text between the tokenizer's begin and end tokens. Rows of like length share a batch. The
learning curve goes to a CSV (a DVC plot) and to MLflow. Another CSV gets the loss and a checksum of the
weights after every step: by it `lore verify` names the first step at which two runs differ. Nothing here
writes a model.
"""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from datasets import Dataset, disable_progress_bars, load_dataset
from transformers import (
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from stages.core.project.errors import InputError, ParamsError
from stages.core.project.output import replacing
from stages.core.project.params import Run
from stages.core.records.prompt import prompt_of
from stages.core.records.record import read_records
from stages.core.repeatable.seeding import rng_for

NOT_LEARNED = -100
"""Label of a token that carries no loss, as torch's cross-entropy has it."""
INTEGER_OF_SIZE = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""The integer type of as many bytes as a float has."""
CURVE_NAMES = {"loss": "train_loss", "eval_loss": "valid_loss"}
"""Names of the Trainer, and names in the curve."""


class Schedule(Protocol):
    """The settings that every training section of params.yaml has."""

    @property
    def rows_per_batch(self) -> int: ...  # noqa: D102 - see the stages' own Params
    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def eval_every(self) -> int: ...  # noqa: D102
    @property
    def warmup(self) -> int: ...  # noqa: D102
    @property
    def precision(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Material:
    """The texts of a training run."""

    train: list[str]
    """Texts to learn from."""
    replayed: list[str]
    """The base's own texts, to be kept."""
    valid: list[str]
    """Texts that judge the model while it is trained."""

    @classmethod
    def read(cls, base: Path, augment: Path, replay_share: float, seed: int) -> "Material":
        """Read augment's records, and so many of the base's own texts that they are `replay_share` of all rows.

        The seed chooses the base's texts. Raises InputError where a split has no record.
        """
        texts: dict[str, list[str]] = {"train": [], "valid": []}
        for row in read_records(augment / "records.parquet"):
            split = row["split"]
            if split in texts:
                texts[split].append(row["text"])
        for split, texts_of_split in texts.items():
            if not texts_of_split:
                raise InputError(
                    f"{augment}: no record of split {split!r}; check the augment section of params.yaml"
                )
        # r of n + r rows are replayed: r / (n + r) = share, so r = n · share / (1 - share).
        replayed = round(len(texts["train"]) * replay_share / (1 - replay_share))
        return cls(texts["train"], own_texts(base, replayed, seed), texts["valid"])


def own_texts(base: Path, most: int, seed: int) -> list[str]:
    """Return up to `most` of the base's own texts, chosen by the seed."""
    lines = (base / "replay.jsonl").read_text(encoding="utf-8").splitlines()
    count = min(most, len(lines))
    chosen = rng_for(seed, "replay").sample(lines, count)
    return [json.loads(line)["text"] for line in chosen]


def token_rows(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    folder: Path,
    replayed: Sequence[str] = (),
) -> Dataset:
    """Write token rows (`input_ids`, `labels`, `replayed`) below `folder` as Arrow, and map them into memory.

    Of a question–answer pair only the answer is learned: what people ask is no knowledge. A row longer
    than `max_tokens` is cut at its end, and loses its end token with the rest.
    """
    disable_progress_bars()
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "texts.jsonl"
    lines = []
    for text in texts:
        lines.append(json.dumps({"text": text, "replayed": 0}) + "\n")
    for text in replayed:
        lines.append(json.dumps({"text": text, "replayed": 1}) + "\n")
    source.write_text("".join(lines), encoding="utf-8")
    dataset = load_dataset(
        "json", data_files=str(source), split="train", cache_dir=str(folder / "arrow")
    )

    def encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        prompts = [prompt_of(text) for text in batch["text"]]
        text_ids = tokenizer(batch["text"], verbose=False)["input_ids"]
        prompt_ids = tokenizer([prompt or "" for prompt in prompts], verbose=False)["input_ids"]
        rows = []
        labels = []
        for prompt, ids, asked in zip(prompts, text_ids, prompt_ids, strict=True):
            row = [*ids, tokenizer.eos_token_id][:max_tokens]
            # Both the text and its prompt begin with the begin token, so the prompt's tokens are
            # the first ones of the row. A prompt may be longer than the cut row.
            unlearned = 0 if prompt is None else min(len(asked), len(row))
            rows.append(row)
            labels.append([NOT_LEARNED] * unlearned + row[unlearned:])
        return {"input_ids": rows, "labels": labels}

    return dataset.map(encode, batched=True, remove_columns=["text"])


def collator(tokenizer: PreTrainedTokenizerBase) -> DataCollatorForSeq2Seq:
    """Return a collator that pads on the right to the longest row of the batch; padding carries no loss."""
    tokenizer.padding_side = "right"
    return DataCollatorForSeq2Seq(tokenizer, padding=True, label_pad_token_id=NOT_LEARNED)


def arguments(
    folder: Path,
    params: Schedule,
    run: Run,
    seed: int,
    processes: int = 1,
    deepspeed: Any = None,
    **settings: Any,
) -> TrainingArguments:
    """Return TrainingArguments for a deterministic, watched run whose checkpoints lie below `folder`.

    At the end the model has the weights of the best checkpoint on the valid texts. `processes` share the
    rows of a step. Raises ParamsError where they cannot share them evenly.
    """
    if params.rows_per_batch % processes:
        raise ParamsError(
            f"rows_per_batch: {params.rows_per_batch} rows cannot be shared evenly by {processes} processes"
        )
    rows_per_process = params.rows_per_batch // processes
    gpu = torch.cuda.is_available() and run.device != "cpu"
    return TrainingArguments(
        output_dir=str(folder),
        seed=seed % 2**32,
        data_seed=seed % 2**32,
        per_device_train_batch_size=rows_per_process,
        per_device_eval_batch_size=rows_per_process,
        deepspeed=deepspeed,
        max_steps=params.steps,
        warmup_steps=params.warmup,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=params.eval_every,
        save_steps=params.eval_every,
        logging_steps=params.eval_every,
        # DeepSpeed's best checkpoint is reloaded with its engine, so that must be saved too.
        save_only_model=deepspeed is None,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        train_sampling_strategy="group_by_length",
        bf16=params.precision == "bf16",
        fp16=params.precision == "fp16",
        use_cpu=run.device == "cpu",
        dataloader_pin_memory=gpu,
        report_to=[],
        **settings,
    )


class Curve(TrainerCallback):
    """Collects the loss on train and valid rows, and hands every point on to `watch`.

    It also keeps loss and checksum of every step. They stay on the device until the end, so that no step
    waits for them. Where several processes share the rows, they are those of the first process.
    """

    def __init__(self, watch: Callable[[str, float, int], None]) -> None:
        """`watch(name, value, step)` gets every number as it comes."""
        self.watch = watch
        self.rows: dict[int, dict[str, float]] = {}
        """train_loss and valid_loss by step."""
        self.losses: list[torch.Tensor] = []
        self.sums: list[torch.Tensor] = []
        """Loss and checksum of step 1, step 2, …"""

    def see(self, loss: torch.Tensor) -> None:
        """Keep the loss of a step. The Trainer's `compute_loss` calls this."""
        self.losses.append(loss.detach())

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any,
        **_: Any,
    ) -> None:
        """Keep the checksum. The Trainer calls this after the weights have moved."""
        self.sums.append(checksum(model.parameters()))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any],
        **_: Any,
    ) -> None:
        """Keep the latest numbers. The Trainer calls this."""
        for key, name in CURVE_NAMES.items():
            if key in logs:
                row = self.rows.setdefault(state.global_step, {})
                row[name] = logs[key]
                self.watch(name, logs[key], state.global_step)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return what was kept of every step: `losses` (float) and `sums` (int64), one number a step."""
        if not self.losses:
            return {}
        return {"losses": torch.stack(self.losses), "sums": torch.stack(self.sums)}

    def restore(
        self, rows: dict[int, dict[str, float]], tensors: dict[str, torch.Tensor], device: Any
    ) -> None:
        """Take over `rows` and `tensors` of a run that was killed. Its numbers are handed on to `watch`."""
        self.rows = rows
        self.losses = list(tensors["losses"].to(device))
        self.sums = list(tensors["sums"].to(device))
        for step, row in rows.items():
            for name, value in row.items():
                self.watch(name, value, step)

    def write(self, path: Path) -> None:
        """Write the curve as CSV: step, train_loss, valid_loss."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["step", "train_loss", "valid_loss"], lineterminator="\n")
            writer.writeheader()
            for step, losses in sorted(self.rows.items()):
                row: dict[str, Any] = {"step": step}
                for name, value in losses.items():
                    row[name] = f"{value:.4f}"
                writer.writerow(row)

    def write_steps(self, path: Path) -> None:
        """Write a row for every step as CSV: step, loss, weights.

        Nine digits of the loss distinguish all float32 values. `weights` is the checksum in hexadecimal.
        """
        lines = ["step,loss,weights\n"]
        steps = zip(self.losses, self.sums, strict=True)
        for step, (loss, weights) in enumerate(steps, start=1):
            unsigned = int(weights) % 2**64  # torch's 64 bits are signed
            lines.append(f"{step},{float(loss):.9g},{unsigned:016x}\n")
        with replacing(path) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")


def checksum(weights: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return a sum over the bits of all trained weights, modulo 2**64.

    Sums of integers are exact in any order, so it is the same on every device. It distinguishes values,
    not their order within a tensor. Whether two models are equal is decided by the hashes of their files.
    """
    trained = [weight.detach() for weight in weights if weight.requires_grad]
    total = torch.zeros((), dtype=torch.int64, device=trained[0].device)
    for weight in trained:
        bits = weight.view(INTEGER_OF_SIZE[weight.element_size()])
        # The factor makes the order of the tensors count.
        total = 31 * total + bits.sum(dtype=torch.int64)
    return total
