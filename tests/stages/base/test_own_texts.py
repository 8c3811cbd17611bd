"""own_texts: a base writes from nothing. Equal calls write equal texts, and repeats are left out."""

from pathlib import Path
from typing import Any

import torch

from stages.base import own_texts
from stages.core.models.causal_lm import load_causal_lm
from tests.checkpoints import write_checkpoint

SAID = {1: "A", 2: " ", 3: " A "}


class Parrot:
    """A model that says what it is told to, whatever it is asked."""

    device = "cpu"

    def generate(self, **_: Any) -> torch.Tensor:
        return torch.tensor([[number] for number in SAID])


class Reader:
    """A tokenizer with one token for each text of SAID, and no begin token."""

    bos_token_id = None
    eos_token_id = 0
    pad_token_id = 0

    def __call__(self, _: str, **__: Any) -> dict[str, list[int]]:
        return {"input_ids": [1]}

    def batch_decode(self, output: torch.Tensor, **_: Any) -> list[str]:
        return [SAID[int(ids[0])] for ids in output]


def test_equal_calls_write_equal_texts_and_another_seed_others(tmp_path: Path) -> None:
    model, tokenizer = load_causal_lm(write_checkpoint(tmp_path))
    first, _ = own_texts.write(model, tokenizer, 4, 8, seed=1)
    again, _ = own_texts.write(model, tokenizer, 4, 8, seed=1)
    other, _ = own_texts.write(model, tokenizer, 4, 8, seed=2)
    assert first
    assert first == again
    assert first != other


def test_none_are_written_where_none_are_wanted() -> None:
    assert own_texts.write(None, None, 0, 8, seed=1) == ([], {})


def test_empty_texts_and_repeats_are_left_out() -> None:
    rows, left = own_texts.write(Parrot(), Reader(), 3, 8, seed=1)
    assert rows == [{"id": "own.0", "text": "A"}]
    assert left == {"empty": 1, "written before": 1}
