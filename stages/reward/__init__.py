"""reward: a model that says which of two answers is better, learned from facts, rules and people.

In: the records of augment, `compliance.yaml` (forbidden claims, required sentences), `feedback.jsonl` (what people
said). Out: `head.safetensors`, `manifest.json`, `set_aside.jsonl` (lines of the feedback that cannot be read, with
their reason); metrics `reward.json`. `align` adds its score to the reward of facts (`align.reward.model`). With
`model: null` nothing is trained, and the manifest says `left_out`.

1. Pairs of answers are made (`pairs.py`). A share of the facts, and of the questions that people judged, is held out.
2. A frozen encoder of the BERT family makes vectors of the texts (`stages/core/preference`).
3. A linear head on question, answer and their interaction is fitted (`training.py`).
4. Accuracy and calibration on the held-out pairs are written for each kind of pair (`measures.py`).

It judges form, not facts. A wrong value in the right sentence is beyond it, and the metrics say so. So the default
of `align` is the reward of facts alone.

Refused: an encoder that is not there or not safe, rules that cannot be used, no pair at all.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from stages.core.mlflow import tracking
from stages.core.models.variants import LEFT_OUT
from stages.core.preference import scorer
from stages.core.preference.scorer import Array, Scorer
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import feedback
from stages.core.records.record import read_records
from stages.reward import compliance, measures, training
from stages.reward.pairs import KINDS, Pair, known, of_facts, of_people, texts_of

Row = dict[str, Any]
SET_ASIDE = "set_aside.jsonl"


@dataclass(frozen=True, config=STRICT)
class Params:
    """The encoder, and what the head learns from."""

    model: str | None = None
    """Encoder of the BERT family: all-MiniLM-L6-v2 (English, in the extra `index`), a folder, or a name on the hub
    that was fetched before (`hf download`). null: no reward model is made."""
    revision: str | None = None
    """Full commit hash (40 hex digits), for a name on the hub."""
    pairs: Annotated[int, Field(ge=1)] = 200
    """Most pairs of each kind from facts and rules. More takes longer: each text is encoded once."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the facts, and of the questions that people judged, whose pairs measure and do not train."""
    human_weight: Annotated[float, Field(gt=0)] = 4.0
    """How often a person's judgement counts, beside a pair from facts or rules."""
    penalty: Annotated[float, Field(gt=0)] = 0.001
    """λ of the L2 penalty. Higher makes it less sure, and less bound to the trained pairs."""


def run(
    params: Params,
    run: Run,
    augment: Path,
    rules_file: Path,
    feedback_file: Path,
    out: Path,
    metrics: Path,
) -> None:
    """Train the reward model into `out`, or leave it out."""
    if params.model is None:
        leave_out(out, metrics)
        return
    wrong = scorer.problems(params.model, params.revision)
    if wrong:
        raise ParamsError("\n  ".join(["params.yaml:", *(f"reward.{line}" for line in wrong)]))
    with tracking.run("reward", params) as log:
        train(params, run, augment, rules_file, feedback_file, out, metrics, log)


def leave_out(out: Path, metrics: Path) -> None:
    """Write the outputs of a run that trains nothing."""
    with replacing(out) as folder:
        folder.mkdir()
        write_json(folder / scorer.MANIFEST, LEFT_OUT)
    write_json(metrics, LEFT_OUT)
    print("reward: left out, since reward.model is null")


