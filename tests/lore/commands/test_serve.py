"""serve: the command line, and a real server that answers, drains and ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openai import BadRequestError, OpenAI

from lore.__main__ import main, parsers
from lore.commands import serve
from lore.serving.settings import Settings
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import prompt_text
from stages.core.project import artifacts, runtime
from stages.core.project.params import Run
from tests.lore.serving.fakes import IRON, QUESTION, write_records

ROOT = Path(__file__).parents[3]


def options(*arguments: str) -> Any:
    made, _ = parsers()
    return made.parse_args(["serve", *arguments])


def test_the_defaults_are_those_of_the_settings() -> None:
    assert serve.settings_of(options()) == Settings()


def test_every_option_is_a_setting() -> None:
    made = serve.settings_of(
        options(
            *("--model", "train", "--engine", "vllm", "--vllm-url", "http://127.0.0.1:1"),
            *("--vllm-model", "x", "--follow", "workspace", "--every", "1.5", "--canaries", "3"),
            *("--canary-share", "0.5", "--host", "::1", "--port", "0", "--request-log", "log"),
            *("--batch", "1", "--queue", "2", "--answer-tokens", "3", "--prompt-tokens", "4"),
            *("--body-bytes", "5", "--requests-per-minute", "6", "--tokens-per-minute", "7"),
            *("--connections", "8", "--seconds", "9"),
            *("--candidate", "1.3.0", "--share", "0.05", "--shadow", "0.5", "--abstain"),
            *("--model-name", "gpt-4o-mini", "--model-name", "other"),
        )
    )
    assert made.limits.batch == 1
    assert made.limits.queue == 2
    assert made.limits.answer_tokens == 3
    assert made.limits.prompt_tokens == 4
    assert made.limits.body_bytes == 5
    assert made.limits.requests_per_minute == 6
    assert made.limits.tokens_per_minute == 7
    assert made.limits.connections == 8
    assert made.limits.seconds == 9
    assert (made.variant, made.engine, made.vllm_url) == ("train", "vllm", "http://127.0.0.1:1")
    assert (made.vllm_model, made.follow, made.every, made.canaries) == ("x", "workspace", 1.5, 3)
    assert (made.canary_share, made.host, made.port, made.request_log) == (0.5, "::1", 0, "log")
    assert (made.candidate, made.share, made.shadow) == ("1.3.0", 0.05, 0.5)
    assert made.abstain
    assert made.names == ("gpt-4o-mini", "other")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch", "0"), "0 is below 1"),
        (("--canaries", "-1"), "-1 is below 0"),
        (("--every", "0"), "0 is not above 0"),
        (("--canary-share", "1.5"), "1.5 is no share; write a number from 0 to 1"),
    ],
)
def test_wrong_options(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit):
        options(*arguments)
    assert message in capsys.readouterr().err


@pytest.fixture
def project(
    tiny_model: Path, tmp_path: Path, run_params: Run, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A project with records, a student and what evaluate recorded of it."""
    for name, value in runtime.settings(run_params).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    settings = {"seed": 7, "threads": 1, "isa": "avx2", "device": "cpu"}
    Path("params.yaml").write_text(json.dumps({"run": settings}))
    Path("dvc.yaml").write_text("stages: {}\n")
    (tmp_path / ".dvc").mkdir()
    subprocess.run(["git", "init", "-q"], check=True)
    write_records(tmp_path)
    Path("models").mkdir()
    Path(artifacts.DISTILL).symlink_to(tiny_model)
    model, tokenizer = load_causal_lm(tiny_model)
    questions = [QUESTION, "When does gold melt?"]
    prompts = [prompt_text(tokenizer, question) for question in questions]
    said = generate(model, tokenizer, prompts, 16, batch=2)
    Path(artifacts.EVALUATE).mkdir(parents=True)
    rows = {"variant": "distill", "question": questions, "answer": said}
    pd.DataFrame(rows).to_parquet(artifacts.ANSWERS)
    return tmp_path


