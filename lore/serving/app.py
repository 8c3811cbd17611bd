"""The application: paths of OpenAI's API, health and metrics. The page has paths of its own."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import (
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from lore.serving.access import ANYONE, Access
from lore.serving.answering import Answering, Asked, Finished
from lore.serving.comparison import Comparison
from lore.serving.description import describe
from lore.serving.errors import SERVER, SERVER_FAULT, ApiError
from lore.serving.gate import TOKEN_NAME, Gate
from lore.serving.generations import ALIAS, Generation, Generations, UnknownModelError
from lore.serving.limits import Quotas
from lore.serving.log import RequestLog
from lore.serving.metrics import CONTENT_TYPE, Metrics
from lore.serving.page.paths import add_page
from lore.serving.prompts import chat_prompt, question_of
from lore.serving.schemas import (
    AssistantMessage,
    ChatAnswer,
    ChatChoice,
    ChatRequest,
    Common,
    ComparisonAnswer,
    CompletionAnswer,
    CompletionChoice,
    CompletionRequest,
    ErrorBody,
    Health,
    ModelDetail,
    ModelEntry,
    ModelList,
    Ready,
    problem_of,
)
from lore.serving.settings import Settings
from lore.serving.shadow import Shadow

REFUSALS: dict[int | str, dict[str, Any]] = {500: {"model": ErrorBody}}
"""Brings the form of refusals into the description, which then names them for every path."""


def make_app(
    generations: Generations,
    settings: Settings,
    access: Access,
    metrics: Metrics,
    request_log: RequestLog | None = None,
    comparison: Comparison | None = None,
) -> Gate:
    """Return the application behind its gate."""
    limits = settings.limits
    quotas = Quotas(limits.requests_per_minute, limits.tokens_per_minute)
    comparison = comparison or Comparison()
    answering = Answering(limits, quotas, metrics, request_log, comparison)
    shadow = Shadow(generations, answering, settings.shadow)
    app = FastAPI(
        title="lore serve",
        description="Answers of a knowledge version, each with its version, fact and sources.",
        docs_url=None,
        redoc_url=None,
    )
    add_refusals(app)
    add_answers(app, generations, answering, shadow)
    add_state(app, generations, metrics, comparison)
    add_page(app, generations, settings, access)
    describe(app, access.is_open, limits.answer_tokens)
    return Gate(app, access, quotas, metrics, limits)


def add_refusals(app: FastAPI) -> None:
    """Give every error the form of OpenAI's."""

    def refusal(error: ApiError) -> JSONResponse:
        return JSONResponse(error.body(), error.status, error.headers())

    async def on_api_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return refusal(error)

    async def on_wrong_body(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if any(problem["type"] == "json_invalid" for problem in error.errors()):
            return refusal(ApiError(400, "the body is no JSON"))
        message, param = problem_of(list(error.errors()))
        return refusal(ApiError(400, message, param=param))

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = {404: "no such path; /openapi.json lists them", 405: "the path knows other methods"}
        message = said.get(error.status_code, str(error.detail))
        response = refusal(ApiError(error.status_code, message))
        response.headers.update(error.headers or {})
        return response

    async def on_fault(request: Request, error: Exception) -> Response:
        # The gate logs it under the same id. Its words may hold data, so they stay there.
        return refusal(ApiError(500, SERVER_FAULT, SERVER))

    app.add_exception_handler(ApiError, on_api_error)
    app.add_exception_handler(Exception, on_fault)
    app.add_exception_handler(RequestValidationError, on_wrong_body)
    app.add_exception_handler(HTTPException, on_http_error)


def add_answers(
    app: FastAPI, generations: Generations, answering: Answering, shadow: Shadow
) -> None:
    """Add the two paths that answer."""

    def asked_of(
        request: Request, body: Common, question: str, prompt: str, most: int | None
    ) -> Asked:
        longest = answering.limits.answer_tokens
        if most is not None and most > longest:
            raise ApiError(
                400,
                f"max_tokens: {most} is more than {longest}, the longest answer of this server "
                "(lore serve --answer-tokens)",
                param="max_tokens",
            )
        if body.stream_options is not None and not body.stream:
            raise ApiError(
                400, "stream_options: only together with stream: true", param="stream_options"
            )
        return Asked(
            question=question,
            prompt=prompt,
            most=most or longest,
            stops=body.stops(),
            from_records=body.lorekeep.answer_from == "records",
            token=request.scope.get(TOKEN_NAME, ""),
            ignored=body.ignored(),
        )

    @app.post("/v1/chat/completions", response_model=ChatAnswer, responses=REFUSALS)
    async def chat(request: Request, body: ChatRequest) -> Response:
        """Answer the last question of a conversation."""
        if body.max_tokens is not None and body.max_completion_tokens is not None:
            raise ApiError(
                400, "max_completion_tokens: not together with max_tokens", param="max_tokens"
            )
        most = body.max_completion_tokens or body.max_tokens

        def make(generation: Generation) -> Asked:
            prompt = chat_prompt(generation.tokenizer, body)
            return asked_of(request, body, question_of(body), prompt, most)

        answers = Answers(generations, answering, shadow, make)
        return await respond(request, body, question_of(body), answers, ChatForm())

    @app.post("/v1/completions", response_model=CompletionAnswer, responses=REFUSALS)
    async def completions(request: Request, body: CompletionRequest) -> Response:
        """Go on with a text."""

        def make(generation: Generation) -> Asked:
            return asked_of(request, body, body.text(), body.text(), body.max_tokens)

        answers = Answers(generations, answering, shadow, make)
        return await respond(request, body, body.text(), answers, CompletionForm())


@dataclass(frozen=True)
class Answers:
    """Where an answer comes from, and who follows it."""

    generations: Generations
    answering: Answering
    shadow: Shadow
    make: Callable[[Generation], Asked]
    """Makes the request's prompt for a generation."""


class ChatForm:
    """The form of answers to POST /v1/chat/completions."""

    prefix = "chatcmpl-"
    chunk = "chat.completion.chunk"

    def whole(self, base: dict[str, Any], done: Finished) -> ChatAnswer:
        """Return a whole answer."""
        message = AssistantMessage(content=done.text)
        reason: Any = done.finish_reason
        choice = ChatChoice(message=message, finish_reason=reason)
        return ChatAnswer(choices=[choice], usage=done.usage, lorekeep=done.info, **base)

    def piece(self, text: str | None, reason: str | None) -> dict[str, Any]:
        """Return the choice of a piece. The first one has no text yet."""
        delta: dict[str, Any] = {}
        if text is None and reason is None:
            delta = {"role": "assistant", "content": ""}
        elif text is not None:
            delta = {"content": text}
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


class CompletionForm:
    """The form of answers to POST /v1/completions."""

    prefix = "cmpl-"
    chunk = "text_completion"

    def whole(self, base: dict[str, Any], done: Finished) -> CompletionAnswer:
        """Return a whole answer."""
        reason: Any = done.finish_reason
        choice = CompletionChoice(text=done.text, finish_reason=reason)
        return CompletionAnswer(choices=[choice], usage=done.usage, lorekeep=done.info, **base)

    def piece(self, text: str | None, reason: str | None) -> dict[str, Any]:
        """Return the choice of a piece."""
        return {"index": 0, "text": text or "", "logprobs": None, "finish_reason": reason}


async def respond(
    request: Request,
    body: Common,
    question: str,
    answers: Answers,
    form: ChatForm | CompletionForm,
) -> Response:
    """Return an answer, as a whole or as a stream. The generation is held until its end."""
    ending = contextlib.AsyncExitStack()
    is_streaming = False
    try:
        caller = caller_of(request, body, question)
        generation = ending.enter_context(answers.generations.held(body.model, caller))
        asked = answers.make(generation)

        def follow(done: Finished) -> None:
            if answers.generations.is_any(body.model):
                answers.shadow.follow(generation, asked, answers.make, done)

        pieces = answers.answering.answer(generation, asked)
        ending.push_async_callback(pieces.aclose)
        base = {
            "id": f"{form.prefix}{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": generation.name,
            "system_fingerprint": fingerprint(generation),
        }
        if not body.stream:
            done = await unless_gone(request, whole(pieces))
            follow(done)
            return JSONResponse(form.whole(base, done).model_dump(mode="json"))
        # The first piece is awaited here, so that a refusal still gets its status.
        first = await anext(pieces)
        wants_usage = body.stream_options is not None and body.stream_options.include_usage
        is_streaming = True
        return Stream(stream(base, form, first, pieces, wants_usage, follow), ending)
    except UnknownModelError as error:
        raise ApiError(
            404,
            f"{error}, and {ALIAS} means whatever is",
            param="model",
            code="model_not_found",
        ) from None
    finally:
        if not is_streaming:
            await ending.aclose()


class Stream(StreamingResponse):
    """A stream of events that gives back what it holds, also where the caller goes away before it begins."""

    def __init__(self, events: AsyncIterator[str], ending: contextlib.AsyncExitStack) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._ending = ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._ending.aclose()


async def stream(
    base: dict[str, Any],
    form: ChatForm | CompletionForm,
    first: str | Finished,
    pieces: AsyncIterator[str | Finished],
    wants_usage: bool,
    follow: Callable[[Finished], None],
) -> AsyncIterator[str]:
    """Yield an answer as server-sent events. `lorekeep` is in the last piece of the answer."""

    def event(**more: Any) -> str:
        document = {**base, "object": form.chunk, **more}
        return f"data: {json.dumps(document, ensure_ascii=False)}\n\n"

    usage = {"usage": None} if wants_usage else {}
    if isinstance(form, ChatForm):
        yield event(choices=[form.piece(None, None)], **usage)
    piece = first
    try:
        while not isinstance(piece, Finished):
            yield event(choices=[form.piece(piece, None)], **usage)
            piece = await anext(pieces)
    except ApiError as error:
        # The status is sent already, so the error is an event, as OpenAI's is.
        yield f"data: {json.dumps(error.body(), ensure_ascii=False)}\n\n"
        return
    follow(piece)
    yield event(
        choices=[form.piece(None, piece.finish_reason)],
        lorekeep=piece.info.model_dump(mode="json"),
        **usage,
    )
    if wants_usage:
        yield event(choices=[], usage=piece.usage.model_dump(mode="json"))
    yield "data: [DONE]\n\n"


async def whole(pieces: AsyncIterator[str | Finished]) -> Finished:
    """Return what is known at the end of an answer."""
    async for piece in pieces:
        if isinstance(piece, Finished):
            return piece
    raise AssertionError("an answer ends with what is known of it")


async def unless_gone(request: Request, work: Awaitable[Finished]) -> Finished:
    """Return the result of work, which is cancelled where the caller goes away. Raises ApiError then."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(disconnection(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ApiError(499, "the caller went away", SERVER)
    finally:
        for waiting in (task, gone):
            waiting.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def disconnection(request: Request) -> None:
    """Return when the caller has gone away."""
    while True:
        event = await request.receive()
        if event["type"] == "http.disconnect":
            return


def add_state(
    app: FastAPI, generations: Generations, metrics: Metrics, comparison: Comparison
) -> None:
    """Add the paths that say how the server is."""

    @app.get("/v1/models", responses=REFUSALS)
    async def models() -> ModelList:
        """Return the model that is served, under each of its names, and the candidate."""
        current = generations.current
        entries = [entry_of(current.name, current)]
        entries += [entry_of(name, current) for name in (ALIAS, *generations.names)]
        candidate = generations.candidate
        if candidate is not None and candidate.name != current.name:
            entries.append(entry_of(candidate.name, candidate))
        return ModelList(data=entries)

    @app.get("/v1/comparison")
    async def compared() -> ComparisonAnswer:
        """Return what each version did since the server started, and what the shadow questions showed."""
        return comparison.report(generations.candidate)

    @app.get("/health")
    async def health() -> Health:
        """Say that the server runs."""
        return Health()

    @app.get("/ready")
    async def ready() -> Ready:
        """Say whether a version is loaded."""
        return Ready(generation=generations.current.number)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def numbers() -> Response:
        """Return the numbers that Prometheus reads."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)


def entry_of(name: str, generation: Generation) -> ModelEntry:
    """Return what GET /v1/models says of a generation under a name."""
    detail = ModelDetail(
        version=generation.version,
        variant=generation.variant,
        engine=generation.engine.name,
        has_index=generation.knowledge.has_index,
    )
    return ModelEntry(id=name, lorekeep=detail)


def caller_of(request: Request, body: Common, question: str) -> str:
    """Return what tells callers apart: the field `user`, else the name of the token, else the question itself."""
    if body.user:
        return f"user {body.user}"
    token = request.scope.get(TOKEN_NAME, ANYONE)
    if token != ANYONE:
        return f"token {token}"
    return f"question {question}"


def fingerprint(generation: Generation) -> str:
    """Return a short name of what answered, as OpenAI's field has it."""
    identity = (generation.version.identity or "workspace")[:12]
    return f"{identity}-{generation.number}"
