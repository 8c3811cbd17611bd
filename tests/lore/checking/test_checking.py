"""lore check: every disagreement between dvc.yaml, params.yaml, code and data is named."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lore.checking import code_dependencies, pipeline
from lore.checking.project import Project, StageEntry, read_project
from stages.core.project.errors import ParamsError

ROOT = Path(__file__).parents[3]
TRACKED = frozenset(
    subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the checks read of this project, to be broken."""
    for name in ("dvc.yaml", "params.yaml", ".gitignore", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "stages", tmp_path / "stages")
    return tmp_path


def read(root: Path) -> Project:
    return read_project(root, code_root=root, tracked=TRACKED)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    change(document)
    YAML(typ="safe").dump(document, path)


def test_this_project_is_whole() -> None:
    project = read_project(ROOT)
    assert [problem for check in pipeline.CHECKS for problem in check(project)] == []


def test_a_copy_is_whole(copy: Path) -> None:
    project = read(copy)
    assert [problem for check in pipeline.CHECKS for problem in check(project)] == []


def test_a_removed_code_dependency_is_named(copy: Path) -> None:
    file = "stages/core/records/record.py"
    edit(copy / "dvc.yaml", lambda d: d["stages"]["clean"]["deps"].remove(file))
    (problem,) = pipeline.check_code(read(copy))
    assert problem.startswith("clean: code dependencies are not its imports; `lore check --fix`")
    assert problem.endswith(f": + {file}")


def test_a_new_import_is_named(copy: Path) -> None:
    with (copy / "stages/quantize.py").open("a") as file:
        file.write("\n\ndef f() -> None:\n    from stages.core.models import muon\n    del muon\n")
    (problem,) = pipeline.check_code(read(copy))
    assert problem.endswith(": + stages/core/models/muon.py")


def test_code_that_is_no_longer_imported_is_named(copy: Path) -> None:
    file = "stages/core/models/muon.py"
    edit(copy / "dvc.yaml", lambda d: d["stages"]["clean"]["deps"].append(file))
    (problem,) = pipeline.check_code(read(copy))
    assert problem.endswith(f": - {file}")


def test_fix_writes_the_code_dependencies_and_nothing_else(copy: Path) -> None:
    path = copy / "dvc.yaml"
    before = path.read_text(encoding="utf-8")
    broken = before.replace("      - stages/core/records/record.py\n", "")
    assert broken != before
    path.write_text(broken, encoding="utf-8")
    assert code_dependencies.rewrite(broken, read(copy)) == before


def test_a_removed_input_is_named(copy: Path) -> None:
    edit(copy / "dvc.yaml", lambda d: d["stages"]["clean"]["deps"].remove("data/raw/rules.yaml"))
    assert pipeline.check_paths(read(copy)) == [
        "clean: data/raw/rules.yaml is in cmd, but neither a dep nor an out"
    ]


def test_a_declared_path_that_is_in_no_command_is_named(copy: Path) -> None:
    edit(copy / "dvc.yaml", lambda d: d["stages"]["clean"]["deps"].append("data/raw/legacy.csv"))
    assert pipeline.check_paths(read(copy)) == [
        "clean: data/raw/legacy.csv is declared, but not in cmd"
    ]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("desc", "", "clean: no desc; say in one line what comes out"),
        (
            "cmd",
            "python -m stages clear a b c d e",
            "clean: cmd must begin with python -m stages clean",
        ),
        (
            "cmd",
            "python -m stages clean data/extract",
            "clean: cmd has 1 paths, run takes <",
        ),
        (
            "params",
            ["clean"],
            "clean: params must be [clean, run.seed, run.threads, run.isa, run.device]",
        ),
    ],
)
def test_a_broken_declaration_is_named(copy: Path, key: str, value: Any, problem: str) -> None:
    edit(copy / "dvc.yaml", lambda d: d["stages"]["clean"].update({key: value}))
    assert any(line.startswith(problem) for line in pipeline.check_commands(read(copy)))


def test_a_stage_nobody_has_is_named(copy: Path) -> None:
    edit(copy / "dvc.yaml", lambda d: d["stages"].update(clear=d["stages"].pop("clean")))
    problems = "\n".join(pipeline.check_commands(read(copy)))
    assert "clear: no stage 'clear'; did you mean clean?" in problems


def test_a_removed_section_is_named(copy: Path) -> None:
    edit(copy / "params.yaml", lambda d: d.pop("augment"))
    assert pipeline.check_sections(read(copy)) == [
        "params.yaml: no section for the stage augment; write `augment: {}`"
    ]


def test_a_section_without_a_stage_is_named(copy: Path) -> None:
    edit(copy / "dvc.yaml", lambda d: d["stages"].pop("quantize"))
    problems = pipeline.check_sections(read(copy))
    assert problems == ["params.yaml: the section quantize has no stage in dvc.yaml; remove it"]
    expected = "models/quantize is in deps, but no stage makes it"
    assert any(expected in line for line in pipeline.check_inputs(read(copy)))


