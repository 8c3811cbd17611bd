"""A teacher that a script plays, and a project that asks it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lore.teaching import taught


@pytest.fixture
def teacher() -> Iterator[taught.Teacher]:
    server = taught.Teacher()
    yield server
    server.close()


@pytest.fixture
def project(teacher: taught.Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is a project that asks the teacher, and the key is in the environment."""
    root = taught.write_project(tmp_path / "project", teacher.url)
    monkeypatch.chdir(root)
    monkeypatch.setenv("TEACHER_KEY", taught.KEY)
    return root
