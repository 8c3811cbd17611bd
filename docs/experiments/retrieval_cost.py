"""What does an answer cost: from the weights, from the records by words, from the index, and from a model that reads a record?

    PYTHONPATH=. python docs/experiments/retrieval_cost.py [--questions 100] [--index models/index]

It needs the outputs of the pipeline, and an index (`lore overlay docs/profiles/index.yaml`, `dvc repro index`). Each way is a
process of its own, on one thread. Questions are stated probes, drawn by seed, and asked one by one, as people ask. Their
vectors are not remembered. *Ready* is the CPU time until the first question can be asked, *a question* the CPU time of one.
Whether the answers are right is in `metrics/evaluate/retrieval.json`.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from stages.core.models import variants
from stages.core.project import artifacts
from stages.core.records import record
from stages.core.retrieval import finding
from stages.core.retrieval.finding import Records

WAYS = ("weights", "records by words", "index", "weights that read a record")
Answer = Callable[[str], object]


def main() -> None:
    """Measure one way, or start a process for each and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=100, help="number of questions")
    parser.add_argument(
        "--index", type=Path, default=Path(artifacts.INDEX), help="folder of the index"
    )
    parser.add_argument("--way", choices=WAYS, help="measure this one in this process")
    options = parser.parse_args()
    if options.way is not None:
        print(json.dumps(measure(options.way, options.questions, options.index)))
        return
    print("| answered by | ready, CPU s | a question, median / p95, CPU ms | peak memory, MB |")
    print("|---|---|---|---|")
    for way in WAYS:
        command = [sys.executable, __file__, "--way", way, "--index", str(options.index)]
        command += ["--questions", str(options.questions)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {way} | {found['ready']:.1f} | {found['median']:.2f} / {found['p95']:.2f} | {found['memory']:,.0f} |",
            flush=True,
        )


def measure(way: str, number: int, index: Path) -> dict[str, float]:
    """Return seconds, milliseconds and megabytes of a way."""
    questions = drawn_questions(number)
    before = time.process_time()
    answer = answerer(way, index)
    answer("What is the density of the first question?")  # loads what is loaded late
    ready = time.process_time() - before
    taken = []
    for question in questions:
        started = time.process_time()
        answer(question)
        taken.append(1000 * (time.process_time() - started))
    return {
        "ready": ready,
        "median": statistics.median(taken),
        "p95": statistics.quantiles(taken, n=20)[-1],
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def drawn_questions(number: int) -> list[str]:
    """Return stated probes, drawn by seed."""
    questions = []
    for row in record.read(Path(artifacts.TRAINING_RECORDS)):
        if row["split"] == "probe" and json.loads(row["meta"]).get("probe") == "stated":
            questions.append(row["question"])
    return random.Random(7).sample(questions, min(number, len(questions)))


def answerer(way: str, index: Path) -> Answer:
    """Return a function that answers a question in one way."""
    if way == "weights":
        return by_weights()
    records = known_records()
    if way == "records by words":
        return records.named
    if way == "index":
        return by_index(records, index)
    generate = by_weights()

    def read(question: str) -> object:
        found = records.named(question)
        text = found.rows[0]["text"] + ". " if found else ""
        return generate(text + question)

    return read


def known_records() -> Records:
    """Return the records, with the wordings that were trained."""
    wordings = []
    for row in record.read(Path(artifacts.TRAINING_RECORDS)):
        if row["split"] != "probe":
            wordings.append(row)
    return Records(record.read(Path(artifacts.CLEAN_RECORDS)), wordings)


def by_index(records: Records, folder: Path) -> Answer:
    """Return a function that finds the nearest record of the index."""
    opened, encoder = finding.opened(folder / "manifest.json", folder / "records.faiss", 1)
    encoder.remembers = False

    def nearest(question: str) -> object:
        return records.nearest(question, opened, encoder, 0.5)

    return nearest


def by_weights() -> Answer:
    """Return a function that asks the tuned model."""
    import torch

    from stages.core.models.causal_lm import generate, load_causal_lm
    from stages.core.models.conversation import prompt_text

    torch.set_num_threads(1)
    model, tokenizer = load_causal_lm(**variants.folders_here()["train"])

    def ask(question: str) -> object:
        return generate(model, tokenizer, [prompt_text(tokenizer, question)], 64, 1)[0]

    return ask


if __name__ == "__main__":
    main()
