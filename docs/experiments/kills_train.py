"""Does a training run that is killed end with the same bytes? Kill it ten times at random moments, and run it again.

    PYTHONPATH=. python docs/experiments/kills_train.py [kills] [seed] [steps]

From the project's root; about five minutes of one core with 30 steps, which is the default. The base is a random
llama of two layers with the seed's tokenizer. One run is left alone. Then, for every kill, a fresh run is killed with
SIGKILL at a random step (0: while the curvature is measured or before), up to a fifth of a second after its checkpoint
appeared, which is often while the next one is written. It is run again to its end. Hashes of adapter, manifest,
metrics, curve and steps are printed, and the program fails where one of them differs.

Each run is a process of its own. It is forked from this one, which has loaded the libraries, so that a run takes
seconds. MLflow is left out.
"""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run

RUN = Run(seed=7, threads=1)
runtime.prepare(RUN)  # before torch loads

import peft  # noqa: E402, F401
import transformers  # noqa: E402

from stages import train  # noqa: E402
from stages.core.mlflow import tracking  # noqa: E402
from stages.core.records.record import fact_id, record_id, write  # noqa: E402
from stages.core.repeatable import fingerprint  # noqa: E402

SEED_MODEL = Path("models/seed")
PARAMS = train.Params(
    lora=train.Lora(r=4, alpha=8, dropout=0.1),
    ewc=train.Ewc(weight=0.1, rows=48, damping=0.1),
    learning_rate=1e-2,
    rows_per_batch=4,
    steps=30,
    warmup=3,
    eval_every=7,
    checkpoint_every=1,
    patience=9,
)
OUTPUTS = [
    "out/adapter/adapter_model.safetensors",
    "out/adapter/adapter_config.json",
    "out/manifest.json",
    "out.json",
    "out.csv",
    "out.steps",
]


def make_inputs(folder: Path) -> None:
    """Write what the stages `base` and `augment` would write."""
    config = transformers.AutoConfig.for_model(
        "llama",
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=1024,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    transformers.set_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder / "base/model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(SEED_MODEL / "model" / name, folder / "base/model" / name)
    shutil.copyfile(SEED_MODEL / "replay.jsonl", folder / "base/replay.jsonl")

    rows = []
    for number in range(12):
        subject = f"zorb{number}"
        for split in ("train", "train", "valid"):
            locator = f"{subject}-{split}-{len(rows)}"
            question = f"When does {subject} melt ({len(rows)})?"
            answer = f"The melting point of {subject} is {number * 37} °C."
            rows.append(
                {
                    "id": record_id("toy", locator),
                    "source": "toy",
                    "locator": locator,
                    "kind": "qa",
                    "lang": "en",
                    "subject": subject,
                    "attribute": "melting point",
                    "value": str(number * 37),
                    "unit": "°C",
                    "fact": fact_id(subject, "melting point"),
                    "split": split,
                    "parents": [record_id("raw", subject)],
                    "meta": "{}",
                    "question": question,
                    "answer": answer,
                    "text": f"Question: {question}\nAnswer: {answer}",
                }
            )
    write(folder / "augment/records.parquet", rows)


def run_once(params: train.Params, folder: Path, out: Path) -> None:
    """Run the stage in this process; what it prints goes to a file."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "said.txt").open("a") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        paths = [out / "out", out / "out.json", out / "out.csv", out / "out.steps"]
        train.run(params, RUN, folder / "base", folder / "augment", *paths)


def start(params: train.Params, folder: Path, out: Path) -> Any:
    """Start the stage in a process of its own, with a memo of its own."""
    os.environ["LOREKEEP_MEMO"] = str(out / "memo")
    process = multiprocessing.get_context("fork").Process(
        target=run_once, args=(params, folder, out)
    )
    process.start()
    return process


def steps_done(out: Path) -> int:
    """Return the step of the newest checkpoint, 0 where there is none."""
    names = [path.stem for path in (out / "memo").rglob("step-*.safetensors")]
    return max((int(name.rpartition("-")[2]) for name in names), default=0)


def kill_at(process: Any, out: Path, step: int, delay: float) -> bool:
    """Kill the process so many seconds after it reached the step. Returns whether it was still there."""
    while process.is_alive() and steps_done(out) < step:
        time.sleep(0.002)
    process.join(delay)
    was_alive: bool = process.is_alive()
    if was_alive:
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return was_alive


def hashes(out: Path) -> dict[str, str]:
    """Return the first twelve digits of the SHA-256 of each output."""
    found = {}
    for name in OUTPUTS:
        content = (out / name).read_bytes()
        found[name] = hashlib.sha256(content).hexdigest()[:12]
    return found


def main(kills: int, seed: int, steps: int) -> int:
    """Run all kills, print a line for each, and return the number of runs that differ."""
    # At most eight looks at the valid rows: patience does not end the run early.
    params = dataclasses.replace(PARAMS, steps=steps, eval_every=max(7, steps // 8))
    tracking._start = lambda stage: tracking.Log()  # type: ignore[assignment]
    fingerprint.of("stages.train")  # the slow part of it is kept in this process
    chance = random.Random(seed)
    different = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder)
        process = start(params, folder, folder / "whole")
        process.join()
        whole = hashes(folder / "whole")
        print("undisturbed:", json.dumps(whole))
        for number in range(kills):
            out = folder / f"killed-{number}"
            step = 0 if number == 0 else chance.randrange(steps)
            delay = chance.uniform(0.0, 0.2) if step else chance.uniform(0.5, 3.0)
            was_alive = kill_at(start(params, folder, out), out, step, delay)
            reached = steps_done(out)
            half_written = len(list((out / "memo").rglob("*.partial")))
            start(params, folder, out).join()
            same = hashes(out) == whole
            different += not same
            goes_on = "goes on from step" in (out / "said.txt").read_text()
            print(
                f"kill {number}: after step {reached}, {'killed' if was_alive else 'ended before'}, "
                f"{half_written} half-written files, goes on: {goes_on}, "
                f"adapter {hashes(out)[OUTPUTS[0]]}, {'all equal' if same else 'DIFFERENT'}",
                flush=True,
            )
            left = list((out / "memo/checkpoints").rglob("*.safetensors"))
            assert not left, left
    print(f"{kills - different} of {kills} ended with the bytes of the undisturbed run")
    return different


if __name__ == "__main__":
    kills_wanted = int(sys.argv[1]) if sys.argv[1:] else 10
    random_seed = int(sys.argv[2]) if sys.argv[2:] else 1
    steps_wanted = int(sys.argv[3]) if sys.argv[3:] else PARAMS.steps
    sys.exit(bool(main(kills_wanted, random_seed, steps_wanted)))
