"""Asking: what is missing and nothing else, whatever the endpoint does."""

import dataclasses
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lore.teaching.asking import MOST_REFUSED, Outcome, Run
from lore.teaching.costs import Budget
from lore.teaching.journal import Journal
from lore.teaching.plan import FOLDER, plan_of
from stages.augment.teacher import settings
from stages.augment.teacher.answers import Failure
from stages.augment.teacher.record import Record, read_record
from stages.core.project.errors import InputError
from tests.lore.teaching.taught import KEY, Teacher, send, send_error, send_text

MISSING = 22
"""Requests of the project that have no answer at first."""


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's pauses between its tries are short."""
    import openai._base_client as client

    monkeypatch.setattr(client, "INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr(client, "MAX_RETRY_DELAY", 0.02)


def ask(**changes: Any) -> Outcome:
    """Ask what is missing, as `lore teach` does."""
    plan = plan_of()
    teacher = dataclasses.replace(plan.teacher, **changes)
    journal = Journal(FOLDER)
    budget = Budget(teacher, plan.answered.values())
    run = Run(teacher, plan.missing(), journal, budget, plan.answered_before())
    outcome = run.all()
    journal.finish()
    return outcome


def kept() -> Record:
    return read_record(FOLDER)


@pytest.mark.usefixtures("project")
class TestAsking:
    def test_each_distinct_prompt_once(self, teacher: Teacher) -> None:
        outcome = ask()
        assert outcome.answered == MISSING
        assert set(teacher.prompts.values()) == {1}
        assert len(teacher.bodies) == MISSING
        assert len(kept()) == MISSING
        # All of it is there, so nothing more is asked.
        assert ask().answered == 0
        assert len(teacher.bodies) == MISSING

    def test_ctrl_c_waits_for_the_first_thread_too(self, teacher: Teacher) -> None:
        """The only thread is the one that is waited for just when Ctrl-C comes."""
        sent = threading.Event()

        def answer_late(handler: Any) -> None:
            sent.set()
            time.sleep(1)
            send_text(json.dumps(teacher.script(teacher.bodies[-1])))(handler)

        def press_ctrl_c() -> None:
            sent.wait(60)
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)

        teacher.faults = [None, answer_late]
        # Another test, or the process that runs the tests, may have changed what Ctrl-C does.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=press_ctrl_c).start()
        try:
            outcome = ask(concurrency=1)
        finally:
            signal.signal(signal.SIGINT, before)
        assert outcome.stopped == "stopped by Ctrl-C"
        assert len(kept()) == outcome.answered == 2

    def test_only_what_is_missing(self, teacher: Teacher) -> None:
        ask()
        path = FOLDER / "corrupted.jsonl"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(lines[3:]) + "\n")
        teacher.bodies.clear()
        assert ask().answered == 3
        assert len(teacher.bodies) == 3
        assert len(kept()) == MISSING

    def test_what_is_sent(self, teacher: Teacher) -> None:
        ask(temperature=0.5, max_tokens=300)
        body = teacher.bodies[0]
        assert body["model"] == "gpt-3.5-turbo"
        assert (body["temperature"], body["max_tokens"]) == (0.5, 300)
        assert body["response_format"]["type"] == "json_schema"
        assert body["response_format"]["json_schema"]["strict"] is True
        ask(model="m", temperature=None)
        assert teacher.keys == {f"Bearer {KEY}"}

    def test_tokens_and_reasons_are_kept(self) -> None:
        outcome = ask()
        assert (outcome.input_tokens, outcome.output_tokens) == (100 * MISSING, 50 * MISSING)
        for entry in kept().values():
            (attempt,) = entry.attempts
            assert (attempt.input_tokens, attempt.output_tokens) == (100, 50)
            assert (attempt.finish_reason, attempt.model) == ("stop", "scripted-1")
            assert entry.seconds is not None

    def test_an_endpoint_that_counts_no_tokens(self, teacher: Teacher) -> None:
        teacher.usage = False
        outcome = ask()
        assert outcome.input_tokens > 100
        assert all(entry.output_tokens for entry in kept().values())

    def test_no_more_requests_at_a_time_than_allowed(self, teacher: Teacher) -> None:
        teacher.delay = 0.03
        ask(concurrency=3)
        assert teacher.most_at_once == 3


