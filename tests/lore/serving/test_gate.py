"""The gate: no path without a token, no body that is too large or too slow, no caller that is waited for."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lore.serving.gate import Gate
from tests.lore.serving.conftest import Served
from tests.lore.serving.fakes import QUESTION
from tests.lore.serving.test_app import wait_for

Make = Callable[..., Served]
TOKEN = "0123456789abcdef"
PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/models", "/metrics", "/openapi.json", "/docs", "/x")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_path_without_a_token(served: Make, path: str, method: str) -> None:
    made = served({"app": TOKEN})
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        response = made.client.request(method, path, headers=headers)
        assert made.refusal(response, 401)["code"] == "invalid_api_key"
        assert response.headers["www-authenticate"] == "Bearer"


def test_with_a_token(served: Make) -> None:
    made = served({"app": TOKEN})
    for path in ("/", "/health", "/ready"):
        assert made.client.get(path).status_code == 200
    made.client.headers["Authorization"] = f"Bearer {TOKEN}"
    assert made.ask(QUESTION).status_code == 200
    assert 'token="app"' in made.client.get("/metrics").text


def test_requests_a_minute(served: Make) -> None:
    made = served(requests_per_minute=1)
    assert made.ask(QUESTION).status_code == 200
    response = made.ask(QUESTION)
    assert "more than 1 requests a minute" in made.refusal(response, 429)["message"]
    assert response.headers["retry-after"] == "60"
    assert made.client.get("/v1/models").status_code == 200


def test_tokens_a_minute(served: Make) -> None:
    made = served(tokens_per_minute=120)
    assert made.ask(QUESTION).status_code == 200
    assert "more than 120 tokens a minute" in made.refusal(made.ask(QUESTION), 429)["message"]


def test_a_body_that_is_too_large(served: Make) -> None:
    made = served(body_bytes=1000)
    error = made.refusal(made.ask("x" * 2000), 413)
    assert "larger than 1,000 bytes" in error["message"]
    # Without a length, the body is counted as it comes.
    pieces = (b"x" * 400 for _ in range(10))
    response = made.client.post("/v1/completions", content=pieces)
    assert made.refusal(response, 413)["code"] == "request_too_large"


def test_every_answer_has_an_id_and_no_cors(served: Make) -> None:
    response = served().client.get("/health", headers={"Origin": "https://example.org"})
    assert len(response.headers["x-request-id"]) == 32
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in response.headers


def scope(path: str = "/v1/chat/completions") -> dict[str, Any]:
    """A request as a server gives it to an application."""
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"host", b"localhost:8000")], "http_version": "1.1",
        "scheme": "http", "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1), "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip


async def call(app: Gate, events: list[Any], gone: asyncio.Event | None = None) -> list[Any]:
    """Call the application with the events of a request, and return what it sent."""
    sent: list[Any] = []

    async def receive() -> Any:
        if events:
            return events.pop(0)
        if gone is not None:
            await gone.wait()
            return {"type": "http.disconnect"}
        return await asyncio.Event().wait()

    async def send(event: Any) -> None:
        sent.append(event)

    await app(scope(), receive, send)
    return sent


def test_a_body_that_is_too_slow(served: Make) -> None:
    made = served(body_seconds=0.05)
    part = {"type": "http.request", "body": b"{", "more_body": True}
    sent = asyncio.run(call(made.app, [part]))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_caller_that_goes_away_cancels_its_answer(served: Make, stream: str) -> None:
    made = served()
    made.engine.going_on.clear()
    body = f'{{"messages": [{{"role": "user", "content": "{QUESTION}"}}], "stream": {stream}}}'
    request = {"type": "http.request", "body": body.encode(), "more_body": False}

    async def leave() -> None:
        gone = asyncio.Event()
        calling = asyncio.create_task(call(made.app, [request], gone))
        while made.generations.current.requests == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        gone.set()
        await calling

    asyncio.run(leave())
    assert wait_for(lambda: made.engine.cancelled == [QUESTION])
    assert made.generations.current.requests == 0
    made.engine.going_on.set()
    assert made.ask(QUESTION).status_code == 200


def test_a_stream_says_each_piece_as_it_comes(served: Make) -> None:
    made = served()
    made.engine.going_on.clear()
    body = f'{{"messages": [{{"role": "user", "content": "{QUESTION}"}}], "stream": true}}'
    events = [{"type": "http.request", "body": body.encode(), "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return events.pop(0) if events else await asyncio.Event().wait()

    async def send(event: Any) -> None:
        sent.append(event)
        if b'"content": "T"' in event.get("body", b""):
            made.engine.going_on.set()  # the rest is written only behind the first piece

    asyncio.run(made.app(scope(), receive, send))
    assert sent[-2]["body"] == b"data: [DONE]\n\n"


def test_a_caller_that_goes_away_before_its_body_is_whole(served: Make) -> None:
    made = served()
    assert asyncio.run(call(made.app, [{"type": "http.disconnect"}])) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_this_machine_by_its_names(served: Make, host: str) -> None:
    assert served().client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8000", "", "[::2]"])
def test_another_name_needs_tokens(served: Make, host: str) -> None:
    made = served()
    response = made.client.get("/health", headers={"Host": host})
    assert made.refusal(response, 403)["code"] == "wrong_host"
    guarded = served({"app": TOKEN})
    assert guarded.client.get("/health", headers={"Host": host}).status_code == 200


def test_no_web_socket(served: Make) -> None:
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    asyncio.run(served().app({"type": "websocket", "path": "/"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
