"""Requests and answers of the API, in the form of OpenAI's.

A field that OpenAI knows and this server cannot honour is declared with the only values that change
nothing, such as `n: 1`. Any other value, and any field that is not declared, is refused by name.

Fields about drawing words at random (`NEUTRAL`) are the exception. They are accepted, since many clients always send
them, and the answer names them in `lorekeep.ignored`. An answer here is the likeliest one, and a draw may give it too.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

STRICT = ConfigDict(extra="forbid", strict=True)


def true_or_false(value: Any) -> Any:
    """Return a value that is true or false. In Python, 0 equals false. Raises PydanticCustomError."""
    if not isinstance(value, bool):
        raise PydanticCustomError("literal_error", "Input should be False")
    return value


def number(value: Any) -> Any:
    """Return a value that is a number. In Python, true equals 1. Raises PydanticCustomError."""
    if isinstance(value, bool):
        raise PydanticCustomError("literal_error", "Input should be 1")
    return value


def whole(value: Any) -> Any:
    """Return 64.0 as 64, since in JSON they are the same number, and any other value as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Whole = Annotated[int, BeforeValidator(whole)]
Length = Annotated[int, Field(ge=1), BeforeValidator(whole)]
OnlyFalse = Annotated[Literal[False], BeforeValidator(true_or_false)]
OnlyOne = Annotated[Literal[1], BeforeValidator(number)]
STREAMED: JsonDict = {
    "if": {"properties": {"stream_options": {"type": "object"}}, "required": ["stream_options"]},
    "then": {"properties": {"stream": {"const": True}}, "required": ["stream"]},
}
"""JSON Schema: `stream_options` only together with `stream: true`."""
ONE_LENGTH: JsonDict = {
    "not": {
        "properties": {
            "max_tokens": {"type": "integer"},
            "max_completion_tokens": {"type": "integer"},
        },
        "required": ["max_tokens", "max_completion_tokens"],
    }
}
"""JSON Schema: `max_tokens` not together with its newer name."""


