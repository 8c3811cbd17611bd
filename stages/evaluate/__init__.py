"""evaluate: every variant of the model on the same probes, one row per fact and variant.

In: the models of base, train, distill and quantize; the probes of augment; the base's own questions. Out:

- `facts.parquet` and `manifest.json` (the longest answer, which register serves with)
- `evaluate.json`: scores with 95 % intervals
- `attributes.csv`: exact match per attribute, and the score of always giving the most frequent value
- `survival.csv`: facts right, and the share of those right in train that are still right
- `pairs.json`: INT8 against float, paired by fact

The variants are those of `core/models/variants.py`. Scores lie in [0, 1] and are defined in `scores.py`.
`tasks.completion`: one task is one subject, done when all its facts are right. `general`: questions about
the base's own entities that were never replayed; `general_replayed`: those that were. `bytes`: the
safetensors that a variant needs, for train those of the merged float32 model.

Refused: probes that are missing, a model that cannot be loaded.
"""

import csv
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic.dataclasses import dataclass

from stages.core.mlflow import tracking
from stages.core.models import variants
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import prompt_text
from stages.core.project.errors import InputError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records.record import Record, read_records
from stages.core.repeatable.seeding import derive, seed_torch
from stages.evaluate import figures, scores
from stages.evaluate.scores import Score

Row = dict[str, Any]
NUMERIC = re.compile(r"[-\d.]+$")
"""A value that is a number: 1538, -248.6. It is no name."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """How answers are made and how much is asked."""

    max_new_tokens: int = 64
    """Longest answer in tokens."""
    batch: int = 128
    """Questions answered together. More is faster and takes more memory. Another number may change the
    last bits, and so, rarely, an answer."""
    general: int = 500
    """Most questions about the base's own entities, of each kind (never replayed, replayed). More takes
    longer and narrows the interval of the score."""


def run(
    params: Params,
    run: Run,
    base: Path,
    train: Path,
    distill: Path,
    quantize: Path,
    augment: Path,
    out: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Judge all variants."""
    seed_torch(run.seed, run.threads)
    records = read_records(augment / "records.parquet")
    probes = [row for row in records if row["split"] == "probe"]
    if not probes:
        raise InputError(f"{augment}: no probe; check the augment section of params.yaml")
    general = own_questions(base / "skill.jsonl", params.general, run.seed)
    entity = entities_of(probes)
    folders = variants.folders(base, train, distill, quantize)
    facts: list[Row] = []
    report: Row = {}
    with tracking.run("evaluate", params) as log:
        for variant in variants.present(folders):
            judged, report[variant] = judge(
                variant, folders[variant], probes, general, entity, params, run
            )
            facts += judged
            exact_match = report[variant]["probes"]["exact_match"]["value"]
            log.metric(f"{variant}.exact_match", exact_match)
        write_facts(facts, {"max_new_tokens": params.max_new_tokens}, out)
        write_json(metrics, report)
        write_plots(facts, plots, derive(run.seed, "pairs"))
        log.file(metrics)
        log.table(pd.read_parquet(out / "facts.parquet"), "facts.json")
        log.figure(figures.attributes(pd.read_csv(plots / "attributes.csv")), "attributes.png")
    show(report)


def own_questions(path: Path, most: int, seed: int) -> list[Row]:
    """Return up to `most` questions of each kind about the base's own entities, chosen by a hash of their id.

    The questions that were never replayed come first.
    """
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        rows.append(json.loads(line))
    rows.sort(key=lambda row: derive(seed, "general", row["id"]))
    never_replayed = [row for row in rows if not row["replayed"]]
    replayed = [row for row in rows if row["replayed"]]
    return never_replayed[:most] + replayed[:most]


def entities_of(probes: list[Record]) -> re.Pattern[str]:
    """Return the pattern of an entity, which knows the names and units of the probes."""
    names = []
    units = []
    for row in probes:
        for name in (row["subject"], row["value"]):
            if name and not NUMERIC.match(name):
                names.append(name)
        if row["unit"]:
            units.append(row["unit"])
    return scores.entity_pattern(names, units)


def judge(
    variant: str,
    model_folders: dict[str, Any],
    probes: list[Record],
    general: list[Row],
    entity: re.Pattern[str],
    params: Params,
    run: Run,
) -> tuple[list[Row], Row]:
    """Return one row per probe, and the scores of a variant.

    `model_folders` is what `load_causal_lm` takes: `folder`, and perhaps `adapter` and `merge`.
    """
    model, tokenizer = load_causal_lm(device=run.device, **model_folders)
    questions = [row["question"] or "" for row in probes]
    questions += [row["question"] for row in general]
    prompts = [prompt_text(tokenizer, question) for question in questions]
    answers = generate(model, tokenizer, prompts, params.max_new_tokens, params.batch)
    probe_answers = answers[: len(probes)]
    general_answers = answers[len(probes) :]

    facts = []
    sentences = []
    task_hits: defaultdict[str, list[bool]] = defaultdict(list)
    for probe, answer in zip(probes, probe_answers, strict=True):
        fact = fact_row(variant, probe, answer)
        facts.append(fact)
        sentences.append((fact["expected_sentence"], answer))
        task = fact["subject"] or fact["fact"] or fact["question"]
        task_hits[task].append(fact["correct"])

    hits_never_replayed: list[bool] = []
    hits_replayed: list[bool] = []
    for row, answer in zip(general, general_answers, strict=True):
        hits = hits_replayed if row["replayed"] else hits_never_replayed
        hits.append(scores.is_right(answer, [row["answer"]]))

    parameters = model.num_parameters()
    if "adapter" in model_folders:
        size = parameters * 4  # merged, in float32
    else:
        weights = model_folders["folder"].glob("*.safetensors")
        size = sum(path.stat().st_size for path in weights)
    report = {
        "probes": {
            "exact_match": scores.share([fact["correct"] for fact in facts]),
            **scores.texts(sentences, entity, derive(run.seed, "bootstrap")),
        },
        "tasks": {"completion": scores.share([all(hits) for hits in task_hits.values()])},
        "general": {"exact_match": scores.share(hits_never_replayed)},
        "general_replayed": {"exact_match": scores.share(hits_replayed)},
        "bytes": size,
        "parameters": parameters,
    }
    return facts, report


