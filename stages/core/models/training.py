"""Parts that `train` and `distill` share: texts → memory-mapped token rows → the Hugging Face Trainer.

A row is a whole text between the tokenizer's begin and end tokens. One that is longer than the window is
split (`windows.py`), so that every token is trained. Rows of like length share a batch, or several rows
are packed into one sequence. A step's loss is the mean over its tokens, however many processes and
micro-batches share the step. The learning curve goes to a CSV (a DVC plot) and to MLflow. Another CSV gets
the loss and a checksum of the weights after every step: by it `lore verify` names the first step at which
two runs differ. Nothing here writes a model.
"""

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import (
    BatchEncoding,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import EvalLoopOutput

from stages.core.models.conversation import conversation_text, encode, opening_tokens
from stages.core.models.windows import (
    LEAST,
    NOT_LEARNED,
    Window,
    packed,
    windows_of_answer,
    windows_of_text,
)
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.output import replacing
from stages.core.project.params import Run
from stages.core.records.prompt import READING, question_and_answer, training_text
from stages.core.records.record import read_records
from stages.core.repeatable.seeding import rng_for

INTEGER_OF_SIZE = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""The integer type of as many bytes as a float has."""
CURVE_NAMES = {"loss": "train_loss", "eval_loss": "valid_loss"}
"""Names of the Trainer, and names in the curve."""


Value = TypeVar("Value")


class Schedule(Protocol):
    """The settings that every training section of params.yaml has."""

    @property
    def rows_per_batch(self) -> int: ...  # noqa: D102 - see the stages' own Params
    @property
    def steps(self) -> int | None: ...  # noqa: D102
    @property
    def eval_every(self) -> int: ...  # noqa: D102
    @property
    def warmup(self) -> int: ...  # noqa: D102
    @property
    def precision(self) -> str: ...  # noqa: D102


class Row(NamedTuple):
    """A text to learn from: free text, or a question and its answer."""

    text: str
    """The free text, or question and answer in the plain form of `training_text`."""
    question: str | None = None
    answer: str | None = None
    is_whole: bool = True
    """Whether the answer is whole. Behind one that stops before its value nothing is learned, no end either."""

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Row":
        """Return the row of `{"text"}`, or of `{"question", "answer"}`. A plain text may be such a pair, too."""
        text = fields.get("text")
        if text is None:
            return cls.pair(fields["question"], fields["answer"])
        found = question_and_answer(text)
        return cls(text) if found is None else cls(text, *found)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Row":
        """Return the row of a record of augment."""
        question, answer = record["question"], record["answer"]
        is_pair = record["kind"] in ("qa", READING)
        if is_pair and question is not None and answer is not None:
            is_whole = record["kind"] != READING
            return cls.pair(question, answer)._replace(is_whole=is_whole)
        return cls(record["text"])

    @classmethod
    def pair(cls, question: str, answer: str) -> "Row":
        """Return the row of a question and its answer."""
        return cls(training_text(question, answer), question, answer)


@dataclass(frozen=True)
class Material:
    """The rows of a training run."""

    train: list[Row]
    """Rows to learn from."""
    replayed: list[Row]
    """The base's own rows, to be kept."""
    valid: list[Row]
    """Rows that judge the model while it is trained."""

    @classmethod
    def read(
        cls,
        base: Path,
        augment: Path,
        replay_share: float,
        seed: int,
        learned: Callable[[Mapping[str, Any]], bool] | None = None,
        others: int = 0,
    ) -> "Material":
        """Read augment's records, and so many of the base's own rows that they are `replay_share` of all rows.

        The seed chooses the base's rows. Where the base has too few, they come several times.
        `learned` chooses among the records of split train, by default all.
        `others` is the number of further rows that are trained beside these.
        Raises InputError where a split has no record.
        """
        rows: dict[str, list[Row]] = {"train": [], "valid": []}
        for record in read_records(augment / "records.parquet"):
            split = record["split"]
            if split not in rows:
                continue
            if split == "train" and learned is not None and not learned(record):
                continue
            rows[split].append(Row.of_record(record))
        for split, rows_of_split in rows.items():
            if not rows_of_split:
                raise InputError(
                    f"{augment}: no record of split {split!r}; check the augment section of params.yaml"
                )
        # r of n + r rows are replayed: r / (n + r) = share, so r = n · share / (1 - share).
        count = len(rows["train"]) + others
        replayed = round(count * replay_share / (1 - replay_share))
        return cls(rows["train"], repeated_own_rows(base, replayed, seed), rows["valid"])


def own_rows(base: Path, most: int, seed: int) -> list[Row]:
    """Return up to `most` of the base's own rows, chosen by the seed."""
    lines = (base / "replay.jsonl").read_text(encoding="utf-8").splitlines()
    count = min(most, len(lines))
    chosen = rng_for(seed, "replay").sample(lines, count)
    return [Row.of(json.loads(line)) for line in chosen]


def repeated_own_rows(base: Path, wanted: int, seed: int) -> list[Row]:
    """Return `wanted` of the base's own rows. Where it has fewer, no row comes twice more often than another.

    A base without any own row gives none.
    """
    every = own_rows(base, wanted, seed)
    if not every:
        return []
    passes, rest = divmod(wanted, len(every))
    return every * passes + every[:rest]


@dataclass
class Counts:
    """What became of the tokens of rows."""

    tokens_read: int = 0
    """All tokens, with those of the questions and with begin and end tokens."""
    tokens_trained: int = 0
    """Tokens that carry a loss. A token that a further window repeats counts once."""
    tokens_dropped: int = 0
    """Tokens of rows that were set aside."""
    rows_split: int = 0
    """Rows that were longer than the window, and became several."""
    rows_dropped: int = 0
    """Rows that were set aside, because their question leaves no room for an answer."""
    rows_replayed: int = 0
    """Rows that are shown so that the model keeps them: the base's own, and those of an earlier version."""
    texts_replayed: int = 0
    """Different texts among these."""
    longest_prompt: int = 0
    """Tokens of the longest question that was set aside."""

    def report(self) -> dict[str, int]:
        """Return the counts for a stage's metrics."""
        return {
            "tokens_read": self.tokens_read,
            "tokens_trained": self.tokens_trained,
            "tokens_dropped": self.tokens_dropped,
            "rows_split": self.rows_split,
            "rows_dropped": self.rows_dropped,
            "rows_replayed": self.rows_replayed,
            "texts_replayed": self.texts_replayed,
        }

    def plus(self, other: "Counts") -> "Counts":
        """Return the counts of both."""
        return Counts(
            tokens_read=self.tokens_read + other.tokens_read,
            tokens_trained=self.tokens_trained + other.tokens_trained,
            tokens_dropped=self.tokens_dropped + other.tokens_dropped,
            rows_split=self.rows_split + other.rows_split,
            rows_dropped=self.rows_dropped + other.rows_dropped,
            rows_replayed=self.rows_replayed + other.rows_replayed,
            texts_replayed=self.texts_replayed + other.texts_replayed,
            longest_prompt=max(self.longest_prompt, other.longest_prompt),
        )

    def replay_line(self, section: str) -> str:
        """Return the line that says how many rows are replayed, and how often each text comes."""
        times = self.rows_replayed / max(1, self.texts_replayed)
        return (
            f"{section}: {self.rows_replayed:,} rows replayed, of {self.texts_replayed:,} different texts "
            f"({times:.2f} times each)"
        )

    def check(self, max_tokens: int, most_dropped: float, section: str, rows: str) -> None:
        """Raise ParamsError where a larger share of the tokens was dropped than `most_dropped`, or all were."""
        if not self.tokens_trained:
            raise ParamsError(
                f"{section}.max_tokens: none of the {rows} rows fits into {max_tokens} tokens; write at "
                f"least {2 * self.longest_prompt}"
            )
        share = self.tokens_dropped / max(1, self.tokens_read)
        if share > most_dropped:
            raise ParamsError(
                f"{section}.max_tokens: {max_tokens} leaves out {share:.1%} of the tokens of the {rows} "
                f"rows: {self.rows_dropped} questions alone are as long, one has {self.longest_prompt} "
                f"tokens; write at least {2 * self.longest_prompt}, or allow the loss with "
                f"{section}.most_dropped: {share + 0.0005:.3f}"
            )


ROWS_AT_ONCE = 1000
"""Rows that are encoded at once."""
ROW_SCHEMA = pa.schema(
    [
        pa.field("input_ids", pa.list_(pa.int32())),
        pa.field("labels", pa.list_(pa.int32())),
        pa.field("replayed", pa.int8()),
    ]
)
PACKED_SCHEMA = ROW_SCHEMA.append(pa.field("position_ids", pa.list_(pa.int32())))
"""Columns of token rows on disk."""
LossOn = Literal["answer", "all"]
"""Whether the loss of a question–answer pair covers the answer alone, or the question, too."""


def token_rows(
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    folder: Path,
    replayed: Sequence[Row] = (),
    loss_on: LossOn = "answer",
    packing: bool = False,
) -> tuple[Dataset, Counts]:
    """Write token rows (`input_ids`, `labels`, `replayed`) below `folder` as Arrow, and map them into memory.

    A row that is longer than `max_tokens` becomes several (`windows.py`), so that each of its tokens is
    trained once. A pair whose question alone fills the window is set aside, and counted. With `packing`,
    several rows share a sequence, which has `position_ids` in addition. Raises ParamsError where the window
    is too short.
    """
    if max_tokens < LEAST:
        raise ParamsError(f"max_tokens: {max_tokens} is too short a window; write at least {LEAST}")
    folder.mkdir(parents=True, exist_ok=True)
    counts = Counts(rows_replayed=len(replayed), texts_replayed=len({row.text for row in replayed}))
    path = folder / "rows.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, ROW_SCHEMA) as writer:
        for is_replayed, group in ((0, rows), (1, replayed)):
            for start in range(0, len(group), ROWS_AT_ONCE):
                chunk = group[start : start + ROWS_AT_ONCE]
                windows = list(windows_of(chunk, tokenizer, max_tokens, loss_on, counts))
                columns = {
                    "input_ids": [window.tokens for window in windows],
                    "labels": [window.labels for window in windows],
                    "replayed": [is_replayed] * len(windows),
                }
                writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=ROW_SCHEMA))
    dataset = Dataset.from_file(str(path))
    if packing:
        dataset = packed_rows(dataset, max_tokens, folder / "packed.arrow")
    return dataset, counts


