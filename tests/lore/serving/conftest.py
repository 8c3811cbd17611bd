"""A served application without a model or a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from lore.serving.access import Access
from lore.serving.app import make_app
from lore.serving.generations import Generations
from lore.serving.log import RequestLog
from lore.serving.metrics import Metrics
from lore.serving.settings import Limits, Settings
from tests.lore.serving.fakes import FakeEngine, generation


@dataclass(frozen=True)
class Beside:
    """A candidate beside the version that is served."""

    said: Mapping[str, str]
    share: float = 0.0
    shadow: float = 0.0


class Served:
    """An application with its client, engine and numbers."""

    def __init__(
        self,
        root: Path,
        tokens: dict[str, str],
        log: RequestLog | None,
        limits: dict[str, Any],
        beside: Beside | None = None,
    ) -> None:
        self.engine = FakeEngine()
        self.candidate_engine = FakeEngine(beside.said if beside else {})
        candidate = None
        if beside is not None:
            candidate = generation(root, 2, self.candidate_engine)
        shares = beside or Beside({})
        self.generations = Generations(
            generation(root, engine=self.engine), candidate, shares.share
        )
        self.metrics = Metrics()
        settings = Settings(limits=replace(Limits(), **limits), shadow=shares.shadow)
        self.app = make_app(self.generations, settings, Access(tokens), self.metrics, log)
        self.client = TestClient(self.app, "http://127.0.0.1:8000", raise_server_exceptions=False)

    def ask(self, question: str, **more: Any) -> Any:
        """Send a question, and return the response."""
        body = {"messages": [{"role": "user", "content": question}], **more}
        return self.client.post("/v1/chat/completions", json=body)

    def refusal(self, response: Any, status: int) -> dict[str, Any]:
        """Check that a response is a refusal in OpenAI's form, and return its error."""
        assert response.status_code == status, response.text
        error: dict[str, Any] = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error


@pytest.fixture
def served(tmp_path: Path) -> Callable[..., Served]:
    """Return a function that makes an application. `limits` are those that differ."""

    def make(
        tokens: dict[str, str] | None = None,
        log: RequestLog | None = None,
        beside: Beside | None = None,
        **limits: Any,
    ) -> Served:
        return Served(tmp_path, tokens or {}, log, limits, beside)

    return make
