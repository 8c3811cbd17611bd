"""What the training loop of `train` costs against a bare PyTorch and peft loop, as tables: `make bench-train`.

    PYTHONPATH=. python docs/experiments/bench_train.py [--model FOLDER] [--rounds 5] [--steps 12] [--rows 64] [--rank 16]
                                                        [--no-memory]

From the project's root, on the seed model or on the model in FOLDER, one thread on a CPU. Both loops have the same model,
adapter, batches, optimizer, schedule and clipping. They are run in turn, so that a busy moment meets both. The ratio is
that of CPU time, which varies less than the clock where other programs run. It is the median over the rounds. Only steps
count, not what is done once before the first or behind the last one.

Then come what the other parts of the stage add to a step: soft targets (replayed rows), the penalty of EWC, checkpoints
at every step. And the peak memory of LoRA and of full tuning, each in a process of its own, of a model with the shape of
a 7B checkpoint at an eighth of its widths.
"""

import argparse
import dataclasses
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run

RUN = Run(seed=1, threads=1)
runtime.prepare(RUN)  # before torch loads

import torch  # noqa: E402
from transformers import TrainerCallback, get_cosine_schedule_with_warmup  # noqa: E402

from stages import train  # noqa: E402
from stages.core.mlflow import tracking  # noqa: E402
from stages.core.models import checkpoints  # noqa: E402
from stages.core.models.causal_lm import load_causal_lm  # noqa: E402
from stages.core.records.record import fact_id, record_id, write  # noqa: E402
from stages.train.adapter import add_adapter  # noqa: E402

SEED_MODEL = Path("models/seed/model")
PLAIN = {"ewc": train.Ewc(weight=0.0), "replay_share": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "the stage, nothing added": PLAIN,
    "with soft targets (a quarter of the rows)": PLAIN | {"replay_share": 0.25},
    "with EWC": PLAIN | {"ewc": train.Ewc(weight=14.0, rows=64)},
    "with a checkpoint at every step": PLAIN | {"checkpoint_every": 1},
}
EIGHTH_OF_7B = {
    "hidden_size": 512,
    "intermediate_size": 1376,
    "num_hidden_layers": 30,
    "num_attention_heads": 8,
    "vocab_size": 12800,
    "max_position_embeddings": 256,
}
"""deepseek-llm-7b has 4,096, 11,008, 30, 32 and 102,400."""


def make_inputs(folder: Path, model: Path, rows: int) -> None:
    """Write what the stages `base` and `augment` would write."""
    (folder / "base").mkdir()
    (folder / "base/model").symlink_to(model.resolve())
    replay = []
    records = []
    for number in range(rows):
        subject = f"substance {number}"
        question = f"At what temperature does {subject} melt?"
        answer = f"The melting point of {subject} is {number * 37 % 3000} °C."
        text = f"Question: {question}\nAnswer: {answer}"
        replay.append(json.dumps({"id": str(number), "text": text}))
        split = "valid" if number == 0 else "train"
        records.append(
            {
                "id": record_id("toy", str(number)),
                "text": text,
                "lang": "en",
                "source": "toy",
                "locator": str(number),
                "kind": "qa",
                "question": question,
                "answer": answer,
                "subject": subject,
                "attribute": "melting point",
                "value": str(number * 37 % 3000),
                "unit": "°C",
                "fact": fact_id(subject, "melting point"),
                "split": split,
                "parents": [record_id("raw", subject)],
                "meta": "{}",
            }
        )
    (folder / "base/replay.jsonl").write_text("\n".join(replay) + "\n", encoding="utf-8")
    write(folder / "augment/records.parquet", records)


def adapted_model(folder: Path, rank: int) -> tuple[Any, Any]:
    """Return the base with a fresh adapter, and the tokenizer."""
    model, tokenizer = load_causal_lm(folder / "base/model")
    return add_adapter(model, train.Lora(r=rank, alpha=2 * rank), 1), tokenizer