def windows_of(
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    loss_on: LossOn,
    counts: Counts,
) -> Iterator[Window]:
    """Yield the windows of rows, and count what becomes of their tokens."""
    opening = opening_tokens(tokenizer)
    end = tokenizer.eos_token_id
    for row, prompt, text in zip(rows, *prompts_and_texts(rows, tokenizer), strict=True):
        if prompt is None:
            # A free text is learned as a whole.
            tokens = [*text, end]
            windows = list(windows_of_text(opening, tokens[len(opening) :], max_tokens))
            length = len(tokens)
        else:
            answer = answer_tokens(tokenizer, row, prompt, text)
            windows = list(
                windows_of_answer(
                    opening, prompt, answer, max_tokens, learn_prompt=loss_on == "all"
                )
            )
            length = len(prompt) + len(answer)
        counts.tokens_read += length
        counts.rows_split += len(windows) > 1
        if not windows:
            counts.tokens_dropped += length
            counts.rows_dropped += 1
            counts.longest_prompt = max(counts.longest_prompt, length - len(answer))
        for window in windows:
            # Nothing predicts the first token of a window.
            learned = [label for label in window.labels[1:] if label != NOT_LEARNED]
            counts.tokens_trained += len(learned)
            yield window


def prompts_and_texts(
    rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase
) -> tuple[list[list[int] | None], list[list[int]]]:
    """Return the tokens of the prompts, None for a free text, and the tokens of the whole texts."""
    prompts = []
    texts = []
    for row in rows:
        if row.question is None or row.answer is None:
            prompts.append("")
            texts.append(row.text)
        else:
            prompt, text = conversation_text(tokenizer, row.question, row.answer, row.is_whole)
            prompts.append(prompt)
            texts.append(text)
    prompt_tokens: list[list[int] | None] = []
    for prompt, tokens in zip(prompts, encode(tokenizer, prompts), strict=True):
        prompt_tokens.append(tokens if prompt else None)
    return prompt_tokens, encode(tokenizer, texts)


