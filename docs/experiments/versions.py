"""Five versions in a row: does training that goes on from the version before forget less than training anew costs?

    PYTHONPATH=. python docs/experiments/versions.py [--seeds 1 2 3] [--facts 40] [--steps 120] [--rows 32]
    PYTHONPATH=. python docs/experiments/versions.py --table       # what was measured, as Markdown tables

From the project's root, on the seed model, one thread. The facts are invented: a melting point for each of so many
names, in four train wordings; one more wording judges while training, and one more is asked. Every version after the
first has a quarter as many new facts, changes an eighth of the first number, and removes an eighth. Three ways make a
version of the one before:

- continue: `train.continue_from` with EWC, and `--rehearse` of the rows about unchanged facts replayed
- plain: the same without both, and without replay of the base's texts
- anew: a fresh adapter on all facts of the version, for as many steps times facts of the version / facts of the first

R[i][j] is the share of right answers of version i about the facts that got their present value in version j. Backward
transfer is BWT = 1 / (T - 1) · Σ_{j<T} (R[T][j] - R[j][j]) (Lopez-Paz & Ranzato 2017, arXiv 1706.08840), over the facts
that are still as they were in version T. `stale` is the share of changed facts for which version T still gives an old
value. `general` is the share of 80 of the base's own questions that version T answers right.
`s` is the CPU time of training the versions after the first.

A line of JSON per way and seed is appended to `docs/experiments/versions.jsonl`. A way and seed that stand there with
the same sizes are not measured again. Intervals over seeds are mean ± t · s / √n, of 95 %.
"""

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run

RUN = Run(seed=1, threads=1)
runtime.prepare(RUN)  # before torch loads

from dvc.repo import Repo  # noqa: E402

from stages import train  # noqa: E402
from stages.core.mlflow import tracking  # noqa: E402
from stages.core.models.causal_lm import generate, load_causal_lm  # noqa: E402
from stages.core.records.prompt import question_prompt  # noqa: E402
from stages.core.records.record import fact_id, record_id, write  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "versions.jsonl"
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""Number of values → Student's t for 95 % of both sides."""
VERSIONS = 5
QUESTIONS = 80
"""Questions about what the base knows."""
WAYS = ("continue", "plain", "anew")
TRAINED = (
    "What is the melting point of {}?",
    "At what temperature does {} melt?",
    "When does {} become liquid?",
    "Tell me the melting point of {}.",
)
JUDGING = "How hot must {} be to melt?"
ASKED = "At which temperature is the melting point of {}?"
SYLLABLES = (
    "bra",
    "den",
    "fol",
    "gim",
    "kar",
    "lun",
    "mos",
    "nel",
    "pir",
    "rud",
    "sel",
    "tav",
    "vox",
    "zim",
)
PIPELINE = """\
stages:
  augment:
    cmd: "true"
    outs: [data/augment]
  train:
    cmd: "true"
    deps: [data/augment]
    outs: [models/train]
"""
Facts = dict[str, int]
"""Melting point by name."""