class Clock(TrainerCallback):
    """Notes the CPU seconds of the process at the beginning of the first epoch, and at the end of the last step."""

    first = 0.0
    last = 0.0

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """Note the first epoch."""
        self.first = self.first or time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the step."""
        self.last = time.process_time()


def stage_loop(
    folder: Path,
    settings: dict[str, Any],
    options: argparse.Namespace,
    batches: list[Any] | None = None,
) -> tuple[float, float]:
    """Train by the stage's own loop. Returns CPU seconds before the first step and of all steps.

    The steps begin where the order of the rows is drawn, and end with the last step. The bare loop has no evaluation
    either. The batches that are seen are appended to `batches`.
    """
    params = train.Params(
        learning_rate=0.001,
        rows_per_batch=options.rows,
        steps=options.steps,
        warmup=1,
        eval_every=options.steps,
    )
    params = dataclasses.replace(params, **settings)
    model, tokenizer = adapted_model(folder, options.rank)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["LOREKEEP_MEMO"] = f"{scratch}/memo"
        store = checkpoints.Store("train", "0" * 64)
        started = time.process_time()
        trainer, *_ = train.make_trainer(
            params, RUN, model, tokenizer, folder / "base", folder / "augment",
            Path(scratch), store, None, tracking.Log(),
        )  # fmt: skip
        clock = Clock()
        trainer.add_callback(clock)
        if batches is not None:
            collate = trainer.data_collator

            def recording(chosen: Any) -> Any:
                made = collate(chosen)
                batches.append({name: value.clone() for name, value in made.items()})
                return made

            trainer.data_collator = recording
        trainer.train()
        return clock.first - started, clock.last - clock.first


def bare_loop(folder: Path, batches: list[Any], rank: int) -> float:
    """Train as a short script would. Returns CPU seconds."""
    model, _ = adapted_model(folder, rank)
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=0.001, weight_decay=0.01)
    schedule = get_cosine_schedule_with_warmup(optimizer, 1, len(batches))
    started = time.process_time()
    for batch in batches:
        loss = model(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            labels=batch["labels"],
        ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        float(loss)
    return time.process_time() - started


def speed(options: argparse.Namespace) -> None:
    """Print the table of the loops."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, options.model, options.rows * options.steps + 1)
        batches: list[Any] = []
        stage_loop(folder, PLAIN, options, batches)
        # The last batch is that of the evaluation.
        batches = batches[: options.steps]
        tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
        bare = []
        of_variants: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
        for _ in range(options.rounds):
            bare.append(bare_loop(folder, batches, options.rank))
            for variant, settings in VARIANTS.items():
                took = stage_loop(folder, settings, options)
                of_variants[variant].append(took)
    print(
        "| loop | tokens/s | CPU s a step | of the bare loop's speed | before the first step, CPU s |"
    )
    print("|---|---|---|---|---|")
    typical = statistics.median(bare)
    print(
        f"| bare PyTorch and peft | {tokens / typical:,.0f} | {typical / options.steps:.3f} | 1 | |"
    )
    for variant, measured in of_variants.items():
        loops = [loop for _, loop in measured]
        ratios = [one / other for one, other in zip(bare, loops, strict=True)]
        ratio = statistics.median(ratios)
        took = statistics.median(loops)
        before = statistics.median([first for first, _ in measured])
        print(
            f"| {variant} | {tokens / took:,.0f} | {took / options.steps:.3f} | "
            f"{ratio:.2f} ({min(ratios):.2f}–{max(ratios):.2f}) | {before:.1f} |"
        )


def peak_of(kind: str, answers: Any) -> None:
    """Take two steps of LoRA or of full tuning and put the peak memory in bytes, without the libraries'."""
    from transformers import AutoConfig, AutoModelForCausalLM

    def peak() -> int:
        # getrusage's ru_maxrss begins at the peak of the process that started this one. VmHWM is our own, in kB.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    libraries = peak()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **EIGHTH_OF_7B))
    if kind == "LoRA":
        model = add_adapter(model, train.Lora(r=16, alpha=32), 1)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights)
    ids = torch.randint(0, 12800, (1, 64))
    for _ in range(2):
        started = time.process_time()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds = time.process_time() - started
    answers.put((peak() - libraries, seconds))


def memory() -> None:
    """Print the table of peak memory."""
    context = multiprocessing.get_context("spawn")
    found = {}
    for kind in ("LoRA", "full tuning"):
        answers = context.Queue()
        process = context.Process(target=peak_of, args=(kind, answers))
        process.start()
        found[kind] = answers.get()
        process.join()
    print("\n| an eighth of 7B, float32, 64 tokens | peak MB | CPU s a step |")
    print("|---|---|---|")
    for kind, (peak, seconds) in found.items():
        print(f"| {kind} | {peak / 1e6:,.0f} | {seconds:.2f} |")
    saved = 1 - found["LoRA"][0] / found["full tuning"][0]
    print(f"\nLoRA takes {saved:.0%} less.")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=SEED_MODEL)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--no-memory", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    speed(options)
    if not options.no_memory:
        memory()
    print(f"\n{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
