"""What `train` and `distill` share: texts → memory-mapped token rows → the Hugging Face Trainer, watched.

Rows are whole texts between the tokenizer's begin and end tokens; rows of like length share a batch. The learning curve
goes to a CSV (a DVC plot) and to MLflow; loss and a checksum of the weights after every step go to another CSV, by which
`lore verify` names the first step at which two runs part. Nothing here writes a model.
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
from stages.core.records.record import read
from stages.core.repeatable.seeding import rng_for

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers of as many bytes as a float."""


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
    """Texts to learn from, texts of the base's own to keep, and texts to be judged by while training."""

    train: list[str]
    replayed: list[str]
    valid: list[str]

    @classmethod
    def read(cls, base: Path, augment: Path, replay_share: float, seed: int) -> "Material":
        """Augment's records, and as much of the base's own material, chosen by the seed, as makes it `replay_share` of both.

        Raises InputError where a split has no record.
        """
        texts: dict[str, list[str]] = {"train": [], "valid": []}
        for row in read(augment / "records.parquet"):
            if row["split"] in texts:
                texts[row["split"]].append(row["text"])
        for split, found in texts.items():
            if not found:
                raise InputError(
                    f"{augment}: no record of split {split!r}; check the augment section of params.yaml"
                )
        wanted = round(len(texts["train"]) * replay_share / (1 - replay_share))
        return cls(texts["train"], own_texts(base, wanted, seed), texts["valid"])


def own_texts(base: Path, most: int, seed: int) -> list[str]:
    """Up to `most` texts of the base's own, chosen by the seed."""
    lines = (base / "replay.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        json.loads(line)["text"]
        for line in rng_for(seed, "replay").sample(lines, min(most, len(lines)))
    ]


def token_rows(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    folder: Path,
    replayed: Sequence[str] = (),
) -> Dataset:
    """Token rows (`input_ids`, `labels`, `replayed`), written below `folder` as Arrow and memory-mapped from there.

    Of a question–answer pair only the answer is learned: what people ask is no knowledge. A row longer than `max_tokens` is
    cut at its end; its end token goes with the cut part.
    """
    disable_progress_bars()
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "texts.jsonl"
    rows = [{"text": text, "replayed": 0} for text in texts] + [
        {"text": text, "replayed": 1} for text in replayed
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    dataset = load_dataset(
        "json", data_files=str(source), split="train", cache_dir=str(folder / "arrow")
    )

    def encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        rows = tokenizer(batch["text"], verbose=False)["input_ids"]
        rows = [[*row, tokenizer.eos_token_id][:max_tokens] for row in rows]
        asked = tokenizer([prompt_of(text) or "" for text in batch["text"]], verbose=False)[
            "input_ids"
        ]
        lengths = [
            len(prompt) if prompt_of(text) else 0
            for text, prompt in zip(batch["text"], asked, strict=True)
        ]
        labels = [[-100] * length + row[length:] for row, length in zip(rows, lengths, strict=True)]
        return {"input_ids": rows, "labels": labels}

    return dataset.map(encode, batched=True, remove_columns=["text"])


def collator(tokenizer: PreTrainedTokenizerBase) -> DataCollatorForSeq2Seq:
    """Pads to the longest row of the batch, on the right as training wants it; padding carries no loss."""
    tokenizer.padding_side = "right"
    return DataCollatorForSeq2Seq(tokenizer, padding=True, label_pad_token_id=-100)


def arguments(
    folder: Path,
    params: Schedule,
    run: Run,
    seed: int,
    processes: int = 1,
    deepspeed: Any = None,
    **settings: Any,
) -> TrainingArguments:
    """TrainingArguments for a deterministic, watched run whose checkpoints live below `folder`.

    The best checkpoint on the valid texts is what the model holds at the end. `processes` share the rows of a step.
    """
    if params.rows_per_batch % processes:
        raise ParamsError(
            f"rows_per_batch: {params.rows_per_batch} rows cannot be shared evenly by {processes} processes"
        )
    return TrainingArguments(
        output_dir=str(folder),
        seed=seed % 2**32,
        data_seed=seed % 2**32,
        per_device_train_batch_size=params.rows_per_batch // processes,
        per_device_eval_batch_size=params.rows_per_batch // processes,
        deepspeed=deepspeed,
        max_steps=params.steps,
        warmup_steps=params.warmup,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=params.eval_every,
        save_steps=params.eval_every,
        logging_steps=params.eval_every,
        save_only_model=deepspeed
        is None,  # the Trainer reloads DeepSpeed's best checkpoint with its engine
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        train_sampling_strategy="group_by_length",
        bf16=params.precision == "bf16",
        fp16=params.precision == "fp16",
        use_cpu=run.device == "cpu",
        dataloader_pin_memory=torch.cuda.is_available() and run.device != "cpu",
        report_to=[],
        **settings,
    )


class Curve(TrainerCallback):
    """Collects the loss on train and valid rows; hands every point on to `watch`.

    Of every step it keeps loss and checksum, on the device until the end, so that no step waits for them; of several processes
    that share the rows, the first one's.
    """

    def __init__(self, watch: Callable[[str, float, int], None]) -> None:
        """`watch(name, value, step)` sees every number as it comes."""
        self.watch = watch
        self.rows: dict[int, dict[str, float]] = {}
        self.losses: list[torch.Tensor] = []
        self.sums: list[torch.Tensor] = []

    def see(self, loss: torch.Tensor) -> None:
        """Called with the loss of every step."""
        self.losses.append(loss.detach())

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any,
        **_: Any,
    ) -> None:
        """Called by the Trainer after the weights have moved."""
        self.sums.append(checksum(model.parameters()))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any],
        **_: Any,
    ) -> None:
        """Called by the Trainer with the latest numbers."""
        for key, name in (("loss", "train_loss"), ("eval_loss", "valid_loss")):
            if key in logs:
                self.rows.setdefault(state.global_step, {})[name] = logs[key]
                self.watch(name, logs[key], state.global_step)

    def write(self, path: Path) -> None:
        """Write the curve as CSV: step, train_loss, valid_loss."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["step", "train_loss", "valid_loss"], lineterminator="\n")
            writer.writeheader()
            for step, losses in sorted(self.rows.items()):
                writer.writerow(
                    {"step": step} | {name: f"{value:.4f}" for name, value in losses.items()}
                )

    def write_steps(self, path: Path) -> None:
        """Write a row a step as CSV: step, loss (nine digits tell every float32 apart), weights (their checksum, hexadecimal)."""
        rows = zip(self.losses, self.sums, strict=True)
        with replacing(path) as temporary:
            temporary.write_text(
                "step,loss,weights\n"
                + "".join(
                    f"{n},{float(loss):.9g},{int(weights) % 2**64:016x}\n"
                    for n, (loss, weights) in enumerate(rows, 1)
                ),
                encoding="utf-8",
            )


def checksum(weights: Iterable[torch.Tensor]) -> torch.Tensor:
    """A sum over the bits of all trained weights, modulo 2**64: exact in any order of summation, so the same on every device.

    It tells values apart, not where in a tensor they stand; equal models are told by their files' hashes.
    """
    trained = [weight.detach() for weight in weights if weight.requires_grad]
    total = torch.zeros((), dtype=torch.int64, device=trained[0].device)
    for weight in trained:
        total = 31 * total + weight.view(BITS[weight.element_size()]).sum(dtype=torch.int64)
    return total