def answer_tokens(
    tokenizer: PreTrainedTokenizerBase, row: Row, prompt: list[int], text: list[int]
) -> list[int]:
    """Return the tokens that the model is to write after a prompt, with the end token of a whole answer."""
    if text[: len(prompt)] == prompt:
        answer = text[len(prompt) :]
    else:
        # The tokenizer joins the end of the prompt and the begin of the answer to one token. The model is
        # asked with the prompt's own tokens, so the answer's tokens are those behind them.
        asked, whole = conversation_text(
            tokenizer, str(row.question), str(row.answer), row.is_whole
        )
        answer = tokenizer(whole[len(asked) :], add_special_tokens=False)["input_ids"]
    if not row.is_whole:
        return answer
    if tokenizer.chat_template and tokenizer.eos_token_id in answer:
        return answer
    return [*answer, tokenizer.eos_token_id]


def packed_rows(rows: Dataset, max_tokens: int, path: Path) -> Dataset:
    """Write rows that share sequences of at most `max_tokens`, and map them into memory.

    New and replayed rows do not share a sequence. Positions begin anew with every row, by which the model
    tells them apart (`model_inputs`). The first token of a row is not predicted from the row before.
    """
    lengths = [len(tokens) for tokens in rows["input_ids"]]
    marks = rows["replayed"]
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, PACKED_SCHEMA) as writer:
        for is_replayed in (0, 1):
            numbers = [number for number, mark in enumerate(marks) if mark == is_replayed]
            for group in packed([lengths[number] for number in numbers], max_tokens):
                tokens: list[int] = []
                labels: list[int] = []
                positions: list[int] = []
                for place in group:
                    row = rows[numbers[place]]
                    tokens += row["input_ids"]
                    labels += [NOT_LEARNED, *row["labels"][1:]]
                    positions += range(len(row["input_ids"]))
                columns = {
                    "input_ids": [tokens],
                    "labels": [labels],
                    "replayed": [is_replayed],
                    "position_ids": [positions],
                }
                writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=PACKED_SCHEMA))
    return Dataset.from_file(str(path))


