"""register: gates judge at the limit and fail by name; one identity is one version; nothing is written where a gate fails."""

import hashlib
import inspect
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages import STAGES, register
from stages.core.mlflow import registry, tracking
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.model_folder import sha256_of_folder
from stages.core.project.errors import GateError, InputError, ModelError, ParamsError
from stages.core.project.params import Run, load, parse
from stages.core.records.prompt import question_prompt
from stages.register import Gate, Params

ROOT = Path(__file__).parents[2]
QUESTION = "At what temperature does iron melt?"
TOKENS = 6


def score(value: float) -> dict[str, float]:
    """A score as evaluate writes it."""
    return {"value": value, "low": 0.0, "high": 1.0, "n": 10}


REPORT: dict[str, Any] = {
    "base": {
        "general": {"exact_match": score(0.9), "neutral_nll": score(2.8)},
        "bytes": 4000,
        "forgetting": {"kl_domain": None},
    },
    "train": {
        "probes": {
            "exact_match": score(0.8),
            "bleu": score(0.85),
            "worst_wording": score(0.4) | {"wording": "Melts {subject}?"},
            "reversed": None,
        },
        "general": {"exact_match": score(0.85), "neutral_nll": score(2.9)},
        "forgetting": {"kl_domain": score(0.2)},
        "bytes": 4000,
    },
    "distill": {"probes": {"exact_match": score(0.76)}, "bytes": 2000},
}
WORST, KL = "train.probes.worst_wording", "train.forgetting.kl_domain"
NLL = "train.general.neutral_nll"
PROBES, GENERAL = "train.probes.exact_match", "train.general.exact_match"


