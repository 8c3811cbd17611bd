"""Reading: a growing answer never takes back what it said, and ends as evaluate's answers do."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.serving.reading import Answer, Reader
from stages.core.models.causal_lm import LineEnds
from stages.core.models.conversation import first_answer, load_tokenizer
from tests.checkpoints import THINKING_TEMPLATE, write_checkpoint
from tests.lore.serving.fakes import END, LetterTokenizer


def reader() -> Reader:
    return Reader(LetterTokenizer(), Path("nowhere"))


def grown(text: str, stops: list[str]) -> tuple[str, Answer]:
    """All that a growing answer said, joined, and the answer."""
    answer = Answer(reader(), stops)
    said = ""
    for letter in text:
        ended = answer.add(ord(letter))
        said += answer.grown(is_whole=False)
        if ended:
            break
    else:
        answer.add(END)
    return said + answer.grown(is_whole=True), answer


@given(st.text("ab \n\t.", max_size=30))
def test_the_pieces_are_the_first_line(text: str) -> None:
    said, answer = grown(text, [])
    assert said == answer.text == first_answer(text)


@given(st.text("abc ", max_size=30), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3))
def test_no_stop_text_is_ever_said(text: str, stops: list[str]) -> None:
    said, _ = grown(text, stops)
    assert first_answer(text).startswith(said)
    assert not any(stop in said for stop in stops)


def test_an_answer_at_its_greatest_length_was_not_stopped() -> None:
    answer = Answer(reader(), [])
    answer.add(ord("a"))
    assert not answer.is_stopped
    answer.add(END)
    assert answer.is_stopped


def test_lines_end_where_those_of_evaluate_end(tiny_model: Path) -> None:
    import torch

    tokenizer = load_tokenizer(tiny_model)
    mine = Reader(tokenizer, tiny_model)
    theirs = LineEnds(tokenizer, len(tokenizer), "cpu")
    word = tokenizer("iron", add_special_tokens=False)["input_ids"][0]
    for token in range(len(tokenizer)):
        for before, is_begun in (([], False), ([word], True)):
            tokens = torch.tensor([[*before, token]])
            assert bool(theirs.reached(tokens, 0)[0]) == mine.breaks_line(token, is_begun), token


@pytest.mark.parametrize("family", ["qwen2"])
def test_thoughts_are_not_said(tmp_path: Path, family: str) -> None:
    write_checkpoint(tmp_path / "model", family, template=THINKING_TEMPLATE)
    tokenizer = load_tokenizer(tmp_path / "model")
    mine = Reader(tokenizer, tmp_path / "model")
    assert mine.thought_end is not None
    answer = Answer(mine, [])
    for token in tokenizer("I think</think>Neon is a gas.", add_special_tokens=False)["input_ids"]:
        answer.add(token)
        answer.grown(is_whole=False)
    answer.grown(is_whole=True)
    assert answer.text == "Neon is a gas."
