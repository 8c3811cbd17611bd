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

Refused: a gate that fails (all failures are named, nothing is registered); a model that, loaded from
MLflow, gives another answer than evaluate recorded.
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


@dataclass(frozen=True, config=STRICT)
class Gate:
    """One condition on metrics/evaluate.json; scores are named by dotted path, `train.probes.exact_match`."""

    score: str
    """The score that is judged: a dotted path in `metrics/evaluate.json`, such as
    `train.probes.exact_match`."""
    at_least: float | None = None
    """Least value. With `of`, the least share of the other score."""
    loses_at_most: float | None = None
    """Largest loss against the score `of`. A gate has either this or `at_least`."""
    of: str | None = None
    """The score to compare with, such as `base.general.exact_match`."""


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
    distill: Path,
    quantize: Path,
    evaluate: Path,
    scores: Path,
    out: Path,
    metrics: Path,
) -> None:
    """Judge the gates and register the tuned model."""
    report = json.loads(scores.read_text(encoding="utf-8"))
    gates = []
    for number, gate in enumerate(params.gates):
        if about_left_out(gate, distill):
            print(f"  not judged: {gate.score} (register.gates.{number}): distill.layers is null")
            continue
        gates.append(judge(gate, report, number))
    show(gates)
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
    digests = {}
    for name, folder in folders.items():
        digests[name] = sha256_of_folder(folder)
    manifest: Row = {"identity": identity(Path("dvc.lock")), "gates": gates, "sha256": digests}
    tags = {"knowledge_version": manifest["identity"], **git_state()}
    for name, digest in digests.items():
        tags[f"sha256.{name}"] = digest
    answers_made_by = json.loads((evaluate / "manifest.json").read_text(encoding="utf-8"))
    version = registry.register(
        params.model,
        params.candidate,
        {"base": folders["base"], "adapter": folders["train"]},
        answers_made_by["max_new_tokens"],
        tags,
        numbers(report),
        known_answer(evaluate),
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
        lines.append(f"  {gate['gate']}: {gate['number']}, the limit is {gate['limit']}")
    lines.append(
        "The models are in place; improve them, or change register.gates. "
        "For experiments run: dvc repro evaluate"
    )
    raise GateError("\n".join(lines))


def about_left_out(gate: Gate, distill: Path) -> bool:
    """Return whether a gate is about the student, and there is none (`distill.layers: null`)."""
    named = {score.partition(".")[0] for score in (gate.score, gate.of) if score}
    return variants.is_left_out(distill) and not named.isdisjoint(variants.STUDENT_NAMES)


def judge(gate: Gate, report: Row, number: int) -> Row:
    """Return one gate with its number and limit.

    Raises ParamsError where the gate is not exactly one condition on scores that exist.
    """
    where = f"register.gates.{number}"
    conditions = [gate.at_least is not None, gate.loses_at_most is not None]
    lacks_comparison = gate.loses_at_most is not None and not gate.of
    if sum(conditions) != 1 or lacks_comparison:
        raise ParamsError(f"{where}: write at_least (perhaps with of), or loses_at_most with of")
    value = look_up(report, gate.score, where)
    other = look_up(report, gate.of, where) if gate.of else None

    if gate.loses_at_most is not None and other is not None:
        loss = round(other - value, 4)
        return {
            "gate": f"{gate.score} loses against {gate.of}",
            "number": loss,
            "limit": gate.loses_at_most,
            "passed": loss <= gate.loses_at_most,
        }
    least = gate.at_least or 0.0
    name = f"{gate.score} is at least"
    if other is not None:
        least = round(least * other, 4)
        name = f"{gate.score} is at least {gate.at_least} of {gate.of}"
    return {"gate": name, "number": value, "limit": least, "passed": value >= least}


def look_up(report: Row, path: str, where: str) -> float:
    """Return the number at a dotted path; of a score, its value."""
    entry: Any = report
    for part in path.split("."):
        if not isinstance(entry, dict) or part not in entry:
            known = ", ".join(entry) if isinstance(entry, dict) else "nothing"
            raise ParamsError(
                f"{where}: evaluate.json has no {path!r}; at {part!r} there is {known}"
            )
        entry = entry[part]
    if isinstance(entry, dict) and "value" in entry:
        entry = entry["value"]
    if not isinstance(entry, (int, float)):
        raise ParamsError(
            f"{where}: {path!r} is no number; name a score, such as {path}.exact_match"
        )
    return float(entry)


def identity(lock: Path) -> str:
    """Return the SHA-256 over the hashes that dvc.lock has of data/<stage> and models/<stage>.

    It covers every stage before this one. Raises InputError where an output is missing.
    """
    stages = read_yaml(lock).get("stages", {}) if lock.is_file() else {}
    hashes: dict[str, list[str]] = {}
    for name in UPSTREAM:
        hashes[name] = []
        for out in stages.get(name, {}).get("outs", []):
            if out["path"] in (f"data/{name}", f"models/{name}"):
                hashes[name].append(out["md5"])
    missing = [name for name in UPSTREAM if not hashes[name]]
    if missing:
        raise InputError(
            f"{lock}: no output of {', '.join(missing)}; register runs in the pipeline: dvc repro"
        )
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


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


def known_answer(evaluate: Path) -> tuple[str, str]:
    """Return a question, and the tuned model's answer in evaluate: the first of the right ones, if any."""
    facts = pd.read_parquet(evaluate / "facts.parquet")
    of_train = facts[facts["variant"] == "train"]
    right_first = of_train.sort_values("correct", ascending=False, kind="stable")
    first = right_first.iloc[0]
    return str(first["question"]), str(first["answer"])


def numbers(report: Row, prefix: str = "") -> dict[str, float]:
    """Return every score's value by dotted name, for MLflow."""
    values: dict[str, float] = {}
    for key, entry in report.items():
        name = f"{prefix}{key}"
        if not isinstance(entry, dict):
            values[name] = float(entry)
        elif "value" in entry:
            values[name] = float(entry["value"])
        else:
            values |= numbers(entry, f"{name}.")
    return values


def show(gates: list[Row]) -> None:
    """Print the gates on one screen."""
    for gate in gates:
        verdict = "pass" if gate["passed"] else "FAIL"
        print(f"  {verdict}  {gate['gate']} {gate['limit']}: {gate['number']}")
