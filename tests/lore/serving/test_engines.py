"""Engines: whatever is asked at once, each answer is the one that the model gives alone."""

import threading
from pathlib import Path
from typing import Any

import pytest

from lore.serving import canaries
from lore.serving.engines import worker
from lore.serving.engines.engine import Job
from lore.serving.engines.pytorch import TorchBatch, TorchEngine, padded
from lore.serving.engines.worker import Worker
from lore.serving.reading import Answer, Reader
from stages.core.models.causal_lm import answered, generate, load_causal_lm
from stages.core.models.conversation import encode, prompt_text
from stages.core.project.errors import ModelError

QUESTIONS = ["Who found radium?", "What is neon?", "What is the melting point of iron in air?", "?"]


def test_answers_at_once_are_those_of_evaluate(tiny_model: Path) -> None:
    model, tokenizer = load_causal_lm(tiny_model)
    questions = [f"{question} {number}" for number in range(6) for question in QUESTIONS]
    prompts = [prompt_text(tokenizer, question) for question in questions]
    expected = generate(model, tokenizer, prompts, 12, batch=4)
    sizes: list[int] = []
    engine = TorchEngine(tiny_model, None, 8, sizes.append, 1)
    try:
        reader = Reader(tokenizer, tiny_model)
        assert canaries.ask(engine, tokenizer, reader, questions, 12) == expected
    finally:
        engine.close()
    assert max(sizes) <= 8
    assert max(sizes) > 1


def test_the_confidence_is_that_of_evaluate(tiny_model: Path) -> None:
    model, tokenizer = load_causal_lm(tiny_model)
    prompts = [prompt_text(tokenizer, question) for question in QUESTIONS]
    expected = answered(model, tokenizer, prompts, 12, batch=4)
    engine = TorchEngine(tiny_model, None, 8, lambda size: None, 1)
    jobs = []
    ends = []
    numbers: list[int] = []
    reader = Reader(tokenizer, tiny_model)
    for prompt in prompts:
        answer = Answer(reader, [])
        end = threading.Event()
        (tokens,) = encode(tokenizer, [prompt])

        def on_tokens(new: list[int], answer: Answer = answer) -> bool:
            return answer.add(new[0])

        def on_end(error: Exception | None, end: threading.Event = end) -> None:
            end.set()

        jobs.append((Job(tokens, prompt, 12, on_tokens, on_end), answer))
        ends.append(end)
    try:
        for job, _ in jobs:
            engine.submit(job)
        for end in ends:
            assert end.wait(60)
    finally:
        engine.close()
    for (job, answer), known in zip(jobs, expected, strict=True):
        assert job.log_p is not None
        numbers.append(len(answer.tokens))
        assert job.log_p / len(answer.tokens) == pytest.approx(known.confidence, abs=1e-4)
    assert min(numbers) > 0


def test_a_batch_that_never_empties_stays_as_short_as_its_rows(tiny_model: Path) -> None:
    model, tokenizer = load_causal_lm(tiny_model)
    (prompt,) = encode(tokenizer, [prompt_text(tokenizer, "Who found radium?")])
    batch = TorchBatch(model, tokenizer.pad_token_id)
    most = 6
    written: list[list[int]] = []

    def joined() -> Job:
        tokens: list[int] = []
        written.append(tokens)

        def on_tokens(new: list[int]) -> bool:
            tokens.extend(new)
            return False

        return Job(prompt, "", most, on_tokens, lambda error: None)

    batch.add([joined()])
    # In every third step a row joins, so that two or three are always at work.
    for number in range(60):
        batch.step()
        if number % 3 == 0:
            batch.add([joined()])
        assert batch._mask.shape[1] <= len(prompt) + most
    complete = [tokens for tokens in written if len(tokens) == most]
    assert len(complete) > 15
    assert complete == [complete[0]] * len(complete)


