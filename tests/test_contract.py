"""What keeps the house livable: dvc.yaml, params.yaml, README, modules, imports and folders say the same.

Every check is a function of a root folder that returns problems, so that the tests at the end can break a copy and see it fail.
"""

import ast
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
NEUTRAL = {
    "stages/core/mlflow/tracking.py",
    "stages/core/mlflow/registry.py",
    "stages/core/mlflow/store.py",
    "stages/core/project/errors.py",
}
"""Cannot change the bytes of an output, so they need not be dependencies. An `__init__.py` of core holds no code."""
LAUNCHER = [
    "requirements.lock",
    "stages/__main__.py",
    "stages/core/project/runtime.py",
    "stages/core/project/lock.py",
]
"""What every stage depends on: versions, threads, instruction set."""

SHARED = ["run.seed", "run.threads", "run.isa", "run.device"]
"""Of `run`, what can change the bytes of an output."""


def yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def stage_names(root: Path) -> list[str]:
    tree = ast.parse((root / "stages/__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "STAGES":
            return list(ast.literal_eval(node.value))
    return []


def imported(path: Path, root: Path) -> set[Path]:
    """Files of this project that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] in ("stages", "lore"):
                base = root / name.replace(".", "/")
                found |= {
                    file
                    for file in (base.with_suffix(".py"), base / "__init__.py")
                    if file.is_file()
                }
    return {
        file
        for file in found
        if file.name != "__init__.py" or not file.is_relative_to(root / "stages/core")
    } - {root / "stages/__init__.py"}


def closure(root: Path, stage: str) -> list[str]:
    """Code dependencies of a stage: its module (a package as a folder) and what it imports, directly or not."""
    module = root / "stages" / stage
    todo = sorted(module.rglob("*.py")) if module.is_dir() else [module.with_suffix(".py")]
    seen: set[Path] = set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += imported(path, root)
    names = {str(path.relative_to(root)) for path in seen}
    if module.is_dir():
        names = {name for name in names if not name.startswith(f"stages/{stage}/")} | {
            f"stages/{stage}"
        }
    return sorted((names - NEUTRAL) | set(LAUNCHER))


def check_order(root: Path) -> list[str]:
    """Stages stand in the same order in dvc.yaml, params.yaml, stages/__init__.py and the README's table."""
    names = stage_names(root)
    readme = re.findall(
        r"^\| `(\w+)` \|", (root / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    found = {
        "dvc.yaml": list(yaml(root / "dvc.yaml")["stages"]),
        "params.yaml": [name for name in yaml(root / "params.yaml") if name != "run"],
        "README.md": readme,
    }
    docstring = (
        ast.get_docstring(ast.parse((root / "stages/__init__.py").read_text(encoding="utf-8")))
        or ""
    )
    problems = [
        f"{where}: {order}, stages/__init__.py has {names}"
        for where, order in found.items()
        if order != names
    ]
    if ", ".join(names) not in " ".join(docstring.split()):
        problems.append("stages/__init__.py: the docstring names other stages")
    return problems


def check_stages(root: Path) -> list[str]:
    """Each stage of dvc.yaml: its description, command, sections, code dependencies, and paths that agree with the command."""
    problems = []
    for name, stage in yaml(root / "dvc.yaml")["stages"].items():
        command = shlex.split(stage["cmd"])
        outs = [
            next(iter(out)) if isinstance(out, dict) else out
            for key in ("outs", "metrics", "plots")
            for out in stage.get(key, [])
        ]
        deps = [
            dep
            for dep in stage["deps"]
            if not dep.endswith((".py", ".lock")) and dep != f"stages/{name}"
        ]
        if not stage.get("desc"):
            problems.append(f"{name}: no desc")
        if command[:4] != ["python", "-m", "stages", name]:
            problems.append(f"{name}: cmd must begin with python -m stages {name}")
        if stage.get("params") != [name, *SHARED]:
            problems.append(f"{name}: params must be [{', '.join([name, *SHARED])}]")
        wanted = closure(root, name)
        code = sorted(set(stage["deps"]) - set(deps))
        if code != wanted:
            listed = "\n".join(f"      - {path}" for path in wanted)
            problems.append(f"{name}: code dependencies are not its imports; paste\n{listed}")
        problems += [
            f"{name}: {path} is in cmd, but neither a dep nor an out"
            for path in command[4:]
            if not covered(path, deps + outs)
        ]
        problems += [
            f"{name}: {path} is declared, but not in cmd"
            for path in deps + outs
            if not covered(path, command[4:])
        ]
    return problems


def outputs(stage: Any) -> list[str]:
    """Paths of all outputs, metrics and plots of a stage."""
    declared = [out for key in ("outs", "metrics", "plots") for out in stage.get(key, [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in declared]


def covered(path: str, others: list[str]) -> bool:
    """Whether a path, something below it or a folder above it is among others."""
    return any(
        Path(path).is_relative_to(other) or Path(other).is_relative_to(path) for other in others
    )


def check_cached(root: Path) -> list[str]:
    """Every stage has a cached output: one with git metrics only never runs in a fresh clone."""
    problems = []
    for name, stage in yaml(root / "dvc.yaml")["stages"].items():
        if not [
            out
            for out in stage.get("outs", [])
            if not isinstance(out, dict) or next(iter(out.values())).get("cache", True)
        ]:
            problems.append(f"{name}: no cached output")
    return problems


def check_inputs(root: Path) -> list[str]:
    """Every dependency is tracked by git or by DVC, made by an earlier stage, or the word net that set-up fetches."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    made: list[str] = ["data/wordnet"]
    problems = []
    for name, stage in yaml(root / "dvc.yaml")["stages"].items():
        for dep in stage["deps"]:
            known = any(
                file in (dep, f"{dep}.dvc") or file.startswith(f"{dep}/") for file in tracked
            )
            if not known and not any(Path(dep).is_relative_to(path) for path in made):
                problems.append(f"{name}: nobody makes {dep}")
        made += [
            next(iter(out)) if isinstance(out, dict) else out
            for key in ("outs", "metrics", "plots")
            for out in stage.get(key, [])
        ]
    return problems


def check_sources(root: Path) -> list[str]:
    """Every source of params.yaml is a dependency of extract: else a change of it would go unnoticed."""
    extract = yaml(root / "dvc.yaml")["stages"]["extract"]
    folder = shlex.split(extract["cmd"])[4]
    problems = []
    for source in yaml(root / "params.yaml")["extract"]["sources"]:
        read = [re.split(r"[^/]*[*?\[]", f"{folder}/{source['path']}")[0].rstrip("/")]
        read += [source["model"]] if (root / source.get("model", root / "none")).is_dir() else []
        problems += [
            f"extract: params.yaml reads {path}, which is no dependency in dvc.yaml; add it to the deps of extract"
            for path in read
            if not any(Path(path).is_relative_to(dep) for dep in extract["deps"])
        ]
    return problems


def check_imports(root: Path) -> list[str]:
    """Stages import core, never another stage; core imports neither stages nor lore; stages never import lore."""
    names = set(stage_names(root))
    problems = []
    for path in sorted((root / "stages").rglob("*.py")):
        own = path.relative_to(root / "stages").parts[0].removesuffix(".py")
        for other in imported(path, root):
            package, *rest = other.relative_to(root).parts
            target = rest[0].removesuffix(".py")
            if package == "lore":
                problems.append(f"{path.relative_to(root)}: imports lore")
            elif target in names and own not in (target, "__main__"):
                problems.append(f"{path.relative_to(root)}: imports the stage {target}")
    return problems


def check_names(root: Path) -> list[str]:
    """Modules are named for what they hold; every stage has its module, its tests and its output folder in .gitignore."""
    forbidden = {"utils", "util", "helpers", "helper", "common", "misc"}
    problems = [
        f"{path}: name it for what it holds"
        for path in root.glob("*/**/*.py")
        if path.stem in forbidden and ".venv" not in path.parts
    ]
    ignored = (root / ".gitignore").read_text(encoding="utf-8").splitlines()
    for name, stage in yaml(root / "dvc.yaml")["stages"].items():
        module = root / "stages" / name
        if not (module.is_dir() or module.with_suffix(".py").is_file()):
            problems.append(f"{name}: no module stages/{name}")
        tests = [
            root / f"tests/stages/test_{name}.py",
            root / f"tests/stages/{name}/test_{name}.py",
        ]
        if not any(path.is_file() for path in tests):
            problems.append(f"{name}: no tests/stages/test_{name}.py")
        for out in stage.get("outs", []):
            if isinstance(out, str) and f"/{out}" not in ignored:
                problems.append(f".gitignore: no line /{out}")
            if isinstance(out, str) and Path(out).stem != name:
                problems.append(f"{name}: its output {out} is not named like the stage")
    return problems


CHECKS: list[Callable[[Path], list[str]]] = [
    check_order, check_stages, check_cached, check_inputs, check_sources, check_imports, check_names,
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Path], list[str]]) -> None:
    problems = check(ROOT)
    assert not problems, "\n".join(problems)


def test_every_setting_is_read_by_its_stage() -> None:
    import importlib

    from stages import STAGES
    from stages.core.project.params import load

    for name in STAGES:
        module = importlib.import_module(f"stages.{name}")
        section, _ = load(name, module.Params, ROOT / "params.yaml")
        assert isinstance(section, module.Params)


def test_every_shared_setting_is_a_dependency_or_changes_no_byte() -> None:
    import dataclasses

    from stages.core.project.params import Run

    declared = [f"run.{field.name}" for field in dataclasses.fields(Run)]
    assert declared == [*SHARED, "run.executor", "run.address"]
    assert [f"run.{name}" for name in yaml(ROOT / "params.yaml")["run"]] == declared


def test_no_dependency_was_hashed_as_an_empty_folder() -> None:
    """DVC sees a folder inside another DVC project as empty, and would then never notice a change there."""
    stages = yaml(ROOT / "dvc.lock")["stages"]
    assert stages
    assert not [
        (name, dep["path"])
        for name, stage in stages.items()
        for dep in stage["deps"]
        if dep.get("nfiles") == 0
    ]


def test_every_file_of_the_seed_model_is_a_dependency() -> None:
    deps = set(yaml(ROOT / "dvc.yaml")["stages"]["base"]["deps"])
    assert {
        f"models/seed/model/{path.name}" for path in (ROOT / "models/seed/model").iterdir()
    } <= deps


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the checks read, to be broken."""
    for name in ("dvc.yaml", "params.yaml", "README.md", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("stages", "tests/stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def edit(path: Path, change: Callable[[Any], None]) -> None:
    document = yaml(path)
    change(document)
    YAML(typ="safe").dump(document, path)


def test_a_removed_dependency_is_noticed(copy: Path) -> None:
    edit(
        copy / "dvc.yaml",
        lambda d: d["stages"]["clean"]["deps"].remove("stages/core/records/record.py"),
    )
    assert "clean: code dependencies are not its imports" in "\n".join(check_stages(copy))


def test_a_removed_input_is_noticed(copy: Path) -> None:
    edit(copy / "dvc.yaml", lambda d: d["stages"]["clean"]["deps"].remove("data/raw/rules.yaml"))
    assert any(
        "data/raw/rules.yaml is in cmd, but neither a dep nor an out" in problem
        for problem in check_stages(copy)
    )


def test_a_source_that_is_no_dependency_is_noticed(copy: Path) -> None:
    edit(copy / "params.yaml", lambda d: d["extract"]["sources"][0].update(path="notes/**/*.xml"))
    assert check_sources(copy) == [
        "extract: params.yaml reads data/raw/notes, which is no dependency in dvc.yaml; add it to the deps of extract"
    ]


def test_a_model_that_is_no_dependency_is_noticed(copy: Path) -> None:
    (copy / "models/whisper").mkdir(parents=True)
    edit(copy / "params.yaml", lambda d: d["extract"]["sources"][0].update(model="models/whisper"))
    assert check_sources(copy) == [
        "extract: params.yaml reads models/whisper, which is no dependency in dvc.yaml; add it to the deps of extract"
    ]


def test_a_removed_section_is_noticed(copy: Path) -> None:
    edit(copy / "params.yaml", lambda d: d.pop("augment"))
    assert any(problem.startswith("params.yaml:") for problem in check_order(copy))


def test_a_removed_stage_is_noticed(copy: Path) -> None:
    edit(copy / "dvc.yaml", lambda d: d["stages"].pop("quantize"))
    assert any(problem.startswith("dvc.yaml:") for problem in check_order(copy))
    assert any("nobody makes models/quantize" in problem for problem in check_inputs(copy))


def test_a_stage_that_imports_another_is_noticed(copy: Path) -> None:
    (copy / "stages/train.py").write_text("from stages import clean\n")
    assert check_imports(copy) == ["stages/train.py: imports the stage clean"]


def test_a_new_import_is_noticed(copy: Path) -> None:
    with (copy / "stages/quantize.py").open("a") as file:
        file.write("\n\ndef f() -> None:\n    from stages.core.models import muon\n    del muon\n")
    assert "stages/core/models/muon.py" in "\n".join(check_stages(copy))
