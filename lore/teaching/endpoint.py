"""The endpoint: one call of OpenAI's chat protocol, through the `openai` client.

The client tries again after a time-out, a lost connection, and an answer 408, 409, 429 or 5xx, with growing pauses
or after the pause that Retry-After names. What an endpoint does not support is found out at the first request:
JSON schemas (DeepSeek's chat API answers 400), `json_object`, and the parameter `max_tokens`.
"""

import os
from typing import Any, Literal
from urllib.parse import urlsplit

from stages.augment.teacher.answers import schema_of
from stages.augment.teacher.record import Attempt
from stages.augment.teacher.requests import Task
from stages.augment.teacher.settings import Teacher
from stages.core.project.errors import InputError

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
REFUSED_FOR_GOOD = (400, 413, 422)
"""Status codes that say that this request will never be answered."""
HIDDEN = "***"
Structured = Literal["json_schema", "json_object", "none"]


class Unanswered(Exception):  # noqa: N818 (it is no error of the program)
    """A request that got no answer this time. Asking again later may help."""


class Refused(Exception):  # noqa: N818
    """A request that the endpoint refuses as it is."""


def key_of(teacher: Teacher) -> str:
    """Return the key from the environment. Raises InputError that says how to set it."""
    key = os.environ.get(teacher.api_key_env, "").strip()
    if key:
        return key
    if urlsplit(teacher.base_url).hostname in THIS_MACHINE:
        # The client sends a key always. A server on this machine asks for none.
        return "none"
    raise InputError(
        f"the environment has no {teacher.api_key_env}, the key for {teacher.base_url}; set it for this shell "
        f"(export {teacher.api_key_env}=…) and never write it into a file of the project. Another name: "
        "augment.teacher.api_key_env. Without an endpoint: lore teach --export FILE, then --fill FILE"
    )


class Endpoint:
    """An endpoint with a model."""

    def __init__(self, teacher: Teacher) -> None:
        """Raises InputError where there is no key."""
        from openai import OpenAI

        self.teacher = teacher
        self.key = key_of(teacher)
        self.client = OpenAI(
            api_key=self.key,
            base_url=teacher.base_url,
            max_retries=teacher.retries,
            timeout=teacher.timeout,
        )
        pinned = teacher.structured
        self.forms: list[Structured]
        if pinned == "auto":
            self.forms = ["json_schema", "json_object", "none"]
        else:
            self.forms = [pinned]
        """Forms that were not refused so far. The first is used."""
        self.limit_name = "max_tokens"
        self.works = False
        """Whether a request was answered. Then a refusal is about the request, not about the form."""

    def ask(self, task: Task, messages: list[dict[str, str]]) -> Attempt:
        """Send messages and return what came back.

        Raises Unanswered, Refused, or InputError where no further request makes sense.
        """
        while True:
            try:
                attempt = self.sent(task, messages)
            except Refused as refusal:
                if not self.adapts(str(refusal)):
                    raise
                continue
            self.works = True
            return attempt

    def adapts(self, message: str) -> bool:
        """Change what the endpoint may not support, and return whether there was something to change."""
        if "max_completion_tokens" in message and self.limit_name == "max_tokens":
            self.limit_name = "max_completion_tokens"
            return True
        if self.works or len(self.forms) == 1:
            return False
        self.forms.pop(0)
        return True

    def sent(self, task: Task, messages: list[dict[str, str]]) -> Attempt:
        """Send messages once, with the client's own tries. Raises as `ask` does."""
        import openai

        options: dict[str, Any] = {self.limit_name: self.teacher.max_tokens}
        if self.teacher.temperature is not None:
            options["temperature"] = self.teacher.temperature
        form = response_format(self.forms[0], task)
        if form is not None:
            options["response_format"] = form
        try:
            answer = self.client.chat.completions.create(
                model=self.teacher.model,
                messages=messages,  # type: ignore[arg-type]
                **options,
            )
        except openai.APIStatusError as error:
            raise self.meaning_of(error) from None
        except openai.APITimeoutError:
            raise Unanswered(f"no answer within {self.teacher.timeout:g} s") from None
        except openai.APIConnectionError as error:
            cause = self.hidden(str(error.__cause__ or error))
            raise Unanswered(f"{self.teacher.base_url}: {cause}") from None
        except (openai.APIError, ValueError) as error:
            raise Unanswered(f"no answer of the chat protocol: {self.hidden(str(error))}") from None
        return self.attempt_of(answer)

    def attempt_of(self, answer: Any) -> Attempt:
        """Return what an answer holds. Raises Unanswered where it is none of the chat protocol."""
        choices = getattr(answer, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            raise Unanswered("no answer of the chat protocol: it holds no message")
        choice = choices[0]
        text = choice.message.content or ""
        finish_reason = choice.finish_reason or "stop"
        if getattr(choice.message, "refusal", None):
            text, finish_reason = choice.message.refusal, "content_filter"
        usage = getattr(answer, "usage", None)
        return Attempt(
            answer=writable(self.hidden(text)),
            finish_reason=str(finish_reason),
            input_tokens=number(usage, "prompt_tokens"),
            output_tokens=number(usage, "completion_tokens"),
            model=writable(self.hidden(str(getattr(answer, "model", None) or ""))),
        )

    def meaning_of(self, error: Any) -> Exception:
        """Return what an answer with an error means for the run."""
        code = error.status_code
        # The client puts this before what the endpoint said.
        said = str(error.message).removeprefix(f"Error code: {code} - ")
        message = self.hidden(" ".join(said.split()))[:500]
        where = f"{self.teacher.base_url} answers {code}: {message}"
        if code in (401, 403):
            return InputError(
                f"{where}\n  the key in {self.teacher.api_key_env} is not accepted; "
                "set the right one and run lore teach again"
            )
        if code == 402 or "insufficient_quota" in str(error.body):
            return InputError(f"{where}\n  the account has no credit left; nothing more was asked")
        if code in REFUSED_FOR_GOOD:
            return Refused(message)
        if code in (408, 409, 429) or code >= 500:
            return Unanswered(
                f"answer {code} after {self.teacher.retries} further tries: {message}"
            )
        return InputError(
            f"{where}\n  check augment.teacher.base_url ({self.teacher.base_url}) and "
            f"augment.teacher.model ({self.teacher.model})"
        )

    def hidden(self, text: str) -> str:
        """Return a text without the key, which some endpoints repeat."""
        # A local server needs no key. What stands for one is too short to be told from other words.
        is_secret = len(self.key) > len("none")
        return text.replace(self.key, HIDDEN) if is_secret else text


def response_format(form: Structured, task: Task) -> dict[str, Any] | None:
    """Return the parameter that asks for JSON. None where the prompt alone asks for it."""
    if form == "none":
        return None
    if form == "json_object":
        return {"type": "json_object"}
    schema = {"name": task, "strict": True, "schema": schema_of(task)}
    return {"type": "json_schema", "json_schema": schema}


def number(usage: Any, name: str) -> int:
    """Return a number of tokens, 0 where the endpoint does not say it."""
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and value > 0 else 0


def writable(text: str) -> str:
    """Return a text that a file in UTF-8 can hold: halves of surrogate pairs are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")
