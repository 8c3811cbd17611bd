"""training: only answers are learned, a row that is too long is cut with its labels, replayed rows are marked."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from stages.core.models.training import NOT_LEARNED, token_rows
from stages.core.records.prompt import question_prompt, training_text

QUESTION, ANSWER = "Who found radium?", "Marie Curie."


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model)


def test_of_a_question_only_the_answer_is_learned(tokenizer: Any, tmp_path: Path) -> None:
    text = training_text(QUESTION, ANSWER)
    (row,) = token_rows([text], tokenizer, 128, tmp_path)
    asked = len(tokenizer(question_prompt(QUESTION))["input_ids"])
    assert row["input_ids"] == [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    assert row["labels"][:asked] == [NOT_LEARNED] * asked
    assert row["labels"][asked:] == row["input_ids"][asked:]
    assert tokenizer.decode(row["labels"][asked:-1]).strip() == ANSWER


def test_a_text_is_learned_as_a_whole(tokenizer: Any, tmp_path: Path) -> None:
    (row,) = token_rows(["Neon is a gas."], tokenizer, 128, tmp_path)
    assert row["labels"] == row["input_ids"]


@pytest.mark.parametrize("most", [3, 10, 40])
def test_a_row_that_is_too_long_is_cut_with_its_labels(
    tokenizer: Any, tmp_path: Path, most: int
) -> None:
    """With 3 tokens even the question does not fit."""
    texts = [training_text(QUESTION, ANSWER), "Neon is a gas without colour."]
    for row in token_rows(texts, tokenizer, most, tmp_path):
        assert len(row["labels"]) == len(row["input_ids"]) <= most


def test_replayed_rows_are_marked(tokenizer: Any, tmp_path: Path) -> None:
    rows = token_rows(["Neon is a gas."], tokenizer, 128, tmp_path, ["Zorbium melts."])
    assert [row["replayed"] for row in rows] == [0, 1]