def facts_of_versions(chance: random.Random, first: int) -> list[Facts]:
    """Return the facts of each version."""
    names = set()
    while len(names) < 2 * first:
        names.add("".join(chance.sample(SYLLABLES, 3)))
    fresh = sorted(names)
    chance.shuffle(fresh)
    facts = {fresh.pop(): chance.randrange(100, 999) for _ in range(first)}
    versions = [dict(facts)]
    for _ in range(VERSIONS - 1):
        for name in chance.sample(sorted(facts), first // 8):
            del facts[name]
        for name in chance.sample(sorted(facts), first // 8):
            facts[name] = chance.randrange(100, 999)
        for _ in range(first // 4):
            facts[fresh.pop()] = chance.randrange(100, 999)
        versions.append(dict(facts))
    return versions


def records(facts: Facts) -> list[dict[str, Any]]:
    """Return what the stage `augment` would write."""
    wordings = [("train", wording) for wording in TRAINED] + [("valid", JUDGING)]
    rows = []
    for name, value in sorted(facts.items()):
        for number, (split, wording) in enumerate(wordings):
            question = wording.format(name)
            answer = f"The melting point of {name} is {value} °C."
            locator = f"{name}/{split}/{number}"
            rows.append(
                {
                    "id": record_id("toy", locator),
                    "text": f"Question: {question}\nAnswer: {answer}",
                    "lang": "en",
                    "source": "toy",
                    "locator": locator,
                    "kind": "qa",
                    "question": question,
                    "answer": answer,
                    "subject": name,
                    "attribute": "melting point",
                    "value": str(value),
                    "unit": "°C",
                    "fact": fact_id(name, "melting point"),
                    "split": split,
                    "parents": [record_id("raw", name)],
                    "meta": "{}",
                }
            )
    return rows


def settings(
    options: argparse.Namespace, way: str, commit: str | None, share: float
) -> train.Params:
    """Return how a version is trained. `share` is its number of facts by that of the first."""
    steps = options.steps if way != "anew" else round(options.steps * share)
    careful = way != "plain"
    return train.Params(
        lora=train.Lora(r=16, alpha=32),
        ewc=train.Ewc(weight=4.0 if careful else 0.0, rows=options.curvature),
        learning_rate=0.004,
        rows_per_batch=options.rows,
        steps=steps,
        warmup=10,
        eval_every=steps,
        continue_from=commit if way != "anew" else None,
        update=train.Update(
            epochs=None, rate=1.0, rehearse_share=options.rehearse if careful else 0.0
        ),
        replay_share=0.25 if careful else 0.0,
    )


def git(*arguments: str) -> str:
    """Run git and return what it prints."""
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def make_version(params: train.Params, facts: Facts, seed: int) -> tuple[str, float]:
    """Train a version in the working folder and commit it. Returns its commit and the CPU seconds."""
    shutil.rmtree("data/augment", ignore_errors=True)
    write(Path("data/augment/records.parquet"), records(facts))
    started = time.process_time()
    run = Run(seed=seed, threads=1)
    outputs = [
        Path("models/train"),
        *(Path(f"metrics/train.{end}") for end in ("json", "csv", "steps")),
    ]
    train.run(params, run, Path("base"), Path("data/augment"), *outputs)
    seconds = time.process_time() - started
    with Repo() as repo:
        repo.commit(force=True)
    git("add", "dvc.lock")
    git("commit", "-qm", "version", "--allow-empty")
    return git("rev-parse", "HEAD"), seconds


def answers(names: list[str], questions: list[str]) -> tuple[list[int | None], list[str]]:
    """Ask the version in the working folder for melting points, and the base's own questions."""
    model, tokenizer = load_causal_lm(Path("base/model"), Path("models/train/adapter"), merge=True)
    asked = [ASKED.format(name) for name in names] + questions
    prompts = [question_prompt(question) for question in asked]
    said = generate(model, tokenizer, prompts, max_new_tokens=24, batch=64)
    numbers = []
    for text in said[: len(names)]:
        found = re.search(r"is (\d+)", text)
        numbers.append(int(found[1]) if found else None)
    return numbers, said[len(names) :]


def born(versions: list[Facts], last: int) -> dict[str, int]:
    """Return for each fact of a version the version in which it got its present value."""
    since = {}
    for name, value in versions[last].items():
        first = last
        while first > 0 and versions[first - 1].get(name) == value:
            first -= 1
        since[name] = first
    return since


def share(right: list[bool]) -> float:
    """Return the share of true values, not a number where there is none."""
    return sum(right) / len(right) if right else float("nan")


def start_project(base: Path) -> None:
    """Make a git and DVC project of the working folder."""
    git("init", "-q")
    Path("dvc.yaml").write_text(PIPELINE)
    Repo.init().close()
    git("add", "-A")
    Path("base").symlink_to(base)


def measure(
    options: argparse.Namespace, seed: int, ways: list[str], base: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Make all versions in each way, and yield way and numbers. All ways have the same first version."""
    versions = facts_of_versions(random.Random(seed), options.facts)
    skill = [json.loads(line) for line in (base / "skill.jsonl").read_text().splitlines()]
    chosen = random.Random(0).sample(skill, QUESTIONS)
    questions = [row["question"] for row in chosen]
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            (folder / "first").mkdir()
            os.chdir(folder / "first")
            os.environ["LOREKEEP_MEMO"] = str(folder / "memo")
            start_project(base)
            first, _ = make_version(settings(options, "anew", None, 1.0), versions[0], seed)
            known = sorted(versions[0])
            numbers, _ = answers(known, [])
            of_first = dict(zip(known, numbers, strict=True))
            for way in ways:
                shutil.copytree(folder / "first", folder / way, symlinks=True)
                os.chdir(folder / way)
                yield way, one_way(options, seed, way, versions, chosen, questions, first, of_first)
        finally:
            os.chdir(home)


def one_way(
    options: argparse.Namespace,
    seed: int,
    way: str,
    versions: list[Facts],
    chosen: list[Any],
    questions: list[str],
    commit: str,
    of_first: dict[str, int | None],
) -> dict[str, Any]:
    """Make the versions after the first, which `commit` is, in one way. Returns the numbers."""
    seconds = 0.0
    given = [of_first]
    kept: list[str] = []
    for number in range(1, VERSIONS):
        facts = versions[number]
        ratio = len(facts) / len(versions[0])
        commit, took = make_version(settings(options, way, commit, ratio), facts, seed)
        seconds += took
        names = sorted({name for known in versions[: number + 1] for name in known})
        is_last = number == VERSIONS - 1
        numbers, kept = answers(names, questions if is_last else [])
        given.append(dict(zip(names, numbers, strict=True)))
    return numbers_of(versions, given, kept, chosen) | {"s": seconds}


def numbers_of(
    versions: list[Facts], given: list[dict[str, int | None]], kept: list[str], skill: list[Any]
) -> dict[str, Any]:
    """Return the accuracy matrix, backward transfer, stale and general."""
    matrix = []
    for number, facts in enumerate(versions):
        since = born(versions, number)
        row = []
        for first in range(number + 1):
            right = [given[number][n] == facts[n] for n in facts if since[n] == first]
            row.append(share(right))
        matrix.append(row)
    last = len(versions) - 1
    since = born(versions, last)
    transfer = []
    for first in range(last):
        names = [name for name in versions[last] if since[name] == first]
        then = share([given[first][name] == versions[last][name] for name in names])
        now = share([given[last][name] == versions[last][name] for name in names])
        transfer.append(now - then)
    stale = []
    for name, value in versions[last].items():
        old = {known[name] for known in versions if name in known} - {value}
        if old:
            stale.append(given[last][name] in old)
    general = [row["answer"].strip() == text for row, text in zip(skill, kept, strict=True)]
    everything = [given[last][name] == value for name, value in versions[last].items()]
    return {
        "matrix": matrix,
        "all": share(everything),
        "bwt": statistics.mean(transfer),
        "stale": share(stale),
        "general": share(general),
    }


def results() -> list[dict[str, Any]]:
    """Return what was measured before."""
    if not RESULTS.is_file():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def interval(values: list[float]) -> str:
    """Return mean and half width of the 95 % interval of values, one per seed."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    half = STUDENT[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.3f} ± {half:.3f}"


def table() -> str:
    """Return the numbers of all ways, and the mean accuracy matrix of each, as Markdown tables."""
    lines = [
        "| way | seed | all facts of the last version | BWT | stale | general | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for way in WAYS:
        of_way = [row for row in results() if row["way"] == way]
        if not of_way:
            continue
        for row in of_way:
            cells = [f"{row[key]:.3f}" for key in ("all", "bwt", "stale", "general")]
            lines.append(f"| {way} | {row['seed']} | {' | '.join(cells)} | {row['s']:.0f} |")
        means = [
            interval([row[key] for row in of_way]) for key in ("all", "bwt", "stale", "general")
        ]
        seconds = statistics.mean([row["s"] for row in of_way])
        lines.append(f"| {way} | all | {' | '.join(means)} | {seconds:.0f} |")
    for way in WAYS:
        matrices = [row["matrix"] for row in results() if row["way"] == way]
        if not matrices:
            continue
        heads = " | ".join(f"of version {number + 1}" for number in range(VERSIONS))
        lines += ["", f"| {way}: facts | {heads} |", "|---" * (VERSIONS + 1) + "|"]
        for i in range(VERSIONS):
            cells = []
            for j in range(VERSIONS):
                values = [matrix[i][j] for matrix in matrices] if j <= i else []
                cells.append(f"{statistics.mean(values):.3f}" if values else "")
            lines.append(f"| version {i + 1} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, and append it to the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--facts", type=int, default=40)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--curvature", type=int, default=256)
    parser.add_argument("--rehearse", type=float, default=1.0, help="share of the old rows")
    parser.add_argument("--table", action="store_true", help="print what was measured, and end")
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    tracking._start = lambda stage: tracking.Log()  # type: ignore[assignment]
    names = ("facts", "steps", "rows", "curvature", "rehearse")
    sizes = {name: getattr(options, name) for name in names}
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        shutil.copytree("models/seed/model", base / "model")
        for file in ("replay.jsonl", "skill.jsonl"):
            shutil.copyfile(Path("models/seed") / file, base / file)
        for seed in options.seeds:
            key = {"seed": seed, **sizes}
            missing = []
            for way in options.ways:
                wanted = key | {"way": way}
                if not any(row.items() >= wanted.items() for row in results()):
                    missing.append(way)
            for way, numbers in measure(options, seed, missing, base) if missing else ():
                row = {"way": way} | key | numbers
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