def train(
    params: Params,
    run: Run,
    augment: Path,
    rules_file: Path,
    feedback_file: Path,
    out: Path,
    metrics: Path,
    log: tracking.Log,
) -> None:
    """Take the steps of the module's docstring, and write the outputs."""
    rules = compliance.read(rules_file)
    said = feedback.read(feedback_file)
    facts = known(read_records(augment / "records.parquet"), run.seed)
    pairs = of_facts(facts, rules, params.pairs, params.held_out, run.seed)
    pairs += of_people(said.judgements, params.held_out, run.seed)
    learned = [pair for pair in pairs if not pair.held_out]
    tested = [pair for pair in pairs if pair.held_out]
    if not learned or not tested:
        raise InputError(
            f"reward: {len(learned)} pairs to learn from and {len(tested)} held out, and both are needed; "
            "give more facts (data/augment) or judgements (lore feedback), or another reward.held_out"
        )

    encoder = scorer.encoder_of(str(params.model), params.revision, run.threads)
    vectors: dict[str, Array] = {}
    texts = texts_of(pairs)
    for text in tqdm(texts, desc="reward", unit="text", disable=None, mininterval=1):
        vectors[text] = encoder.vector(text).astype(np.float64)

    differences, centre = seen_by_head(learned, vectors)
    counts = np.array([weight_of(pair, params.human_weight) for pair in learned])
    fit = training.fitted(differences, counts, params.penalty)
    # As it is saved, so that the numbers below are those of the file.
    weights = fit.weights.astype("<f4").astype(np.float64)
    middle = float(centre @ weights)
    judge = Scorer(encoder, weights, middle)

    report: Row = {
        "pairs": counted(pairs),
        "loss": round(fit.loss, 4),
        "chance_loss": round(math.log(2), 4),
        "trained": judged(learned, judge),
        "held_out": judged(tested, judge),
        "feedback": {
            "judgements": len(said.judgements),
            "replaced": len(said.replaced),
            "withdrawn": len(said.withdrawn),
            "set_aside": len(said.set_aside),
        },
    }
    manifest = {
        "model": params.model,
        "revision": params.revision,
        "encoder_sha256": encoder.identity,
        "dimensions": weights.shape[0] // 3,
    }
    with replacing(out) as folder:
        folder.mkdir()
        scorer.save(folder, weights, middle, manifest)
        write_set_aside(said.set_aside, folder / SET_ASIDE)
    write_json(metrics, report)
    for kind, row in report["held_out"].items():
        log.metric(f"accuracy_{kind}", row["accuracy"])
        log.metric(f"calibration_error_{kind}", row["calibration_error"])
    show(report, len(texts))


def seen_by_head(pairs: Sequence[Pair], vectors: dict[str, Array]) -> tuple[Array, Array]:
    """Return φ⁺ − φ⁻ of each pair (N, D), and the mean of all φ (D,)."""
    differences = []
    middles = []
    for pair in pairs:
        question = vectors[pair.question]
        better = scorer.features(question, vectors[pair.better])
        worse = scorer.features(question, vectors[pair.worse])
        differences.append(better - worse)
        middles.append((better + worse) / 2)
    return np.array(differences), np.mean(middles, axis=0)


def weight_of(pair: Pair, of_people: float) -> float:
    """Return how often a pair counts."""
    return of_people if pair.kind == "human" else 1.0


def counted(pairs: Sequence[Pair]) -> dict[str, dict[str, int]]:
    """Return kind → number of pairs that are trained and held out."""
    numbers = Counter((pair.kind, pair.held_out) for pair in pairs)
    found = {}
    for kind in KINDS:
        found[kind] = {"trained": numbers[kind, False], "held_out": numbers[kind, True]}
    return found


def judged(pairs: Sequence[Pair], judge: Scorer) -> dict[str, Row]:
    """Return kind → number of pairs, accuracy and calibration error, and the same of all pairs together."""
    margins: dict[str, list[float]] = {}
    every = []
    for pair in pairs:
        better = judge.score(pair.question, pair.better)
        margin = better - judge.score(pair.question, pair.worse)
        margins.setdefault(pair.kind, []).append(margin)
        every.append(margin)
    found = {}
    for kind in KINDS:
        if kind in margins:
            found[kind] = measured(margins[kind])
    found["all"] = measured(every)
    return found


def measured(margins: Sequence[float]) -> Row:
    """Return number, accuracy and calibration error of pairs."""
    return {
        "pairs": len(margins),
        "accuracy": round(measures.accuracy(margins), 4),
        "calibration_error": round(measures.calibration_error(margins), 4),
    }


def write_set_aside(lines: Sequence[feedback.SetAside], path: Path) -> None:
    """Write the lines that are no judgements, each with its number and reason."""
    texts = []
    for line in lines:
        row = {"line": line.line, "reason": line.reason, "content": line.content}
        texts.append(json.dumps(row, ensure_ascii=False) + "\n")
    path.write_text("".join(texts), encoding="utf-8")


def show(report: Row, texts: int) -> None:
    """Print what came of it, on one screen."""
    print(
        f"reward: {texts:,} texts encoded; loss {report['loss']} (chance: {report['chance_loss']})"
    )
    print("        held out   pairs   accuracy   calibration error")
    for kind, row in report["held_out"].items():
        print(
            f"        {kind:10} {row['pairs']:5,} {row['accuracy']:10.3f} {row['calibration_error']:19.3f}"
        )
    of_people = report["feedback"]
    print(
        f"        {of_people['judgements']:,} judgements of people, {of_people['withdrawn']:,} withdrawn, "
        f"{of_people['set_aside']:,} lines set aside"
    )