def collator(tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], BatchEncoding]:
    """Return a collator that pads on the right to the longest row of the batch; padding carries no loss.

    Attention mask and labels come from the lengths of the rows. So it does no harm where the padding token
    is the end token, which is learned.
    """
    pad = tokenizer.pad_token_id

    def collate(rows: list[dict[str, Any]]) -> BatchEncoding:
        longest = max(len(row["input_ids"]) for row in rows)
        columns: dict[str, list[Any]] = {"input_ids": [], "attention_mask": [], "labels": []}
        for row in rows:
            length = len(row["input_ids"])
            missing = longest - length
            columns["input_ids"].append(row["input_ids"] + [pad] * missing)
            columns["attention_mask"].append([1] * length + [0] * missing)
            columns["labels"].append(row["labels"] + [NOT_LEARNED] * missing)
            if "position_ids" in row:
                # The padding is a row of its own, which no other row sees.
                positions = row["position_ids"] + list(range(missing))
                columns.setdefault("position_ids", []).append(positions)
            if "replayed" in row:
                columns.setdefault("replayed", []).append(row["replayed"])
        return BatchEncoding(columns, tensor_type="pt")

    return collate


def model_inputs(batch: Any) -> dict[str, Any]:
    """Return what the model takes of a batch: the tokens, and what tells rows and padding apart.

    Of packed rows, transformers makes a block mask from the positions. It does so only without an attention
    mask and without a cache.
    """
    if "position_ids" in batch:
        return {
            "input_ids": batch["input_ids"],
            "position_ids": batch["position_ids"],
            "use_cache": False,
        }
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}


