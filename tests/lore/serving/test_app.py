"""The API: OpenAI's form, with version, fact and sources; what cannot be honoured is refused by name."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lore.serving.log import RequestLog
from tests.lore.serving.conftest import Served
from tests.lore.serving.fakes import IRON, QUESTION, RIGHT, WRONG, FakeEngine, generation

Make = Callable[..., Served]


def events_of(text: str) -> list[Any]:
    """The events of a stream, without the last one, which must be [DONE]."""
    parts = [part for part in text.split("\n\n") if part]
    assert all(part.startswith("data: ") for part in parts)
    assert parts[-1] == "data: [DONE]"
    return [json.loads(part.removeprefix("data: ")) for part in parts[:-1]]


def test_an_answer_names_version_fact_and_sources(served: Make) -> None:
    response = served().ask(QUESTION, model="lorekeep", temperature=0)
    assert response.status_code == 200
    answer = response.json()
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "knowledge@v1.1.0/distill"
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": RIGHT, "refusal": None}
    assert choice["finish_reason"] == "stop"
    prompt = len(f"Question: {QUESTION}\nAnswer:")
    assert answer["usage"] == {
        "prompt_tokens": prompt,
        "completion_tokens": len(RIGHT) + 1,
        "total_tokens": prompt + len(RIGHT) + 1,
    }
    assert answer["lorekeep"] == {
        "version": {
            "name": "knowledge@v1.1.0",
            "tag": "knowledge@v1.1.0",
            "commit": "c" * 40,
            "identity": "1" * 64,
            "generation": 1,
        },
        "variant": "distill",
        "engine": "fake",
        "speed": "weights",
        "similarity": None,
        "fact": {
            "id": IRON["fact"],
            "subject": "iron",
            "attribute": "melting point",
            "value": "1538",
            "unit": "°C",
        },
        "sources": [
            {"record": IRON["id"], "source": "elements", "locator": "elements.sql#iron"},
            {
                "record": answer["lorekeep"]["sources"][1]["record"],
                "source": "legacy",
                "locator": "legacy.csv#L2",
            },
        ],
        "agrees": True,
        "confidence": None,
        "withheld": False,
        "ignored": [],
    }


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_answer_that_the_model_is_unsure_of_is_withheld(served: Make, is_stream: bool) -> None:
    made = served()
    made.engine.log_p = -0.5
    made.generations.current.least = -0.1
    response = made.ask(QUESTION, stream=is_stream)
    if is_stream:
        *pieces, last = events_of(response.text)
        said = "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces)
    else:
        last = response.json()
        said = last["choices"][0]["message"]["content"]
    assert said == "I do not know."
    assert last["lorekeep"]["withheld"] is True
    assert last["lorekeep"]["confidence"] == -0.5
    assert last["lorekeep"]["agrees"] is False
    assert last["lorekeep"]["fact"]["value"] == "1538"
    assert made.client.get("/v1/comparison").json()["versions"][0]["abstained"] == 1


def test_an_answer_that_the_model_is_sure_of_is_given(served: Make) -> None:
    made = served()
    made.engine.log_p = -0.01
    made.generations.current.least = -0.1
    answer = made.ask(QUESTION).json()
    assert answer["choices"][0]["message"]["content"] == RIGHT
    assert answer["lorekeep"]["withheld"] is False


def test_an_answer_that_differs_from_the_fact_says_so(served: Make) -> None:
    answer = served().ask("When does gold melt?").json()
    assert answer["choices"][0]["message"]["content"] == WRONG
    assert answer["lorekeep"]["agrees"] is False
    assert answer["lorekeep"]["fact"]["value"] == "1064"


def test_a_question_without_a_fact(served: Make) -> None:
    answer = served().ask("Who are you?").json()["lorekeep"]
    assert (answer["fact"], answer["sources"], answer["agrees"]) == (None, [], None)


def test_the_records_answer_on_request(served: Make) -> None:
    made = served()
    answer = made.ask(QUESTION, lorekeep={"answer_from": "records"}).json()
    assert answer["choices"][0]["message"]["content"] == IRON["text"]
    assert answer["lorekeep"]["speed"] == "records"
    assert answer["lorekeep"]["agrees"] is True
    response = made.ask("Who are you?", lorekeep={"answer_from": "records"})
    error = made.refusal(response, 404)
    assert "no index to look further" in error["message"]


def test_a_stream_has_the_same_text(served: Make) -> None:
    response = served().ask(QUESTION, stream=True, stream_options={"include_usage": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = events_of(response.text)
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    assert len({event["id"] for event in events}) == 1
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    pieces = [event["choices"][0]["delta"].get("content", "") for event in events[:-1]]
    assert "".join(pieces) == RIGHT
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-2]["lorekeep"]["fact"]["id"] == IRON["fact"]
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == len(RIGHT) + 1


def test_completions_go_on_with_the_text(served: Make) -> None:
    made = served()
    made.engine.said = {"iron is": " hard"}
    body = {"prompt": "iron is"}
    answer = made.client.post("/v1/completions", json=body).json()
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"] == "hard"
    assert answer["usage"]["prompt_tokens"] == len("iron is")
    response = made.client.post("/v1/completions", json={**body, "stream": True})
    texts = [event["choices"][0]["text"] for event in events_of(response.text)]
    assert "".join(texts) == "hard"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"n": 2}, "n: Input should be 1"),
        ({"temperature": 2.1}, "temperature: Input should be less than or equal to 2"),
        ({"top_p": 1.5}, "top_p: Input should be less than or equal to 1"),
        ({"presence_penalty": -3}, "presence_penalty: Input should be greater than or equal to -2"),
        ({"n": True}, "n: Input should be 1"),
        ({"logprobs": True}, "logprobs: Input should be False"),
        ({"store": 0}, "store: Input should be False"),
        ({"tools": []}, "tools: this server does not know it; leave it out"),
        ({"logit_bias": {}}, "logit_bias: this server does not know it; leave it out"),
        ({"response_format": {"type": "json_object"}}, "response_format.type: Input should be 'text'"),
        ({"max_tokens": "abc"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": -5}, "max_tokens: Input should be greater than or equal to 1"),
        ({"max_tokens": 65}, "max_tokens: 65 is more than 64, the longest answer of this server"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_completion_tokens: not together with"),
        ({"messages": []}, "messages: List should have at least 1 item"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role: Input should be"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "the last one must be of the role user"),
        (
            {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]},
            "this model has no chat template",
        ),
        ({"stop": []} | {"stop": [""]}, "stop"),
        ({"stream_options": {"include_usage": True}}, "only together with stream: true"),
        ({"lorekeep": {"answer_from": "nowhere"}}, "lorekeep.answer_from: Input should be"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_name(
    served: Make, more: dict[str, Any], message: str
) -> None:
    made = served()
    error = made.refusal(made.ask(QUESTION, **more), 400)
    assert message in error["message"]
    assert error["param"] is not None
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "more",
    [
        {"n": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0.0, "seed": 7, "user": "me"},
        {"temperature": 0.0, "stream": False, "logprobs": False, "store": False, "metadata": {"a": "b"}},
        {"max_tokens": 64.0, "seed": 7.0, "n": 1.0},
        {"response_format": {"type": "text"}, "max_completion_tokens": 64, "model": "distill"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]},
    ],
)  # fmt: skip
def test_what_changes_nothing_is_accepted(served: Make, more: dict[str, Any]) -> None:
    assert served().ask(QUESTION, **more).json()["choices"][0]["message"]["content"] == RIGHT


def test_what_asks_for_a_draw_is_accepted_and_named(served: Make) -> None:
    made = served()
    asked = {"temperature": 0.7, "top_p": 1.0, "presence_penalty": 0.5}
    for more in ({}, {"lorekeep": {"answer_from": "records"}}):
        info = made.ask(QUESTION, **asked, **more).json()["lorekeep"]
        assert info["ignored"] == ["temperature", "presence_penalty"]
    assert made.ask(QUESTION, temperature=0, top_p=1).json()["lorekeep"]["ignored"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[1", b"\xff\xfe", b"nul"])
def test_a_body_that_is_no_json(served: Make, body: bytes) -> None:
    made = served()
    headers = {"Content-Type": "application/json"}
    response = made.client.post("/v1/chat/completions", content=body, headers=headers)
    assert made.refusal(response, 400)["type"] == "invalid_request_error"


def test_an_unknown_model_and_an_unknown_path(served: Make) -> None:
    made = served()
    error = made.refusal(made.ask(QUESTION, model="gpt-4"), 404)
    assert error["code"] == "model_not_found"
    assert "knowledge@v1.1.0/distill is" in error["message"]
    assert "no such path" in made.refusal(made.client.get("/v1/nothing"), 404)["message"]
    assert "other methods" in made.refusal(made.client.get("/v1/completions"), 405)["message"]


def test_short_answers_and_stops(served: Make) -> None:
    made = served()
    short = made.ask(QUESTION, max_tokens=3).json()["choices"][0]
    assert (short["message"]["content"], short["finish_reason"]) == ("The", "length")
    stopped = made.ask(QUESTION, stop="iron").json()["choices"][0]
    assert (stopped["message"]["content"], stopped["finish_reason"]) == (
        "The melting point of ",
        "stop",
    )
    stream = events_of(made.ask(QUESTION, stop=["iron"], stream=True).text)
    pieces = [event["choices"][0]["delta"].get("content", "") for event in stream]
    assert "".join(pieces) == "The melting point of "


def test_a_prompt_that_is_too_long(served: Make) -> None:
    made = served(prompt_tokens=100)
    error = made.refusal(made.ask("x" * 200), 400)
    assert error["code"] == "context_length_exceeded"
    assert "100 are the most" in error["message"]


def test_an_engine_that_fails_is_a_503(served: Make) -> None:
    made = served()
    made.engine.fails = True
    response = made.ask(QUESTION)
    assert made.refusal(response, 503)["code"] == "engine_failed"
    assert response.headers["retry-after"] == "1"


def test_an_answer_that_takes_too_long(served: Make) -> None:
    made = served(seconds=0.2)
    made.engine.going_on.clear()
    assert made.refusal(made.ask(QUESTION), 504)["code"] == "timeout"
    assert wait_for(lambda: made.engine.cancelled == [QUESTION])


def test_a_full_queue_is_a_429(served: Make) -> None:
    made = served(batch=1, queue=1)
    made.engine.going_on.clear()
    said: list[Any] = []
    asking = [
        threading.Thread(target=lambda: said.append(made.ask(QUESTION).status_code))
        for _ in range(2)
    ]
    for thread in asking:
        thread.start()
    assert wait_for(lambda: "in_flight 2.0" in made.metrics.text().decode())
    response = made.ask(QUESTION)
    error = made.refusal(response, 429)
    assert error["code"] == "rate_limit_exceeded"
    assert int(response.headers["retry-after"]) >= 1
    made.engine.going_on.set()
    for thread in asking:
        thread.join()
    assert said == [200, 200]
    assert made.ask(QUESTION).status_code == 200


def test_a_request_keeps_its_generation_while_another_is_swapped_in(
    served: Make, tmp_path: Path
) -> None:
    made = served()
    made.engine.going_on.clear()
    said: list[Any] = []
    asking = threading.Thread(target=lambda: said.append(made.ask(QUESTION).json()))
    asking.start()
    assert wait_for(lambda: "in_flight 1.0" in made.metrics.text().decode())
    newer = FakeEngine({QUESTION: "It melts at 1649 °C."})
    assert made.generations.swap(1, generation(tmp_path, 2, newer))
    now = made.ask(QUESTION).json()
    assert now["lorekeep"]["version"]["generation"] == 2
    assert now["choices"][0]["message"]["content"] == "It melts at 1649 °C."
    assert not made.engine.is_closed
    made.engine.going_on.set()
    asking.join()
    assert said[0]["lorekeep"]["version"]["generation"] == 1
    assert said[0]["choices"][0]["message"]["content"] == RIGHT
    assert wait_for(lambda: made.engine.is_closed)


def test_state_and_numbers(served: Make) -> None:
    made = served()
    made.ask(QUESTION)
    assert made.client.get("/health").json() == {"status": "ok"}
    assert made.client.get("/ready").json() == {"status": "ready", "generation": 1}
    models = made.client.get("/v1/models").json()
    assert [model["id"] for model in models["data"]] == ["knowledge@v1.1.0/distill", "lorekeep"]
    text = made.client.get("/metrics").text
    line = 'lorekeep_requests_total{path="/v1/chat/completions",status="200",token="anyone"} 1.0'
    assert line in text
    assert 'lorekeep_answers_total{agrees="yes"} 1.0' in text
    assert f'lorekeep_tokens_total{{kind="answer"}} {len(RIGHT) + 1}.0' in text
    schema = made.client.get("/openapi.json").json()
    assert "/v1/chat/completions" in schema["paths"]


def test_the_request_log_holds_no_personal_data(served: Make, tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.jsonl")
    made = served({"phone-app": "t" * 20}, log)
    made.client.headers["Authorization"] = "Bearer " + "t" * 20
    made.ask("Write to jane.doe@example.org: when does iron melt?")
    log.close()
    text = (tmp_path / "requests.jsonl").read_text(encoding="utf-8")
    line = json.loads(text)
    assert "jane.doe" not in text
    assert "t" * 20 not in text
    assert line["question"].startswith("Write to <")
    assert line["token"] == "phone-app"
    assert line["version"] == "knowledge@v1.1.0"
    assert (tmp_path / "requests.jsonl").stat().st_mode & 0o777 == 0o600


def test_an_error_in_the_server_is_a_500_without_its_words(
    served: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = served()

    def broken(question: str) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(made.generations.current.knowledge, "behind", broken)
    response = made.ask(QUESTION)
    assert "secret" not in response.text
    assert "an error of the server" in made.refusal(response, 500)["message"]
    assert made.generations.current.requests == 0


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether a condition holds within half a minute."""
    for _ in range(3000):
        if condition():
            return True
        time.sleep(0.01)
    return False
