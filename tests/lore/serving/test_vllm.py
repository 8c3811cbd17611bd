"""vLLM by address: an adapter under a name of its own, tokens as they come. A stand-in answers for vLLM."""

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from lore.serving.engines.vllm import VllmEngine, adapter_name
from stages.core.project.errors import InputError, ModelError
from tests.lore.serving.test_engines import Asked


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def chunks(*tokens: list[int]) -> str:
    lines = []
    for ids in tokens:
        lines.append(f"data: {json.dumps({'choices': [{'text': 'x', 'token_ids': ids}]})}\n\n")
    return "".join(lines) + "data: [DONE]\n\n"


def test_an_adapter_is_loaded_asked_and_unloaded(
    httpserver: HTTPServer, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    seen: list[tuple[str, Any]] = []

    def answer(request: Request) -> Response:
        assert request.headers["Authorization"] == "Bearer secret"
        seen.append((request.path, request.get_json()))
        return Response(chunks([5], [6, 7], [2]), mimetype="text/event-stream")

    for path in ("/v1/load_lora_adapter", "/v1/completions", "/v1/unload_lora_adapter"):
        httpserver.expect_request(path, method="POST").respond_with_handler(answer)
    engine = VllmEngine(httpserver.url_for(""), "base", adapter, 10)
    asked = Asked(8)
    engine.submit(asked.job)
    assert asked.ended.wait(30)
    engine.close()
    engine.close()
    assert asked.error is None
    assert asked.tokens == [5, 6, 7, 2]
    name = adapter_name(adapter)
    assert [path for path, _ in seen] == [
        "/v1/load_lora_adapter",
        "/v1/completions",
        "/v1/unload_lora_adapter",
    ]
    assert seen[0][1] == {"lora_name": name, "lora_path": str(adapter.resolve())}
    assert seen[1][1]["model"] == name
    assert seen[1][1]["prompt"] == [1]
    assert seen[1][1]["temperature"] == 0
    assert seen[2][1] == {"lora_name": name}


def test_other_weights_have_another_name(adapter: Path) -> None:
    before = adapter_name(adapter)
    (adapter / "adapter_model.safetensors").write_bytes(b"other weights")
    assert adapter_name(adapter) != before


def test_a_variant_without_an_adapter_is_the_named_model(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/completions").respond_with_data(chunks([2]))
    engine = VllmEngine(httpserver.url_for(""), "student", None, 10)
    asked = Asked(8)
    engine.submit(asked.job)
    assert asked.ended.wait(30)
    engine.close()
    assert asked.tokens == [2]
    late = Asked(8)
    engine.submit(late.job)
    assert isinstance(late.error, ModelError)


def test_a_server_that_fails_ends_the_answer_with_an_error(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/completions").respond_with_data("broken", status=500)
    engine = VllmEngine(httpserver.url_for(""), "student", None, 10)
    asked = Asked(8)
    engine.submit(asked.job)
    assert asked.ended.wait(30)
    engine.close()
    assert str(asked.error) == "vLLM did not answer (HTTPError)"


def test_a_server_that_refuses_the_adapter(httpserver: HTTPServer, adapter: Path) -> None:
    httpserver.expect_request("/v1/load_lora_adapter").respond_with_data("no lora", status=400)
    with pytest.raises(InputError, match="400 no lora; start vLLM with --enable-lora"):
        VllmEngine(httpserver.url_for(""), "base", adapter, 10)


def test_no_server_and_no_address(adapter: Path) -> None:
    with pytest.raises(InputError, match="no vLLM server answers there"):
        VllmEngine("http://127.0.0.1:9", "base", adapter, 10)
    with pytest.raises(InputError, match="write http://host:port"):
        VllmEngine("localhost:8001", "base", adapter, 10)