def check_packing(model: Any, section: str) -> None:
    """Raise ParamsError where packed rows see each other in this model.

    A row is shown alone and packed behind another one. The logits must be the same, up to rounding.
    """
    # Any token ids do. The first row is longer, so that positions that go on would be seen, too.
    first = torch.arange(5, 16)
    second = torch.arange(20, 26)
    positions = torch.cat([torch.arange(len(first)), torch.arange(len(second))])
    alone = {"input_ids": second[None], "attention_mask": torch.ones_like(second)[None]}
    together = {"input_ids": torch.cat([first, second])[None], "position_ids": positions[None]}
    was_training = model.training
    model.eval()
    logits = []
    for batch in (alone, together):
        inputs = BatchEncoding(batch).to(model.device)
        with torch.no_grad():
            outputs = model(**model_inputs(inputs))
        logits.append(outputs.logits[0, -len(second) :].float())
    model.train(was_training)
    precise = next(model.parameters()).dtype == torch.float32
    tolerance = 1e-3 if precise else 5e-2
    difference = (logits[0] - logits[1]).abs().max()
    if difference > tolerance * logits[0].abs().max():
        implementation = getattr(model.config, "_attn_implementation", "unknown")
        raise ParamsError(
            f"{section}.packing: in this model ({model.config.model_type}, attention {implementation}) "
            "packed rows see each other; write packing: false"
        )


SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""How the rate goes on after the warm-up, and the name of it in transformers."""


def number_of_steps(
    steps: int | None, epochs: float | None, rows: int, rows_per_batch: int, section: str
) -> int:
    """Return the number of steps of a run whose length is given in steps, or in epochs over the rows.

    Raises ParamsError unless one of both is given.
    """
    if (steps is None) == (epochs is None):
        raise ParamsError(
            f"{section}.steps, {section}.epochs: got {steps} and {epochs}; write one of both, and null "
            "for the other"
        )
    if epochs is None:
        assert steps is not None
        return steps
    return max(1, math.ceil(rows * epochs / rows_per_batch))


class SharedRows(torch.utils.data.Dataset[dict[str, Any]]):
    """Token rows that several processes share, with rows behind them that fill up the last step.

    A filling row is a copy of the first one that carries no loss. So every process has as many rows in each step,
    and the loss of a step is that of one process, which has fewer rows in the last step of an epoch.
    """

    def __init__(self, rows: Dataset, grouped: int, multiple: int) -> None:
        """`grouped` rows of like length are shown together. With the filling rows, `multiple` divides their number."""
        self.rows = rows
        self.grouped = grouped
        self.filling = -len(rows) % multiple

    def __len__(self) -> int:
        """Return the number of rows, with the filling ones."""
        return len(self.rows) + self.filling

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Return a row, or a filling one where the number is beyond the rows."""
        if number < len(self.rows):
            row: dict[str, Any] = self.rows[number]
            return row
        row = dict(self.rows[0])
        row["labels"] = [NOT_LEARNED] * len(row["labels"])
        row["replayed"] = 0
        return row

    def __getitems__(self, numbers: list[int]) -> list[dict[str, Any]]:
        """Return several rows. The DataLoader calls this, since many rows at once are read faster."""
        real = [number for number in numbers if number < len(self.rows)]
        found: list[dict[str, Any]] = self.rows.__getitems__(real) if real else []
        filling = [number for number in numbers if number >= len(self.rows)]
        return found + [self[number] for number in filling]


class SharedOrder(Sampler[int]):
    """The order in which one process would see the rows, then the filling rows. All processes have the same.

    It is drawn from random numbers that may differ between processes, such as those of dropout. That of the first
    process counts.
    """

    def __init__(self, shared: SharedRows, generator: torch.Generator | None = None) -> None:
        self.shared = shared
        lengths = lengths_of(shared.rows)
        self.order = LengthGroupedSampler(shared.grouped, lengths=lengths, generator=generator)

    def __len__(self) -> int:
        """Return the number of rows, with the filling ones."""
        return len(self.shared)

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers of the rows of an epoch."""
        order = of_first_process(list(self.order))
        yield from order
        yield from range(len(order), len(self))


def lengths_of(rows: Dataset) -> list[int]:
    """Return the number of tokens of each row. The Trainer would read every row into Python for it."""
    columns = rows.with_format("arrow")[:]
    lengths: list[int] = pc.list_value_length(columns["input_ids"]).to_pylist()
    return lengths


def of_first_process(value: Value) -> Value:
    """Return the first process's `value` in all processes that share the run."""
    if not torch.distributed.is_initialized():
        return value
    values = [value]
    torch.distributed.broadcast_object_list(values, src=0)
    return values[0]


