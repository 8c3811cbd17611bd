"""evaluate: every variant of the model on the same probes, in every wording.

In: the models of base, train, align, distill and quantize; the probes of augment; the base's own questions and
neutral texts; the records of clean and their index. Out:

- `probes.parquet`: one row per question and variant, with the confidence of the answer: the mean log-probability
  of its tokens, in nats
- `facts.parquet`: one row per fact and variant, right where more than half of its stated wordings are. By
  these rows two versions are compared fact by fact.
- `manifest.json`: the longest answer, which register serves with, the rule by which the end of an answer is
  found, and the limit on confidence of each variant
- `evaluate.json`: scores with 95 % intervals
- `attributes.csv`: exact match per attribute, and the score of always giving the most frequent value
- `wordings.csv`: exact match per wording, of stated, reversed and comparison probes
- `survival.csv`: facts right, and the share of those right in train that are still right
- `pairs.json`: INT8 against float, paired by fact and wording
- `shares.csv`, where a model was taught to abstain: right, abstained and wrong answers per attribute and variant
- where `retrieve` is true: `retrieval.parquet`, one row per fact: right in the weights, in the records, in both or
  neither; `retrieval_probes.parquet`, one row per question and way of retrieval; `retrieval.json`, scores;
  `retrieval.csv`, facts per attribute and side. The ways are explained in `retrieval.py`.

The variants are those of `core/models/variants.py`, without those that were left out. Scores lie in [0, 1],
where nothing else is said, and are defined in `scores.py`. A score of nothing is null.

- `probes.exact_match`: answers right, over all stated wordings of all facts. `probes.wordings` has it per
  wording, `probes.worst_wording` the lowest of them.
- `probes.contains`: the value stands in the answer. `probes.near`: of the numbers, those within a tolerance.
- `probes.known_before`, `probes.new`: exact match of the facts that the base answers already (in more than
  half of their wordings), and of all others.
- `probes.reversed`, `probes.comparison`: as in `answers.py`. Guessing gives 0.5 of comparisons.
- `probes.answer_nll`: NLL per token of the expected answer behind its question, in nats. It says how well
  prose is known, which no exact match can.
- `tasks.completion`: one task is one subject, done when all its facts are right, each in more than half of
  its wordings.
- `general`: questions that the base could answer, never replayed. `general_replayed`: those that were.
  `general.neutral_nll`: NLL per token of texts that have nothing to do with the domain, in nats.
- `forgetting.kl_neutral`, `forgetting.kl_domain`: KL(base‖variant) per token on these texts, and on the
  questions of the probes, in nats. For these, the base stays in memory beside each variant.
- `verdicts`, `unknown`, where a model was taught to abstain: as in `verdicts.py`.
- `doubt`: what a limit on confidence does, as in `doubts.py`. Absent where `doubt` is null.
- `harness`: tasks of lm-evaluation-harness, where any are named.
- `bytes`: the safetensors that a variant needs, for train those of the merged float32 model.

Refused: probes that are missing, a model that cannot be loaded, an index of other records than those of clean.
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.mlflow import tracking
from stages.core.models import variants
from stages.core.models.causal_lm import answered, load_causal_lm
from stages.core.models.conversation import answer_rule, conversation_text, encode, prompt_text
from stages.core.project.errors import InputError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records.record import Record, read_records
from stages.core.repeatable.seeding import derive, seed_torch
from stages.evaluate import (
    answers,
    doubts,
    figures,
    harness,
    likelihood,
    report,
    retrieval,
    scores,
    verdicts,
)
from stages.evaluate.answers import STATED, Tolerances, own_questions
from stages.evaluate.scores import Score

Row = dict[str, Any]
NUMERIC = re.compile(r"[-\d.]+$")
"""A value that is a number: 1538, -248.6. It is no name."""
Tolerance = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=STRICT)
class Params:
    """How answers are made, how much is asked, and what counts as near."""

    max_new_tokens: int = 64
    """Longest answer in tokens."""
    batch: int = 128
    """Questions answered together. More takes more memory, and is faster on a GPU. Another number may
    change the last bits, and so, rarely, an answer."""
    general: int = 500
    """Most questions about what the base knows, of each kind (never replayed, replayed). More takes
    longer and narrows the interval of the score."""
    tolerance: Tolerance = 0.01
    """How far a number may lie from the expected one to count as near, as a share of it."""
    tolerances: dict[str, Tolerance] = field(default_factory=dict)
    """The same for single attributes, such as {discovery year: 0.001}."""
    measured: Annotated[int, Field(ge=0)] = 1000
    """Most stated probes whose likelihood and divergence from the base are measured, drawn by a hash. 0
    measures neither, and does not keep the base in memory."""
    unknown: Annotated[int, Field(ge=0)] = 200
    """Most questions about subjects that no record knows, of each kind (invented names, well-known things).
    They are asked for `doubt`, and where `align` made a model. 0 asks none."""
    doubt: Annotated[float, Field(ge=0, lt=1)] | None = 0.01
    """Largest share of the right answers in valid wordings that a limit on confidence may lose. `lore ask --abstain`
    says *I do not know.* below the limit. null: no limit is chosen."""
    retrieve: bool = True
    """Whether the records are asked too, as `lore ask --retrieve` asks them."""
    least: Annotated[float, Field(ge=-1, le=1)] = 0.5
    """Lowest cosine at which a record of the index answers."""
    read: Annotated[int, Field(ge=0)] = 100
    """Most facts whose probes are asked with the found record in the prompt, of the base and of train. They
    are drawn by a hash. 0: none."""
    harness: list[str] = field(default_factory=list)
    """Tasks of lm-evaluation-harness, by name, such as [arc_easy]. The package lm-eval must be installed, and
    most tasks fetch their questions from the network."""


class Material(NamedTuple):
    """What every variant is asked."""

    records: list[Record]
    """All records of augment."""
    probes: list[Record]
    general: list[Row]
    neutral: list[str]
    """Texts that have nothing to do with the domain."""
    measured: list[Record]
    """Stated probes whose likelihood is measured."""
    entity: re.Pattern[str]


def run(
    params: Params,
    run: Run,
    base: Path,
    train: Path,
    align: Path,
    distill: Path,
    quantize: Path,
    augment: Path,
    clean: Path,
    index: Path,
    out: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Judge all variants, and the records beside them."""
    seed_torch(run.seed, run.threads)
    lm_eval = harness.harness(params.harness) if params.harness else None
    material = material_of(base, augment, params, run.seed)
    abstention = verdicts.Abstention.of(
        align, material.records, material.probes, params.unknown, run.seed
    )
    doubt = doubts.Doubt.of(
        params.doubt,
        material.records,
        material.probes,
        params.unknown,
        run.seed,
        None if abstention is None else abstention.phrases,
    )
    retrieved = None
    if params.retrieve:
        retrieved = retrieval.Retrieval(
            material.probes, augment, clean, index, params, run.seed, run.threads
        )
    folders = variants.folders(base, train, align, distill, quantize)
    names = variants.present(folders)
    facts: list[Row] = []
    scores_of: Row = {}
    known: dict[str, bool] = {}
    base_model = None
    with tracking.run("evaluate", params) as log:
        for variant in names:
            model, tokenizer = load_causal_lm(device=run.device, **folders[variant])
            judged, own, general = ask(variant, model, tokenizer, material, params)
            if variant == variants.BASE:
                known = answers.right_facts(judged)
                base_model = model if params.measured else None
            seed = derive(run.seed, "bootstrap")
            entry: Row = {
                "probes": report.probes(judged, material.entity, known, seed),
                "tasks": {"completion": report.completion(judged)},
                **general,
            }
            if retrieved is not None:
                retrieved.read(variant, model, tokenizer)
            if abstention is not None:
                entry |= abstention.section(judged, model, tokenizer, params, seed)
            if doubt is not None:
                entry["doubt"] = doubt.section(judged, own, model, tokenizer, params, seed)
            add_likelihoods(entry, model, tokenizer, base_model, material, seed)
            if lm_eval is not None:
                entry["harness"] = harness.judge(
                    lm_eval, params.harness, model, tokenizer, params.batch, run.seed
                )
            entry |= sizes(model, folders[variant])
            scores_of[variant] = entry
            facts += judged
            log.metric(f"{variant}.exact_match", entry["probes"]["exact_match"]["value"])
        # All variants have the tokenizer of the base, and so its rule.
        manifest = {"max_new_tokens": params.max_new_tokens, "answer_rule": answer_rule(tokenizer)}
        if doubt is not None:
            manifest["least_confidence"] = limits_of(scores_of)
        lines = report.attribute_rows(facts, names, derive(run.seed, "attributes"))
        write_facts(facts, names, manifest, out, retrieved)
        write_json(metrics, scores_of)
        shares = [] if abstention is None else abstention.rows(facts, names)
        sides = None
        if retrieved is not None:
            sides = retrieved.report(facts, scores_of[retrieval.WEIGHTS])
        write_plots(facts, lines, names, plots, derive(run.seed, "pairs"), shares, retrieved, sides)
        log.file(metrics)
        log.table(pd.read_parquet(out / "facts.parquet"), "facts.json")
        log.figure(figures.attributes(pd.read_csv(plots / "attributes.csv")), "attributes.png")
    show(scores_of, lines)
    if sides is not None:
        retrieval.show(sides)


