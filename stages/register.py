"""register: gates, then a model version in MLflow that loads and answers.

In: the models, the scores of evaluate, dvc.lock. Out: `manifest.json` (gates with limit and number, hashes
of every model, the version's identity), and `register.json` in metrics; in MLflow a version of the
registered model. The alias `candidate` moves to it. The alias that production follows, `alias`, is moved
by `lore release` and `lore rollback` alone, so a run on a branch or an experiment changes nothing there.

The identity of a knowledge version is the digest of the outputs of the stages before this one, by the
hashes in dvc.lock. A run comes before its commit, so the identity cannot be a commit: git's parent and
whether the tree was dirty are tags. All these outputs are inputs of this stage. Code and settings are no
part of the identity: a change of them that changes no byte makes no other version, and DVC would not run
this stage for it. The same identity is never registered twice.

Refused: a gate that fails (all failures are named, nothing is registered); a gate that measures nothing,
since a score in it is null, or is about no question, or the score that it compares with is 0; a model that,
loaded from MLflow, gives another answer than evaluate recorded. A gate about a student is not judged where
there is none (`distill.layers: null`), and a line says so.
"""

import hashlib
import json
import posixpath
import re
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import AfterValidator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from stages.core.mlflow import registry
from stages.core.models import variants
from stages.core.models.model_folder import sha256_of_folder
from stages.core.project import git
from stages.core.project.errors import GateError, InputError, ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run, read_yaml

Row = dict[str, Any]
LONGEST_NAME = 255
"""Characters of a name that every store of MLflow takes."""


def forbidden(why: str) -> PydanticCustomError:
    """Return the error for a name that MLflow does not take."""
    return PydanticCustomError("forbidden_name", "{why}", {"why": why})


def model_name(name: str) -> str:
    """Return a name that MLflow takes for a registered model. Raises an error of pydantic for another."""
    if not name.strip():
        raise forbidden("empty; write a name, such as elements")
    if "/" in name or ":" in name or "'" in name:
        raise forbidden("the name of a model has no / : or ' (MLflow forbids them)")
    if posixpath.normpath(name) != name or name.startswith(".."):
        raise forbidden("a path to MLflow; write a plain name, such as elements")
    if len(name) > LONGEST_NAME:
        raise forbidden(f"longer than {LONGEST_NAME} characters")
    return name


def alias_name(name: str) -> str:
    """Return a name that MLflow takes for an alias. Raises an error of pydantic for another."""
    if not re.fullmatch(r"[\w-]+", name):
        raise forbidden("an alias has letters, digits, _ and - only, such as champion")
    if name.lower() == "latest":
        raise forbidden("kept by MLflow for itself; choose another")
    # `v2` would be read as version 2.
    if re.fullmatch(r"[vV]\d+", name):
        raise forbidden("a version's number to MLflow; choose another")
    if len(name) > LONGEST_NAME:
        raise forbidden(f"longer than {LONGEST_NAME} characters")
    return name


ModelName = Annotated[str, AfterValidator(model_name)]
Alias = Annotated[str, AfterValidator(alias_name)]
UPSTREAM = ("base", "extract", "clean", "augment", "train", "distill", "quantize", "evaluate")
"""The stages whose outputs make the identity. Where a model was aligned, `align` is one of them."""


@dataclass(frozen=True, config=STRICT)
class Gate:
    """One condition on metrics/evaluate.json; scores are named by dotted path, `train.probes.exact_match`."""

    score: str
    """The score that is judged: a dotted path in `metrics/evaluate.json`, such as
    `train.probes.exact_match`."""
    at_least: float | None = None
    """Least value. With `of`, the least share of the other score."""
    at_most: float | None = None
    """Largest value. With `of`, the largest share of the other score."""
    loses_at_most: float | None = None
    """Largest loss against the score `of`. For scores that are better when higher."""
    rises_at_most: float | None = None
    """Largest rise above the score `of`. For scores that are better when lower, such as
    `train.general.neutral_nll`. A gate has one of these four."""
    of: str | None = None
    """The score to compare with, such as `base.general.exact_match`."""

    def variants(self) -> list[str]:
        """Return the variants that it is about: the first parts of its scores."""
        paths = [self.score, self.of] if self.of else [self.score]
        return [path.split(".")[0] for path in paths]


@dataclass(frozen=True, config=STRICT)
class Params:
    """What must hold, and the name to register under."""

    model: ModelName = "lorekeep"
    """Name of the registered model in MLflow. `/`, `:` and `'` are forbidden."""
    alias: Alias = "champion"
    """Alias that production follows. Only `lore release` and `lore rollback` move it. Letters, digits,
    `_` and `-`."""
    candidate: Alias | None = "candidate"
    """Alias that each run moves to the version that passed its gates last, on whatever branch. null: none.
    With the name of `alias`, each run that passes is in production at once."""
    gates: list[Gate] = field(default_factory=list)
    """Conditions that must all hold, or nothing is registered. An empty list registers every model."""