def fact_row(variant: str, probe: Record, answer: str) -> Row:
    """Return one row of facts.parquet, with the full sentence that was expected."""
    accepted = json.loads(probe["meta"])["accepted"]
    value_and_unit = [part for part in (probe["value"], probe["unit"]) if part]
    return {
        "fact": probe["fact"],
        "subject": probe["subject"],
        "attribute": probe["attribute"],
        "variant": variant,
        "question": probe["question"],
        "expected": " ".join(value_and_unit) or probe["answer"],
        "answer": answer,
        "correct": scores.is_right(answer, accepted),
        "expected_sentence": probe["answer"],
    }


def write_facts(facts: list[Row], manifest: Row, out: Path) -> None:
    """Write facts.parquet, one row per fact and variant, and how the answers were made."""
    table = pd.DataFrame(facts).drop(columns="expected_sentence")
    with replacing(out) as folder:
        folder.mkdir()
        table.to_parquet(folder / "facts.parquet", index=False, compression="zstd")
        write_json(folder / "manifest.json", manifest)


def write_plots(facts: list[Row], folder: Path, seed: int) -> None:
    """Write the tables for plots, and those that say which facts a variant lost."""
    hits: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    for row in facts:
        hits[row["variant"]][row["fact"] or row["question"]] = row["correct"]
    pairs = {}
    for variant in variants.VARIANTS:
        if variant.float_form is not None and variant.name in hits:
            pairs[variant.name] = pair(hits[variant.name], hits[variant.float_form], seed)
    with replacing(folder) as temporary:
        temporary.mkdir()
        write_csv(temporary / "attributes.csv", attribute_rows(facts))
        write_csv(temporary / "survival.csv", survival_rows(hits))
        write_json(temporary / "pairs.json", pairs)


def survival_rows(hits: dict[str, dict[str, bool]]) -> list[Row]:
    """Return per variant the facts that are right, and how many of those right in train are still right.

    `hits` says by variant and fact whether the answer is right.
    """
    right_in_train = {fact for fact, hit in hits["train"].items() if hit}
    rows = []
    for variant, judged in hits.items():
        right = {fact for fact, hit in judged.items() if hit}
        kept = len(right & right_in_train) / max(1, len(right_in_train))
        rows.append(
            {
                "variant": variant,
                "facts_right": len(right),
                "share": round(len(right) / len(judged), 4),
                "kept_of_train": round(kept, 4),
            }
        )
    return rows


def attribute_rows(facts: list[Row]) -> list[Row]:
    """Return exact match per variant and attribute, with the majority control.

    The control is the share of the most frequent value: the score of always giving that value.
    """
    groups: defaultdict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in facts:
        position = variants.NAMES.index(row["variant"])
        groups[position, row["attribute"] or "text"].append(row)
    lines = []
    for (position, attribute), rows in sorted(groups.items()):
        score = scores.share([row["correct"] for row in rows])
        expected = Counter(row["expected"] for row in rows)
        _, most_frequent = expected.most_common(1)[0]
        lines.append(
            {
                "variant": variants.NAMES[position],
                "attribute": attribute,
                "exact_match": score["value"],
                "low": score["low"],
                "high": score["high"],
                "n": score["n"],
                "control": round(most_frequent / len(rows), 4),
            }
        )
    return lines


def pair(int8: dict[str, bool], float_form: dict[str, bool], seed: int) -> Row:
    """Return the facts that INT8 lost and gained against its float form.

    `loss` is (lost - gained) / n, bootstrapped.
    """
    both = lost = gained = 0
    differences = []
    for fact, right_in_float in float_form.items():
        right_in_int8 = int8[fact]
        both += right_in_float and right_in_int8
        lost += right_in_float and not right_in_int8
        gained += right_in_int8 and not right_in_float
        differences.append([float(right_in_float) - float(right_in_int8)])
    return {
        "both": both,
        "lost": lost,
        "gained": gained,
        "loss": scores.bootstrap(np.array(differences), scores.mean, seed),  # (n, 1)
    }


def write_csv(path: Path, rows: list[Row]) -> None:
    """Write a CSV with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def show(report: Row) -> None:
    """Print the scores on one screen."""

    def cell(score: Score) -> str:
        return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"

    print(
        f"{'variant':15} {'exact match':22} {'task completion':22} {'general (not replayed)':22} {'MB':>6}"
    )
    for variant, entry in report.items():
        exact_match = cell(entry["probes"]["exact_match"])
        completion = cell(entry["tasks"]["completion"])
        general = cell(entry["general"]["exact_match"])
        megabytes = entry["bytes"] / 1e6
        print(f"{variant:15} {exact_match:22} {completion:22} {general:22} {megabytes:6.2f}")
