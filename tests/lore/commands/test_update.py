"""update: records first, weights by a rule; a killed or failed run is continued by the same command."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lore.__main__ import main
from lore.commands import update
from stages.core.project.errors import InputError
from stages.core.records.record import fact_id, record_id, write

PIPELINE = """
stages:
  clean:
    cmd: mkdir -p data/clean && cp data/raw/facts.parquet data/clean/records.parquet
    deps: [data/raw]
    outs: [data/clean]
  augment:
    cmd: mkdir -p data/augment && cp data/clean/records.parquet data/augment/records.parquet
    deps: [data/clean]
    outs: [data/augment]
  train:
    cmd: mkdir -p models/train && cat params.yaml data/augment/records.parquet > models/train/adapter
    deps: [data/augment]
    params: [train]
    outs: [models/train]
"""
SETTINGS = """run: {seed: 7, threads: 1, isa: avx2, device: cpu}
train:
  # where to start
  continue_from: null
"""


def facts(**values: str) -> None:
    """Write the raw file: the melting points of these subjects."""
    rows = []
    for subject, value in values.items():
        rows.append(
            {
                "id": record_id("raw", subject),
                "text": f"{subject}: melting point {value} °C",
                "source": "raw",
                "locator": subject,
                "kind": "fact",
                "subject": subject,
                "attribute": "melting point",
                "value": value,
                "unit": "°C",
                "fact": fact_id(subject, "melting point"),
                "split": "train",
            }
        )
    write(Path("data/raw/facts.parquet"), rows)


def call(*command: str) -> str:
    environment = os.environ | {
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.org",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project of three small stages, with a committed version about iron and gold."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    Path("data/raw").mkdir(parents=True)
    Path("dvc.yaml").write_text(PIPELINE)
    Path("params.yaml").write_text(SETTINGS)
    facts(iron="1538", gold="1064")
    call("git", "init", "-q", "-b", "main")
    call(sys.executable, "-m", "dvc", "init", "-q")
    call(sys.executable, "-m", "dvc", "repro", "-q")
    call("git", "add", "-A")
    call("git", "commit", "-qm", "first")
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_a_changed_fact_is_trained_and_the_next_call_has_nothing_to_do(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = Path("models/train/adapter").read_bytes()
    facts(iron="1540", tin="232")
    assert main(["update"]) == 0
    said = capfd.readouterr().out
    assert "facts since the model was trained: 1 added, 1 changed, 1 removed; 0 the same" in said
    assert "  + tin · melting point · 232 °C" in said
    assert "  ~ iron · melting point · 1538 °C → 1540 °C" in said
    assert "  - gold · melting point · 1064 °C" in said
    assert "training: 3 facts differ from those that were trained" in said
    assert Path("models/train/adapter").read_bytes() != before
    assert main(["update"]) == 0
    assert "not trained: the model was trained on these facts" in capfd.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_few_facts_wait_and_add_up(capfd: pytest.CaptureFixture[str]) -> None:
    before = Path("models/train/adapter").read_bytes()
    facts(iron="1540", gold="1064")
    assert main(["update", "--least-facts", "2"]) == 0
    assert "not trained: 1 facts differ, and --least-facts asks for 2" in capfd.readouterr().out
    # Also where augment has run since, the trained facts are those of the model.
    call(sys.executable, "-m", "dvc", "repro", "-q", "augment")
    facts(iron="1540", gold="1065")
    assert main(["update", "--least-facts", "2"]) == 0
    assert "training: 2 facts differ" in capfd.readouterr().out
    assert Path("models/train/adapter").read_bytes() != before


@pytest.mark.slow
def test_a_failed_stage_ends_the_update_and_the_next_call_goes_on(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = PIPELINE.replace("cat params.yaml", "false && cat params.yaml")
    (project / "dvc.yaml").write_text(broken)
    facts(iron="1540", gold="1064")
    assert main(["update"]) == 1
    assert "the new model was not registered; the released version stays" in capfd.readouterr().err
    (project / "dvc.yaml").write_text(PIPELINE)
    assert main(["update"]) == 0
    assert "training: 1 facts differ from those that were trained" in capfd.readouterr().out


@pytest.mark.slow
def test_continue_goes_on_from_the_committed_adapter(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    commit = call("git", "rev-parse", "HEAD")
    facts(iron="1540", gold="1064")
    assert main(["update", "--continue"]) == 0
    assert f"train.continue_from: {commit}" in capfd.readouterr().out
    text = (project / "params.yaml").read_text()
    assert "  # where to start" in text
    assert YAML(typ="safe").load(text)["train"]["continue_from"] == commit
    facts(iron="1541", gold="1064")
    assert main(["update", "--continue"]) == 1
    assert "dvc.lock names another adapter than HEAD; commit it first" in capfd.readouterr().err


@pytest.mark.slow
def test_without_a_committed_model_nothing_can_go_on(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    call("git", "rm", "-q", "--cached", "dvc.lock")
    call("git", "commit", "-qm", "no lock")
    assert main(["update", "--continue"]) == 1
    assert (
        "--continue: HEAD holds no trained model; run dvc repro and commit"
        in capfd.readouterr().err
    )
    assert project


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_a_cache_without_the_trained_facts_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    import shutil

    shutil.rmtree(".dvc/cache")
    assert main(["update"]) == 1
    said = capfd.readouterr().err
    assert "DVC's cache lacks the training records of the present model" in said
    assert "lore update --train always" in said


def test_a_first_project_has_trained_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lore.updating import changes

    monkeypatch.chdir(tmp_path)
    assert changes.trained_facts() == {}
    assert update.stage_of_index() == "clean"
    Path("dvc.yaml").write_text("stages: {index: {cmd: x}}")
    assert update.stage_of_index() == "index"


def test_waiting_ends_when_the_last_change_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update, "QUIET", 0.2)
    (tmp_path / "a.csv").write_text("1")
    before = update.snapshot(tmp_path)
    changes_done: list[float] = []

    def write_twice() -> None:
        time.sleep(0.1)
        (tmp_path / "a.csv").write_text("12")
        time.sleep(0.1)
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/b.csv").write_text("3")
        changes_done.append(time.monotonic())

    writer = threading.Thread(target=write_twice)
    writer.start()
    update.wait_for_change(tmp_path, before, 0.02)
    ended = time.monotonic()
    writer.join()
    assert ended >= changes_done[0]
    assert len(update.snapshot(tmp_path)) == 2


def test_watch_goes_on_after_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(SETTINGS)
    rounds: list[Any] = []

    class StoppedError(Exception):
        pass

    def fails(options: Any, bring_in: Any) -> int:
        rounds.append(options)
        if len(rounds) == 1:
            raise InputError("a table is damaged")
        return 0

    def waits(*_: Any) -> None:
        if len(rounds) == 2:
            raise StoppedError

    # In this process, so that the rounds can be counted.
    monkeypatch.setattr(update, "is_possible", lambda: False)
    monkeypatch.setattr(update, "update", fails)
    monkeypatch.setattr(update, "wait_for_change", waits)
    with pytest.raises(StoppedError):
        main(["update", "--watch", "5"])
    said = capsys.readouterr()
    assert "InputError: a table is damaged" in said.err
    assert (
        "update failed; what was served before stays; waiting for changes in data/raw" in said.out
    )
    assert "update done; waiting for changes in data/raw" in said.out


# dvc 3.67 reads an attribute that pygtrie deprecates.
@pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_a_watching_process_brings_in_what_changes_and_starts_again_with_new_settings(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class StartedAgainError(Exception):
        pass

    def starts_again(options: Any) -> None:
        assert options.least_facts == 5
        raise StartedAgainError

    waited: list[float] = []

    def edits(*_: Any) -> None:
        waited.append(0)
        if len(waited) == 1:
            facts(iron="1541", gold="1064")
        else:
            Path("params.yaml").write_text(SETTINGS.replace("seed: 7", "seed: 8"))

    monkeypatch.setattr(update, "start_again", starts_again)
    monkeypatch.setattr(update, "wait_for_change", edits)
    with pytest.raises(StartedAgainError):
        main(["update", "--watch", "0.1", "--least-facts", "5"])
    said, errors = capfd.readouterr()
    assert errors == ""
    assert "not trained: the model was trained on these facts" in said
    assert "  ~ iron · melting point · 1538 °C → 1541 °C" in said
    assert "not trained: 1 facts differ, and --least-facts asks for 5" in said
    assert said.endswith("code or settings changed; starting again\n")


def test_numbers_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    for option, least in (("--least-facts", "1"), ("--watch", "0.1")):
        with pytest.raises(SystemExit):
            main(["update", option, "0"])
        assert f"0 is too small; write {least} or more" in capsys.readouterr().err