def material_of(base: Path, augment: Path, params: Params, seed: int) -> Material:
    """Read what is asked. Raises InputError where there is no stated probe."""
    records = read_records(augment / "records.parquet")
    probes = [row for row in records if row["split"] == "probe"]
    stated = [row for row in probes if json.loads(row["meta"]).get("probe", STATED) == STATED]
    if not stated:
        raise InputError(f"{augment}: no probe; check the augment section of params.yaml")
    general = own_questions(base / "skill.jsonl", params.general, seed)
    neutral = neutral_texts(base / "neutral.jsonl") if params.measured else []
    measured = sorted(stated, key=lambda row: derive(seed, "measured", row["id"]))
    return Material(
        records=records,
        probes=probes,
        general=general,
        neutral=neutral,
        measured=measured[: params.measured],
        entity=entities_of(probes),
    )


def neutral_texts(path: Path) -> list[str]:
    """Return the texts that have nothing to do with the domain. A base without the file has none."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


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


def ask(
    variant: str, model: Any, tokenizer: Any, material: Material, params: Params
) -> tuple[list[Row], list[doubts.Own], Row]:
    """Ask a variant all probes and general questions.

    Returns one judged row per probe, the answers to the general questions that were never replayed, and the sections
    `general` and `general_replayed`.
    """
    questions = [row["question"] or "" for row in material.probes]
    questions += [row["question"] for row in material.general]
    prompts = [prompt_text(tokenizer, question) for question in questions]
    found = answered(model, tokenizer, prompts, params.max_new_tokens, params.batch)
    of_probes = found[: len(material.probes)]
    of_general = found[len(material.probes) :]

    tolerances = Tolerances(params.tolerance, params.tolerances)
    judged = []
    for probe, answer in zip(material.probes, of_probes, strict=True):
        row = answers.fact_row(variant, probe, answer.text, tolerances)
        judged.append(row | {"confidence": round(answer.confidence, 6)})

    never_replayed: list[doubts.Own] = []
    hits_replayed: list[bool] = []
    for row, answer in zip(material.general, of_general, strict=True):
        is_right = answers.general_hit(row, answer.text)
        if row["replayed"]:
            hits_replayed.append(is_right)
        else:
            never_replayed.append(doubts.Own(is_right, answer.confidence))
    general = {
        "general": {"exact_match": scores.share([own.is_right for own in never_replayed])},
        "general_replayed": {"exact_match": scores.share(hits_replayed)},
    }
    return judged, never_replayed, general


def limits_of(scores_of: Row) -> Row:
    """Return the limit on confidence of each variant that has one, from the scores of all variants."""
    limits = {}
    for variant, entry in scores_of.items():
        least = entry["doubt"]["least_confidence"]
        if least is not None:
            limits[variant] = least
    return limits


def add_likelihoods(
    entry: Row, model: Any, tokenizer: Any, base: Any, material: Material, seed: int
) -> None:
    """Add the likelihoods to the scores of a variant. Without neutral texts or measured probes, they are None."""
    longest = likelihood.longest_of(model)
    neutral = likelihood.windows_of(encode(tokenizer, material.neutral), longest)
    conversations = []
    for row in material.measured:
        conversations.append(
            conversation_text(tokenizer, row["question"] or "", row["answer"] or "")
        )
    prompts = encode(tokenizer, [prompt for prompt, _ in conversations])
    wholes = encode(tokenizer, [whole for _, whole in conversations])
    windows = []
    for number, (prompt, whole) in enumerate(zip(prompts, wholes, strict=True)):
        # Of an answer that is longer than a window, the beginning is judged.
        window = likelihood.answer_window(prompt, whole[:longest], number)
        if window is not None:
            windows.append(window)
    questions = likelihood.windows_of(prompts, longest)

    entry["probes"]["answer_nll"] = likelihood.negative_log_likelihood(model, windows, seed)
    entry["general"]["neutral_nll"] = likelihood.negative_log_likelihood(model, neutral, seed)
    entry["forgetting"] = {"kl_neutral": None, "kl_domain": None}
    # The base does not differ from itself.
    if base is not None and base is not model:
        entry["forgetting"] = {
            "kl_neutral": likelihood.divergence(base, model, neutral, seed),
            "kl_domain": likelihood.divergence(base, model, questions, seed),
        }


def sizes(model: Any, folders: Row) -> Row:
    """Return the bytes and parameters of a variant. `folders` is what `load_causal_lm` takes."""
    parameters = model.num_parameters()
    if "adapter" in folders:
        size = parameters * 4  # merged, in float32
    else:
        size = sum(path.stat().st_size for path in folders["folder"].glob("*.safetensors"))
    return {"bytes": size, "parameters": parameters}


def write_facts(
    judged: list[Row],
    names: tuple[str, ...],
    manifest: Row,
    out: Path,
    retrieved: "retrieval.Retrieval | None" = None,
) -> None:
    """Write every judged answer, one row per fact and variant, how the answers were made, and what was retrieved."""
    facts = []
    for variant in names:
        facts += answers.one_per_fact([row for row in judged if row["variant"] == variant])
    of_probes = pd.DataFrame(judged, columns=list(answers.PROBE_COLUMNS))
    of_facts = pd.DataFrame(facts, columns=list(answers.FACT_COLUMNS))
    with replacing(out) as folder:
        folder.mkdir()
        of_probes.to_parquet(folder / "probes.parquet", index=False, compression="zstd")
        of_facts.to_parquet(folder / "facts.parquet", index=False, compression="zstd")
        write_json(folder / "manifest.json", manifest)
        if retrieved is not None:
            retrieved.write_tables(judged, folder)


def write_plots(
    facts: list[Row],
    attributes: list[Row],
    names: tuple[str, ...],
    folder: Path,
    seed: int,
    shares: list[Row],
    retrieved: "retrieval.Retrieval | None",
    sides: Row | None,
) -> None:
    """Write the tables for plots, and those that say which facts a variant lost.

    `shares` are the rows of shares.csv. Without an aligned model there are none, and no such file. `sides` is the
    report on what was retrieved.
    """
    rows_of: defaultdict[str, list[Row]] = defaultdict(list)
    for row in facts:
        rows_of[row["variant"]].append(row)
    pairs = {}
    for variant in variants.VARIANTS:
        float_form = variants.float_form_of(variant, names)
        if float_form is not None and variant.name in names:
            pairs[variant.name] = pair(rows_of[variant.name], rows_of[float_form], seed)
    right = {variant: answers.right_facts(rows) for variant, rows in rows_of.items()}
    with replacing(folder) as temporary:
        temporary.mkdir()
        write_csv(temporary / "attributes.csv", attributes)
        write_csv(temporary / "wordings.csv", report.wording_rows(facts, names), WORDING_COLUMNS)
        write_csv(temporary / "survival.csv", survival_rows(right))
        write_json(temporary / "pairs.json", pairs)
        if shares:
            write_csv(temporary / "shares.csv", shares)
        if retrieved is not None:
            write_csv(temporary / "retrieval.csv", retrieved.attribute_rows(facts))
            write_json(temporary / "retrieval.json", sides)


def survival_rows(hits: dict[str, dict[str, bool]]) -> list[Row]:
    """Return per variant the facts that are right, and how many of those right in train are still right.

    `hits` says by variant and fact whether it is right in more than half of its wordings.
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


