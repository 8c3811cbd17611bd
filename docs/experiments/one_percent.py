"""One percent of the facts changes, three versions in a row: what does an update of the weights cost, and what does it lose?

    python docs/experiments/one_percent.py <folder> [--ways continue plain anew] [--steps 120] [--rehearse 0.05]
    python docs/experiments/one_percent.py --table

From the project's root, after `dvc repro`. Each way works in a clone of its own below the folder. In each of three
versions, 11 numbers of `data/raw/elements.sql` change, as a person would change them, and the pipeline runs up to
`train`: `extract`, `clean` and `augment` as they are, and the training in one of three ways:

- continue: `train.continue_from` the version before, with EWC, `--rehearse` of the rows about unchanged facts, and the
  base's own texts, in `--steps` steps
- plain: the same steps without EWC and without any replay
- anew: a fresh adapter with the steps of params.yaml, for the last version alone

All ways have the project's own model as their first version. `run.threads` is 1, and seconds are CPU seconds of the
stages `augment` and `train` with all that they need. Asked are all probes about changed facts, the probes of one in
six of the others, and general questions. Continuing, a version goes on from the version before, not from the first.
"""

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run

runtime.prepare(Run(threads=1))

import pandas as pd  # noqa: E402 - its threads must be set
from ruamel.yaml import YAML  # noqa: E402

from stages.core.models.causal_lm import generate, load_causal_lm  # noqa: E402
from stages.core.models.conversation import prompt_text  # noqa: E402
from stages.core.project import artifacts  # noqa: E402
from stages.evaluate.scores import is_right  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "one_percent.jsonl"
WAYS = ("continue", "plain", "anew")
RATE = 0.004
"""The peak rate of params.yaml."""
CHANGED = 11
"""Facts that change in a version: one percent."""
LINES = Path("data/raw/elements.sql")
ATTRIBUTES = ("melting point", "boiling point", "density", "molar mass")
GENERAL = 334
"""Questions about what the base knows."""
ONE_IN = 6


def main() -> None:
    """Make the versions in each way, and append the numbers to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--steps", type=int, default=120, help="steps of an update")
    parser.add_argument("--rehearse", type=float, default=0.05, help="share of the old rows")
    parser.add_argument("--rate", type=float, default=0.004, help="peak rate of an update")
    parser.add_argument("--versions", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="chooses what changes")
    parser.add_argument("--table", action="store_true", help="print what was measured, and end")
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    home = Path.cwd()
    for way in options.ways:
        clone = (options.folder / way).resolve()
        made_clone(home, clone)
        os.chdir(clone)
        for row in one_way(way, options):
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
        os.chdir(home)


def made_clone(home: Path, clone: Path) -> None:
    """Clone the project, with the cache of this one, and one thread."""
    subprocess.run(["git", "clone", "-q", str(home), str(clone)], check=True)
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    cache = subprocess.run(command, cwd=home, check=True, capture_output=True, text=True).stdout
    (clone / ".dvc/config.local").write_text(f"[cache]\n    dir = {cache.strip()}\n")
    (clone / "data/wordnet").symlink_to(
        (home / "data/wordnet").resolve()
    )  # `make setup` puts it there
    # Both commands are Python programs of this environment. One thread and two give equal bytes.
    for command in (["checkout", "-q"], ["commit", "-q", "-f"]):
        if command[0] == "commit":
            changed(clone, {"run": {"threads": 1}})
        dvc(clone, *command)
    git(clone, "commit", "-qam", "one thread")


def one_way(way: str, options: argparse.Namespace) -> Any:
    """Make the versions, and yield the numbers of each, the first one's as number 0."""
    clone = Path.cwd()
    draw = random.Random(options.seed)
    history: list[set[str]] = []
    key = {"way": way, "seed": options.seed, "steps": options.steps, "rehearse": options.rehearse}
    key["rate"] = options.rate
    for number in range(options.versions + 1):
        seconds = {"augment": 0.0, "train": 0.0}
        if number:
            history.append(edited(draw, set().union(*history)))
            if way == "anew" and number < options.versions:
                continue  # a training anew owes nothing to the one before
            commit = git(clone, "rev-parse", "HEAD")
            changed(clone, {"train": settings(way, commit, options)})
            for stage in seconds:
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                dvc(clone, "repro", "-q", stage)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                seconds[stage] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            git(clone, "commit", "-qam", f"version {number}")
        yield key | {"version": number, "seconds": seconds, **measured(history)}


