"""The root of a project is found from any folder of it."""

from pathlib import Path

import pytest

from stages.core.project.errors import InputError
from stages.core.project.root import find_root


def project(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("")
    return folder


def test_the_nearest_root_counts(tmp_path: Path) -> None:
    outer = project(tmp_path / "outer", "dvc.yaml", "params.yaml")
    inner = project(outer / "scenarios/rivers", "dvc.yaml", "params.yaml")
    below = project(inner / "data/raw")
    assert find_root(below) == inner
    assert find_root(inner) == inner
    assert find_root(inner.parent) == outer


def test_half_a_root_counts_only_where_there_is_no_whole_one(tmp_path: Path) -> None:
    outer = project(tmp_path / "outer", "dvc.yaml", "params.yaml")
    assert find_root(project(outer / "notes", "params.yaml")) == outer
    alone = project(tmp_path / "alone", "params.yaml")
    assert find_root(project(alone / "data")) == alone


def test_no_project_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no project here, and in no folder above"):
        find_root(tmp_path)
