"""From a request to the model's prompt: the one of `evaluate` for a single question."""

from typing import Any

from lore.serving.errors import ApiError
from lore.serving.schemas import ChatRequest
from stages.core.models.conversation import ANSWER_MARK, prompt_text


def question_of(request: ChatRequest) -> str:
    """Return the last question of a conversation. Raises ApiError where it does not end with one."""
    last = request.messages[-1]
    if last.role != "user":
        raise ApiError(
            400,
            "messages: the last one must be of the role user; it is the question",
            param="messages",
        )
    return last.text()


def chat_prompt(tokenizer: Any, request: ChatRequest) -> str:
    """Return the text that the model continues with the answer.

    A single question gives the prompt of training and `evaluate`. Several messages go through the model's
    chat template. Raises ApiError where the model has none, or where the template refuses them.
    """
    from jinja2 import TemplateError

    question = question_of(request)
    if len(request.messages) == 1:
        return prompt_text(tokenizer, question)
    if not tokenizer.chat_template:
        raise ApiError(
            400,
            "messages: this model has no chat template, so it knows single questions only; "
            "send one message of the role user",
            param="messages",
        )
    turns = [{"role": message.role, "content": message.text()} for message in request.messages]
    turns.append({"role": "assistant", "content": ANSWER_MARK})
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except (TemplateError, ValueError, TypeError) as error:
        raise ApiError(
            400, f"messages: the model's chat template refuses them ({error})", param="messages"
        ) from None
    before, _, _ = text.rpartition(ANSWER_MARK)
    return before.rstrip(" ")