def settings(way: str, commit: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the keys of `train` for an update that goes on from a commit."""
    if way == "anew":
        return {}
    how: dict[str, Any] = {
        "continue_from": commit,
        "steps": options.steps,
        "eval_every": options.steps,
        "warmup": options.steps // 10,
        "update": {"epochs": None, "rate": options.rate / RATE, "rehearse_share": options.rehearse},
    }
    if way == "plain":
        how["update"]["rehearse_share"] = 0.0
        how["replay_share"] = 0.0
        how["ewc"] = {"weight": 0, "rows": 2560, "damping": 0.1, "widest": 2048}
    return how


def edited(draw: random.Random, before: set[str]) -> set[str]:
    """Change the values of some facts in the SQL file. Returns the facts, none of `before`."""
    records = pd.read_parquet(Path(artifacts.CLEAN) / "records.parquet")
    stated = Counter(records["fact"].dropna())
    lines = LINES.read_text(encoding="utf-8").splitlines(keepends=True)
    place = {}
    for number, line in enumerate(lines):
        found = re.match(r"INSERT INTO properties VALUES \((\d+),", line)
        if found:
            place[f"elements.sql#properties/{found[1]}"] = number
    possible = records[
        (records["source"] == "elements")
        & records["attribute"].isin(ATTRIBUTES)
        & records["locator"].isin(list(place))
        & ~records["fact"].isin(before)
    ]
    alone = [row for row in possible.to_dict("records") if stated[row["fact"]] == 1]
    chosen = draw.sample(sorted(alone, key=lambda row: str(row["id"])), CHANGED)
    for row in chosen:
        number = place[row["locator"]]
        lines[number] = lower(lines[number])
    LINES.write_text("".join(lines), encoding="utf-8")
    return {row["fact"] for row in chosen}


def lower(line: str) -> str:
    """Return the line of the SQL file with a value that is 7 % nearer to zero, and one step off in the last digit."""
    found = re.search(r"point', '|density', '|mass', '", line)
    assert found is not None, line
    rest = line[found.end() :]
    text = rest[: rest.index("'")]
    digits = len(text.partition(".")[2])
    value = float(text.replace(",", "")) * 0.93 + 10.0**-digits
    return line[: found.end()] + f"{value:.{digits}f}" + rest[len(text) :]


def measured(history: list[set[str]]) -> dict[str, Any]:
    """Ask the model about what changed in each version, about the others, and about what the base knows."""
    model, tokenizer = load_causal_lm(
        Path(artifacts.BASE) / "model", Path(artifacts.TRAIN) / "adapter", merge=True
    )
    rows = pd.read_parquet(Path(artifacts.AUGMENT) / "records.parquet")
    probes = rows[rows["split"] == "probe"].to_dict("records")
    probes = [row for row in probes if json.loads(row["meta"])["probe"] == "stated"]
    every = set().union(*history)
    groups = {
        f"changed {number + 1}": [row for row in probes if row["fact"] in facts]
        for number, facts in enumerate(history)
    }
    groups["others"] = [
        row for row in probes if row["fact"] not in every and int(row["fact"], 16) % ONE_IN == 0
    ]
    result: dict[str, Any] = {}
    for name, asked in groups.items():
        prompts = [prompt_text(tokenizer, row["question"]) for row in asked]
        said = generate(model, tokenizer, prompts, 64, 64)
        right = [
            is_right(text, json.loads(row["meta"])["accepted"])
            for text, row in zip(said, asked, strict=True)
        ]
        result[name] = [sum(right), len(right)]
    skill = [
        json.loads(line) for line in (Path(artifacts.BASE) / "skill.jsonl").read_text().splitlines()
    ]
    chosen = random.Random(0).sample(skill, min(GENERAL, len(skill)))
    prompts = [prompt_text(tokenizer, row["question"]) for row in chosen]
    said = generate(model, tokenizer, prompts, 64, 64)
    right = [text.strip() == row["answer"].strip() for text, row in zip(said, chosen, strict=True)]
    result["general"] = [sum(right), len(right)]
    return result


def changed(clone: Path, sections: dict[str, dict[str, Any]]) -> None:
    """Write settings into params.yaml, whose comments stay."""
    yaml = YAML()
    yaml.width = 200
    file = clone / "params.yaml"
    document = yaml.load(file.read_text(encoding="utf-8"))
    for name, values in sections.items():
        document[name].update(values)
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(document, stream)


def dvc(clone: Path, *arguments: str) -> None:
    """Run a command of DVC in the clone. Raises CalledProcessError where it fails."""
    environment = os.environ | {"PYTHONPATH": str(clone), "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *arguments]
    subprocess.run(command, cwd=clone, env=environment, check=True)


def git(clone: Path, *arguments: str) -> str:
    """Run git in the clone and return what it prints."""
    return subprocess.run(
        ["git", *arguments], cwd=clone, check=True, capture_output=True, text=True
    ).stdout.strip()


def table() -> str:
    """Return what was measured as a Markdown table."""
    names = ["changed 1", "changed 2", "changed 3", "others", "general"]
    lines = [f"| way | steps | version | {' | '.join(names)} | CPU s of train |"]
    lines.append("|---" * (len(names) + 4) + "|")
    for line in RESULTS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        cells = []
        for name in names:
            right, number = row.get(name, (0, 0))
            cells.append(f"{right / number:.3f} ({right}/{number})" if number else "")
        train = row["seconds"]["train"]
        lines.append(
            f"| {row['way']} | {row['steps']} | {row['version']} | {' | '.join(cells)} | {train:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
