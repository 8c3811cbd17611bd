"""model_folder: a hash over names and contents, weights that are not loaded, and revisions that cannot move."""

import hashlib
from pathlib import Path

import pytest

from stages.core.models import checkpoint
from stages.core.models.model_folder import (
    is_pinned,
    pinning_advice,
    sha256_of_folder,
    unsafe_weights,
)

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