def mean_of_processes(value: torch.Tensor) -> torch.Tensor:
    """Return the mean of `value` over the processes that share the run. All of them must call this."""
    if not torch.distributed.is_initialized():
        return value
    mean = value.detach().clone()
    torch.distributed.all_reduce(mean)
    mean /= torch.distributed.get_world_size()
    return mean


class StepTrainer(Trainer):
    """A Trainer whose loss is a mean over the tokens of a step, however its rows are shared out.

    The rows of a step may be shared by processes, and by micro-batches that accumulate their gradients.
    These have different numbers of tokens, so a mean of their means would be another loss.

    Processes that share steps have `SharedRows`. Rows, their order, and the loss on the valid rows are then those
    of one process.
    """

    loss_is_scaled_for_ga = True  # by part_of_step

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # Both make the Trainer count the predicted tokens of a step, and hand the number to compute_loss.
        self.model_accepts_loss_kwargs = True
        self._loss_shifts_labels = True
        self.trained: list[torch.nn.Parameter] | None = None
        """The trained weights, in the model's order."""

    def part_of_step(self, labels: torch.Tensor, tokens_of_step: Any) -> Any:
        """Return the factor that makes a mean over the tokens of `labels` (B, T) a part of the step's mean.

        The gradients of processes are averaged, so the factor has their number in it. An evaluation takes no
        step: the Trainer averages over the rows of all processes itself, and the factor is 1.
        """
        if not self.model.training:
            return 1.0
        own_tokens = (labels[:, 1:] != NOT_LEARNED).sum()
        return own_tokens / tokens_of_step * self.accelerator.num_processes

    # What follows takes the place of methods of the Trainer.

    def _clip_grad_norm(self, model: Any) -> Any:
        """Shorten the gradient. The Trainer would walk through all modules in every step to find the trained weights."""
        if self.trained is None:
            self.trained = [weight for weight in model.parameters() if weight.requires_grad]
        return self.accelerator.clip_grad_norm_(self.trained, self.args.max_grad_norm)

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0. The Trainer would count all parameters in every step, for a number that nobody reads."""
        return 0

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """Return the Trainer's own order of one process."""
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        if isinstance(rows, SharedRows):
            return SharedOrder(rows)
        rows_of_step = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthGroupedSampler(rows_of_step, lengths=lengths_of(rows))

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        # The Trainer's own order has this seed, too.
        generator = torch.Generator().manual_seed(self.args.data_seed)
        if isinstance(eval_dataset, SharedRows):
            return SharedOrder(eval_dataset, generator)
        lengths = lengths_of(eval_dataset)
        return LengthGroupedSampler(self.args.eval_batch_size, lengths=lengths, generator=generator)

    def evaluation_loop(self, dataloader: Any, description: str, *others: Any, **named: Any) -> Any:
        """Return the loss on the valid rows, as one process would have computed it, from the parts of all.

        One process averages over batches of `SharedRows.grouped` rows, each with the weight of its rows. Here a
        batch of a process is a part of such a batch. The parts are added up by their tokens.
        """
        shared = dataloader.dataset
        if not isinstance(shared, SharedRows):
            return super().evaluation_loop(dataloader, description, *others, **named)
        self.model.eval()
        self.callback_handler.eval_dataloader = dataloader
        parts = []
        for inputs in dataloader:
            loss, _, _ = self.prediction_step(self.model, inputs, prediction_loss_only=True)
            tokens = (inputs["labels"][:, 1:] != NOT_LEARNED).sum()
            parts.append(torch.stack([loss.double() * tokens, tokens.double()]))
            self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        # Batch b of process p holds the rows at place b · processes + p of the order.
        own = torch.stack(parts)[:, None]  # (batches, 1, 2)
        own = own.transpose(0, 1).contiguous()  # (1, batches, 2)
        of_all = self.accelerator.gather(own)  # (processes, batches, 2)
        in_order = of_all.transpose(0, 1).reshape(-1, 2)  # (batches · processes, 2)
        per_group = shared.grouped // self.args.eval_batch_size
        total = 0.0
        for first_row in range(0, len(shared.rows), shared.grouped):
            first = first_row // self.args.eval_batch_size
            loss_sum, tokens_sum = in_order[first : first + per_group].sum(dim=0).tolist()
            rows = min(shared.grouped, len(shared.rows) - first_row)
            total += rows * loss_sum / max(1.0, tokens_sum)
        metrics = {"eval_loss": total / len(shared.rows)}
        return EvalLoopOutput(None, None, metrics, len(shared.rows))