def run(
    params: Params,
    run: Run,
    base: Path,
    extract: Path,
    clean: Path,
    augment: Path,
    train: Path,
    align: Path,
    distill: Path,
    quantize: Path,
    evaluate: Path,
    scores: Path,
    out: Path,
    metrics: Path,
) -> None:
    """Judge the gates and register the tuned model: the aligned one, where there is one."""
    report = json.loads(scores.read_text(encoding="utf-8"))
    gates, skipped = judge_all(params.gates, report, variants.is_left_out(distill))
    show(gates, skipped)
    require_all(gates)

    folders = {
        "base": base / "model",
        "extract": extract,
        "clean": clean,
        "augment": augment,
        "train": train / "adapter",
        "distill": distill,
        "quantize": quantize,
    }
    registered = "train"
    if variants.is_aligned(align):
        folders["align"] = align / "adapter"
        registered = "align"
    digests = {}
    for name, folder in folders.items():
        digests[name] = sha256_of_folder(folder)
    manifest: Row = {"identity": identity(Path("dvc.lock")), "gates": gates, "sha256": digests}
    if skipped:
        manifest["skipped_gates"] = skipped
    tags = {"knowledge_version": manifest["identity"], **git_state()}
    for name, digest in digests.items():
        tags[f"sha256.{name}"] = digest
    answers_made_by = json.loads((evaluate / "manifest.json").read_text(encoding="utf-8"))
    version = registry.register(
        params.model,
        params.candidate,
        {"base": folders["base"], "adapter": folders[registered]},
        answers_made_by["max_new_tokens"],
        tags,
        numbers(report),
        known_answer(evaluate, registered),
        sha256_of_folder,
    )
    with replacing(out) as folder:
        write_json(folder / "manifest.json", manifest)
    write_json(metrics, {"identity": manifest["identity"], "gates_passed": len(gates)})
    alias = f"alias {params.candidate}, " if params.candidate else ""
    print(
        f"register: {params.model} version {version}, {alias}identity {manifest['identity'][:12]}…"
    )


def require_all(gates: list[Row]) -> None:
    """Raise GateError, which names every gate that failed."""
    failed = [gate for gate in gates if not gate["passed"]]
    if not failed:
        return
    lines = [f"{len(failed)} of {len(gates)} gates failed, nothing was registered:"]
    for gate in failed:
        if gate["number"] is None:
            lines.append(f"  {gate['gate']} {gate['limit']}: {gate['nothing']}")
        else:
            lines.append(f"  {gate['gate']}: {gate['number']}, the limit is {gate['limit']}")
    lines.append(
        "The models are in place; improve them, or change register.gates. "
        "For experiments run: dvc repro evaluate"
    )
    raise GateError("\n".join(lines))


def judge_all(gates: list[Gate], report: Row, no_student: bool) -> tuple[list[Row], list[str]]:
    """Return the judged gates, and a line for each gate about a student where there is none."""
    judged = []
    skipped = []
    for number, gate in enumerate(gates):
        is_about_student = not set(variants.STUDENT_NAMES).isdisjoint(gate.variants())
        if no_student and is_about_student:
            skipped.append(f"{gate.score} (register.gates.{number}): distill.layers is null")
        else:
            judged.append(judge(gate, report, number))
    return judged, skipped


def judge(gate: Gate, report: Row, number: int) -> Row:
    """Return one gate with its number and limit. The number is None where the gate measures nothing.

    Raises ParamsError where the gate is not exactly one condition on scores that exist.
    """
    where = f"register.gates.{number}"
    conditions = {
        "at_least": gate.at_least,
        "at_most": gate.at_most,
        "loses_at_most": gate.loses_at_most,
        "rises_at_most": gate.rises_at_most,
    }
    written = {name: limit for name, limit in conditions.items() if limit is not None}
    compares = gate.loses_at_most is not None or gate.rises_at_most is not None
    if len(written) != 1 or (compares and not gate.of):
        raise ParamsError(
            f"{where}: write at_least or at_most (perhaps with of), "
            "or loses_at_most or rises_at_most with of"
        )
    ((condition, written_limit),) = written.items()
    value = look_up(report, gate.score, where)
    other = look_up(report, gate.of, where) if gate.of else None

    limit = written_limit
    name = f"{gate.score} {WORDS[condition]}"
    if compares:
        name = f"{name} {gate.of}"
    elif gate.of:
        name = f"{name} {written_limit} of {gate.of}"
    nothing = measures_nothing(gate, value, other)
    if nothing:
        return {"gate": name, "number": None, "limit": limit, "passed": False, "nothing": nothing}
    assert value is not None  # else it measures nothing

    if compares and other is not None:
        change = other - value if condition == "loses_at_most" else value - other
        judged = round(change, 4)
    else:
        judged = value
        if other is not None:
            limit = round(written_limit * other, 4)
    passed = judged >= limit if condition == "at_least" else judged <= limit
    return {"gate": name, "number": judged, "limit": limit, "passed": passed}


