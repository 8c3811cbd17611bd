"""A real MLflow server on a socket: runs with curves, machine figures, tables and pictures; versions asked by their address."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages.core.mlflow import registry, tracking
from stages.core.project.errors import ModelError
from stages.evaluate import figures
from tests.core.mlflow.test_registry import QUESTION, answer_of, register
from tests.core.mlflow.test_tracking import SETTINGS

pytestmark = pytest.mark.slow

PATIENCE = 120
SCORES = pd.DataFrame(
    {
        "variant": ["base", "base", "train", "train"],
        "attribute": ["density", "symbol"] * 2,
        "exact_match": [0.0, 0.1, 0.9, 1.0],
        "low": [0.0, 0.0, 0.8, 0.9],
        "high": [0.1, 0.2, 1.0, 1.0],
        "n": [10] * 4,
        "control": [0.2, 0.1] * 2,
    }
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, store_file: Path) -> Iterator[str]:
    """Address of a running server with an empty store."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(store_file.read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    command += [
        "--backend-store-uri",
        "sqlite:///mlflow.db",
        "--artifacts-destination",
        "artifacts",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(f"{address}/health", process, folder / "log")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:  # on a busy machine its end takes long
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture
def at_server(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.chdir(tmp_path)
    return tracking.client()


def test_a_run_can_be_looked_at(at_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    with tracking.run("train", SETTINGS) as log:
        for step in (10, 20):
            log.metric("valid_loss", 1 / step, step=step)
        log.table(pd.DataFrame({"subject": ["iron", "铁"], "correct": [True, False]}), "facts.json")
        log.figure(figures.attributes(SCORES), "attributes.png")
        time.sleep(1)
    (found,) = at_server.search_runs([at_server.get_experiment_by_name("lorekeep").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params == {"lora.r": "16", "steps": "3"}
    assert [
        point.step for point in at_server.get_metric_history(found.info.run_id, "valid_loss")
    ] == [10, 20]
    assert found.data.metrics["system/system_memory_usage_megabytes"] > 0
    assert {item.path for item in at_server.list_artifacts(found.info.run_id)} == {
        "facts.json",
        "attributes.png",
    }
    table = at_server.load_table(found.info.experiment_id, "facts.json", [found.info.run_id])
    assert list(table["subject"]) == ["iron", "铁"]
    assert not Path("mlruns").exists()


def test_a_version_is_asked_by_its_address(
    at_server: Any, tiny_model: Path, tiny_adapter: Path
) -> None:
    answer = answer_of(tiny_model, tiny_adapter)
    assert register(tiny_model, tiny_adapter, "one", answer) == 1
    assert registry.ask("models:/elements@champion", QUESTION) == answer
    with pytest.raises(
        ModelError,
        match=r"models:/elements/7 cannot be loaded \(RESOURCE_DOES_NOT_EXIST\); write models:/",
    ):
        registry.ask("models:/elements/7", QUESTION)


REGISTER = """
import sys
from pathlib import Path
from tests.core.mlflow.test_registry import register

print(register(Path(sys.argv[1]), Path(sys.argv[2]), "shared", sys.argv[3], alias="candidate"))
"""


def test_a_person_and_a_server_of_ci_register_one_identity_at_once(
    at_server: Any, tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    answer = answer_of(tiny_model, tiny_adapter)
    command = [sys.executable, "-c", REGISTER, str(tiny_model), str(tiny_adapter), answer]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    logs = [tmp_path / "person", tmp_path / "ci"]
    running = []
    for log in logs:
        with log.open("wb") as said:
            running.append(subprocess.Popen(command, env=environment, stdout=said))
    try:
        codes = [process.wait(5 * PATIENCE) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert codes == [0, 0]
    numbers = [log.read_text().split()[-1] for log in logs]
    assert numbers[0] == numbers[1]
    # The other one removed what it had made, if both had made one.
    assert registry.numbers_of(at_server, "elements", "shared") == [numbers[0]]
    assert registry.alias_of("elements", "candidate") == numbers[0]


def test_a_lock_on_a_server_is_held_by_one(at_server: Any) -> None:
    with registry.locked("elements", "one"):
        assert registry.holder_of(at_server, "elements.lock") == "one"
    assert registry.holder_of(at_server, "elements.lock") is None
