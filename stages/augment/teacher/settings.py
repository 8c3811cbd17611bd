"""Settings of the teacher: `augment.teacher` in params.yaml."""

import re
from dataclasses import field
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from stages.core.project.params import STRICT

Count = Annotated[int, Field(ge=0)]
Price = Annotated[float, Field(ge=0)]
Language = Literal["en", "zh"]
HIDDEN = "(not shown)"
# The name of an environment variable: `OPENAI_API_KEY`. A key of a provider has hyphens, or small letters.
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


def hide_what_is_no_variable(value: Any) -> Any:
    """Replace a text that may be a key, because messages show the values that they refuse."""
    if isinstance(value, str) and not VARIABLE.fullmatch(value):
        return HIDDEN
    return value


def named_variable(value: str) -> str:
    """Return the name of an environment variable. Raises ValueError for anything else."""
    if value == HIDDEN:
        raise ValueError(
            "write the name of an environment variable in capital letters, such as OPENAI_API_KEY; "
            "the key itself never stands in a file, so make a new one if it stood here"
        )
    return value


def hide_credentials(value: Any) -> Any:
    """Replace an address with a user or password, because messages show the values that they refuse."""
    if isinstance(value, str) and "@" in value:
        return HIDDEN
    return value


def address(value: str) -> str:
    """Return the address of an endpoint. Raises ValueError where it is none."""
    if value == HIDDEN:
        raise ValueError(
            "holds a user or a password; the key comes from the environment (api_key_env)"
        )
    try:
        parts = urlsplit(value)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_address = False
    if not is_address or parts.query or parts.fragment:
        raise ValueError(
            "write an address with its scheme, such as https://api.deepseek.com or "
            "http://localhost:8000/v1"
        )
    return value


@dataclass(frozen=True, config=STRICT)
class Budget:
    """What all answers of the record together may cost. `lore teach` stops before it is passed."""

    tokens: Annotated[int, Field(ge=1)] | None = 1_000_000
    """Tokens of prompts and answers. null: no limit."""
    money: Price | None = None
    """Amount in the currency of `prices`. null: no limit."""


@dataclass(frozen=True, config=STRICT)
class Prices:
    """Prices of the endpoint, in any currency, for a million tokens."""

    input: Price = 0.0
    """Price of a million tokens of prompts."""
    output: Price = 0.0
    """Price of a million tokens of answers."""


@dataclass(frozen=True, config=STRICT)
class Asked:
    """What the teacher is asked for in one language. 0 asks for nothing of a kind."""

    statements: Count = 0
    """Statement wordings of each attribute that wordings.yaml does not have."""
    questions: Count = 0
    """Question wordings to train on, of each such attribute."""
    valid: Count = 0
    """Question wordings for validation, of each such attribute."""
    probe: Count = 0
    """Question wordings for probes, of each such attribute."""
    text_questions: Count = 0
    """Questions with answers about each free text."""
    paraphrases: Count = 0
    """Paraphrases of each free text."""
    corrupted: Count = 0
    """Wrong answers about each fact, for a reward model. They are never trained on as answers."""

    @model_validator(mode="after")
    def _wordings_together(self) -> Self:
        questions = (self.questions, self.valid, self.probe)
        if any(questions) and not all(questions):
            raise ValueError(
                "questions, valid and probe go together, since an attribute needs all three sets; "
                "give each a number above 0, or all of them 0"
            )
        if self.statements and not self.questions:
            raise ValueError("statements needs questions, valid and probe as well")
        return self


@dataclass(frozen=True, config=STRICT)
class Teacher:
    """A language model that writes wordings, and what it is asked for."""

    ask: Annotated[dict[Language, Asked], Field(min_length=1)]
    """What is asked for in each language: `en`, `zh`. Records of other languages are left alone."""
    base_url: Annotated[str, AfterValidator(address), BeforeValidator(hide_credentials)] = (
        "https://api.openai.com/v1"
    )
    """Address of an endpoint that speaks OpenAI's chat protocol: OpenAI, DeepSeek, vLLM, and others. Answers
    of one model count as the same whatever address gave them."""
    api_key_env: Annotated[
        str, AfterValidator(named_variable), BeforeValidator(hide_what_is_no_variable)
    ] = "OPENAI_API_KEY"
    """Environment variable that holds the key. An endpoint on this machine needs none."""
    model: Annotated[str, Field(min_length=1)] = "gpt-3.5-turbo"
    """Name of the model, as the endpoint knows it. Another model is asked anew."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.7
    """Higher gives more varied answers. null: not sent, for models that refuse it. Another value asks anew."""
    max_tokens: Annotated[int, Field(ge=16)] = 2000
    """Longest answer in tokens. A longer one is cut off, and counts as failed. Another value asks anew."""
    structured: Literal["auto", "json_schema", "json_object", "none"] = "auto"
    """How the endpoint is told to answer in JSON. `auto` tries a schema, then `json_object`, then nothing."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    """Requests at the same time."""
    retries: Annotated[int, Field(ge=0, le=20)] = 5
    """Further tries after a time-out, a lost connection, or an answer 408, 409, 429 or 5xx, with growing
    pauses. The endpoint's Retry-After decides the pause, up to a minute."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds to wait for an answer."""
    budget: Budget = field(default_factory=Budget)
    """Limit of tokens and money."""
    prices: Prices = field(default_factory=Prices)
    """Prices, to turn tokens into money."""
    about: dict[str, str] = field(default_factory=dict)
    """Attribute → one line about it for the teacher, where its name alone may mislead."""

    @model_validator(mode="after")
    def _money_needs_prices(self) -> Self:
        if self.budget.money is not None and not (self.prices.input or self.prices.output):
            raise ValueError(
                "budget.money needs prices.input and prices.output, the prices of a million tokens"
            )
        return self
