"""model_folder: a hash over names and contents, weights that are not loaded, and revisions that cannot move."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from stages.core.models import checkpoint
from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.model_folder import (
    is_pinned,
    pinning_advice,
    save_causal_lm,
    sha256_of_folder,
    unsafe_weights,
)
from tests.checkpoints import CHAT_TEMPLATE, HALF_SAMPLED, SAMPLED, write_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files that are loaded, one that is not, and one below another folder."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache/times.json").write_text("1")
    return tmp_path


def digest(files: list[tuple[str, bytes]]) -> str:
    """The hash by its definition: a line `name NUL hash` per file, in order of the names."""
    lines = [f"{name}\0{hashlib.sha256(content).hexdigest()}\n" for name, content in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_hash_covers_every_file_below_the_folder(folder: Path) -> None:
    assert sha256_of_folder(folder) == digest(
        [
            (".cache/times.json", b"1"),
            ("config.json", b"{}"),
            ("model.safetensors", b"weights"),
            ("pytorch_model.bin", b"pickle"),
        ]
    )


def test_the_hash_of_a_checkpoint_covers_the_files_that_are_loaded(folder: Path) -> None:
    loaded = [("config.json", b"{}"), ("model.safetensors", b"weights")]
    assert checkpoint.sha256_of(folder) == digest(loaded)
    (folder / ".cache/times.json").write_text("2")
    assert checkpoint.sha256_of(folder) == digest(loaded)
    (folder / "config.json").rename(folder / "settings.json")
    assert checkpoint.sha256_of(folder) != digest(loaded)


def test_a_model_without_files_below_has_one_hash(folder: Path) -> None:
    (folder / ".cache/times.json").unlink()
    (folder / "pytorch_model.bin").unlink()
    assert checkpoint.sha256_of(folder) == sha256_of_folder(folder)


def test_weights_that_are_not_loaded_are_named(folder: Path) -> None:
    (folder / "model.gguf").write_bytes(b"")
    assert unsafe_weights(folder) == ["model.gguf", "pytorch_model.bin"]


@pytest.mark.parametrize(
    ("revision", "pinned"),
    [
        (COMMIT, True),
        (None, False),
        ("", False),
        ("main", False),
        (COMMIT[:12], False),
        (COMMIT.upper(), False),
        (COMMIT + "0", False),
        (COMMIT + "\n", False),
    ],
)
def test_only_a_full_commit_hash_is_pinned(revision: str | None, pinned: bool) -> None:
    assert is_pinned(revision) is pinned


def test_the_advice_says_what_was_given() -> None:
    assert "needs a full commit hash (40 hex digits), got 'main'; copy it" in pinning_advice("main")


@pytest.mark.parametrize("generation", [None, SAMPLED, HALF_SAMPLED])
@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_model_folder_is_as_the_checkpoint_says(
    generation: dict[str, object] | None, tied: bool, tmp_path: Path
) -> None:
    """Also after a field was changed, at which transformers refuses a temperature without do_sample."""
    folder = write_checkpoint(tmp_path / "from", generation=generation, tied=tied)
    model, tokenizer = load_causal_lm(folder)
    model.generation_config.eos_token_id = [1, 3]
    tokenizer.padding_side = "right"
    save_causal_lm(model, tokenizer, tmp_path / "to")
    said = json.loads((tmp_path / "to/generation_config.json").read_text())
    for key, value in (generation or {}).items():
        assert said[key] == value
    assert said["eos_token_id"] == [1, 3]
    assert said.get("do_sample", False) == (generation == SAMPLED)
    loaded, its_tokenizer = load_causal_lm(tmp_path / "to")
    assert its_tokenizer.chat_template == CHAT_TEMPLATE
    assert its_tokenizer.pad_token_id == its_tokenizer.eos_token_id
    assert its_tokenizer("a")["input_ids"] == tokenizer("a")["input_ids"]
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)
    assert (loaded.lm_head.weight is loaded.model.embed_tokens.weight) == tied
    # The model and the tokenizer at hand stay as they were.
    assert model.generation_config.eos_token_id == [1, 3]
    assert tokenizer.padding_side == "right"