def arguments(
    folder: Path,
    params: Schedule,
    run: Run,
    seed: int,
    processes: int = 1,
    deepspeed: Any = None,
    rows_per_device: int | None = None,
    steps: int | None = None,
    **settings: Any,
) -> TrainingArguments:
    """Return TrainingArguments for a deterministic, watched run whose checkpoints lie below `folder`.

    At the end the model has the weights of the best checkpoint on the valid texts. `processes` share the
    rows of a step. Each shows the model `rows_per_device` rows at once, by default all of its own, and
    adds up their gradients. `steps` is the length of the run, by default that of `params`. Raises
    ParamsError where the rows cannot be shared evenly.
    """
    if params.rows_per_batch % processes:
        raise ParamsError(
            f"rows_per_batch: {params.rows_per_batch} rows cannot be shared evenly by {processes} processes"
        )
    rows_per_process = params.rows_per_batch // processes
    micro_batch = rows_per_device or rows_per_process
    if rows_per_process % micro_batch:
        raise ParamsError(
            f"rows_per_device: the {rows_per_process} rows that each process has in a step cannot be "
            f"shown {micro_batch} at a time; write a divisor of {rows_per_process}"
        )
    gpu = torch.cuda.is_available() and run.device != "cpu"
    return TrainingArguments(
        output_dir=str(folder),
        seed=seed % 2**32,
        data_seed=seed % 2**32,
        per_device_train_batch_size=micro_batch,
        per_device_eval_batch_size=micro_batch,
        gradient_accumulation_steps=rows_per_process // micro_batch,
        deepspeed=deepspeed,
        max_steps=params.steps if steps is None else steps,
        warmup_steps=params.warmup,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=params.eval_every,
        save_steps=params.eval_every,
        logging_steps=params.eval_every,
        # Nothing is saved so (`checkpoints.Resumable`), but with DeepSpeed the Trainer refuses to save models alone.
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
    waits for them. Where several processes share the rows, each has a part of the losses (`add_up`).
    """

    def __init__(self, watch: Callable[[str, float, int], None]) -> None:
        """`watch(name, value, step)` gets every number as it comes."""
        self.watch = watch
        self.rows: dict[int, dict[str, float]] = {}
        """train_loss and valid_loss by step."""
        self.losses: list[torch.Tensor] = []
        self.sums: list[torch.Tensor] = []
        """Loss and checksum of step 1, step 2, …"""
        self.part_of_loss: torch.Tensor | None = None
        """The loss of the micro-batches of the present step so far."""
        self.trained: list[torch.Tensor] | None = None
        """The trained weights. To look for them in every step takes as long as to add up their bits."""
        self.added_up = 0
        """Number of steps whose losses are those of all processes."""

    def see(self, loss: torch.Tensor) -> None:
        """Add a part of the loss of a step, or all of it. The Trainer's `compute_loss` calls this."""
        loss = loss.detach()
        self.part_of_loss = loss if self.part_of_loss is None else self.part_of_loss + loss

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any,
        **_: Any,
    ) -> None:
        """Keep loss and checksum. The Trainer calls this after the weights have moved."""
        assert self.part_of_loss is not None
        self.losses.append(self.part_of_loss)
        self.part_of_loss = None
        if self.trained is None:
            self.trained = [weight for weight in model.parameters() if weight.requires_grad]
        self.sums.append(checksum(self.trained))

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

    def add_up(self) -> None:
        """Average the losses over the processes that share the rows. All of them must call this at the same time.

        The factor of `StepTrainer.part_of_step` makes this mean the loss of the step.
        """
        own = self.losses[self.added_up :]
        if own and torch.distributed.is_initialized():
            losses = mean_of_processes(torch.stack(own))
            self.losses[self.added_up :] = losses.unbind()
        self.added_up = len(self.losses)

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
        self.added_up = len(self.losses)
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
