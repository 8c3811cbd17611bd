"""tracking: runs end up in the store that was asked for, a store that is down costs a warning, secrets stay unsaid."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.core.mlflow import tracking
from stages.core.project.errors import InputError

DOWN = "http://someone:hidden@127.0.0.1:9"  # the discard port: nobody listens


@dataclasses.dataclass(frozen=True)
class Inner:
    r: int


@dataclasses.dataclass(frozen=True)
class Settings:
    lora: Inner
    steps: int


SETTINGS = Settings(lora=Inner(r=16), steps=3)


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DOWN)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("store")
def test_a_run_has_its_settings_numbers_and_files(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("seen")
    with tracking.run("train", SETTINGS) as log:
        log.metric("valid_loss", 2.0, step=10)
        log.metric("valid_loss", 1.0, step=20)
        log.file(note)
    store = tracking.client()
    experiment = store.get_experiment_by_name("lorekeep")
    (found,) = store.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params == {"lora.r": "16", "steps": "3"}
    assert [
        (p.step, p.value) for p in store.get_metric_history(found.info.run_id, "valid_loss")
    ] == [(10, 2.0), (20, 1.0)]
    assert found.data.metrics["seconds"] > 0
    assert found.data.tags["stage"] == "train"
    assert list(Path("mlruns").rglob("note.txt"))


@pytest.mark.usefixtures("store")
def test_an_experiment_in_a_folder_of_its_own_is_logged_with_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(Path.cwd()))
    monkeypatch.setenv("DVC_EXP_NAME", "wide")
    monkeypatch.chdir(tmp_path)
    with tracking.run("train", SETTINGS):
        pass
    assert not Path("mlflow.db").exists()
    store = tracking.client()
    (found,) = store.search_runs([store.get_experiment_by_name("lorekeep").experiment_id])
    assert found.data.tags["dvc_experiment"] == "wide"


@pytest.mark.usefixtures("store")
def test_a_failing_body_fails_its_run() -> None:
    with pytest.raises(ValueError, match="broken"), tracking.run("train", SETTINGS):
        raise ValueError("broken")
    store = tracking.client()
    (found,) = store.search_runs([store.get_experiment_by_name("lorekeep").experiment_id])
    assert found.info.status == "FAILED"


@pytest.mark.usefixtures("store")
def test_the_process_is_left_as_it_was() -> None:
    before = dict(os.environ)
    with tracking.run("train", SETTINGS):
        pass
    assert dict(os.environ) == before


@pytest.mark.usefixtures("down")
def test_a_store_that_is_down_costs_one_warning(capsys: pytest.CaptureFixture[str]) -> None:
    with tracking.run("train", SETTINGS) as log:
        log.metric("loss", 1.0)
        log.metric("loss", 2.0)
    said = capsys.readouterr().err
    assert said.count("not logged") == 1
    assert "MLFLOW_TRACKING_URI" in said
    assert "hidden" not in said


@pytest.mark.usefixtures("down")
def test_whoever_needs_the_store_hears_what_to_do() -> None:
    with pytest.raises(
        InputError,
        match=r"no server answers at 127.0.0.1:9; start the server that MLFLOW_TRACKING_URI names",
    ) as error:
        tracking.client()
    assert "hidden" not in str(error.value)


@pytest.mark.usefixtures("store")
def test_a_store_that_goes_down_halfway_costs_one_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    def gone(*_: object, **__: object) -> None:
        raise ConnectionError(DOWN)

    with tracking.run("train", SETTINGS) as log:
        monkeypatch.setattr(mlflow.MlflowClient, "log_metric", gone)
        log.metric("loss", 1.0)
        log.metric("loss", 2.0)
    said = capsys.readouterr().err
    assert said.count("no longer logged") == 1
    assert "hidden" not in said


def test_an_empty_address_means_the_local_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert tracking.uri() == f"sqlite:///{tmp_path}/mlflow.db"


def test_stages_that_track_import_mlflow_only_when_they_run() -> None:
    code = "import stages.train, stages.evaluate, stages.register, sys; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
