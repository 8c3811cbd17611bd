"""The description at /openapi.json: it names every path, every refusal in its true form, and the token."""

from collections.abc import Callable
from typing import Any

import pytest

from lore.serving.description import ANSWERING, ANYWHERE
from tests.lore.serving.conftest import Served
from tests.lore.serving.fakes import QUESTION

Make = Callable[..., Served]
ANSWERING_PATHS = ("/v1/chat/completions", "/v1/completions")


def described(made: Served) -> dict[str, Any]:
    """What /openapi.json says."""
    document: dict[str, Any] = made.client.get("/openapi.json").json()
    return document


def test_every_path_names_its_refusals_in_their_true_form(served: Make) -> None:
    document = described(served())
    for path, methods in document["paths"].items():
        for operation in methods.values():
            responses = operation["responses"]
            assert "422" not in responses  # FastAPI's, which is never sent
            expected = {*ANYWHERE, *(ANSWERING if path in ANSWERING_PATHS else {})}
            assert expected <= set(responses), path
            for status in expected:
                schema = responses[status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorBody"}
    assert set(ANSWERING_PATHS) < set(document["paths"])
    names = set(document["components"]["schemas"])
    assert {"ErrorBody", "ChatRequest", "ChatAnswer", "ModelList", "ComparisonAnswer"} <= names
    assert "HTTPValidationError" not in names


def test_streams_are_described(served: Make) -> None:
    for path in ANSWERING_PATHS:
        content = described(served())["paths"][path]["post"]["responses"]["200"]["content"]
        assert set(content) == {"application/json", "text/event-stream"}


def test_the_token_is_described_where_one_is_needed(served: Make) -> None:
    assert "security" not in described(served())
    made = served({"phone-app": "t" * 20})
    made.client.headers["Authorization"] = "Bearer " + "t" * 20
    document = described(made)
    assert document["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"] == {
        "type": "http",
        "scheme": "bearer",
    }
    assert document["paths"]["/health"]["get"]["security"] == []


@pytest.mark.parametrize("path", ["/v1/models", "/v1/comparison", "/health", "/ready"])
def test_answers_have_the_form_that_is_described(served: Make, path: str) -> None:
    made = served()
    made.ask(QUESTION)
    document = described(made)
    content = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    name = content["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][name]
    answer = made.client.get(path).json()
    assert set(answer) == set(schema["properties"])
