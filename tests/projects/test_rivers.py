"""A project beside the main one: its own dvc.yaml, params.yaml, data and stage, and our stages.

The project is copied into a repository of its own, which also holds Lorekeep's code, as
scenarios/<name>/ does. Another copy lies in a repository without it, as a user's own project does.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lore.__main__ import main
from lore.checking.pipeline import CHECKS
from lore.checking.project import read_project
from stages.core.project import stage_modules
from stages.core.project.errors import InputError, ParamsError

ROOT = Path(__file__).parents[2]
RIVERS = Path(__file__).parent / "rivers"


def command(folder: Path, *words: str, code: int = 0, repository: Path = ROOT) -> str:
    """Run a command with Lorekeep's code from `repository`, and return what it printed."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(repository),
        "DVC_NO_ANALYTICS": "1",
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@example.org",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@example.org",
    }
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def command_beside(folder: Path, *words: str, code: int = 0) -> str:
    """Run a command with the code of the repository that holds scenarios/rivers."""
    (repository,) = [parent for parent in (folder, *folder.parents) if (parent / "stages").is_dir()]
    return command(folder, *words, code=code, repository=repository)


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """The project in scenarios/rivers of a repository that holds Lorekeep's code."""
    repository = tmp_path / "repository"
    for package in ("stages", "lore"):
        shutil.copytree(
            ROOT / package, repository / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "requirements.lock", repository)
    project = repository / "scenarios/rivers"
    shutil.copytree(RIVERS, project, ignore=shutil.ignore_patterns("__pycache__"))
    (repository / ".gitignore").write_text("__pycache__/\n")
    command(repository, "git", "init", "-q")
    command(repository, "git", "add", "-A")
    command(repository, "git", "commit", "-qm", "rivers")
    return project


@pytest.mark.slow
def test_it_runs_with_one_stage_of_its_own(beside: Path) -> None:
    command_beside(beside, "dvc", "init", "-q", "--subdir")
    assert "code dependencies written" in command_beside(
        beside, "python", "-m", "lore", "check", "--fix"
    )
    said = command_beside(beside, "python", "-m", "lore", "check")
    assert said == "no problem in 3 stages: extract, clean, summarize\n"
    printed = command_beside(beside, "dvc", "repro")
    assert re.findall(r"Running stage '(\w+)'", printed) == ["extract", "clean", "summarize"]
    rivers = json.loads((beside / "data/summarize/rivers.json").read_text())
    assert rivers == ["Danube", "Loire", "Rhine"]
    assert json.loads((beside / "metrics/summarize.json").read_text()) == {"long_rivers": 3}
    timing = json.loads((beside / "metrics/timing.json").read_text())
    assert list(timing) == ["extract", "clean", "summarize"]
    rejected = json.loads((beside / "metrics/clean.json").read_text())["reasons"]
    assert rejected == {"bad_quantity": 1}
    # A change of the module that its own stage imports makes that stage run again, and no other.
    with (beside / "rivers/limits.py").open("a") as file:
        file.write("\n# Another line.\n")
    printed = command_beside(beside, "dvc", "repro")
    assert re.findall(r"Running stage '(\w+)'", printed) == ["summarize"]


@pytest.mark.slow
def test_lore_works_from_a_folder_below_and_from_elsewhere(beside: Path, tmp_path: Path) -> None:
    command_beside(beside, "dvc", "init", "-q", "--subdir")
    command_beside(beside, "python", "-m", "lore", "check", "--fix")
    lore = ("python", "-m", "lore")
    for folder, words in (
        (beside / "data/raw", ("check",)),
        (tmp_path, ("--project", str(beside), "check")),
    ):
        printed = command(folder, *lore, *words, repository=beside.parents[1])
        assert printed == "no problem in 3 stages: extract, clean, summarize\n"
    (tmp_path / "settings.yaml").write_text("summarize: {at_least: 500}\n")
    printed = command_beside(beside / "data", *lore, "overlay", str(tmp_path / "settings.yaml"))
    assert "summarize.at_least" in printed
    shutil.move(tmp_path / "settings.yaml", beside / "data/settings.yaml")
    printed = command_beside(beside / "data", *lore, "overlay", "settings.yaml")
    assert printed == "params.yaml says all that already\n"


def test_where_lorekeep_is_installed_the_lock_file_stands_for_its_code(tmp_path: Path) -> None:
    project = tmp_path / "rivers"
    shutil.copytree(RIVERS, project, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", project)
    command(project, "git", "init", "-q")
    command(project, "git", "add", "-A")
    command(project, "python", "-m", "lore", "check", "--fix")
    checked = read_project(project)
    assert [problem for check in CHECKS for problem in check(checked)] == []
    summarize = checked.entries[-1]
    assert summarize.dependencies == [
        "data/clean",
        "requirements.lock",
        "rivers/limits.py",
        "rivers/summarize.py",
    ]


def test_an_import_that_dvc_yaml_lacks_is_named(beside: Path) -> None:
    command_beside(beside, "python", "-m", "lore", "check", "--fix")
    path = beside / "dvc.yaml"
    path.write_text(path.read_text().replace("      - rivers/limits.py\n", ""))
    printed = command_beside(beside, "python", "-m", "lore", "check", code=1)
    assert "summarize: code dependencies are not its imports" in printed
    assert "+ rivers/limits.py" in printed


def test_a_stage_nobody_offers_is_refused() -> None:
    with pytest.raises(InputError, match=r"no stage 'sumarize'; did you mean summarize\?"):
        stage_modules.load("sumarize", RIVERS)


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project.entry-points."lorekeep.stages"]\nclean = "other.clean"\n'
    )
    with pytest.raises(ParamsError, match=r"the stage clean is stages\.clean already"):
        stage_modules.module_names(tmp_path)


def test_a_broken_pyproject_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(ParamsError, match=r"pyproject\.toml: not readable as TOML"):
        stage_modules.module_names(tmp_path)


def test_outside_of_any_project_lore_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 1
    assert "no project here, and in no folder above" in capsys.readouterr().err


def test_our_own_stages_are_entry_points_too() -> None:
    names = stage_modules.declared(ROOT)
    modules = {name: f"stages.{name}" for name in stage_modules.STAGES}
    assert names == modules
