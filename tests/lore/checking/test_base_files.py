"""Files that the section base names: `lore check` finds them, `--fix` writes them, and DVC sees them change."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lore.checking import base_files, code_dependencies, pipeline
from lore.checking.project import Project, read_project

ROOT = Path(__file__).parents[3]
PIPELINE = """\
stages:
  other:
    cmd: python -m stages other a b
  base:
    desc: the base model
    cmd: python -m stages base models/seed models/general models/base
    deps:
      # material
      - models/general
      - models/seed
    params: [base]
    outs:
      - models/base
  extract:
    cmd: python -m stages extract data/raw data/extract
    deps:
      - data/raw
"""


def project_with(root: Path, section: str, text: str = PIPELINE) -> Project:
    (root / "dvc.yaml").write_text(text, encoding="utf-8")
    (root / "params.yaml").write_text(f"base: {section}\n", encoding="utf-8")
    return read_project(root, code_root=ROOT, tracked=frozenset())


def test_a_folder_that_is_no_dependency_is_named(tmp_path: Path) -> None:
    project = project_with(tmp_path, "{source: folder, folder: ../mine}")
    assert pipeline.check_base(project) == [
        "base: params.yaml names ../mine (base.folder), which is no dependency in dvc.yaml; "
        "`lore check --fix` writes it there"
    ]


@pytest.mark.parametrize(
    "section", ["{source: embedded, folder: ../mine}", "null", "{replay_file: models/seed/x.jsonl}"]
)
def test_a_path_that_is_unused_or_listed_is_no_problem(section: str, tmp_path: Path) -> None:
    assert pipeline.check_base(project_with(tmp_path, section)) == []


def test_a_stage_with_another_command_is_left_alone(tmp_path: Path) -> None:
    other = PIPELINE.replace("python -m stages base", "bash base.sh")
    project = project_with(tmp_path, "{source: folder, folder: ../mine}", other)
    assert pipeline.check_base(project) == []


def test_fix_writes_them_and_leaves_all_other_lines(tmp_path: Path) -> None:
    section = '{source: folder, folder: "../my model", neutral_file: "data/a: b.jsonl"}'
    text = base_files.rewrite(PIPELINE, project_with(tmp_path, section))
    added = '      - ../my model\n      - "data/a: b.jsonl"\n'
    assert text == PIPELINE.replace("      # material\n", f"{added}      # material\n")
    deps = YAML(typ="safe").load(text)["stages"]["base"]["deps"]
    assert deps[:2] == ["../my model", "data/a: b.jsonl"]
    fixed = project_with(tmp_path, section, text)
    assert pipeline.check_base(fixed) == []
    assert base_files.rewrite(text, fixed) == text
    code = code_dependencies.rewrite(text, fixed)
    assert added in code


def test_it_is_declared_though_no_command_names_it(tmp_path: Path) -> None:
    section = "{source: folder, folder: ../mine}"
    text = base_files.rewrite(PIPELINE, project_with(tmp_path, section))
    fixed = project_with(tmp_path, section, text)
    assert not [problem for problem in pipeline.check_paths(fixed) if "../mine" in problem]
    unused = project_with(tmp_path, "{source: embedded}", text)
    assert "base: ../mine is declared, but not in cmd" in pipeline.check_paths(unused)


def dvc(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_dvc_notices_a_changed_and_a_new_file_of_the_folder(tmp_path: Path) -> None:
    model = tmp_path / "mine"
    model.mkdir()
    (model / "config.json").write_text("{}")
    project = tmp_path / "project"
    project.mkdir()
    # A stage that stands for `base`: what matters is when DVC runs it.
    (project / "dvc.yaml").write_text(
        "stages:\n  base:\n    cmd: cat ../mine/config.json > out\n"
        "    deps: [../mine]\n    outs: [out]\n"
    )
    dvc(project, "init", "--no-scm", "-q")
    dvc(project, "repro", "-q")
    assert "up to date" in dvc(project, "status")
    (model / "chat_template.jinja").write_text("new")
    assert str(model) in dvc(project, "status")
    dvc(project, "repro", "-q")
    assert "up to date" in dvc(project, "status")
    (model / "config.json").write_text('{"changed": 1}')
    assert str(model) in dvc(project, "status")
    dvc(project, "repro", "-q")
    assert (project / "out").read_text() == '{"changed": 1}'
    shutil.rmtree(model)
    assert str(model) in dvc(project, "status")