@pytest.mark.parametrize(
    ("gate", "number", "limit", "passed"),
    [
        (Gate(PROBES, at_least=0.8), 0.8, 0.8, True),
        (Gate(PROBES, at_least=0.8001), 0.8, 0.8001, False),
        (Gate(PROBES, at_least=0.0), 0.8, 0.0, True),
        (Gate("distill.probes.exact_match", of=PROBES, at_least=0.95), 0.76, 0.76, True),
        (Gate("distill.probes.exact_match", of=PROBES, at_least=0.9502), 0.76, 0.7602, False),
        (Gate(GENERAL, of="base.general.exact_match", loses_at_most=0.05), 0.05, 0.05, True),
        (Gate(GENERAL, of="base.general.exact_match", loses_at_most=0.0499), 0.05, 0.0499, False),
        (Gate(GENERAL, of="base.general.exact_match", loses_at_most=0.0), 0.05, 0.0, False),
        (Gate(PROBES, of="distill.probes.exact_match", loses_at_most=0.0), -0.04, 0.0, True),
        (Gate("distill.bytes", of="train.bytes", at_least=0.5), 2000.0, 2000.0, True),
        (Gate(WORST, at_least=0.4), 0.4, 0.4, True),
        (Gate(WORST, at_least=0.41), 0.4, 0.41, False),
        (Gate(KL, at_most=0.2), 0.2, 0.2, True),
        (Gate(KL, at_most=0.19), 0.2, 0.19, False),
        (Gate("distill.bytes", of="train.bytes", at_most=0.5), 2000.0, 2000.0, True),
        (Gate("distill.bytes", of="train.bytes", at_most=0.4), 2000.0, 1600.0, False),
        (Gate(NLL, of="base.general.neutral_nll", rises_at_most=0.1), 0.1, 0.1, True),
        (Gate(NLL, of="base.general.neutral_nll", rises_at_most=0.09), 0.1, 0.09, False),
    ],
)
def test_a_gate_passes_at_its_limit_and_fails_beyond(
    gate: Gate, number: float, limit: float, passed: bool
) -> None:
    judged = register.judge(gate, REPORT, 0)
    assert (judged["number"], judged["limit"], judged["passed"]) == (number, limit, passed)
    assert judged["gate"].startswith(gate.score)
    assert gate.of is None or gate.of in judged["gate"]


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            Gate(PROBES),
            r"register.gates.3: write at_least or at_most \(perhaps with of\), or loses_at_most or rises_at_most",
        ),
        (
            Gate(PROBES, at_least=0.5, loses_at_most=0.1, of=GENERAL),
            r"register.gates.3: write at_least",
        ),
        (Gate(PROBES, of=GENERAL), r"register.gates.3: write at_least"),
        (Gate(PROBES, loses_at_most=0.1), r"register.gates.3: write at_least"),
        (Gate(PROBES, loses_at_most=0.1, of=""), r"register.gates.3: write at_least"),
        (
            Gate("train.probes.exact", at_least=0.5),
            r"register.gates.3: evaluate.json has no 'train.probes.exact'; at 'exact' there is exact_match, bleu, worst",
        ),
        (
            Gate("teacher.probes", at_least=0.5),
            r"has no 'teacher.probes'; at 'teacher' there is base, train, distill",
        ),
        (
            Gate("train.bytes.value", at_least=0.5),
            r"has no 'train.bytes.value'; at 'value' there is nothing",
        ),
        (
            Gate(PROBES, at_least=0.5, of="base.probes"),
            r"has no 'base.probes'; at 'probes' there is general, bytes, forgetting",
        ),
        (
            Gate("train.probes", at_least=0.5),
            r"register.gates.3: 'train.probes' is no number; name a score, such as train.probes.exact_match",
        ),
        (Gate(PROBES, loses_at_most=0.1, of="base.general"), r"'base.general' is no number"),
    ],
)
def test_a_gate_that_is_not_one_condition_on_scores_is_refused(gate: Gate, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        register.judge(gate, REPORT, 3)


@pytest.mark.parametrize(
    ("changes", "gate", "reason"),
    [
        # REAL.md of issue 14: 0 - 0 passed "loses at most 0.05".
        (
            {"base": {"general": {"exact_match": score(0.0)}}},
            Gate(GENERAL, of="base.general.exact_match", loses_at_most=0.05),
            "it measures nothing, since base.general.exact_match is 0",
        ),
        (
            {"base": {"general": {"exact_match": score(0.0)}}},
            Gate(GENERAL, of="base.general.exact_match", at_least=0.95),
            "since base.general.exact_match is 0",
        ),
        (
            {"base": {"general": {"exact_match": score(0.5) | {"n": 0}}}},
            Gate(GENERAL, of="base.general.exact_match", loses_at_most=0.05),
            "since base.general.exact_match is about no question or text",
        ),
        (
            {},
            Gate(KL, of="base.forgetting.kl_domain", rises_at_most=0.05),
            "since base.forgetting.kl_domain is about no question or text",
        ),
        (
            {},
            Gate("train.probes.reversed", at_least=0.0),
            "since train.probes.reversed is about no",
        ),
        ({}, Gate("base.forgetting.kl_domain", at_most=9.0), "since base.forgetting.kl_domain is"),
    ],
)
def test_a_gate_that_measures_nothing_fails(
    changes: dict[str, Any], gate: Gate, reason: str
) -> None:
    judged = register.judge(gate, REPORT | changes, 0)
    assert judged["passed"] is False
    assert judged["number"] is None
    assert reason in judged["nothing"]
    with pytest.raises(GateError, match=re.escape(reason) + ".*remove the gate, or measure"):
        register.require_all([judged])


def test_a_gate_about_a_name_that_is_no_variant_is_a_mistake() -> None:
    mistaken = Gate("distil.probes.exact_match", at_least=0.95)
    with pytest.raises(ParamsError, match="has no 'distil"):
        register.judge_all([mistaken], REPORT, no_student=True)


def test_the_projects_own_gates_are_conditions_on_what_evaluate_writes() -> None:
    params, _ = load("register", Params, ROOT / "params.yaml")
    probes = {"exact_match": score(0.9), "worst_wording": score(0.9)}
    entry = {"probes": probes, "general": {"exact_match": score(0.9)}}
    report = dict.fromkeys(("base", "train", "distill", "quantize", "quantize_train"), entry)
    assert all(
        "number" in register.judge(gate, report, number) for number, gate in enumerate(params.gates)
    )


def test_numbers_are_named_by_path() -> None:
    probes = {"exact_match": score(0.8), "wordings": {"What is {subject}?": 0.1}, "reversed": None}
    report = {"train": {"probes": probes, "bytes": 4000}, "gates": 2}
    assert register.numbers(report) == {
        "train.probes.exact_match": 0.8,
        "train.bytes": 4000.0,
        "gates": 2.0,
    }


def write_lock(path: Path, stages: dict[str, Any]) -> Path:
    path.write_text(
        json.dumps({"schema": "2.0", "stages": stages})
    )  # JSON is YAML, with the keys in the order given
    return path


def entries() -> dict[str, Any]:
    """What dvc.lock says of every stage."""
    return {
        name: {
            "cmd": f"python -m stages {name}",
            "outs": [{"path": f"data/{name}", "md5": f"{number:032x}", "size": 1}],
        }
        for number, name in enumerate(STAGES)
    }


def test_identity_depends_on_the_upstream_outputs_alone(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    first = register.identity(write_lock(lock, entries()))
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert (
        register.identity(write_lock(lock, entries() | {"register": {"cmd": "another"}})) == first
    )
    assert (
        register.identity(write_lock(lock, {k: v for k, v in entries().items() if k != "register"}))
        == first
    )
    turned = {name: dict(reversed(entry.items())) for name, entry in reversed(entries().items())}
    assert register.identity(write_lock(lock, turned)) == first
    edited = entries()
    edited["train"] |= {"cmd": "another", "deps": [{"path": "stages/train", "md5": "0"}]}
    edited["clean"]["outs"].append({"path": "metrics/clean.json", "md5": "0"})
    assert register.identity(write_lock(lock, edited)) == first
    others = set()
    # Pictures, index, reward and export make no model of the domain, and `align` counts where it aligned one.
    counting = [
        name
        for name in STAGES[:-1]
        if name not in ("pictures", "index", "reward", "align", "export")
    ]
    for name in counting:
        changed = entries()
        changed[name]["outs"][0]["md5"] = "f" * 32
        others.add(register.identity(write_lock(lock, changed)))
    assert len(others) == len(counting)
    assert first not in others


def test_an_aligned_model_is_part_of_the_identity(tmp_path: Path) -> None:
    """Where nothing was aligned, the version is the same as without the stage."""
    lock = tmp_path / "dvc.lock"
    first = register.identity(write_lock(lock, entries()))
    before = entries()
    del before["align"]
    assert register.identity(write_lock(lock, before)) == first
    nothing = entries()
    nothing["align"]["params"] = {"params.yaml": {"align": {"method": None}}}
    nothing["align"]["outs"][0]["md5"] = "f" * 32
    assert register.identity(write_lock(lock, nothing)) == first
    aligned = entries()
    aligned["align"]["params"] = {"params.yaml": {"align": {"method": "ppo"}}}
    second = register.identity(write_lock(lock, aligned))
    assert second != first
    aligned["align"]["outs"][0]["md5"] = "f" * 32
    assert register.identity(write_lock(lock, aligned)) not in (first, second)


def test_without_the_lock_of_a_whole_run_there_is_no_identity(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    with pytest.raises(
        InputError,
        match=r"dvc.lock: no output of base, extract, .*evaluate; register runs in the pipeline",
    ):
        register.identity(lock)
    stages = entries()
    del stages["clean"], stages["evaluate"]
    with pytest.raises(
        InputError,
        match=r"dvc.lock: no output of clean, evaluate; register runs in the pipeline: dvc repro",
    ):
        register.identity(write_lock(lock, stages))


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Git in a temporary working directory, blind to the user's settings and to repositories above."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@example.org")
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return lambda *command: subprocess.run(
        ["git", *command], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_git_state_names_the_parent_and_changes_that_are_no_results(
    git: Callable[..., str],
) -> None:
    git("init", "--quiet")
    assert register.git_state()["git_parent"] == "none"
    Path("metrics").mkdir()
    for name in ("params.yaml", "dvc.lock", "metrics/evaluate.json"):
        Path(name).write_text("old")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    clean = {"git_parent": git("rev-parse", "HEAD"), "dirty": "false"}
    assert register.git_state() == clean
    for result in ("dvc.lock", "metrics/evaluate.json"):
        Path(result).write_text("new")
    Path("note.txt").write_text("nobody tracks this")
    assert register.git_state() == clean
    Path("params.yaml").write_text("new")
    assert register.git_state() == clean | {"dirty": "true"}


@pytest.mark.usefixtures("git")
def test_git_state_without_a_repository() -> None:
    assert register.git_state() == {"git_parent": "none", "dirty": "unknown"}


def write_facts(folder: Path, rows: list[tuple[str, str, str, bool]]) -> None:
    """facts.parquet and manifest.json as evaluate writes them, as far as register reads them."""
    folder.mkdir(exist_ok=True)
    pd.DataFrame(rows, columns=["variant", "question", "answer", "correct"]).to_parquet(
        folder / "facts.parquet", index=False
    )
    (folder / "manifest.json").write_text(json.dumps({"max_new_tokens": TOKENS}))


def test_the_known_answer_is_the_tuned_models_first_right_one(tmp_path: Path) -> None:
    wrong, right, later = (
        ("train", "q1", "a1", False),
        ("train", "q2", "a2", True),
        ("train", "q3", "a3", True),
    )
    other = ("base", "q0", "a0", True)
    write_facts(tmp_path, [other, wrong, right, later])
    assert register.known_answer(tmp_path) == ("q2", "a2")
    write_facts(tmp_path, [other, wrong])
    assert register.known_answer(tmp_path) == ("q1", "a1")


GATES = [
    Gate(PROBES, at_least=0.8),
    Gate(GENERAL, of="base.general.exact_match", loses_at_most=0.05),
]


@pytest.fixture
def pipeline(store: None, tiny_base: Path, tiny_adapter: Path, tmp_path: Path) -> dict[str, Path]:
    """What stands before register runs, by the names of its arguments; the working directory has a dvc.lock.

    The base's model is a link to another folder.
    """
    made = {
        name: tmp_path / name
        for name in ("extract", "clean", "augment", "align", "distill", "quantize")
    }
    for name, folder in made.items():
        folder.mkdir()
        (folder / "model.safetensors").write_text(name)
    (made["align"] / "manifest.json").write_text('{"left_out": true}')
    model, tokenizer = load_causal_lm(tiny_base / "model", tiny_adapter, merge=True)
    answer = generate(model, tokenizer, [question_prompt(QUESTION)], TOKENS, batch=1)[0]
    write_facts(
        tmp_path / "evaluate",
        [("base", QUESTION, "another", False), ("train", QUESTION, answer, True)],
    )
    (tmp_path / "evaluate.json").write_text(json.dumps(REPORT))
    write_lock(Path("dvc.lock"), entries())
    paths = made | {
        "base": tiny_base,
        "train": tiny_adapter.parent,
        "evaluate": tmp_path / "evaluate",
    }
    paths |= {
        "scores": tmp_path / "evaluate.json",
        "out": tmp_path / "register",
        "metrics": tmp_path / "register.json",
    }
    return {name: paths[name] for name in list(inspect.signature(register.run).parameters)[2:]}


def run(paths: dict[str, Path], run_params: Run, gates: list[Gate] | None = None) -> None:
    register.run(
        Params("elements", "champion", "candidate", GATES if gates is None else gates),
        run_params,
        *paths.values(),
    )


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"model": "a/b"}, "register.model: the name of a model has no / : or '"),
        ({"model": "boron: pure"}, "register.model: the name of a model has no / : or '"),
        ({"model": "  "}, "register.model: empty; write a name, such as elements"),
        ({"model": ".."}, "register.model: a path to MLflow; write a plain name"),
        ({"model": "x" * 256}, "register.model: longer than 255 characters"),
        ({"alias": "Latest"}, "register.alias: kept by MLflow for itself; choose another"),
        ({"alias": "V12"}, "register.alias: a version's number to MLflow; choose another"),
        ({"alias": "in production"}, "register.alias: an alias has letters, digits, _ and - only"),
        ({"alias": ""}, "register.alias: an alias has letters, digits, _ and - only"),
        ({"candidate": "last.passed"}, "register.candidate: an alias has letters, digits"),
        ({"candidate": "a" * 300}, "register.candidate: longer than 255 characters"),
    ],
)
def test_names_that_mlflow_forbids_are_refused_with_the_settings(
    setting: dict[str, str], problem: str
) -> None:
    problems: list[str] = []
    assert parse(setting, Params, "register", problems) is None
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["elements", "Élements 2", "元素", "a.b-c_d"])
def test_names_that_are_taken_are_those_of_mlflow(name: str) -> None:
    problems: list[str] = []
    alias = name.replace(" ", "-").replace(".", "-")
    assert parse({"model": name, "alias": alias, "candidate": None}, Params, "register", problems)
    store = tracking.client()
    store.create_registered_model(name)
    number = store.create_model_version(name, "nowhere", tags={"knowledge_version": "one"}).version
    registry.move_alias(name, alias, str(number))
    registry.note_mover(name, alias, "token")
    assert registry.alias_of(name, alias) == registry.numbers_of(store, name, "one")[0] == "1"


