"""The description of the API at /openapi.json. It says what the gate and the handlers do, not only what FastAPI sees."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

REFUSED = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
ANYWHERE = {
    "401": "No valid token",
    "403": "Another name of the server than localhost, where no tokens are set",
    "408": "The body arrived too slowly",
    "413": "The body is too large",
    "500": "A fault of the server",
    "503": "The engine failed, or too many connections are open",
    "504": "No whole answer in time",
}
"""Refusals of every path, by status."""
ANSWERING = {
    "400": "The request is wrong, or asks for what this server cannot do",
    "404": "No such model, or no index",
    "429": "Too many requests, or too many tokens, in a minute; Retry-After says when to come again",
}
"""Further refusals of the paths that answer."""
STREAM = {
    "schema": {
        "type": "object",
        "description": "Server-sent events, with stream: true. Each has a piece of the answer as JSON; the last one [DONE].",
        "properties": {"data": {"type": "string"}},
        "required": ["data"],
    }
}
TOKEN = "token"  # noqa: S105  # the name of a scheme


LENGTHS = ("max_tokens", "max_completion_tokens")


def describe(app: FastAPI, is_open: bool, longest: int) -> None:
    """Make the application describe itself.

    `is_open`: it needs no token. `longest`: tokens of the longest answer.
    """

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = described(app, is_open, longest)
        return app.openapi_schema

    app.openapi = description  # type: ignore[method-assign]  # the way that FastAPI documents


def described(app: FastAPI, is_open: bool, longest: int) -> dict[str, Any]:
    """Return the description."""
    made = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    components = made["components"]
    for path, methods in made["paths"].items():
        for operation in methods.values():
            add_refusals(operation, path)
            if path in ("/health", "/ready"):
                operation["security"] = []
    # FastAPI refuses a wrong body in a form of its own. Here it is refused in OpenAI's, with 400.
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    for name in ("ChatRequest", "CompletionRequest"):
        for length in LENGTHS:
            # An integer or null.
            for choice in (
                components["schemas"][name]["properties"].get(length, {}).get("anyOf", [])
            ):
                if choice["type"] == "integer":
                    choice["maximum"] = longest
    if not is_open:
        components["securitySchemes"] = {TOKEN: {"type": "http", "scheme": "bearer"}}
        made["security"] = [{TOKEN: []}]
    return made


def add_refusals(operation: dict[str, Any], path: str) -> None:
    """Add all refusals of a path, and the stream of those that answer."""
    responses = operation["responses"]
    responses.pop("422", None)
    refusals = dict(ANYWHERE)
    if "requestBody" in operation:
        refusals |= ANSWERING
        responses["200"]["content"]["text/event-stream"] = STREAM
    for status, meaning in refusals.items():
        responses[status] = {"description": meaning, "content": REFUSED}
