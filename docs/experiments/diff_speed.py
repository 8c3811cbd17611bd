"""How long does `lore diff` take on large versions, against reading their tables alone?

    PYTHONPATH=. python docs/experiments/diff_speed.py <number of facts> <result.json>

From the project's root. Makes a git and DVC project with two versions of that many facts and five variants each, one fact in
a hundred changed, added and removed, one in twenty moved, one answer in ten wrong. Then, five times in turn, in one process: read
all four tables into pandas as they are; compare the versions. At last the command, in a process of its own, with its peak memory.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lore.comparison import difference, facts
from lore.versions.version import revision
from stages.core.models.variants import NAMES
from stages.core.records.record import SCHEMA
from tests.lore.knowledge import Project, scores

ROOT = Path(__file__).parents[2]
ROUNDS = 5


def records(numbers: np.ndarray, values: np.ndarray, lines: np.ndarray) -> pa.Table:
    """Facts as clean writes them, ten attributes a subject."""
    rows = {
        "id": [f"{number:016x}" for number in numbers],
        "text": [
            f"substance {number // 10}: property {number % 10} {value} °C"
            for number, value in zip(numbers, values, strict=True)
        ],
        "lang": ["en"] * len(numbers),
        "source": ["elements"] * len(numbers),
        "locator": [f"elements.csv#L{line}" for line in lines],
        "kind": ["fact"] * len(numbers),
        "subject": [f"substance {number // 10}" for number in numbers],
        "attribute": [f"property {number % 10}" for number in numbers],
        "value": [str(value) for value in values],
        "unit": ["°C"] * len(numbers),
        "fact": [f"{number * 2654435761 % 2**64:016x}" for number in numbers.tolist()],
        "parents": [[] for _ in numbers],
        "meta": ["{}"] * len(numbers),
    }
    return pa.table(
        {
            field.name: pa.array(rows.get(field.name, [None] * len(numbers)), field.type)
            for field in SCHEMA
        }
    )


def answers(table: pa.Table, rng: np.random.Generator) -> pd.DataFrame:
    """One row per fact and variant, as evaluate writes them."""
    frame = table.select(["fact", "subject", "attribute", "value", "unit"]).to_pandas()
    parts = []
    for variant in NAMES:
        right = rng.random(len(frame)) < 0.9
        expected = frame["value"] + " " + frame["unit"]
        sentence = "The " + frame["attribute"] + " of " + frame["subject"] + " is "
        part = frame[["fact", "subject", "attribute"]].assign(
            variant=variant,
            question="What is the " + frame["attribute"] + " of " + frame["subject"] + "?",
            expected=expected,
            answer=sentence + expected.where(right, "0 °C") + ".",
            correct=right,
        )
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def make(project: Project, tag: str, table: pa.Table, rng: np.random.Generator) -> None:
    """Commit a version."""
    for folder in ("data/clean", "data/evaluate", "metrics"):
        (project.root / folder).mkdir(parents=True, exist_ok=True)
    pq.write_table(table, project.root / facts.RECORDS, compression="zstd")
    judged = answers(table, rng)
    judged.to_parquet(project.root / facts.ANSWERS, index=False, compression="zstd")
    (project.root / difference.METRICS).write_text(
        json.dumps(scores(judged.to_dict("records"), (450, 500)))
    )
    project.lock({"clean": ["data/clean"], "evaluate": ["data/evaluate", difference.METRICS]})
    project.commit(tag)


def seconds(work: Callable[[], object]) -> np.ndarray:
    """How long it takes, and how much processor time of this process, all threads together."""
    start = np.array([time.perf_counter(), time.process_time()])
    work()
    return np.array([time.perf_counter(), time.process_time()]) - start


def measure(number: int) -> dict[str, float]:
    """Make the versions and measure."""
    rng = np.random.default_rng(20260701)
    share = number // 100
    numbers, values = np.arange(number), rng.integers(0, 4000, number)
    with tempfile.TemporaryDirectory() as scratch:
        project = Project(Path(scratch) / "project")
        make(project, "a", records(numbers, values, numbers), rng)
        older = {
            name: (project.root / name).read_bytes() for name in (facts.RECORDS, facts.ANSWERS)
        }
        moved = np.where(numbers % 20 == 7, numbers + number, numbers)
        values[:share] += 1
        others = np.concatenate([numbers[: number - share], numbers[number - share :] + number])
        make(project, "b", records(others, values, moved), rng)
        tables = [pa.BufferReader(content) for content in older.values()]
        tables += [pa.BufferReader((project.root / name).read_bytes()) for name in older]
        with chdir(project.root):
            read, compared = [], []
            for _ in range(ROUNDS):
                read.append(seconds(lambda: [pq.read_table(table).to_pandas() for table in tables]))
                compared.append(
                    seconds(lambda: difference.compare(revision("a"), revision("b"), "train"))
                )
            command = [sys.executable, "-m", "lore", "diff", "a", "b"]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            whole = seconds(
                lambda: subprocess.run(command, env=environment, check=True, capture_output=True)
            )[0]
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
    (read_s, read_cpu_s), (compare_s, compare_cpu_s) = (
        np.median(read, axis=0),
        np.median(compared, axis=0),
    )
    return {
        "facts": number,
        "read_s": round(read_s, 2),
        "compare_s": round(compare_s, 2),
        "ratio": round(compare_s / read_s, 2),
        "read_cpu_s": round(read_cpu_s, 2),
        "compare_cpu_s": round(compare_cpu_s, 2),
        "ratio_cpu": round(compare_cpu_s / read_cpu_s, 2),
        "command_s": round(whole, 2),
        "command_peak_mib": round(children.ru_maxrss / 1024),
    }


def main(number: int, result: Path) -> None:
    """Measure, print and write."""
    found = measure(number)
    print(json.dumps(found, indent=2))
    result.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