class CountingBatch:
    """Writes the numbers 0, 1, 2, … to each job, and joins jobs at any step or at none."""

    def __init__(self, joins: bool = True) -> None:
        self.joins = joins
        self.jobs: list[Job] = []
        self.written: dict[Job, int] = {}
        self.may_step = threading.Semaphore(0)
        self.fails = False
        self.sizes: list[int] = []

    def add(self, jobs: list[Job]) -> None:
        self.jobs += jobs
        for job in jobs:
            self.written[job] = 0

    def takes_more(self) -> bool:
        return self.joins

    def size(self) -> int:
        return self.sizes[-1]

    def step(self) -> list[Job]:
        self.may_step.acquire()
        self.sizes.append(len(self.jobs))
        if self.fails:
            self.fails = False
            raise ZeroDivisionError
        ended = []
        for job in self.jobs:
            self.written[job] += 1
            if job.on_tokens([self.written[job]]) or self.written[job] == job.most:
                ended.append(job)
        self.drop(ended)
        return ended

    def drop(self, jobs: list[Job]) -> None:
        self.jobs = [job for job in self.jobs if job not in jobs]


class Asked:
    """A job, and what came of it."""

    def __init__(self, most: int) -> None:
        self.tokens: list[int] = []
        self.ended = threading.Event()
        self.error: Exception | None = None
        self.begun = threading.Event()
        self.job = Job([1], "", most, self.on_tokens, self.on_end)

    def on_tokens(self, tokens: list[int]) -> bool:
        self.tokens += tokens
        self.begun.set()
        return False

    def on_end(self, error: Exception | None) -> None:
        self.error = error
        self.ended.set()


def made(batch: CountingBatch, most: int = 4) -> tuple[Worker, list[int]]:
    sizes: list[int] = []
    return Worker(lambda: batch, most, sizes.append), sizes


@pytest.mark.parametrize("joins", [True, False])
def test_a_job_joins_where_the_batch_allows_it(joins: bool) -> None:
    batch = CountingBatch(joins)
    working, _ = made(batch)
    first, second = Asked(3), Asked(1)
    working.submit(first.job)
    batch.may_step.release()
    assert first.begun.wait(30)
    working.submit(second.job)
    batch.may_step.release(10)
    assert first.ended.wait(30)
    assert second.ended.wait(30)
    working.close()
    assert (first.tokens, second.tokens) == ([1, 2, 3], [1])
    if joins:
        assert 2 in batch.sizes
    else:
        assert batch.sizes == [1, 1, 1, 1]


def test_a_cancelled_job_leaves_the_batch() -> None:
    batch = CountingBatch()
    working, _ = made(batch)
    first = Asked(100)
    working.submit(first.job)
    batch.may_step.release()
    assert first.begun.wait(30)
    first.job.cancelled.set()
    batch.may_step.release(2)
    assert first.ended.wait(30)
    assert first.error is None
    assert len(first.tokens) < 4
    working.close()


def test_an_engine_that_fails_ends_its_jobs_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    batch = CountingBatch()
    batch.fails = True
    working, _ = made(batch)
    first = Asked(3)
    working.submit(first.job)
    batch.may_step.release()
    assert first.ended.wait(30)
    assert str(first.error) == "the engine failed (ZeroDivisionError)"
    batch.jobs = []
    second = Asked(1)
    working.submit(second.job)
    batch.may_step.release()
    assert second.ended.wait(30)
    assert second.error is None
    working.close()


def test_an_engine_that_cannot_be_made_again_refuses(caplog: pytest.LogCaptureFixture) -> None:
    batch = CountingBatch()
    batch.fails = True
    made_before = []

    def make() -> CountingBatch:
        if made_before:
            raise ModelError("no memory")
        made_before.append(batch)
        return batch

    working = Worker(make, 4, lambda size: None)
    first, second = Asked(3), Asked(3)
    working.submit(first.job)
    batch.may_step.release()
    assert first.ended.wait(30)
    working.submit(second.job)
    assert second.ended.wait(30)
    assert str(second.error) == worker.CLOSED
    assert "cannot be made again" in caplog.text
    working.close()


def test_a_closed_engine_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "IDLE", 0.01)
    working, _ = made(CountingBatch())
    working.close()
    asked = Asked(1)
    working.submit(asked.job)
    assert asked.ended.wait(30)
    assert str(asked.error) == worker.CLOSED


def test_an_engine_that_cannot_be_made() -> None:
    def make() -> Any:
        raise ModelError("no model here")

    with pytest.raises(ModelError, match="no model here"):
        Worker(make, 1, lambda size: None)


def test_padding_goes_before() -> None:
    import torch

    one, other = padded([torch.ones(1, 2), torch.ones(1, 4)], dim=1)
    assert one.tolist() == [[0, 0, 1, 1]]
    assert other.tolist() == [[1, 1, 1, 1]]