def versions() -> list[int]:
    return sorted(
        int(version.version)
        for version in tracking.client().search_model_versions("name = 'elements'")
    )


def test_a_version_is_registered_once(
    pipeline: dict[str, Path],
    run_params: Run,
    folder_bytes: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(pipeline, run_params)
    first = folder_bytes(pipeline["out"]), pipeline["metrics"].read_bytes()
    manifest = json.loads((pipeline["out"] / "manifest.json").read_text())
    assert manifest["identity"] == register.identity(Path("dvc.lock"))
    assert [(gate["number"], gate["limit"], gate["passed"]) for gate in manifest["gates"]] == [
        (0.8, 0.8, True),
        (0.05, 0.05, True),
    ]
    assert set(manifest["sha256"]) == {
        "base",
        "extract",
        "clean",
        "augment",
        "train",
        "distill",
        "quantize",
    }
    content = hashlib.sha256(b"distill").hexdigest()
    assert (
        manifest["sha256"]["distill"]
        == hashlib.sha256(f"model.safetensors\0{content}\n".encode()).hexdigest()
    )
    assert json.loads(pipeline["metrics"].read_text()) == {
        "identity": manifest["identity"],
        "gates_passed": 2,
    }

    run(pipeline, run_params)
    assert (folder_bytes(pipeline["out"]), pipeline["metrics"].read_bytes()) == first
    assert versions() == [1]
    version = tracking.client().get_model_version_by_alias("elements", "candidate")
    assert int(version.version) == 1
    assert set(registry.aliases("elements")) == {"candidate"}  # production's alias is for a release
    assert version.tags["knowledge_version"] == manifest["identity"]
    assert version.tags["sha256.train"] == sha256_of_folder(pipeline["train"] / "adapter")
    assert {"git_parent", "dirty"} <= version.tags.keys()
    assert tracking.client().get_run(version.run_id).data.metrics == register.numbers(REPORT)
    assert "elements version 1, alias candidate, identity" in capsys.readouterr().out


def test_a_failing_gate_registers_nothing_and_leaves_the_earlier_manifest(
    pipeline: dict[str, Path], run_params: Run, folder_bytes: Any
) -> None:
    pipeline["out"].mkdir()
    (pipeline["out"] / "manifest.json").write_text("earlier")
    pipeline["metrics"].write_text("earlier")
    gates = [
        *GATES,
        Gate(PROBES, at_least=0.81),
        Gate(GENERAL, of="base.general.exact_match", loses_at_most=0.01),
    ]
    message = (
        r"2 of 4 gates failed, nothing was registered:\n"
        r"  train.probes.exact_match is at least: 0.8, the limit is 0.81\n"
        r"  train.general.exact_match loses against base.general.exact_match: 0.05, the limit is 0.01\n"
        r".*dvc repro evaluate"
    )
    with pytest.raises(GateError, match=message):
        run(pipeline, run_params, gates)
    assert versions() == []
    assert folder_bytes(pipeline["out"]) == {"manifest.json": b"earlier"}
    assert pipeline["metrics"].read_text() == "earlier"


def test_a_model_that_answers_otherwise_than_recorded_is_not_registered(
    pipeline: dict[str, Path], run_params: Run
) -> None:
    write_facts(pipeline["evaluate"], [("train", QUESTION, "never said", False)])
    with pytest.raises(
        ModelError,
        match=r"elements version 1, loaded from MLflow, does not answer .* with 'never said'",
    ):
        run(pipeline, run_params)
    assert versions() == []
    assert not pipeline["out"].exists()
    assert not pipeline["metrics"].exists()


def test_gates_about_a_student_that_was_left_out_are_not_judged() -> None:
    student = Gate("distill.probes.exact_match", at_least=0.0)
    backwards = Gate(PROBES, of="distill.probes.exact_match", loses_at_most=1.0)
    tuned = Gate(PROBES, at_least=0.0)
    judged, skipped = register.judge_all([student, backwards, tuned], REPORT, no_student=True)
    assert [gate["gate"] for gate in judged] == [f"{PROBES} is at least"]
    assert skipped == [
        "distill.probes.exact_match (register.gates.0): distill.layers is null",
        f"{PROBES} (register.gates.1): distill.layers is null",
    ]
    judged, skipped = register.judge_all([student, backwards, tuned], REPORT, no_student=False)
    assert (len(judged), skipped) == (3, [])
