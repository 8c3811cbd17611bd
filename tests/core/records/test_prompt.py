"""prompt: what the model was trained on begins, token by token, with what it is asked."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from stages.core.records.prompt import question_prompt, training_text

SEED = Path(__file__).parents[3] / "models" / "seed" / "model" / "tokenizer.json"


def test_the_text_is_the_prompt_a_space_and_the_answer() -> None:
    assert question_prompt("Why?") == "Question: Why?\nAnswer:"
    assert training_text("Why?", "So.") == "Question: Why?\nAnswer: So."


@pytest.mark.parametrize(
    "answer", ["The symbol of iron is Fe.", "1538 °C", "-38.8", "铁。", "(none)"]
)
def test_the_prompt_is_a_prefix_in_tokens(answer: str) -> None:
    tokenizer = Tokenizer.from_file(str(SEED))
    prompt = tokenizer.encode(question_prompt("What is the symbol of iron?")).ids
    text = tokenizer.encode(training_text("What is the symbol of iron?", answer)).ids
    assert text[: len(prompt)] == prompt
    assert len(text) > len(prompt)
