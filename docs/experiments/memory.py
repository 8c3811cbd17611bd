"""Does tuning take the memory that `lore plan --memory` foretells? The seed model, a few steps, a process for each setting.

    PYTHONPATH=. python docs/experiments/memory.py [--rows 64]

From the project's root, one thread. All rows are as long as `max_tokens`, so the estimate is no upper bound here but
the number itself. The measurement is the peak of the process. The estimate includes the libraries, which are measured
in the same process before the model is loaded.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run

RUN = Run(seed=1, threads=1)
runtime.prepare(RUN)  # before torch loads

from lore.planning import memory  # noqa: E402
from lore.planning.memory_table import GAPS  # noqa: E402
from stages import train  # noqa: E402
from stages.core.mlflow import tracking  # noqa: E402
from stages.core.records.record import record_id, write  # noqa: E402

SEED_MODEL = Path("models/seed/model")
GIB = 2**30
TEXT = " ".join(
    f"The melting point of element {number} is {7 * number} °C." for number in range(99)
)
"""A little longer than a row, so that it is split into windows of `max_tokens` tokens."""
SETTINGS: dict[str, dict[str, Any]] = {
    "as in params.yaml": {},
    "rows_per_device: 16": {"rows_per_device": 16},
    "rows_per_device: 4": {"rows_per_device": 4},
    "ewc.weight: 0": {"ewc": train.Ewc(weight=0)},
    "ewc.weight: 0, rows_per_device: 4": {"ewc": train.Ewc(weight=0), "rows_per_device": 4},
}


def main() -> None:
    """Print a line of a table for each setting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=64, help="rows of a step")
    parser.add_argument("--one", help="measure this setting in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.rows)))
        return
    print("| setting | estimated, GiB | measured, GiB | ratio |\n|---|---|---|---|")
    for name in SETTINGS:
        command = [sys.executable, __file__, "--rows", str(options.rows), "--one", name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        estimated, measured = json.loads(done.stdout.splitlines()[-1])
        ratio = estimated / measured
        print(
            f"| {name} | {estimated / GIB:.2f} | {measured / GIB:.2f} | {ratio:.2f} |", flush=True
        )


def measure(name: str, rows: int) -> tuple[int, int]:
    """Return the bytes that are estimated for a setting, and the peak of a run."""
    params = train.Params(rows_per_batch=rows, steps=3, eval_every=3, warmup=1, **SETTINGS[name])
    model = memory.model_of(SEED_MODEL, params.lora, params.ewc.widest)
    libraries = peak()
    settings = memory.Settings(
        rows=params.rows_per_device or rows,
        max_tokens=params.max_tokens,
        mixed=False,
        curvature_rows=train.rows_of_curvature(params) if params.ewc.weight else 0,
        gaps=GAPS,
    )
    need = memory.need(model, settings, memory.LORA, checkpointing=False, share="ddp")

    tracking._start = lambda stage: tracking.Log()  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        base, augment, out = (Path(folder) / part for part in ("base", "augment", "train"))
        shutil.copytree(SEED_MODEL, base / "model")
        texts = [json.dumps({"id": str(number), "text": TEXT}) for number in range(rows)]
        (base / "replay.jsonl").write_text("\n".join(texts) + "\n", encoding="utf-8")
        write(augment / "records.parquet", records(rows))
        files = [out.with_suffix(ending) for ending in (".json", ".csv", ".steps")]
        train.run(params, RUN, base, augment, out, *files)
    return need.total + libraries, peak()


def records(rows: int) -> list[dict[str, Any]]:
    """Return records as `augment` writes them: free texts to learn, and one to judge by."""
    found = []
    for number in range(rows + 1):
        locator = f"text {number}"
        found.append(
            {
                "id": record_id("long", locator),
                "text": TEXT,
                "lang": "en",
                "source": "long",
                "locator": locator,
                "kind": "statement",
                "split": "train" if number else "valid",
                "parents": [],
                "meta": "{}",
            }
        )
    return found


def peak() -> int:
    """Return the most bytes of main memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


if __name__ == "__main__":
    main()
