"""GGUF files: one is converted where the package gguf is installed, else the way out is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.base import gguf
from stages.core.project.errors import InputError, ModelError
from tests.checkpoints import write_checkpoint


def test_a_folder_with_one_gguf_file_names_it(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    assert gguf.gguf_file(tmp_path) == path
    assert gguf.gguf_file(path) == path


def test_safetensors_beside_it_are_taken_instead(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert gguf.gguf_file(write_checkpoint(tmp_path)) is None


def test_of_several_one_must_be_named(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(
        ModelError, match=r"holds 2 GGUF files \(a.gguf, b.gguf\); name one of them"
    ):
        gguf.gguf_file(tmp_path)


def test_without_the_package_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="which is not installed; pip install gguf, or name a"):
        gguf.convert(tmp_path / "model.gguf", tmp_path / "out")


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    path = tmp_path / "model.gguf"
    path.write_bytes(b"no model")
    with pytest.raises(ModelError, match="transformers cannot read this GGUF file"):
        gguf.convert(path, tmp_path / "out")


def write_gguf(path: Path) -> None:
    """Write a llama of one layer in GGUF, with a tokenizer of bytes that begins its texts with BOS."""
    import numpy as np

    library: Any = pytest.importorskip("gguf")
    writer = library.GGUFWriter(path, "llama")
    width = 32
    sizes = {"block_count": 1, "context_length": 64, "embedding_length": width}
    sizes |= {"feed_forward_length": 64, "head_count": 2, "head_count_kv": 2}
    for name, size in sizes.items():
        getattr(writer, f"add_{name}")(size)
    writer.add_layer_norm_rms_eps(1e-5)
    letters = [*"abcdefghijklmnopqrstuvwxyz", "Ġ", ".", "?", "ab"]
    tokens = ["<s>", "</s>", *letters]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, *[1] * len(letters)])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    numbers = np.random.default_rng(0)
    shapes = {"token_embd": (len(tokens), width), "output": (len(tokens), width)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        shapes[f"blk.0.{name}"] = (width, width)
    shapes |= {"blk.0.ffn_gate": (64, width), "blk.0.ffn_up": (64, width)}
    shapes["blk.0.ffn_down"] = (width, 64)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", numbers.normal(size=shape).astype(np.float16))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.filterwarnings("ignore")  # of numpy and transformers about memory-mapped arrays
def test_a_gguf_file_becomes_a_model_folder(tmp_path: Path, folder_bytes: Any) -> None:
    from stages.base import description

    source = tmp_path / "model.gguf"
    write_gguf(source)
    for name in ("one", "two"):
        gguf.convert(source, tmp_path / name)
    assert folder_bytes(tmp_path / "one") == folder_bytes(tmp_path / "two")
    model = description.skeleton(tmp_path / "one")
    assert description.stored_types(tmp_path / "one").keys() == {"float16"}
    assert "quantization_config" not in model.config.to_dict()
    config = json.loads((tmp_path / "one" / "tokenizer_config.json").read_text())
    assert config["add_bos_token"] is True
    assert "local_files_only" not in config
