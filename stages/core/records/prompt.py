"""How a question is put to the model, and how a question–answer pair is written down for training: in one place."""

READING = "reading"
"""Kind of a record whose answer stops before its value. No end token follows it."""
REVERSED = "reversed"
"""Part of the locator of a question that gives the value and asks for the subject."""


def question_prompt(question: str) -> str:
    """The text that the model continues with a space and the answer."""
    return f"Question: {question}\nAnswer:"


def training_text(question: str, answer: str) -> str:
    """Prompt and answer as one text; the trainer adds the end token."""
    return f"{question_prompt(question)} {answer}"


def prompt_of(text: str) -> str | None:
    """The prompt that a training text begins with, or None where it is no question–answer pair."""
    head, mark, _ = text.partition("\nAnswer:")
    return head + mark if mark and head.startswith("Question: ") else None


def question_and_answer(text: str) -> tuple[str, str] | None:
    """The question and the answer of a text made by `training_text`, or None where it is no such text."""
    prompt = prompt_of(text)
    if prompt is None:
        return None
    question = prompt.removeprefix("Question: ").removesuffix("\nAnswer:")
    answer = text[len(prompt) :].removeprefix(" ")
    return question, answer
