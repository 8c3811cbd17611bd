"""What does each means of `augment` buy? Trains with it on and off, over several seeds: one line of JSON per run.

    make ablation                                                  # what is missing, then the table
    python docs/experiments/ablation.py run [--means …] [--seeds …] [--seconds N]
    python docs/experiments/ablation.py table

From the project's root, after `dvc repro` has made `base` and `clean` (or name their folders). A run that stands
in the results already is not repeated, so a killed series goes on where it stopped.

The size is small and stated in every line: one fact in `--every` (drawn by a hash of its id, the same for all
runs), `--steps` optimizer steps of 64 rows, one thread. All other settings are those of params.yaml. The learning
curve is measured on probe wordings, which are never trained, every `--probe-every` steps, with `ASKED` of the
wordings of each fact. The score at the end asks all of them.

`steps to 80 %` is the first measured step at which 80 % of those probes are answered right. A run that never
gets there says so. `skill` are the base's own questions, of which it answered `base_skill` before training.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run, load, read_section

HERE = Path(__file__).parent
RESULTS = HERE / "ablation.jsonl"
RECALL = 0.8
"""Share of right answers that counts as learned."""
ASKED = 1
"""Probe wordings per fact on the learning curve."""
GENERAL = 300
"""Most questions about what the base knew."""
MEANS: dict[str, dict[str, Any]] = {
    # Plain statements alone: what the guide calls "without augmentation".
    "none": {"questions": 0, "readings": 0, "synonyms": 0, "masked_share": 0.0},
    # The wordings that a person wrote, alone.
    "wordings": {"readings": 0, "synonyms": 0, "masked_share": 0.0},
    "wordings + synonyms": {"readings": 0, "masked_share": 0.0},
    "wordings + random words": {"readings": 0, "synonyms": 0},
    "wordings + readings": {"synonyms": 0, "masked_share": 0.0},
    # params.yaml as it is, and without one of its means each.
    "all": {},
    "all - synonyms": {"synonyms": 0},
    "all - random words": {"masked_share": 0.0},
    "all - readings": {"readings": 0},
    # Synonyms in context in place of the base forms alone.
    "all, synonyms in context": {"synonym_rule": "in_context"},
}
"""Name → settings of `augment` that differ from params.yaml."""


def main() -> None:
    """Run what is missing, or print the table."""
    options = arguments()
    if options.verb == "table":
        print(table(results(options.results)))
        return
    settings = dataclasses.replace(read_section("run", Run), threads=1)
    runtime.prepare(settings)
    began = time.monotonic()
    # Seeds outside, so that an early end leaves whole comparisons of the first seeds.
    for seed in options.seeds:
        for name in options.means:
            if time.monotonic() - began > options.seconds:
                print("ablation: the time is up; the same command goes on from here")
                return
            done = {identity(row) for row in results(options.results)}
            size = [options.every, options.steps]
            if (name, seed, *size) in done:
                continue
            row = measured(name, dataclasses.replace(settings, seed=seed), options)
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            print(json.dumps(row, ensure_ascii=False), flush=True)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("verb", choices=["run", "table"])
    parser.add_argument("--means", nargs="+", choices=list(MEANS), default=list(MEANS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--every", type=int, default=6, help="one fact in so many (1: all)")
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--probe-every", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no run later")
    parser.add_argument("--clean", type=Path, default=Path("data/clean"))
    parser.add_argument("--base", type=Path, default=Path("models/base"))
    parser.add_argument("--wordnet", type=Path, default=Path("data/wordnet"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def results(path: Path) -> list[dict[str, Any]]:
    """Return the runs so far."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def identity(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what tells two runs apart."""
    return row["means"], row["seed"], row["every"], row["steps"]


