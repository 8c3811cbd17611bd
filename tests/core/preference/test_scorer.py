"""The reward model's parts: what the head sees, and which encoders may be named."""

import math
from pathlib import Path

import numpy as np
import pytest

from stages.core.preference import scorer
from stages.core.preference.scorer import Scorer
from stages.core.project.errors import InputError

TEXTS = {"Q": [1.0, 0.0], "same": [1.0, 0.0], "other": [0.0, 1.0]}


class Listed:
    """An encoder of three texts that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def vector(self, text: str) -> np.ndarray:
        self.asked += 1
        return np.array(TEXTS[text], dtype=np.float32)


def test_what_the_head_sees() -> None:
    seen = scorer.features(np.array([0.6, 0.8]), np.array([0.8, -0.6]))
    assert seen == pytest.approx([0.8, -0.6, 0.48, -0.48, 0.2, 1.4])


def test_a_score_and_its_reward() -> None:
    encoder = Listed()
    # The head likes an answer that is near to the question.
    judge = Scorer(encoder, np.array([0, 0, 1, 1, -1, -1], dtype=float), 0.5)
    assert judge.score("Q", "same") == 1.0
    assert judge.score("Q", "other") == -2.0
    assert judge.reward("Q", "same") == pytest.approx(math.tanh(0.25))
    assert -1 < judge.reward("Q", "other") < 0
    assert encoder.asked == 3  # each text once


def test_encoders_that_may_be_named(tmp_path: Path) -> None:
    assert scorer.problems("all-MiniLM-L6-v2", None) == []
    assert scorer.problems("google-bert/bert-base-chinese", "0" * 40) == []
    (tmp_path / "pytorch_model.bin").touch()
    no_weights, no_config, no_tokenizer = scorer.problems(str(tmp_path), None)
    assert "no safetensors here (but pytorch_model.bin)" in no_weights
    assert "no configuration here" in no_config
    assert "no tokenizer here" in no_tokenizer
    with pytest.raises(InputError, match=r"reward: .*no safetensors here"):
        scorer.encoder_of(str(tmp_path), None, 1)


def test_a_plain_bert_is_an_encoder_whose_states_are_averaged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "iron", "melts", "铁"]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(names), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=32,
    )  # fmt: skip
    model = BertModel(config).eval()
    model.save_pretrained(tmp_path)
    capfd.readouterr()

    encoder = scorer.encoder_of(str(tmp_path), None, 1, remembers=False)
    vector = encoder.vector("iron melts")
    tokens = tokenizer("iron melts", return_tensors="pt")
    with torch.no_grad():
        mean = model(**tokens).last_hidden_state[0].mean(dim=0).numpy()
    assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert np.array_equal(encoder.vector("iron melts"), vector)
