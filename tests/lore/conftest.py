"""A project with two knowledge versions, `a` and `b`, to be compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lore.__main__ import main
from stages.core import runtime
from stages.core.params import Run
from tests.lore.knowledge import Project

Lore = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_params: Run) -> Project:
    """An empty project, which is the working directory."""
    for name, value in runtime.settings(run_params).items():
        monkeypatch.setenv(name, value)  # so that what `lore` settles ends with the test
    made = Project(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def lore(capsys: pytest.CaptureFixture[str]) -> Lore:
    """Run a command, check its exit code and return what it printed, or its error where the code is 1."""

    def run(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        said = capsys.readouterr()
        assert bool(said.err) == (code == 1), said.err
        return said.err if code == 1 else said.out

    return run


@pytest.fixture
def found(lore: Lore) -> Callable[..., Any]:
    """What `lore diff … --json` says."""
    return lambda *arguments: json.loads(lore("diff", *arguments, "--json"))
