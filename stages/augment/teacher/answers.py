"""Answers of the teacher: the form of each task, and reading what came back.

An answer is an object of JSON. It may stand in a Markdown fence, and after the thoughts of a reasoning model. An
answer that cannot be read is a failure with a reason.
"""

import dataclasses
import json
import re
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from stages.augment.teacher.requests import Task
from stages.core.project.params import STRICT

FAILURES = {
    "cut_off": "the answer was longer than max_tokens",
    "filtered": "the endpoint's content filter withheld the answer",
    "refused_by_endpoint": "the endpoint refused the request itself, such as a prompt that is too long",
    "empty": "the answer is empty",
    "broken_json": "the answer is no JSON object",
    "wrong_schema": "the JSON object has not the form that was asked for",
    "not_given": "the answer holds fewer items than were asked for",
}
"""Why items that were asked for are not there."""
REPAIRABLE = ("broken_json", "wrong_schema", "empty")
"""Failures after which the request is sent once more, with the reason."""
# The thoughts of a reasoning model before its answer: `<think> … </think>`.
THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
# A Markdown fence around the whole answer: ```json … ```.
FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


@dataclass(frozen=True, config=STRICT)
class Patterns:
    """Templates of one kind."""

    patterns: list[str]


@dataclass(frozen=True, config=STRICT)
class Description:
    """What the teacher says about an attribute."""

    answers: list[str]
    terms: list[str]
    names: list[str]


@dataclass(frozen=True, config=STRICT)
class Pair:
    """A question about a text, its answer, and the part of the text that shows it."""

    kind: Literal[
        "definition", "relation", "comparison", "condition", "negation", "summary", "detail"
    ]
    question: str
    answer: str
    support: str


@dataclass(frozen=True, config=STRICT)
class Pairs:
    """Questions with answers."""

    pairs: list[Pair]


@dataclass(frozen=True, config=STRICT)
class Paraphrases:
    """Texts that say the same."""

    paraphrases: list[str]


@dataclass(frozen=True, config=STRICT)
class WrongAnswers:
    """Answers that are wrong on purpose."""

    answers: list[str]


FORMS: dict[Task, Any] = {
    "attribute": Description,
    "statements": Patterns,
    "questions": Patterns,
    "valid": Patterns,
    "probe": Patterns,
    "text_questions": Pairs,
    "paraphrases": Paraphrases,
    "corrupted": WrongAnswers,
}
"""The form of each task's answer."""


class Failure(NamedTuple):
    """Why an answer cannot be used."""

    reason: str
    """One of `FAILURES`."""
    detail: str


def schema_of(task: Task) -> dict[str, Any]:
    """Return the JSON Schema of a task's answer, in the subset that strict structured output takes."""
    schema: dict[str, Any] = TypeAdapter(FORMS[task]).json_schema()
    return without_texts(schema)  # type: ignore[no-any-return]


def without_texts(schema: Any) -> Any:
    """Return a schema without titles and descriptions."""
    if isinstance(schema, dict):
        return {
            key: without_texts(value)
            for key, value in schema.items()
            if key not in ("title", "description")
        }
    if isinstance(schema, list):
        return [without_texts(value) for value in schema]
    return schema


def read_answer(task: Task, answer: str, finish_reason: str) -> Any:
    """Return the answer in its form, or the `Failure` that says why it cannot be read."""
    if finish_reason == "length":
        return Failure("cut_off", f"after {len(answer)} characters; raise max_tokens")
    if finish_reason == "content_filter":
        return Failure("filtered", "finish_reason content_filter")
    if finish_reason == "refused":
        return Failure("refused_by_endpoint", answer)
    bare = THOUGHTS.sub("", answer)
    fenced = FENCE.match(bare)
    if fenced:
        bare = fenced[1]
    if not bare.strip():
        return Failure("empty", "nothing but white space")
    try:
        document = json.loads(bare)
    except (ValueError, RecursionError) as error:
        return Failure("broken_json", str(error) or "nested too deep")
    try:
        # As JSON, because pydantic's strict mode takes objects for dataclasses only there.
        return TypeAdapter(FORMS[task]).validate_json(json.dumps(document))
    except (ValidationError, ValueError, RecursionError) as error:
        return Failure("wrong_schema", described(error))


def described(error: Exception) -> str:
    """Return the first three problems of a validation in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    lines = []
    for item in error.errors()[:3]:
        place = ".".join(str(part) for part in item["loc"])
        lines.append(f"{place or 'answer'}: {item['msg']}")
    return "; ".join(lines)


def items_of(form: Any) -> list[Any]:
    """Return the items of an answer: texts, or `Pair`s. Its first field holds them."""
    first = dataclasses.fields(form)[0]
    return list(getattr(form, first.name))
