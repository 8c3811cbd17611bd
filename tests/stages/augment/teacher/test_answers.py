"""Reading answers: whatever comes back, it is a form or a failure with a reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.augment.teacher.answers import (
    FAILURES,
    FORMS,
    Failure,
    Patterns,
    items_of,
    read_answer,
    schema_of,
)

GOOD = '{"patterns": ["How hard is {subject}?"]}'


@pytest.mark.parametrize(
    "answer",
    [GOOD, f"```json\n{GOOD}\n```", f"```\n{GOOD}\n```", f"<think>\nHm {{\n</think>\n{GOOD}"],
)
def test_an_object_of_json(answer: str) -> None:
    form = read_answer("probe", answer, "stop")
    assert form == Patterns(["How hard is {subject}?"])
    assert items_of(form) == ["How hard is {subject}?"]


@pytest.mark.parametrize(
    ("answer", "finish_reason", "reason", "detail"),
    [
        (GOOD[:20], "length", "cut_off", "raise max_tokens"),
        ("", "content_filter", "filtered", "content_filter"),
        ("too many tokens", "refused", "refused_by_endpoint", "too many tokens"),
        ("  \n", "stop", "empty", "white space"),
        ("Here are the patterns:", "stop", "broken_json", "Expecting value"),
        (GOOD[:20], "stop", "broken_json", ""),
        ("[" * 100_000, "stop", "broken_json", ""),
        ('["How hard?"]', "stop", "wrong_schema", ""),
        ('{"patterns": "How hard?"}', "stop", "wrong_schema", "patterns"),
        ('{"patterns": [1]}', "stop", "wrong_schema", "patterns.0"),
        ('{"patterns": [], "note": "x"}', "stop", "wrong_schema", "note"),
        ('{"patterns": ["\\ud800"]}', "stop", "wrong_schema", ""),
        ("NaN", "stop", "wrong_schema", ""),
    ],
)
def test_a_failure_has_its_reason(
    answer: str, finish_reason: str, reason: str, detail: str
) -> None:
    failure = read_answer("probe", answer, finish_reason)
    assert isinstance(failure, Failure)
    assert failure.reason == reason
    assert reason in FAILURES
    assert detail in failure.detail


@given(st.sampled_from(sorted(FORMS)), st.text(max_size=60))
def test_no_answer_stops_the_reader(task: str, answer: str) -> None:
    assert isinstance(read_answer(task, answer, "stop"), Failure)  # type: ignore[arg-type]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(FORMS)), JSON)
def test_no_json_stops_the_reader(task: str, document: object) -> None:
    form = read_answer(task, json.dumps(document), "stop")  # type: ignore[arg-type]
    assert isinstance(form, Failure)
    assert form.reason in FAILURES


@pytest.mark.parametrize("task", FORMS)
def test_a_schema_is_strict(task: str) -> None:
    schema = schema_of(task)  # type: ignore[arg-type]
    for part in (schema, *schema.get("$defs", {}).values()):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
    assert "title" not in json.dumps(schema)
