"""A gap that is found, filled and closed: 30 facts are removed, `lore gaps` proposes rows, a person fills them, the model learns.

    python docs/experiments/gap_loop.py <folder> [--weights]

From the project's root, after `dvc repro`. It works in a clone below the folder, with one thread.

1. 30 facts are removed at random from `data/raw/elements.sql` and `data/raw/uses.jsonl`, each the only record of its fact.
   Of these, `lore gaps` lists so many as missing (recall). Of what it lists now and did not list before, so many
   were removed (precision).
2. With `--weights` the model is trained without them, and asked about them in all probe wordings.
3. `lore gaps --branch` proposes rows. Its branch is merged, the values of the removed facts are filled in, all
   other proposed rows are deleted, and the table becomes a source. `lore gaps` is asked again.
4. With `--weights` the model goes on learning (`train.continue_from`), and is asked again.
"""

import argparse
import csv
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from one_percent import changed, dvc, git, made_clone

from stages.core.project import runtime
from stages.core.project.params import Run

runtime.prepare(Run(threads=1))

import pandas as pd  # noqa: E402 - its threads must be set

from stages.core.models.causal_lm import generate, load_causal_lm  # noqa: E402
from stages.core.models.conversation import prompt_text  # noqa: E402
from stages.core.project import artifacts  # noqa: E402
from stages.evaluate.scores import is_right  # noqa: E402

REMOVED = 30
ATTRIBUTES = ("melting point", "boiling point", "density", "use")
BRANCH = "gaps/loop"
SOURCE = {
    "kind": "csv",
    "name": "filled",
    "path": "filled.csv",
    "lang": "en",
    "map": {"subject": "subject", "attribute": "attribute", "value": "value", "unit": "unit"},
}
Row = dict[str, Any]


def main() -> None:
    """Remove, find, fill and learn, and print the numbers of each step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", action="store_true", help="train before and after, too")
    parser.add_argument("--seed", type=int, default=1, help="chooses what is removed")
    options = parser.parse_args()
    home = Path.cwd()
    clone = (options.folder / "loop").resolve()
    made_clone(home, clone)
    os.chdir(clone)

    before = missing()
    removed = remove(random.Random(options.seed))
    facts = {row["fact"] for row in removed}
    probes = probes_about(facts)
    dvc(clone, "repro", "-q", "clean")
    after = missing()
    found = {(row["subject"], row["attribute"]) for row in removed} & after
    new = after - before
    print(f"removed {len(removed)}; listed before {len(before)}, after {len(after)}")
    print(f"recall {len(found)} of {len(removed)}; precision {len(found & new)} of {len(new)}")
    missed = {(row["subject"], row["attribute"]) for row in removed} - after
    print("not found:", ", ".join(" · ".join(pair) for pair in sorted(missed)) or "none")
    print(
        "listed and not removed:",
        ", ".join(" · ".join(pair) for pair in sorted(new - found)) or "none",
    )
    if options.weights:
        dvc(clone, "repro", "-q", "train")
        print("model without them:", answered(probes))
    git(clone, "commit", "-qam", "without 30 facts")

    fill(clone, removed)
    if options.weights:
        changed(clone, {"train": {"continue_from": git(clone, "rev-parse", "HEAD~1")}})
        dvc(clone, "repro", "-q", "train")
        print("model after the loop:", answered(probes))
    else:
        dvc(clone, "repro", "-q", "clean")
    still = {(row["subject"], row["attribute"]) for row in removed} & missing()
    print(f"still listed as missing after filling: {len(still)}")


def missing() -> set[tuple[str, str]]:
    """Return subject and attribute of what `lore gaps` lists as missing."""
    printed = lore("gaps", "--json")
    return {(row["subject"], row["attribute"]) for row in json.loads(printed)["missing"]}


def lore(*arguments: str) -> str:
    """Run a command of lore here and return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-m", "lore", *arguments]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def remove(draw: random.Random) -> list[Row]:
    """Remove facts from the raw data. Returns their records."""
    records = pd.read_parquet(Path(artifacts.CLEAN) / "records.parquet")
    stated = Counter(records["fact"].dropna())
    possible = []
    for row in records.to_dict("records"):
        is_alone = row["fact"] and stated[row["fact"]] == 1
        if is_alone and row["source"] in ("elements", "uses") and row["attribute"] in ATTRIBUTES:
            possible.append(row)
    chosen = draw.sample(sorted(possible, key=lambda row: str(row["id"])), REMOVED)

    sql = Path("data/raw/elements.sql")
    numbers = {row["locator"].rpartition("/")[2] for row in chosen if row["source"] == "elements"}
    kept = []
    for line in sql.read_text(encoding="utf-8").splitlines(keepends=True):
        found = re.match(r"INSERT INTO properties VALUES \((\d+),", line)
        if not found or found[1] not in numbers:
            kept.append(line)
    sql.write_text("".join(kept), encoding="utf-8")

    uses = Path("data/raw/uses.jsonl")
    names = {row["subject"] for row in chosen if row["source"] == "uses"}
    lines = []
    for line in uses.read_text(encoding="utf-8").splitlines(keepends=True):
        if any(line.lower().startswith(f'{{"element": "{name}",') for name in names):
            lines.append(re.sub(r'"use": "[^"]*", ?', "", line))
        else:
            lines.append(line)  # some lines are broken on purpose, so nothing is parsed here
    uses.write_text("".join(lines), encoding="utf-8")
    return chosen