NEUTRAL = {"temperature": 0.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""Field about drawing words, and the value that changes nothing."""


class TextPart(BaseModel):
    """A part of a message. Only text is known."""

    model_config = STRICT
    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = STRICT
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    def text(self) -> str:
        """Return the content as one text."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """What a stream holds beside the answer."""

    model_config = STRICT
    include_usage: bool = False
    include_obfuscation: OnlyFalse = False


class TextFormat(BaseModel):
    """The only form of answers."""

    model_config = STRICT
    type: Literal["text"]


class LorekeepOptions(BaseModel):
    """What this server can do beyond OpenAI's API."""

    model_config = STRICT
    answer_from: Literal["model", "records"] = "model"
    """`model`: the weights answer. `records`: the record itself, found by words or in the index."""


class Common(BaseModel):
    """Fields of both kinds of requests. Decoding is greedy, so `seed` changes nothing."""

    model_config = STRICT
    model: str = ""
    """A name of GET /v1/models. Empty: the model that is served."""
    max_tokens: Length | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Accepted and ignored: answers are greedy, so that they can be compared with the recorded ones."""
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: OnlyOne | None = None
    stop: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=4)]
        | None
    ) = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: Whole | None = None
    user: str | None = None
    lorekeep: LorekeepOptions = LorekeepOptions()

    def stops(self) -> list[str]:
        """Return the texts before which the answer ends."""
        if self.stop is None:
            return []
        if isinstance(self.stop, str):
            return [self.stop]
        return self.stop

    def ignored(self) -> list[str]:
        """Return the fields that ask for words drawn in another way, and have no effect."""
        found = []
        for name, neutral in NEUTRAL.items():
            asked = getattr(self, name)
            if asked is not None and asked != neutral:
                found.append(name)
        return found


class ChatRequest(Common):
    """POST /v1/chat/completions."""

    model_config = ConfigDict(json_schema_extra={**STREAMED, **ONE_LENGTH})
    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Length | None = None
    logprobs: OnlyFalse | None = None
    response_format: TextFormat | None = None
    store: OnlyFalse | None = None
    metadata: dict[str, str] | None = None
    """Accepted, and kept nowhere."""


class CompletionRequest(Common):
    """POST /v1/completions: the model goes on with the prompt as it stands, without a chat template."""

    model_config = ConfigDict(json_schema_extra=STREAMED)
    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)]
    echo: OnlyFalse | None = None
    best_of: OnlyOne | None = None

    def text(self) -> str:
        """Return the prompt."""
        if isinstance(self.prompt, str):
            return self.prompt
        return self.prompt[0]


class VersionInfo(BaseModel):
    """Which knowledge version answered."""

    name: str
    """The release, such as knowledge@v1.2.0, else the commit, or `workspace`."""
    tag: str | None
    commit: str | None
    identity: str | None
    """Digest of all outputs, under which MLflow knows the version. None: not all outputs are locked."""
    generation: int
    """Number of the swap since the server started. Every answer comes from one generation."""


class FactInfo(BaseModel):
    """The fact that the question is about."""

    id: str
    subject: str
    attribute: str
    value: str
    unit: str | None


class SourceInfo(BaseModel):
    """A record that states the fact."""

    record: str
    source: str
    locator: str


class LorekeepInfo(BaseModel):
    """What OpenAI's form has no place for."""

    version: VersionInfo
    variant: str
    engine: str
    speed: Literal["weights", "records", "index"]
    """Which of the two speeds answered: the weights, a record found by words, or one found in the index."""
    similarity: float | None = None
    """Cosine of question and record, where the index answered."""
    fact: FactInfo | None
    sources: list[SourceInfo]
    agrees: bool | None
    """Whether the answer states the value of the fact. None: no fact matches."""
    confidence: float | None = None
    """Mean log-probability of the answer's tokens, in nats. None: the engine does not tell it, or a record answered."""
    withheld: bool = False
    """Whether the model's answer was replaced, because its confidence is below the limit (`lore serve --abstain`)."""
    ignored: list[str] = []
    """Fields of the request that have no effect, such as a temperature above 0: answers are greedy."""


class Usage(BaseModel):
    """Numbers of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(BaseModel):
    """The answer as a message."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(BaseModel):
    """The only choice."""

    index: int = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class ChatAnswer(BaseModel):
    """Answer to POST /v1/chat/completions."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str
    lorekeep: LorekeepInfo


class CompletionChoice(BaseModel):
    """The only choice."""

    index: int = 0
    text: str
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class CompletionAnswer(BaseModel):
    """Answer to POST /v1/completions."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage
    system_fingerprint: str
    lorekeep: LorekeepInfo


class ModelDetail(BaseModel):
    """What this server says of a model."""

    version: VersionInfo
    variant: str
    engine: str
    has_index: bool


class ModelEntry(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: Literal["lorekeep"] = "lorekeep"
    lorekeep: ModelDetail


class ModelList(BaseModel):
    """Answer to GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]


class Health(BaseModel):
    """Answer to GET /health."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Answer to GET /ready."""

    status: Literal["ready"] = "ready"
    generation: int


class VersionNumbers(BaseModel):
    """What one generation did since the server started."""

    name: str
    identity: str | None
    generation: int
    answers: int
    failed: int
    """Answers that the engine did not give."""
    p50_ms: float | None
    """Time to the whole answer, of the newest 10,000."""
    p95_ms: float | None
    abstained: int
    """Answers that say that the value is not known."""
    agrees: int
    """Answers that state the value of the fact."""
    disagrees: int
    without_fact: int


class PairsInfo(BaseModel):
    """Questions that the candidate answered too, unseen."""

    compared: int
    different: int
    """Pairs whose answers differ, upper and lower case and blanks aside."""
    skipped: int
    """Questions that the candidate was not asked, because it was at work on too many."""
    lost: int
    """Facts that the seen answer states, and that of the candidate does not."""
    gained: int
    p: float | None
    """Two-sided exact p of McNemar's test on lost and gained. None: there are neither."""


class ComparisonAnswer(BaseModel):
    """Answer to GET /v1/comparison."""

    candidate: str | None
    versions: list[VersionNumbers]
    shadow: PairsInfo


class ErrorDetail(BaseModel):
    """Why a request was refused."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every refusal."""

    error: ErrorDetail


def problem_of(errors: list[Any]) -> tuple[str, str | None]:
    """Return one sentence about pydantic's errors, and the name of the first field."""
    sentences = []
    first = None
    for error in errors:
        # The first part is `body`. Parts that name a member of a union, such as `list[TextPart]`, say nothing.
        parts = [str(part) for part in error["loc"] if part != "body"]
        name = ".".join(parts) or "body"
        first = first or (parts[0] if parts else None)
        if error["type"] == "extra_forbidden":
            sentences.append(f"{name}: this server does not know it; leave it out")
        elif error["type"] == "missing":
            sentences.append(f"{name}: missing")
        else:
            sentences.append(f"{name}: {error['msg']}")
    return "; ".join(dict.fromkeys(sentences)), first