def test_other_machines_need_a_token(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOREKEEP_TOKENS", raising=False)
    assert main(["serve", "--host", "0.0.0.0"]) == 1
    assert "other machines could ask without a token" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--share", "--shadow"])
def test_shares_need_a_candidate(
    project: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert main(["serve", option, "0.5"]) == 1
    assert "--share and --shadow need --candidate VERSION" in capsys.readouterr().err


def test_vllm_and_its_address_belong_together(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["--engine", "vllm"], ["--vllm-url", "http://127.0.0.1:1"]):
        assert main(["serve", *arguments]) == 1
        assert "--engine vllm and --vllm-url belong together" in capsys.readouterr().err


def test_an_engine_without_confidences_cannot_abstain(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--abstain", "--engine", "genai"]) == 1
    assert "the engine genai does not tell how sure the model is" in capsys.readouterr().err


def test_a_library_that_is_missing_is_named(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "LIBRARIES", ("json", "no_such_library"))
    assert main(["serve"]) == 1
    assert "lore serve needs no_such_library; pip install" in capsys.readouterr().err


def test_wrong_canaries_refuse_the_start(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"variant": "distill", "question": [QUESTION], "answer": ["something else"]}
    pd.DataFrame(rows).to_parquet(artifacts.ANSWERS)
    arguments = ["serve", "--follow", "workspace", "--port", "0", "--answer-tokens", "16"]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "workspace: 0 of 1 canaries were answered as evaluate recorded, 100% are needed" in said
    assert "instead of 'something else'" in said


def test_a_port_that_is_taken(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    assert f"127.0.0.1:{port}: cannot be used" in capsys.readouterr().err


@pytest.mark.slow
def test_a_real_server_answers_and_drains(project: Path) -> None:
    command = [sys.executable, "-m", "lore", "serve", "--follow", "workspace", "--port", "0"]
    command += ["--answer-tokens", "16", "--request-log", "requests.jsonl"]
    token = "0123456789abcdef"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LOREKEEP_TOKENS": f"app:{token}"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stderr is not None
            address = server.stdout.readline().strip().rpartition(" ")[2]
            assert address.startswith("http://127.0.0.1:"), server.stderr.read()
            recorded = pd.read_parquet(artifacts.ANSWERS)["answer"].iloc[0]

            client = OpenAI(base_url=f"{address}/v1", api_key=token, max_retries=0)
            messages: Any = [{"role": "user", "content": QUESTION}]
            answer = client.chat.completions.create(model="lorekeep", messages=messages)
            assert answer.choices[0].message.content == recorded
            assert answer.model_extra is not None
            assert answer.model_extra["lorekeep"]["fact"]["id"] == IRON["fact"]
            stream = client.chat.completions.create(
                model="lorekeep", messages=messages, stream=True
            )
            pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
            assert "".join(pieces) == recorded
            with pytest.raises(BadRequestError, match="n: Input should be 1"):
                client.chat.completions.create(model="lorekeep", messages=messages, n=2)
            assert {model.id for model in client.models.list()} == {"workspace/distill", "lorekeep"}
            with urllib.request.urlopen(f"{address}/ready") as response:
                assert response.status == 200

            # Requests that have begun are answered behind SIGTERM.
            said: list[str | None] = []

            def ask() -> None:
                answered = client.chat.completions.create(model="lorekeep", messages=messages)
                said.append(answered.choices[0].message.content)

            asking = [threading.Thread(target=ask) for _ in range(8)]
            for thread in asking:
                thread.start()
            time.sleep(0.2)
            server.send_signal(signal.SIGTERM)
            for thread in asking:
                thread.join()
            out, err = server.communicate(timeout=120)
        finally:
            server.kill()
    assert server.returncode == 0, err
    assert "ended: every request that had begun was answered" in out
    assert set(said) <= {recorded}
    lines = [json.loads(line) for line in Path("requests.jsonl").read_text().splitlines()]
    assert {line["token"] for line in lines} == {"app"}
    assert token not in err