def fill(clone: Path, removed: list[Row]) -> None:
    """Merge the proposals, fill in the removed facts, and name the table as a source."""
    lore("gaps", "--branch", BRANCH)
    git(clone, "merge", "-q", "--no-edit", BRANCH)
    values = {(row["subject"], row["attribute"]): row for row in removed}
    table = clone / "proposals/rows.csv"
    with table.open(encoding="utf-8", newline="") as file:
        proposed = list(csv.DictReader(file))
    with (clone / "data/raw/filled.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, proposed[0].keys(), lineterminator="\n")
        writer.writeheader()
        for row in proposed:
            known = values.get((row["subject"], row["attribute"]))
            if known is not None:
                unit = (
                    known["unit"] if isinstance(known["unit"], str) else ""
                )  # pandas: NaN where there is none
                writer.writerow(row | {"value": known["value"], "unit": unit})
    git(clone, "rm", "-q", "-r", "proposals")
    git(clone, "add", "data/raw/filled.csv")
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 200
    file_of_params = clone / "params.yaml"
    document = yaml.load(file_of_params.read_text(encoding="utf-8"))
    document["extract"]["sources"].append(SOURCE)
    with file_of_params.open("w", encoding="utf-8") as stream:
        yaml.dump(document, stream)
    # `lore check` demands the new file among the dependencies.
    pipeline = clone / "dvc.yaml"
    first = "      - data/raw/discoveries.json\n"
    text = pipeline.read_text(encoding="utf-8")
    pipeline.write_text(
        text.replace(first, f"{first}      - data/raw/filled.csv\n", 1), encoding="utf-8"
    )


def probes_about(facts: set[str]) -> list[Row]:
    """Return the stated probes about facts, of the present training records."""
    rows = pd.read_parquet(artifacts.TRAINING_RECORDS)
    found = rows[(rows["split"] == "probe") & rows["fact"].isin(facts)].to_dict("records")
    return [row for row in found if json.loads(row["meta"])["probe"] == "stated"]


def answered(probes: list[Row]) -> str:
    """Return how many probes the tuned model answers right."""
    base, adapter = Path(artifacts.BASE) / "model", Path(artifacts.TRAIN) / "adapter"
    model, tokenizer = load_causal_lm(base, adapter, merge=True)
    said = generate(
        model, tokenizer, [prompt_text(tokenizer, row["question"]) for row in probes], 64, 64
    )
    right = 0
    for text, row in zip(said, probes, strict=True):
        right += is_right(text, json.loads(row["meta"])["accepted"])
    return f"{right} of {len(probes)} probes right"


if __name__ == "__main__":
    main()
