"""evaluate: every variant of the model on the same probes, one row per fact and variant.

In: the models of base, train, distill and quantize; the probes of augment; the base's own questions. Out:
`facts.parquet` and `manifest.json` (the longest answer, which register serves with); `evaluate.json` (scores with 95 %
intervals); for plots and for those who ask what was lost, `attributes.csv` (with the score of always giving the
attribute's most frequent value), `survival.csv` (facts right, and the share of those right in train that still are) and
`pairs.json` (INT8 against float, paired by fact).

Variants: base · train (base + adapter) · distill (student) · quantize (INT8 of the student) · quantize_train (INT8 of
train). Scores lie in [0, 1] and are defined in `scores.py`. `tasks.completion`: one task is one subject, done when all
its facts are right. `general`: questions about the base's own entities that were never replayed; `general_replayed`:
those that were. `bytes`: the safetensors a variant needs, for train those of the merged float32 model.

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
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.project.errors import InputError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import record
from stages.core.records.prompt import question_prompt
from stages.core.repeatable.seeding import derive, seed_torch
from stages.evaluate import figures, scores
from stages.evaluate.scores import Score

Row = dict[str, Any]
VARIANTS = ("base", "train", "distill", "quantize", "quantize_train")
PAIRS = {"quantize": "distill", "quantize_train": "train"}
"""INT8 variants and their float twins."""
NUMERIC = re.compile(r"[-\d.]+$")


@dataclass(frozen=True, config=STRICT)
class Params:
    """How answers are made and how much is asked."""

    max_new_tokens: int
    """Longest answer in tokens."""
    batch: int
    """Questions answered together. It may change the last bits, and so, rarely, an answer."""
    general: int
    """Most questions about the base's own entities, of each kind (never replayed, replayed)."""


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
    probes = [row for row in record.read(augment / "records.parquet") if row["split"] == "probe"]
    if not probes:
        raise InputError(f"{augment}: no probe; check the augment section of params.yaml")
    general = own_questions(base / "skill.jsonl", params.general, run.seed)
    folders: dict[str, dict[str, Any]] = {
        "base": {"folder": base / "model"},
        "train": {"folder": base / "model", "adapter": train / "adapter", "merge": True},
        "distill": {"folder": distill},
        "quantize": {"folder": quantize / "student"},
        "quantize_train": {"folder": quantize / "train"},
    }
    names = [
        row[key]
        for row in probes
        for key in ("subject", "value")
        if row[key] and not NUMERIC.match(row[key])
    ]
    entity = scores.entity_pattern(names, [row["unit"] for row in probes if row["unit"]])
    facts: list[Row] = []
    report = {}
    with tracking.run("evaluate", params) as log:
        for variant in VARIANTS:
            judged, report[variant] = judge(
                variant, folders[variant], probes, general, entity, params, run
            )
            facts += judged
            log.metric(f"{variant}.exact_match", report[variant]["probes"]["exact_match"]["value"])
        write_facts(facts, {"max_new_tokens": params.max_new_tokens}, out)
        write_json(metrics, report)
        write_plots(facts, plots, derive(run.seed, "pairs"))
        log.file(metrics)
        log.table(pd.read_parquet(out / "facts.parquet"), "facts.json")
        log.figure(figures.attributes(pd.read_csv(plots / "attributes.csv")), "attributes.png")
    show(report)


