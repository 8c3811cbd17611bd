"""artifacts: every path is one that the pipeline reads or writes, that git tracks, or is neither for a stated reason."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages import __main__
from stages.core.project import artifacts

ROOT = Path(__file__).parents[3]
NEITHER = {
    "metrics/timing.json": "the launcher's note of the last run here; it is not hashed and not in git",
    "data/raw/snapshots.yaml": "only a project that takes snapshots of a database has it",
    "data/snapshots": "only a project that takes snapshots of a database has it",
}
"""Paths that are no output or input of dvc.yaml and not tracked by git, and why."""


def paths() -> dict[str, str]:
    """Every constant of the module, by name."""
    return {name: path for name, path in vars(artifacts).items() if name.isupper()}


def declared() -> list[str]:
    """Every output and input of dvc.yaml."""
    found: list[str] = []
    stages: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    for stage in stages.values():
        found += stage["deps"]
        for section in ("outs", "metrics", "plots"):
            for out in stage.get(section, []):
                # With options, an output is a mapping from its path.
                found.append(out if isinstance(out, str) else next(iter(out)))
    return found


def tracked() -> list[str]:
    """Every file that git tracks."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_there_are_paths() -> None:
    assert len(paths()) > 20


@pytest.mark.parametrize("name", sorted(paths()))
def test_a_path_is_declared_or_tracked_or_neither_for_a_reason(name: str) -> None:
    path = paths()[name]
    in_pipeline = any(Path(path).is_relative_to(other) for other in declared())
    in_git = any(file == path or file.startswith(f"{path}/") for file in tracked())
    known = in_pipeline or in_git
    assert known != (path in NEITHER), f"{name}: {path}"


def test_no_reason_is_left_over() -> None:
    assert set(NEITHER) <= set(paths().values())


def test_no_path_has_two_names() -> None:
    values = list(paths().values())
    assert len(set(values)) == len(values)


def test_the_launcher_notes_the_time_where_others_read_it() -> None:
    assert str(__main__.TIMING) == artifacts.TIMING
