"""A real server, real models, a real rollback, and callers all the while: no lost answer, no mixed one."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from stages.core.project import runtime
from stages.core.project.params import Run
from tests.lore.released import GOLD, HOTTER, IRON, NEON
from tests.lore.serving.students import QUESTION, TOKENS, WithStudent

ROOT = Path(__file__).parents[3]
OLD, NEW = "knowledge@v1.0.0", "knowledge@v1.1.0"
CALLERS = 4


@pytest.mark.slow
def test_a_rollback_under_load(
    tiny_model: Path,
    tmp_path: Path,
    store_file: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in runtime.settings(run_params).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    made = WithStudent(tmp_path / "project")
    monkeypatch.chdir(made.root)
    shutil.copyfile(store_file, made.root / "mlflow.db")
    expected = {}
    expected[OLD] = made.student(tiny_model, 0)
    made.release(OLD, [IRON, GOLD], 100)
    expected[NEW] = made.student(tiny_model, 7)
    made.release(NEW, [HOTTER, NEON], 200)
    assert expected[OLD] != expected[NEW]

    command = [sys.executable, "-m", "lore", "serve", "--port", "0", "--every", "0.2"]
    command += ["--answer-tokens", str(TOKENS), "--requests-per-minute", "1000000"]
    command += ["--tokens-per-minute", "100000000"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stderr is not None
            address = server.stdout.readline().strip().rpartition(" ")[2]
            assert address.startswith("http://127.0.0.1:"), server.stderr.read()
            answers: list[Any] = []
            ending = threading.Event()

            def call() -> None:
                while not ending.is_set():
                    answers.append(ask(address))

            callers = [threading.Thread(target=call) for _ in range(CALLERS)]
            for caller in callers:
                caller.start()
            rollback = [sys.executable, "-m", "lore", "rollback", "1.0.0", "--reason", "iron"]
            subprocess.run(
                [*rollback, "--no-canaries"], env=environment, check=True, capture_output=True
            )
            is_swapped = wait_for_version(answers, OLD)
            ending.set()
            for caller in callers:
                caller.join()
        finally:
            server.terminate()
            _, log = server.communicate()
    assert is_swapped, log
    versions = {said["lorekeep"]["version"]["name"] for said in answers}
    assert versions == {OLD, NEW}
    for said in answers:
        assert "error" not in said
        info = said["lorekeep"]
        name = info["version"]["name"]
        assert said["choices"][0]["message"]["content"] == expected[name]
        # The records are those of the same version as the model.
        assert info["fact"]["value"] == {OLD: "1538", NEW: "1649"}[name]


def ask(address: str) -> Any:
    """The answer to the question, or the error."""
    body = json.dumps({"messages": [{"role": "user", "content": QUESTION}]}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/chat/completions", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)
    except OSError as error:
        return {"error": str(error), "lorekeep": {"version": {"name": "none"}}}


def wait_for_version(answers: list[Any], name: str) -> bool:
    """Whether an answer of a version comes within two minutes."""
    for _ in range(1200):
        if answers and answers[-1]["lorekeep"]["version"]["name"] == name:
            return True
        time.sleep(0.1)
    return False
