"""One answer: from a prompt through the engine of a generation to a text with its fact and sources."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from lore.serving import knowledge
from lore.serving.comparison import AGREES, Comparison
from lore.serving.engines.engine import Job
from lore.serving.errors import SERVER, ApiError
from lore.serving.generations import Generation
from lore.serving.limits import Places, Quotas
from lore.serving.log import RequestLog
from lore.serving.metrics import Metrics
from lore.serving.reading import Answer
from lore.serving.schemas import LorekeepInfo, Usage
from lore.serving.settings import Limits
from stages.core.models.conversation import encode
from stages.core.records.abstention import abstention_for


@dataclass
class Asked:
    """A request, in the form that both paths of the API share."""

    question: str
    """What is looked for in the records."""
    prompt: str
    """What the model continues."""
    most: int
    stops: list[str]
    from_records: bool
    token: str
    """Name of the caller's token."""
    ignored: list[str] = field(default_factory=list)
    """Fields of the request that have no effect."""


@dataclass
class Finished:
    """What is known when an answer has ended."""

    text: str
    finish_reason: str
    usage: Usage
    info: LorekeepInfo


class Answering:
    """Answers requests, within the limits."""

    def __init__(
        self,
        limits: Limits,
        quotas: Quotas,
        metrics: Metrics,
        request_log: RequestLog | None,
        comparison: Comparison,
    ) -> None:
        self.limits = limits
        self.comparison = comparison
        self._quotas = quotas
        self._metrics = metrics
        self._log = request_log
        self._places = Places(limits.batch, limits.queue)

    async def answer(
        self, generation: Generation, asked: Asked
    ) -> AsyncGenerator[str | Finished, None]:
        """Yield the pieces of an answer as they come, and last what is known of the whole.

        Raises ApiError where the prompt is too long, a limit is reached, or the engine fails. A caller that
        stops reading cancels the answer.
        """
        began = time.monotonic()
        if asked.from_records:
            # An encoder computes for a while. Other requests go on meanwhile.
            text, finished = await asyncio.to_thread(self._from_records, generation, asked)
            yield text
            self._done(generation, asked, finished, began)
            yield finished
            return
        (prompt,) = encode(generation.tokenizer, [asked.prompt])
        self._require_fitting(generation, prompt, asked.most)
        self._quotas.take_tokens(asked.token, len(prompt) + asked.most)
        answer = Answer(generation.reader, asked.stops)
        try:
            self._places.take()
            self._metrics.waiting.set(self._places.taken)
            try:
                async for piece in self._pieces(generation, asked, prompt, answer, began):
                    # What may be withheld is known at the end.
                    if generation.least is None:
                        yield piece
            finally:
                self._places.give_back(time.monotonic() - began)
                self._metrics.waiting.set(self._places.taken)
        finally:
            self._quotas.give_back(asked.token, asked.most - len(answer.tokens))
            self._metrics.tokens.labels("prompt").inc(len(prompt))
            self._metrics.tokens.labels("answer").inc(len(answer.tokens))
        finished = self._from_model(generation, asked, prompt, answer)
        if generation.least is not None:
            yield finished.text
        self._done(generation, asked, finished, began)
        yield finished

    async def unseen(self, generation: Generation, asked: Asked) -> Finished:
        """Return an answer that no caller sees. It takes no place and no quota, and is not logged.

        Raises ApiError where the prompt is too long, or the engine fails.
        """
        began = time.monotonic()
        (prompt,) = encode(generation.tokenizer, [asked.prompt])
        self._require_fitting(generation, prompt, asked.most)
        answer = Answer(generation.reader, asked.stops)
        async for _ in self._pieces(generation, asked, prompt, answer, None):
            pass
        finished = self._from_model(generation, asked, prompt, answer)
        self.comparison.answered(
            generation, finished.text, finished.info.agrees, time.monotonic() - began
        )
        return finished

    def _require_fitting(self, generation: Generation, prompt: list[int], most: int) -> None:
        """Raise ApiError where a prompt is too long for the limits, or for the model with its answer."""
        room = min(self.limits.prompt_tokens, generation.context - most)
        if len(prompt) > room:
            raise ApiError(
                400,
                f"the prompt has {len(prompt):,} tokens; {room:,} are the most with an answer of {most} tokens",
                param="messages",
                code="context_length_exceeded",
            )

    async def _pieces(
        self,
        generation: Generation,
        asked: Asked,
        prompt: list[int],
        answer: Answer,
        began: float | None,
    ) -> AsyncGenerator[str, None]:
        """Yield what joins the text, until the answer has ended. Without `began`, no time is measured."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[int | Exception | None] = asyncio.Queue()

        def tell(event: int | Exception | None) -> None:
            with contextlib.suppress(RuntimeError):  # the server's loop has ended meanwhile
                loop.call_soon_threadsafe(events.put_nowait, event)

        def on_tokens(tokens: list[int]) -> bool:
            # In the engine's thread, which must know at once whether the answer goes on.
            for token in tokens:
                if answer.add(token):
                    break
            tell(len(answer.tokens))
            return answer.is_stopped

        job = Job(prompt, asked.prompt, asked.most, on_tokens, tell)
        generation.engine.submit(job)
        is_first = True
        try:
            async with asyncio.timeout(self.limits.seconds):
                while True:
                    event = await events.get()
                    if isinstance(event, Exception):
                        self.comparison.failed(generation)
                        raise ApiError(503, str(event), SERVER, code="engine_failed", retry_after=1)
                    if event is None:
                        break
                    if is_first and began is not None:
                        self._metrics.first_token.observe(time.monotonic() - began)
                        is_first = False
                    piece = answer.grown(is_whole=False)
                    if piece:
                        yield piece
        except TimeoutError:
            self.comparison.failed(generation)
            raise ApiError(
                504, f"no whole answer within {self.limits.seconds:g} s", SERVER, code="timeout"
            ) from None
        finally:
            job.cancelled.set()
        if job.log_p is not None and answer.tokens:
            answer.confidence = job.log_p / len(answer.tokens)
        rest = answer.grown(is_whole=True)
        if rest:
            yield rest

    def _from_model(
        self, generation: Generation, asked: Asked, prompt: list[int], answer: Answer
    ) -> Finished:
        rows = generation.knowledge.behind(asked.question)
        text = answer.text
        is_withheld = is_unsure(answer, generation.least)
        if is_withheld:
            text = abstention_for(asked.question)
        usage = Usage(
            prompt_tokens=len(prompt),
            completion_tokens=len(answer.tokens),
            total_tokens=len(prompt) + len(answer.tokens),
        )
        info = LorekeepInfo(
            version=generation.version,
            variant=generation.variant,
            engine=generation.engine.name,
            speed="weights",
            fact=knowledge.fact_info(rows),
            sources=knowledge.source_infos(rows),
            agrees=knowledge.agrees(text, rows),
            confidence=None if answer.confidence is None else round(answer.confidence, 6),
            withheld=is_withheld,
            ignored=asked.ignored,
        )
        reason = "stop" if answer.is_stopped or is_withheld else "length"
        return Finished(text, reason, usage, info)

    def _from_records(self, generation: Generation, asked: Asked) -> tuple[str, Finished]:
        found = generation.knowledge.answer(asked.question)
        text = "I do not know: no record is near enough to the question."
        if found.rows:
            text = found.rows[0]["text"]
        info = LorekeepInfo(
            version=generation.version,
            variant=generation.variant,
            engine=generation.engine.name,
            speed="index" if found.by == "index" else "records",
            similarity=found.similarity,
            fact=knowledge.fact_info(found.rows),
            sources=knowledge.source_infos(found.rows),
            agrees=knowledge.agrees(text, found.rows),
            ignored=asked.ignored,
        )
        usage = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
        return text, Finished(text, "stop", usage, info)

    def _done(self, generation: Generation, asked: Asked, finished: Finished, began: float) -> None:
        """Count and log an answer."""
        seconds = time.monotonic() - began
        agrees = finished.info.agrees
        self._metrics.agreement.labels(AGREES[agrees]).inc()
        if not asked.from_records:
            self.comparison.answered(generation, finished.text, agrees, seconds)
        if self._log is None:
            return
        fact = finished.info.fact
        self._log.add(
            asked.question,
            finished.text,
            token=asked.token,
            version=generation.version.name,
            generation=generation.number,
            variant=generation.variant,
            fact=fact.id if fact else None,
            agrees=agrees,
            withheld=finished.info.withheld,
            confidence=finished.info.confidence,
            tokens=finished.usage.total_tokens,
            milliseconds=round(seconds * 1000, 1),
        )


def is_unsure(answer: Answer, least: float | None) -> bool:
    """Return whether the model is less sure of an answer than a limit. None: there is no limit."""
    if least is None or answer.confidence is None:
        return False
    return answer.confidence < least
