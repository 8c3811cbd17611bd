"""export: a GGUF file holds the model's weights, and transformers reads the same model out of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader

from stages.core.models.causal_lm import load_causal_lm
from stages.export import gguf_model
from tests.checkpoints import PADDED_TOKENS, TOKENS, write_checkpoint

IDS = torch.arange(3, 40)[None]


def logits(model: Any) -> Any:
    with torch.inference_mode():
        return model(input_ids=IDS).logits


def edit(folder: Path, name: str, **changes: Any) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(content | changes))


def test_rows_of_a_head_are_interleaved() -> None:
    rows = np.arange(8)[:, None]  # two heads of four rows
    assert gguf_model.interleaved(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_floats_are_kept_to_the_bit(tmp_path: Path, architecture: str) -> None:
    source = write_checkpoint(
        tmp_path / "from", architecture, dtype="float32", num_key_value_heads=2
    )
    gguf_model.make(source, tmp_path / "to", "F32")
    whole, _ = load_causal_lm(source)
    assert torch.equal(logits(whole), logits(gguf_model.read(tmp_path / "to")))


@pytest.mark.parametrize(("matrices", "limit"), [("F16", 0.005), ("Q8_0", 0.05)])
def test_rounded_matrices_are_near_and_small(
    tiny_model: Path, tmp_path: Path, matrices: str, limit: float
) -> None:
    for name in ("F32", matrices):
        gguf_model.make(tiny_model, tmp_path / name, name)
    whole, _ = load_causal_lm(tiny_model)
    exact = logits(whole)
    rounded = logits(gguf_model.read(tmp_path / matrices))
    assert 0 < (rounded - exact).abs().max() / exact.abs().max() < limit
    tensors = GGUFReader(tmp_path / matrices / gguf_model.FILE).tensors
    assert {tensor.tensor_type.name for tensor in tensors if len(tensor.shape) > 1} == {matrices}
    assert {tensor.tensor_type.name for tensor in tensors if len(tensor.shape) == 1} == {"F32"}
    assert "output.weight" not in {tensor.name for tensor in tensors}  # it is the embedding


def test_a_row_that_is_no_multiple_of_a_block_stays_half_precision(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "from", intermediate_size=72)
    gguf_model.make(source, tmp_path / "to", "Q8_0")
    types = {
        t.name: t.tensor_type.name for t in GGUFReader(tmp_path / "to" / gguf_model.FILE).tensors
    }
    assert types["blk.0.ffn_down.weight"] == "F16"
    assert types["blk.0.ffn_up.weight"] == "Q8_0"
    assert types["output.weight"] == "Q8_0"


def test_equal_models_are_equal_bytes(tiny_model: Path, tmp_path: Path, folder_bytes: Any) -> None:
    gguf_model.make(tiny_model, tmp_path / "a", "Q8_0")
    gguf_model.make(tiny_model, tmp_path / "b", "Q8_0")
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")


def test_the_tokenizer_is_in_the_file(tmp_path: Path) -> None:
    """The model has more tokens than the tokenizer, and each has a name. The begin token is added."""
    source = write_checkpoint(tmp_path / "from")
    gguf_model.make(source, tmp_path / "to", "F16")
    reader = GGUFReader(tmp_path / "to" / gguf_model.FILE)
    fields = {}
    for name in ("tokens", "token_type", "merges", "pre", "model", "bos_token_id", "eos_token_id"):
        fields[name] = reader.get_field(f"tokenizer.ggml.{name}").contents()
    assert len(fields["tokens"]) == len(fields["token_type"]) == PADDED_TOKENS
    assert fields["tokens"][TOKENS] == f"[PAD{TOKENS}]"
    control, normal, unused = 3, 1, 5
    assert fields["token_type"][0] == control
    assert fields["token_type"][TOKENS - 1] == normal
    assert fields["token_type"][TOKENS] == unused
    content = json.loads((source / "tokenizer.json").read_text())
    assert fields["merges"] == [" ".join(merge) for merge in content["model"]["merges"]]
    assert (fields["model"], fields["pre"]) == ("gpt2", "gpt-2")
    assert (fields["bos_token_id"], fields["eos_token_id"]) == (0, 1)
    assert reader.get_field("tokenizer.ggml.add_bos_token").contents() is True
    assert reader.get_field("tokenizer.chat_template").contents().startswith("{{ bos_token }}")


def test_the_seed_has_a_known_pre_tokenizer() -> None:
    seed = json.loads(Path("models/seed/model/tokenizer.json").read_text())
    assert gguf_model.PRE_TOKENIZERS[gguf_model.steps_of(seed)] == "smollm"


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "llama")
    assert gguf_model.problems(folder) == []
    edit(folder, "config.json", rope_scaling={"type": "yarn", "factor": 4})
    edit(folder, "tokenizer.json", pre_tokenizer={"type": "Whitespace"})
    (stretched, unknown) = gguf_model.problems(folder)
    assert stretched.startswith("positions are stretched (yarn), which is not written yet; convert")
    assert "no known name for its pre-tokenizer ['Whitespace']; convert the folder with" in unknown
    (folder / "tokenizer.json").unlink()
    assert gguf_model.problems(folder)[1].endswith(
        "only the tokenizers of that file can be written"
    )


def test_other_architectures_and_a_missing_library_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_config = {"architectures": ["DeepseekV3ForCausalLM"]}
    (tmp_path / "config.json").write_text(json.dumps(edit_config))
    (problem,) = gguf_model.problems(tmp_path)
    assert problem == (
        "no export for DeepseekV3ForCausalLM, only for LlamaForCausalLM, Qwen2ForCausalLM; write [split] instead"
    )
    monkeypatch.setattr(gguf_model, "find_spec", lambda name: None)
    assert gguf_model.problems(tmp_path) == [
        "gguf not installed; pip install gguf, or take the format out"
    ]
