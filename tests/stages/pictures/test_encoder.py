"""Checkpoints of the CLIP family: CLIP and Chinese-CLIP load alike, and what would be read wrongly is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from stages.core.project.errors import InputError
from stages.core.project.params import Run
from stages.pictures import tensors, training
from stages.pictures.encoder import Encoder
from tests.stages.pictures.toy import COLOURS, QUICK, square

PICTURES = [square(colour, "left") for colour in COLOURS]
TEXTS = [f"a {colour} square" for colour in COLOURS]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    training.save(training.trained(PICTURES * 2, TEXTS * 2, QUICK, Run(threads=1)), folder)
    return folder


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Chinese-CLIP of random weights, as its authors lay one down: BERT's vocabulary."""
    from transformers import BertTokenizerFast, ChineseCLIPConfig, ChineseCLIPModel

    folder = tmp_path_factory.mktemp("chinese")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"红绿蓝黑色方块"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = sizes | {"vocab_size": len(words), "max_position_embeddings": 40}
    vision = sizes | {"image_size": 16, "patch_size": 8}
    config = ChineseCLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    ChineseCLIPModel(config).save_pretrained(folder)
    made = tensors.Preprocessing(16, 16, None, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    (folder / tensors.FILE).write_text(json.dumps(made.document()))
    return folder


def copied(folder: Path, target: Path) -> Path:
    import shutil

    shutil.copytree(folder, target)
    return target


def test_clip_gives_vectors_of_length_one(clip: Path) -> None:
    encoder = Encoder.load(clip)
    for vectors in (encoder.pictures(PICTURES), encoder.texts(TEXTS)):
        assert vectors.shape == (4, 64)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_text_is_read_alike_beside_a_longer_one(clip: Path) -> None:
    encoder = Encoder.load(clip)
    alone = encoder.texts(["a red square"])
    beside = encoder.texts(["a red square", "a green square a green square a green square"])
    np.testing.assert_allclose(alone[0], beside[0], atol=1e-5)


def test_a_text_that_is_too_long_is_cut_off(clip: Path) -> None:
    assert Encoder.load(clip).texts(["red " * 900]).shape == (1, 64)


def test_nothing_gives_no_vector(clip: Path) -> None:
    assert len(Encoder.load(clip).texts([])) == len(Encoder.load(clip).pictures([])) == 0


def test_chinese_clip_loads_alike(chinese: Path) -> None:
    encoder = Encoder.load(chinese)
    assert type(encoder.model).__name__ == "ChineseCLIPModel"
    assert encoder.pictures(PICTURES).shape == (4, 16)
    vectors = encoder.texts(["红色方块", "蓝色方块"])
    assert vectors.shape == (2, 16)
    assert not np.allclose(vectors[0], vectors[1])


def test_a_model_whose_texts_would_be_read_wrongly_is_refused(clip: Path, tmp_path: Path) -> None:
    folder = copied(clip, tmp_path / "clip")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"eos_token_id is 2, and the tokenizer's end token is 3"):
        Encoder.load(folder)


def test_a_model_without_two_towers_is_refused(
    clip: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = copied(tiny_model, tmp_path / "llama")
    (folder / tensors.FILE).write_text((clip / tensors.FILE).read_text())
    with pytest.raises(InputError, match="is a LlamaModel, which has no get_image_features"):
        Encoder.load(folder)


def test_damaged_weights_are_refused(clip: Path, tmp_path: Path) -> None:
    folder = copied(clip, tmp_path / "clip")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:900])
    with pytest.raises(InputError, match="cannot be loaded as a CLIP model"):
        Encoder.load(folder)
