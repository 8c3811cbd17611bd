"""Knowledge: the records of a version, also of one in the project's folder that a stage is making anew."""

import logging
import shutil
from pathlib import Path

import pytest

from lore.serving.errors import ApiError
from lore.serving.knowledge import Knowledge
from stages.core.project import artifacts
from stages.core.project.errors import InputError
from tests.lore.knowledge import Project
from tests.lore.retrieval.test_search import BY_MEANING, project

__all__ = ["project"]  # the fixture


def answer(root: Path) -> str:
    """Return the text of the record that answers."""
    rows = Knowledge(root, 1, 0.5).answer(BY_MEANING).rows
    return str(rows[0]["text"])


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("removed", [artifacts.INDEX, artifacts.CLEAN])
def test_what_a_stage_removed_is_read_as_dvc_lock_records_it(
    removed: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert answer(Path()) == "Gold does not tarnish."
    assert caplog.records == []
    shutil.rmtree(removed)
    with caplog.at_level(logging.WARNING):
        assert answer(Path()) == "Gold does not tarnish."
    assert "! the version that dvc.lock records answers, since here" in caplog.text


def test_below_another_root_nothing_else_is_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(artifacts.INDEX)
    monkeypatch.chdir("/")
    with pytest.raises(ApiError, match="this version has no index to look further"):
        answer(project.root)
    shutil.rmtree(project.root / artifacts.CLEAN)
    with pytest.raises(InputError, match=r"records\.parquet: not found"):
        answer(project.root)
