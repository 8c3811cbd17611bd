"""With real DVC: it removes the index before its stage runs. Until the stage has ended, the former version answers."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lore.retrieval import search
from stages.core.project import artifacts
from stages.core.records.record import write
from stages.core.retrieval import finding
from tests.core.retrieval.test_finding import ROWS, ByWord, index_of, row
from tests.lore.retrieval.test_search import BY_MEANING

# A stage that writes the index that lies ready in `ready`, as soon as there is a file `go`.
STAGE = """
import pathlib, shutil, time
while not pathlib.Path("go").exists():
    time.sleep(0.05)
shutil.copytree("ready", "models/index")
"""
PIPELINE = f"""
stages:
  clean:
    cmd: mkdir -p data && cp -r raw {artifacts.CLEAN}
    deps: [raw]
    outs: [{artifacts.CLEAN}]
  index:
    cmd: {sys.executable} stage.py
    deps: [{artifacts.CLEAN}, ready]
    outs: [{artifacts.INDEX}]
"""


def start() -> "subprocess.Popen[bytes]":
    """Start `dvc repro`."""
    command = [sys.executable, "-m", "dvc", "repro", "-q"]
    return subprocess.Popen(command, env=os.environ | {"DVC_NO_ANALYTICS": "1"})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose stage `index` has run once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finding, "Encoder", ByWord)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "stage.py").write_text(STAGE)
    prepare(ROWS)
    Path("go").touch()
    assert start().wait(timeout=120) == 0
    Path("go").unlink()
    yield tmp_path
    Path("go").touch()  # a stage that still waits ends


def prepare(rows: list[dict[str, Any]]) -> None:
    """Write the input of `clean`, and what the stage `index` shall lay down."""
    write(Path("raw/records.parquet"), rows)
    Path("ready").mkdir(exist_ok=True)
    index_of(rows, Path("ready"))
    manifest = {"encoder": "by word", "encoder_sha256": "by word"}
    Path("ready/manifest.json").write_text(json.dumps(manifest))


def start_until_the_index_is_removed() -> "subprocess.Popen[bytes]":
    """Start `dvc repro` on other records, and wait until DVC has removed the index."""
    prepare([*ROWS[:3], row("4", "Gold is soft.")])
    running = start()
    while Path(artifacts.INDEX).exists():
        assert running.poll() is None
        time.sleep(0.02)
    return running


def answer() -> tuple[str, str]:
    """Return the text that answers, and the remark."""
    found, remark = search.find(BY_MEANING, 1, 0.5)
    return found.rows[0]["text"], remark


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_the_former_version_answers_until_the_stage_has_ended() -> None:
    assert answer() == ("Gold does not tarnish.", "")
    running = start_until_the_index_is_removed()
    try:
        text, remark = answer()
        assert text == "Gold does not tarnish."
        assert remark.startswith(
            "! the version that dvc.lock records answers, since here models/index/man"
        )
    finally:
        Path("go").touch()
        assert running.wait(timeout=120) == 0
    assert answer() == ("Gold is soft.", "")


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_after_a_kill_the_former_version_answers() -> None:
    running = start_until_the_index_is_removed()
    running.kill()
    running.wait(timeout=120)
    assert answer()[0] == "Gold does not tarnish."