@pytest.mark.usefixtures("project")
class TestFaults:
    def test_errors_that_pass(self, teacher: Teacher) -> None:
        teacher.faults = [
            send_error(429, "slow down", Retry_After="0.05"),
            send_error(500, "oops"),
            send_error(503, "busy"),
            None,
            send_error(429, "slow down", Retry_After="0.05"),
            lambda handler: handler.connection.shutdown(socket.SHUT_RDWR),
        ]
        outcome = ask(concurrency=1, retries=4)
        assert outcome.answered == MISSING
        assert len(teacher.bodies) == MISSING + 5

    def test_the_pause_that_the_endpoint_names(self, teacher: Teacher) -> None:
        teacher.faults = [send_error(429, "slow down", Retry_After="1")]
        started = time.monotonic()
        assert ask(concurrency=1).answered == MISSING
        assert time.monotonic() - started >= 1

    def test_a_time_out_is_tried_again(self, teacher: Teacher) -> None:
        def silent(handler: Any) -> None:
            time.sleep(1.5)
            handler.close_connection = True

        teacher.faults = [silent]
        assert ask(concurrency=1, timeout=0.5).answered == MISSING
        assert len(teacher.bodies) == MISSING + 1

    def test_an_endpoint_that_stays_down(self, teacher: Teacher) -> None:
        teacher.faults = [send_error(500, "down")] * 1000
        outcome = ask(concurrency=1, retries=1)
        assert outcome.answered == 0
        assert "5 requests in a row had no answer" in outcome.stopped
        assert outcome.unanswered == {"answer 500 after 1 further tries: down": 5}
        assert len(teacher.bodies) == 10
        assert kept() == {}
        # Up again, it is asked for everything.
        teacher.faults = []
        assert ask().answered == MISSING

    def test_nobody_there(self, teacher: Teacher) -> None:
        teacher.close()
        outcome = ask(concurrency=1, retries=0)
        assert outcome.answered == 0
        assert "requests in a row had no answer" in outcome.stopped
        (reason,) = outcome.unanswered
        assert teacher.url in reason

    def test_half_a_reply_is_no_answer(self, teacher: Teacher) -> None:
        def half(handler: Any) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", "5000")
            handler.end_headers()
            handler.wfile.write(b'{"id": "x", "choi')
            handler.close_connection = True

        teacher.faults = [half, half]
        outcome = ask(concurrency=1, retries=0)
        assert outcome.answered == MISSING - 2
        assert sum(outcome.unanswered.values()) == 2
        assert ask().answered == 2

    @pytest.mark.parametrize("content", [b"<html>", b"{}", b'{"choices": []}', b"[1]", b"null"])
    def test_a_reply_of_another_protocol(self, teacher: Teacher, content: bytes) -> None:
        teacher.faults = [lambda handler: send(handler, 200, content)]
        outcome = ask(concurrency=1, retries=0)
        assert outcome.answered == MISSING - 1
        (reason,) = outcome.unanswered
        assert "no answer of the chat protocol" in reason

    def test_an_answer_that_is_cut_off(self, teacher: Teacher) -> None:
        teacher.faults = [send_text('{"patterns": ["What is', finish_reason="length")]
        outcome = ask(concurrency=1)
        assert outcome.answered == MISSING
        assert outcome.failed == {"cut_off": 1}
        assert len(teacher.bodies) == MISSING, "a repair would be cut off, too"
        (failure,) = [one.read() for one in kept().values() if isinstance(one.read(), Failure)]
        assert failure.reason == "cut_off"

    @pytest.mark.parametrize("text", ["Here you are:", '{"patterns": [', "", '{"sentences": []}'])
    def test_one_repair(self, teacher: Teacher, text: str) -> None:
        teacher.faults = [send_text(text)]
        outcome = ask(concurrency=1)
        assert outcome.answered == MISSING
        assert outcome.failed == {}
        assert outcome.calls == MISSING + 1
        second = teacher.bodies[1]["messages"]
        assert second[:2] == teacher.bodies[0]["messages"]
        assert second[2] == {"role": "assistant", "content": text}
        assert "Your answer could not be used" in second[3]["content"]
        (repaired,) = [one for one in kept().values() if len(one.attempts) == 2]
        assert repaired.attempts[0].answer == text
        assert not isinstance(repaired.read(), Failure)

    def test_a_repair_that_does_not_help(self, teacher: Teacher) -> None:
        teacher.faults = [send_text("no"), send_text("no again")]
        outcome = ask(concurrency=1)
        assert outcome.failed == {"broken_json": 1}
        assert len(teacher.bodies) == MISSING + 1
        # It is kept, and not asked for again, unless somebody says so.
        assert ask().answered == 0
        plan = plan_of(again=True)
        assert len(plan.missing()) == 1

    def test_a_repair_that_gets_no_answer(self, teacher: Teacher) -> None:
        teacher.faults = [send_text("no"), send_error(500, "down")]
        outcome = ask(concurrency=1, retries=0)
        assert outcome.answered == MISSING
        assert outcome.failed == {"broken_json": 1}

    def test_a_content_filter(self, teacher: Teacher) -> None:
        teacher.faults = [send_text("", finish_reason="content_filter")]
        assert ask(concurrency=1).failed == {"filtered": 1}
        assert len(teacher.bodies) == MISSING