def pair(int8: list[Row], float_form: list[Row], seed: int) -> Row:
    """Return the answers to stated probes that INT8 lost and gained against its float form.

    Both lists have the same questions in the same order. `loss` is (lost - gained) / n, bootstrapped over
    facts.
    """
    both = lost = gained = 0
    differences = []
    clusters = []
    for in_int8, in_float in zip(answers.stated(int8), answers.stated(float_form), strict=True):
        right_in_int8, right_in_float = in_int8["correct"], in_float["correct"]
        both += right_in_float and right_in_int8
        lost += right_in_float and not right_in_int8
        gained += right_in_int8 and not right_in_float
        differences.append([float(right_in_float) - float(right_in_int8), 1.0])
        clusters.append(answers.key_of(in_float))
    by_fact = scores.by_cluster(np.array(differences), clusters)  # (facts, 2)
    loss = scores.bootstrap(by_fact, scores.ratio, seed)
    loss["n"] = len(differences)
    return {"both": both, "lost": lost, "gained": gained, "loss": loss}


WORDING_COLUMNS = ("variant", "probe", "attribute", "wording", "exact_match", "low", "high", "n")


def write_csv(path: Path, rows: list[Row], columns: Sequence[str] = ()) -> None:
    """Write a CSV with a header. `columns` are needed where there may be no row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns or rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def show(scores_of: Row, attributes: list[Row]) -> None:
    """Print the scores on one screen."""

    def cell(score: Score | None) -> str:
        if score is None or score["n"] == 0:
            return "nothing to ask"
        return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"

    titles = ("exact match", "worst wording", "task completion", "general (not replayed)")
    print(f"{'variant':15} " + " ".join(f"{title:22}" for title in titles) + f" {'MB':>6}")
    for variant, entry in scores_of.items():
        cells = (
            entry["probes"]["exact_match"],
            entry["probes"]["worst_wording"],
            entry["tasks"]["completion"],
            entry["general"]["exact_match"],
        )
        megabytes = entry["bytes"] / 1e6
        print(
            f"{variant:15} "
            + " ".join(f"{cell(score):22}" for score in cells)
            + f" {megabytes:6.2f}"
        )
    for variant, entry in scores_of.items():
        known = entry["probes"]["known_before"]
        if variant == variants.BASE and known is not None:
            print(
                f"The base answers some facts already: {known['n']:,} of the answers are about them."
            )
    for variant, entry in scores_of.items():
        if entry.get("doubt", {}).get("least_confidence") is not None:
            print(doubt_line(variant, entry["doubt"]))
    for variant, found in report.no_better_than_control(attributes).items():
        if variant != variants.BASE:
            print(f"{variant}: not above always giving the most frequent value: {', '.join(found)}")


def doubt_line(variant: str, found: Row) -> str:
    """Return the line that says what the limit on confidence does to a variant."""
    said = [f"{name} {found[name]['value']:.3f}" for name in doubts.NAMES]
    return (
        f"{variant}: below a confidence of {found['least_confidence']:.3f} it would say that it does not know: "
        f"{', '.join(said)}"
    )