def measured(name: str, run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """Augment, train and ask once; return the line of the results."""
    with tempfile.TemporaryDirectory(prefix="lorekeep-ablation-") as temporary:
        folder = Path(temporary)
        made = augmented(name, run, options, folder)
        trained = trained_and_asked(run, options, folder)
    row = {"means": name, "seed": run.seed, "every": options.every, "steps": options.steps}
    return row | made | trained


def augmented(
    name: str, run: Run, options: argparse.Namespace, folder: Path
) -> dict[str, int | float]:
    """Write the training texts of the drawn facts into `folder`; return their numbers."""
    from stages import augment
    from stages.core.records import record
    from stages.core.repeatable.seeding import derive

    params, _ = load("augment", augment.Params)
    params = dataclasses.replace(params, **MEANS[name])
    records = []
    for row in record.read(options.clean / "records.parquet"):
        # The seed 0 in place of that of the run: all runs learn the same facts.
        drawn = derive(0, "ablation", row["fact"] or row["id"]) % options.every == 0
        if drawn:
            records.append(row)
    (folder / "clean").mkdir()
    record.write(folder / "clean" / "records.parquet", records)
    record.write(folder / "pictures" / "records.parquet", [])
    began = time.process_time()
    augment.run(
        params,
        run,
        folder / "clean",
        folder / "pictures",
        Path("data/raw/wordings.yaml"),
        options.wordnet,
        Path("data/teacher"),
        folder / "augment",
        folder / "augment.json",
    )
    seconds = time.process_time() - began
    report = json.loads((folder / "augment.json").read_text(encoding="utf-8"))
    return {
        "facts": report["facts"],
        "train_rows": report["splits"]["train"],
        # Beyond one text for each record that was there.
        "rows_added": report["splits"]["train"]
        - len({row["fact"] or row["id"] for row in records}),
        "augment_cpu_seconds": round(seconds, 1),
    }


def trained_and_asked(run: Run, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train by the stage's own trainer, and ask on the way and in the end."""
    from transformers import TrainerCallback

    from stages import train
    from stages.core.mlflow import tracking
    from stages.core.models import checkpoints
    from stages.core.records import record
    from stages.core.repeatable.seeding import derive, seed_torch

    params, _ = load("train", train.Params)
    params = dataclasses.replace(
        params,
        steps=options.steps,
        warmup=max(1, options.steps // 10),
        # The curve below takes the place of the stage's evaluations, and nothing stops early.
        eval_every=options.steps,
    )
    seed_torch(run.seed, run.threads)
    model, tokenizer = train.load_base(options.base / "model", run.device, None, "float32")
    rows = record.read(folder / "augment" / "records.parquet")
    probes = [row for row in rows if row["split"] == "probe"]
    stated = [row for row in probes if json.loads(row["meta"])["probe"] == "stated"]
    on_the_way = some_of_each_fact(stated, ASKED)
    own = own_questions(options.base)
    base_skill = right(model, tokenizer, own)

    adapted = train.add_adapter(model, params.lora, derive(run.seed, "adapter"))
    curve: list[tuple[int, float]] = []

    class Probing(TrainerCallback):  # type: ignore[misc]
        """Asks the probes every so many steps."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Ask, and go back to training."""
            if state.global_step % options.probe_every == 0:
                adapted.eval()
                curve.append((state.global_step, right(adapted, tokenizer, on_the_way)))
                adapted.train()

    store = checkpoints.Store("ablation", f"{run.seed:032x}")
    with checkpoints.scratch("ablation") as scratch:
        trainer, _, _ = train.make_trainer(
            params,
            run,
            adapted,
            tokenizer,
            options.base,
            folder / "augment",
            scratch,
            store,
            None,
            tracking.Log(),
        )
        store.clear()  # nothing of another run
        trainer.add_callback(Probing())
        began = time.process_time()
        trainer.train()
        seconds = time.process_time() - began
        store.clear()
    adapted.eval()
    reached = [step for step, share in curve if share >= RECALL]
    return {
        "probes": right(adapted, tokenizer, stated),
        "asked": len(stated),
        "skill": right(adapted, tokenizer, own),
        "base_skill": base_skill,
        "steps_to_80": reached[0] if reached else None,
        "curve": curve,
        "train_cpu_seconds": round(seconds),
    }


def some_of_each_fact(probes: list[dict[str, Any]], wanted: int) -> list[dict[str, Any]]:
    """Return so many probes of each fact: those with the smallest ids, which are hashes."""
    by_fact: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(probes, key=lambda row: row["id"]):
        by_fact.setdefault(row["fact"], []).append(row)
    chosen = []
    for group in by_fact.values():
        chosen += group[:wanted]
    return chosen


def own_questions(base: Path) -> list[dict[str, Any]]:
    """Return questions about what the base knew that are not replayed in training."""
    lines = (base / "skill.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    fresh = [row for row in rows if not row["replayed"]]
    return fresh[:GENERAL]


def right(model: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> float:
    """Return the share of questions that a model answers right, greedily."""
    from stages.core.models.causal_lm import generate
    from stages.core.records.prompt import question_prompt
    from stages.evaluate.scores import is_right

    side = tokenizer.padding_side
    tokenizer.padding_side = "left"
    prompts = [question_prompt(row["question"]) for row in rows]
    answers = generate(model, tokenizer, prompts, 48, 256)
    tokenizer.padding_side = side
    hits = 0
    for row, answer in zip(rows, answers, strict=True):
        accepted = [row["answer"]]
        if row.get("meta"):
            accepted = json.loads(row["meta"])["accepted"]
        hits += is_right(answer, accepted)
    return round(hits / len(rows), 4)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the runs as Markdown tables: for each size, mean and range over the seeds."""
    lines = []
    sizes = sorted({(row["every"], row["steps"]) for row in rows})
    for every, steps in sizes:
        here = [row for row in rows if (row["every"], row["steps"]) == (every, steps)]
        facts = sorted({row["facts"] for row in here})
        lines.append(f"One fact in {every} ({facts[0]:,} facts), {steps} steps:")
        lines.append("")
        lines.append(
            "| means | seeds | records added | probes | steps to 80 % | skill kept | CPU s |"
        )
        lines.append("|---|---|---|---|---|---|---|")
        for name in MEANS:
            group = [row for row in here if row["means"] == name]
            if group:
                lines.append(table_row(name, group))
        lines.append("")
    return "\n".join(lines)


def table_row(name: str, group: list[dict[str, Any]]) -> str:
    """Return one line of the table."""
    added = average([row["rows_added"] for row in group])
    steps = []
    for row in group:
        reached = row["steps_to_80"]
        steps.append("never" if reached is None else str(reached))
    skill = [row["skill"] / row["base_skill"] for row in group]
    seconds = average([row["augment_cpu_seconds"] + row["train_cpu_seconds"] for row in group])
    cells = [
        name,
        str(len(group)),
        f"{added:,.0f}",
        spread([row["probes"] for row in group]),
        ", ".join(steps),
        spread(skill),
        f"{seconds:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def average(numbers: list[float]) -> float:
    """Return the mean."""
    return sum(numbers) / len(numbers)


def spread(numbers: list[float]) -> str:
    """Return the mean, and lowest and highest where there are several: `0.71 (0.68–0.73)`."""
    mean = f"{average(numbers):.3f}"
    if len(numbers) == 1:
        return mean
    return f"{mean} ({min(numbers):.3f}–{max(numbers):.3f})"


if __name__ == "__main__":
    sys.exit(main())
