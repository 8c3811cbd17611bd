"""register: gates, then a model version in MLflow that loads and answers.

In: the models, the scores of evaluate, dvc.lock. Out: `manifest.json` (gates with limit and number, hashes of every
model, the version's identity), the same as `register.json` in metrics; in MLflow a version of the registered model,
with an alias.

The identity of a knowledge version is the digest of what dvc.lock says the stages before this one made, because a run comes
before its commit; git's parent and whether the tree was dirty are tags. It is made of outputs, all of them inputs of this
stage, and not of code or settings: a change that changed no byte is no other version, and DVC would not run this stage for it.
The same identity is never registered twice.

Refused: a gate that fails (all failures are named, nothing is registered); a model that, loaded from MLflow, answers
another way than evaluate recorded.
"""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic.dataclasses import dataclass

from stages.core.mlflow import registry
from stages.core.models.model_folder import sha256_of_folder
from stages.core.project.errors import GateError, InputError, ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run, read_yaml

Row = dict[str, Any]
UPSTREAM = ("base", "extract", "clean", "augment", "train", "distill", "quantize", "evaluate")


@dataclass(frozen=True, config=STRICT)
class Gate:
    """One condition on metrics/evaluate.json; scores are named by dotted path, `train.probes.exact_match`."""

    score: str
    """What is judged."""
    at_least: float | None = None
    """Least value; or, with `of`, least share of the other score."""
    loses_at_most: float | None = None
    """Largest loss against the score `of`."""
    of: str | None = None
    """The score to compare with."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """What must hold, and the name to register under."""

    model: str
    """Name of the registered model."""
    alias: str
    """Alias that moves to the new version."""
    gates: list[Gate]
    """All must pass."""


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
    gates = [judge(gate, report, number) for number, gate in enumerate(params.gates)]
    show(gates)
    if failed := [gate for gate in gates if not gate["passed"]]:
        lines = "\n".join(
            f"  {gate['gate']}: {gate['number']}, the limit is {gate['limit']}" for gate in failed
        )
        raise GateError(
            f"{len(failed)} of {len(gates)} gates failed, nothing was registered:\n{lines}\n"
            "The models are in place; improve them, or change register.gates. For experiments run: dvc repro evaluate"
        )
    folders = {"base": base / "model", "extract": extract, "clean": clean, "augment": augment}
    folders |= {"train": train / "adapter", "distill": distill, "quantize": quantize}
    manifest: Row = {
        "identity": identity(Path("dvc.lock")),
        "gates": gates,
        "sha256": {name: sha256_of_folder(folder) for name, folder in folders.items()},
    }
    tags = {"knowledge_version": manifest["identity"]} | git_state()
    tags |= {f"sha256.{name}": digest for name, digest in manifest["sha256"].items()}
    version = registry.register(
        params.model,
        params.alias,
        {"base": folders["base"], "adapter": folders["train"]},
        json.loads((evaluate / "manifest.json").read_text(encoding="utf-8"))["max_new_tokens"],
        tags,
        numbers(report),
        known_answer(evaluate),
    )
    with replacing(out) as folder:
        write_json(folder / "manifest.json", manifest)
    write_json(metrics, {"identity": manifest["identity"], "gates_passed": len(gates)})
    print(
        f"register: {params.model} version {version}, alias {params.alias}, identity {manifest['identity'][:12]}…"
    )


def judge(gate: Gate, report: Row, number: int) -> Row:
    """One gate with its number and limit. Raises ParamsError where it is not one condition on scores that exist."""
    where = f"register.gates.{number}"
    if (gate.at_least is None) == (gate.loses_at_most is None) or (
        gate.loses_at_most is not None and not gate.of
    ):
        raise ParamsError(f"{where}: write at_least (perhaps with of), or loses_at_most with of")
    value = look_up(report, gate.score, where)
    other = look_up(report, gate.of, where) if gate.of else None
    if gate.loses_at_most is not None and other is not None:
        number_, name = round(other - value, 4), f"{gate.score} loses against {gate.of}"
        return {
            "gate": name,
            "number": number_,
            "limit": gate.loses_at_most,
            "passed": number_ <= gate.loses_at_most,
        }
    least = gate.at_least or 0.0
    if other is not None:
        least, name = (
            round(least * other, 4),
            f"{gate.score} is at least {gate.at_least} of {gate.of}",
        )
    else:
        name = f"{gate.score} is at least"
    return {"gate": name, "number": value, "limit": least, "passed": value >= least}


def look_up(report: Row, path: str, where: str) -> float:
    """The number at a dotted path (of a score, its value)."""
    found: Any = report
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            known = ", ".join(found) if isinstance(found, dict) else "nothing"
            raise ParamsError(
                f"{where}: evaluate.json has no {path!r}; at {part!r} there is {known}"
            )
        found = found[part]
    value = found["value"] if isinstance(found, dict) and "value" in found else found
    if not isinstance(value, (int, float)):
        raise ParamsError(
            f"{where}: {path!r} is no number; name a score, such as {path}.exact_match"
        )
    return float(value)


def identity(lock: Path) -> str:
    """SHA-256 over the hashes that dvc.lock has of data/<stage> and models/<stage> of every stage before this one.

    Raises InputError where one is missing.
    """
    stages = read_yaml(lock).get("stages", {}) if lock.is_file() else {}
    made = {
        name: [
            out["md5"]
            for out in stages.get(name, {}).get("outs", [])
            if out["path"] in (f"data/{name}", f"models/{name}")
        ]
        for name in UPSTREAM
    }
    if missing := [name for name, hashes in made.items() if not hashes]:
        raise InputError(
            f"{lock}: no output of {', '.join(missing)}; register runs in the pipeline: dvc repro"
        )
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def git_state() -> dict[str, str]:
    """The commit this run grew from, and whether anything but the run's own results had changed since."""

    def git(*command: str) -> str | None:
        try:
            done = subprocess.run(["git", *command], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    changed = git(
        "status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock", ":!metrics"
    )
    dirty = "unknown" if changed is None else str(bool(changed)).lower()
    return {"git_parent": git("rev-parse", "HEAD") or "none", "dirty": dirty}


def known_answer(evaluate: Path) -> tuple[str, str]:
    """A question, and what the tuned model answered in evaluate: the first of the facts it had right, if any."""
    facts = pd.read_parquet(evaluate / "facts.parquet")
    facts = facts[facts["variant"] == "train"].sort_values(
        "correct", ascending=False, kind="stable"
    )
    return str(facts["question"].iloc[0]), str(facts["answer"].iloc[0])


def numbers(report: Row, prefix: str = "") -> dict[str, float]:
    """Every score's value by dotted name, for MLflow."""
    found: dict[str, float] = {}
    for name, entry in report.items():
        if isinstance(entry, dict):
            found |= (
                {f"{prefix}{name}": float(entry["value"])}
                if "value" in entry
                else numbers(entry, f"{prefix}{name}.")
            )
        else:
            found[f"{prefix}{name}"] = float(entry)
    return found


def show(gates: list[Row]) -> None:
    """Print the gates on one screen."""
    for gate in gates:
        print(
            f"  {'pass' if gate['passed'] else 'FAIL'}  {gate['gate']} {gate['limit']}: {gate['number']}"
        )