def test_a_missing_lock_file_is_named(copy: Path) -> None:
    (copy / "requirements.lock").unlink()
    [problem] = pipeline.check_inputs(read(copy))
    assert problem.startswith("requirements.lock: not here; copy it from the repository")


def test_sections_in_another_order_are_named(copy: Path) -> None:
    edit(copy / "params.yaml", lambda d: d.update(base=d.pop("base")))
    (problem,) = pipeline.check_sections(read(copy))
    assert problem.startswith("params.yaml: sections stand in another order than dvc.yaml: base, ")


def test_wrong_settings_are_named_all_at_once(copy: Path) -> None:
    def change(document: Any) -> None:
        document["run"]["seed"] = "seven"
        document["quantize"]["shceme"] = document["quantize"].pop("scheme")

    edit(copy / "params.yaml", change)
    problems = "\n".join(pipeline.check_settings(read(copy)))
    assert "params.yaml: run.seed: input should be a valid integer" in problems
    assert "params.yaml: quantize.shceme: unknown; did you mean scheme?" in problems


def test_a_stage_without_a_cached_output_is_named(copy: Path) -> None:
    edit(copy / "dvc.yaml", lambda d: d["stages"]["register"].pop("outs"))
    assert pipeline.check_cached(read(copy)) == ["register: no cached output; add one below outs"]


def test_a_source_that_is_no_dependency_is_named(copy: Path) -> None:
    edit(
        copy / "params.yaml",
        lambda d: d["extract"]["sources"][0].update(path="notes/**/*.xml"),
    )
    assert pipeline.check_sources(read(copy)) == [
        "extract: params.yaml reads data/raw/notes, which is no dependency in dvc.yaml; "
        "add it to the deps of extract"
    ]


def test_the_folder_of_a_table_of_pictures_is_named(copy: Path) -> None:
    images = {"kind": "images", "path": "pictures/captions.csv"}
    edit(copy / "params.yaml", lambda d: d["extract"]["sources"][0].update(images))
    assert pipeline.check_sources(read(copy)) == [
        "extract: params.yaml reads data/raw/pictures, which is no dependency in dvc.yaml; "
        "add it to the deps of extract"
    ]
    edit(copy / "params.yaml", lambda d: d["extract"]["sources"][0].update(path="photos/*.png"))
    assert "data/raw/photos, which is no dependency" in pipeline.check_sources(read(copy))[0]


def test_a_checkpoint_that_is_no_dependency_is_named(copy: Path) -> None:
    (copy / "models/whisper").mkdir(parents=True)
    edit(
        copy / "params.yaml",
        lambda d: d["extract"]["sources"][0].update(model="models/whisper"),
    )
    assert pipeline.check_sources(read(copy)) == [
        "extract: params.yaml reads models/whisper, which is no dependency in dvc.yaml; "
        "add it to the deps of extract"
    ]


def test_an_output_that_git_would_take_is_named(copy: Path) -> None:
    path = copy / ".gitignore"
    path.write_text(path.read_text().replace("/data/clean\n", ""))
    [problem] = pipeline.check_ignored(read(copy))
    assert problem.startswith(".gitignore: write a line /data/clean; ")


def test_a_folder_that_hides_our_packages_is_named(copy: Path, tmp_path: Path) -> None:
    project = read_project(copy, code_root=ROOT, tracked=TRACKED)
    assert pipeline.check_shadowing(project) == [
        "stages/: this folder hides Lorekeep's package stages; give it another name"
    ]


def test_a_pipeline_without_stages_is_refused(copy: Path) -> None:
    (copy / "dvc.yaml").write_text("plots: []\n")
    with pytest.raises(ParamsError, match="no stages; write them below `stages`"):
        read(copy)


def test_inputs_whose_line_ends_git_changes_are_named(tmp_path: Path) -> None:
    """A repository with a setting that many people have on Windows."""
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.csv").write_text("1\n")
    subprocess.run([*git, "add", "-A"], check=True)
    entry = StageEntry("extract", [], "", ["data/a.csv", "data/other.csv"], [], [], [])
    project = Project(tmp_path, [entry], {}, {}, ROOT, frozenset({"data/a.csv"}))
    subprocess.run([*git, "config", "core.autocrlf", "false"], check=True)
    assert pipeline.check_line_ends(project) == []
    subprocess.run([*git, "config", "core.autocrlf", "true"], check=True)
    [problem] = pipeline.check_line_ends(project)
    assert problem.startswith(".gitattributes: git may change the line ends of 1 inputs, such as")
    assert problem.endswith(
        "data/a.csv, so their hashes differ between clones; write a line * -text"
    )
    (tmp_path / ".gitattributes").write_text("* -text\n")
    assert pipeline.check_line_ends(project) == []
    (tmp_path / ".gitattributes").write_text("*.csv text=auto\n")
    assert len(pipeline.check_line_ends(project)) == 1


def test_line_ends_of_this_project_are_as_they_are_with_every_setting() -> None:
    tracked = subprocess.run(
        ["git", "-c", "core.autocrlf=true", "ls-files", "--eol"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    assert {line.split()[2] for line in tracked.splitlines()} == {"attr/-text"}