def own_questions(path: Path, most: int, seed: int) -> list[Row]:
    """Up to `most` questions of each kind about the base's own entities, chosen by a hash of their id."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows.sort(key=lambda row: derive(seed, "general", row["id"]))
    kinds = [
        [row for row in rows if row["replayed"] is replayed][:most] for replayed in (False, True)
    ]
    return kinds[0] + kinds[1]


def judge(
    variant: str,
    place: Row,
    probes: list[Row],
    general: list[Row],
    entity: re.Pattern[str],
    params: Params,
    run: Run,
) -> tuple[list[Row], Row]:
    """One row per probe, and the scores of a variant."""
    model, tokenizer = load_causal_lm(device=run.device, **place)
    prompts = [question_prompt(row["question"]) for row in probes + general]
    answers = generate(model, tokenizer, prompts, params.max_new_tokens, params.batch)
    facts = [fact_row(variant, row, answer) for row, answer in zip(probes, answers, strict=False)]
    kept = [
        (row["replayed"], scores.is_right(answer, [row["answer"]]))
        for row, answer in zip(general, answers[len(probes) :], strict=True)
    ]
    tasks: defaultdict[str, list[bool]] = defaultdict(list)
    for row in facts:
        tasks[row["subject"] or row["fact"] or row["question"]].append(row["correct"])
    parameters = model.num_parameters()
    size = sum(path.stat().st_size for path in place["folder"].glob("*.safetensors"))
    texts = [(row["expected_sentence"], row["answer"]) for row in facts]
    report = {
        "probes": {
            "exact_match": scores.share([row["correct"] for row in facts]),
            **scores.texts(texts, entity, derive(run.seed, "bootstrap")),
        },
        "tasks": {"completion": scores.share([all(task) for task in tasks.values()])},
        "general": {
            "exact_match": scores.share([right for replayed, right in kept if not replayed])
        },
        "general_replayed": {
            "exact_match": scores.share([right for replayed, right in kept if replayed])
        },
        "bytes": parameters * 4 if "adapter" in place else size,
        "parameters": parameters,
    }
    return facts, report


def fact_row(variant: str, probe: Row, answer: str) -> Row:
    """One row of facts.parquet, with the full sentence that was expected."""
    accepted = json.loads(probe["meta"])["accepted"]
    return {
        "fact": probe["fact"],
        "subject": probe["subject"],
        "attribute": probe["attribute"],
        "variant": variant,
        "question": probe["question"],
        "expected": " ".join(filter(None, (probe["value"], probe["unit"]))) or probe["answer"],
        "answer": answer,
        "correct": scores.is_right(answer, accepted),
        "expected_sentence": probe["answer"],
    }


def write_facts(facts: list[Row], manifest: Row, out: Path) -> None:
    """facts.parquet, one row per fact and variant, and how the answers were made."""
    table = pd.DataFrame(facts).drop(columns="expected_sentence")
    with replacing(out) as folder:
        folder.mkdir()
        table.to_parquet(folder / "facts.parquet", index=False, compression="zstd")
        write_json(folder / "manifest.json", manifest)


def write_plots(facts: list[Row], folder: Path, seed: int) -> None:
    """Tables for plots and for those who ask what was lost."""
    hits: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    for row in facts:
        hits[row["variant"]][row["fact"] or row["question"]] = row["correct"]
    right = {
        variant: {fact for fact, hit in judged.items() if hit} for variant, judged in hits.items()
    }
    survival = [
        {
            "variant": variant,
            "facts_right": len(found),
            "share": round(len(found) / len(hits[variant]), 4),
            "kept_of_train": round(len(found & right["train"]) / max(1, len(right["train"])), 4),
        }
        for variant, found in right.items()
    ]
    with replacing(folder) as temporary:
        temporary.mkdir()
        write_csv(temporary / "attributes.csv", attribute_rows(facts))
        write_csv(temporary / "survival.csv", survival)
        write_json(
            temporary / "pairs.json",
            {int8: pair(hits[int8], hits[twin], seed) for int8, twin in PAIRS.items()},
        )


def attribute_rows(facts: list[Row]) -> list[Row]:
    """Exact match per variant and attribute, with the majority control: the share of the most frequent value."""
    groups: defaultdict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in facts:
        groups[VARIANTS.index(row["variant"]), row["attribute"] or "text"].append(row)
    lines = []
    for (variant, attribute), rows in sorted(groups.items()):
        score = scores.share([row["correct"] for row in rows])
        control = Counter(row["expected"] for row in rows).most_common(1)[0][1] / len(rows)
        line = {
            "variant": VARIANTS[variant],
            "attribute": attribute,
            "exact_match": score["value"],
            "low": score["low"],
        }
        lines.append(line | {"high": score["high"], "n": score["n"], "control": round(control, 4)})
    return lines


def pair(int8: dict[str, bool], twin: dict[str, bool], seed: int) -> Row:
    """What INT8 lost and gained against its float twin, fact by fact; `loss` is (lost - gained) / n, bootstrapped."""
    differences = np.array([[float(twin[fact]) - float(int8[fact])] for fact in twin])  # (n, 1)
    lost, gained = int((differences > 0).sum()), int((differences < 0).sum())
    both = sum(int8[fact] and twin[fact] for fact in twin)
    return {
        "both": both,
        "lost": lost,
        "gained": gained,
        "loss": scores.bootstrap(differences, scores.mean, seed),
    }


def write_csv(path: Path, rows: list[Row]) -> None:
    """A CSV with a header."""
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
        cells = (
            entry["probes"]["exact_match"],
            entry["tasks"]["completion"],
            entry["general"]["exact_match"],
        )
        print(
            f"{variant:15} "
            + " ".join(f"{cell(score):22}" for score in cells)
            + f" {entry['bytes'] / 1e6:6.2f}"
        )