WORDS = {
    "at_least": "is at least",
    "at_most": "is at most",
    "loses_at_most": "loses against",
    "rises_at_most": "rises above",
}
"""Each condition in a gate's name."""


def measures_nothing(gate: Gate, value: float | None, other: float | None) -> str | None:
    """Return why a gate measures nothing, or None where it measures something.

    A model that knew nothing loses nothing: against 0, every gate would pass.
    """
    advice = "remove the gate, or measure something that the model can do"
    if value is None:
        return f"it measures nothing, since {gate.score} is about no question or text; {advice}"
    if gate.of and other is None:
        return f"it measures nothing, since {gate.of} is about no question or text; {advice}"
    if gate.of and other == 0:
        return f"it measures nothing, since {gate.of} is 0; {advice}"
    return None


def look_up(report: Row, path: str, where: str) -> float | None:
    """Return the number at a dotted path; of a score, its value. None where nothing was measured."""
    entry: Any = report
    for part in path.split("."):
        if not isinstance(entry, dict) or part not in entry:
            known = ", ".join(entry) if isinstance(entry, dict) else "nothing"
            raise ParamsError(
                f"{where}: evaluate.json has no {path!r}; at {part!r} there is {known}"
            )
        entry = entry[part]
    if entry is None:
        return None
    if isinstance(entry, dict) and "value" in entry:
        if entry.get("n") == 0:
            return None
        entry = entry["value"]
    if not isinstance(entry, (int, float)):
        raise ParamsError(
            f"{where}: {path!r} is no number; name a score, such as {path}.exact_match"
        )
    return float(entry)


def identity(lock: Path) -> str:
    """Return the SHA-256 over the hashes that dvc.lock has of data/<stage> and models/<stage>.

    It covers every stage before this one. One that aligned nothing does not count, so that a version is the
    same with it and without. Raises InputError where an output is missing.
    """
    stages = read_yaml(lock).get("stages", {}) if lock.is_file() else {}
    hashes: dict[str, list[str]] = {}
    upstream = [*UPSTREAM, "align"] if has_aligned(stages) else UPSTREAM
    for name in upstream:
        hashes[name] = []
        for out in stages.get(name, {}).get("outs", []):
            if out["path"] in (f"data/{name}", f"models/{name}"):
                hashes[name].append(out["md5"])
    missing = [name for name in upstream if not hashes[name]]
    if missing:
        raise InputError(
            f"{lock}: no output of {', '.join(missing)}; register runs in the pipeline: dvc repro"
        )
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def has_aligned(stages: dict[str, Any]) -> bool:
    """Return whether the stages of a dvc.lock aligned a model, by the settings that it has of them."""
    settings = stages.get("align", {}).get("params", {}).get("params.yaml", {}).get("align", {})
    return isinstance(settings, dict) and settings.get("method") is not None


def git_state() -> dict[str, str]:
    """Return the commit this run grew from, and whether the tree was dirty.

    Changes of the run's own results (dvc.lock, metrics) do not count.
    """
    others = [".", ":!dvc.lock", ":!metrics"]
    changes = git.text("status", "--porcelain", "--untracked-files=no", "--", *others)
    dirty = "unknown"
    if changes is not None:
        dirty = "true" if changes else "false"
    return {"git_parent": git.text("rev-parse", "HEAD") or "none", "dirty": dirty}


def known_answer(evaluate: Path, variant: str = "train") -> tuple[str, str]:
    """Return a question, and a variant's answer in evaluate: the first of the right ones, if any."""
    facts = pd.read_parquet(evaluate / "facts.parquet")
    of_variant = facts[facts["variant"] == variant]
    right_first = of_variant.sort_values("correct", ascending=False, kind="stable")
    first = right_first.iloc[0]
    return str(first["question"]), str(first["answer"])


def numbers(report: Row, prefix: str = "") -> dict[str, float]:
    """Return every score's value by dotted name, for MLflow.

    Scores of nothing are left out, and so are those of single wordings: MLflow takes no question as a name.
    They stand in metrics/evaluate/wordings.csv.
    """
    values: dict[str, float] = {}
    for key, entry in report.items():
        name = f"{prefix}{key}"
        if entry is None or key == "wordings":
            continue
        if not isinstance(entry, dict):
            values[name] = float(entry)
        elif "value" in entry:
            values[name] = float(entry["value"])
        else:
            values |= numbers(entry, f"{name}.")
    return values


def show(gates: list[Row], skipped: list[str]) -> None:
    """Print the gates on one screen."""
    for gate in gates:
        verdict = "pass" if gate["passed"] else "FAIL"
        number = gate["nothing"] if gate["number"] is None else gate["number"]
        print(f"  {verdict}  {gate['gate']} {gate['limit']}: {number}")
    for line in skipped:
        print(f"  skip  {line}")