@pytest.mark.usefixtures("project")
class TestWhatTheEndpointSupports:
    def test_without_schemas(self, teacher: Teacher) -> None:
        teacher.refuses = {"json_schema"}
        assert ask(concurrency=4).answered == MISSING
        forms = [body.get("response_format", {}).get("type") for body in teacher.bodies]
        assert forms == ["json_schema"] + ["json_object"] * MISSING

    def test_without_json_mode(self, teacher: Teacher) -> None:
        teacher.refuses = {"json_schema", "json_object"}
        assert ask(concurrency=4).answered == MISSING
        assert len(teacher.bodies) == MISSING + 2
        assert "response_format" not in teacher.bodies[-1]

    def test_another_name_of_the_limit(self, teacher: Teacher) -> None:
        message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        teacher.faults = [send_error(400, message)]
        assert ask(concurrency=1).answered == MISSING
        assert "max_tokens" not in teacher.bodies[1]
        assert teacher.bodies[1]["max_completion_tokens"] == 2000
        assert teacher.bodies[1]["response_format"]["type"] == "json_schema"

    def test_a_request_that_is_refused_alone(self, teacher: Teacher) -> None:
        teacher.faults = [None, send_error(400, "too many tokens")]
        outcome = ask(concurrency=1)
        assert outcome.answered == MISSING
        assert outcome.failed == {"refused_by_endpoint": 1}
        assert outcome.error is None

    def test_the_only_request_of_a_later_run_is_refused(self, teacher: Teacher) -> None:
        ask()
        path = FOLDER / "corrupted.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
        teacher.faults = [send_error(400, "too many tokens")] * 9
        outcome = ask()
        assert outcome.error is None
        assert outcome.failed == {"refused_by_endpoint": 1}
        assert plan_of().missing() == []

    def test_everything_is_refused(self, teacher: Teacher) -> None:
        teacher.faults = [send_error(400, "temperature must be 1")] * 100
        outcome = ask(concurrency=1)
        assert isinstance(outcome.error, InputError)
        assert "refuses every request: temperature must be 1" in str(outcome.error)
        assert len(teacher.bodies) == MOST_REFUSED + 2, "two forms were tried in vain at first"
        assert kept() == {}

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            (401, "the key in TEACHER_KEY is not accepted"),
            (403, "the key in TEACHER_KEY is not accepted"),
            (402, "the account has no credit left"),
            (404, r"check augment\.teacher\.base_url"),
        ],
    )
    def test_what_no_further_request_can_mend(
        self, teacher: Teacher, code: int, message: str
    ) -> None:
        teacher.faults = [None, None, *[send_error(code, f"bad {KEY}")] * 50]
        outcome = ask(concurrency=1)
        assert outcome.answered == 2
        assert len(teacher.bodies) == 3
        assert isinstance(outcome.error, InputError)
        with pytest.raises(InputError, match=message):
            raise outcome.error
        assert KEY not in str(outcome.error)


@pytest.mark.usefixtures("project")
class TestBudget:
    @pytest.mark.parametrize("concurrency", [1, 8])
    def test_it_is_not_passed(self, teacher: Teacher, concurrency: int) -> None:
        budget = settings.Budget(tokens=4000)
        outcome = ask(concurrency=concurrency, budget=budget, max_tokens=1000)
        assert 0 < outcome.answered < MISSING
        assert "the budget is used up" in outcome.stopped
        assert outcome.input_tokens + outcome.output_tokens <= 4000
        assert len(teacher.bodies) == outcome.answered
        # What was spent counts in the next run, too.
        again = ask(concurrency=concurrency, budget=budget, max_tokens=1000)
        spent = sum(entry.input_tokens + entry.output_tokens for entry in kept().values())
        assert spent <= 4000
        # The first run ended at a request that did not fit. A shorter one may still fit.
        assert "the budget is used up" in again.stopped
        assert again.answered < outcome.answered

    def test_money(self) -> None:
        prices = settings.Prices(input=10.0, output=20.0)
        outcome = ask(budget=settings.Budget(None, 0.05), prices=prices, max_tokens=1000)
        money = (outcome.input_tokens * 10 + outcome.output_tokens * 20) / 1e6
        assert 0 < outcome.answered < MISSING
        assert money <= 0.05

    def test_no_limit(self) -> None:
        assert ask(budget=settings.Budget(None, None)).answered == MISSING


@pytest.mark.usefixtures("teacher")
def test_the_key_is_in_no_file(project: Path, teacher: Teacher) -> None:
    teacher.script = lambda body: {"patterns": [f"{KEY} of {{subject}}"], "key": KEY}
    ask(concurrency=1)
    assert len(kept()) == MISSING
    for path in project.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    (one, *_) = kept().values()
    assert "***" in json.dumps([attempt.answer for attempt in one.attempts])


@pytest.mark.usefixtures("project")
def test_a_full_disk_stops_asking(teacher: Teacher, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "add", full)
    outcome = ask(concurrency=1)
    assert "No space left on device; nothing more was asked" in str(outcome.error)
    assert len(teacher.bodies) == 1
