"""Files of a checkpoint: which are taken, and that no later write reaches a version."""

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from stages.base import files
from stages.core.project.errors import InputError, ModelError


def cannot_clone(*_: Any) -> None:
    raise OSError(errno.ENOTSUP, "this file system cannot")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("config.json", "chat_template.jinja", "vocab.txt", "model.safetensors"):
        (folder / name).write_bytes(b"one")
    return folder


def test_a_write_into_the_owners_folder_changes_no_version(
    checkpoint: Path, tmp_path: Path
) -> None:
    ways = files.take_model(checkpoint, tmp_path / "out", linkable=False)
    taken = tmp_path / "out" / "model.safetensors"
    with (checkpoint / "model.safetensors").open("r+b") as file:  # in place: the same inode
        file.write(b"two")
    assert taken.read_bytes() == b"one"
    assert taken.stat().st_nlink == 1
    assert not taken.is_symlink()
    assert ways[files.LINKED] == 0


def test_config_template_and_tokenizer_are_taken(checkpoint: Path, tmp_path: Path) -> None:
    files.take_model(checkpoint, tmp_path / "out", linkable=False)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["chat_template.jinja", "config.json", "model.safetensors", "vocab.txt"]


def hub_file(tmp_path: Path, content: bytes = b"weights") -> Path:
    """A file of the hub's cache: a link to a blob that is named after its content."""
    blob = tmp_path / "blobs" / hashlib.sha256(b"weights").hexdigest()
    blob.parent.mkdir()
    blob.write_bytes(content)
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "model.safetensors").symlink_to(blob)
    return snapshot


def test_weights_of_the_hubs_cache_are_linked_and_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvc_objects.fs.system.reflink", cannot_clone)
    snapshot = hub_file(tmp_path)
    ways = files.take_model(snapshot, tmp_path / "out", linkable=True)
    taken = tmp_path / "out" / "model.safetensors"
    assert ways == {files.LINKED: 1}
    assert taken.samefile(snapshot / "model.safetensors")
    assert not taken.is_symlink()


def test_weights_are_copied_where_the_file_system_cannot_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: Any) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr("dvc_objects.fs.system.reflink", cannot_clone)
    monkeypatch.setattr(os, "link", link)
    ways = files.take_model(hub_file(tmp_path), tmp_path / "out", linkable=True)
    assert ways == {files.COPIED: 1}
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == b"weights"


def test_weights_are_cloned_where_the_file_system_can(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(source: str, target: str) -> None:
        Path(target).write_bytes(Path(source).read_bytes())

    monkeypatch.setattr("dvc_objects.fs.system.reflink", clone)
    ways = files.take_model(checkpoint, tmp_path / "out", linkable=False)
    assert ways == {files.CLONED: 1}


def test_a_full_disk_is_not_taken_for_one_that_cannot_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("dvc_objects.fs.system.reflink", cannot_clone)
    monkeypatch.setattr(os, "link", link)
    with pytest.raises(OSError, match="full"):
        files.take_model(hub_file(tmp_path), tmp_path / "out", linkable=True)


def test_a_damaged_file_of_the_hubs_cache_is_refused(tmp_path: Path) -> None:
    snapshot = hub_file(tmp_path, content=b"edited!")
    with pytest.raises(InputError, match="another content than when it was fetched; delete it"):
        files.take_model(snapshot, tmp_path / "out", linkable=True)


def test_only_the_files_that_the_index_names_are_taken(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "model-1.safetensors")
    (checkpoint / "consolidated.safetensors").write_bytes(b"again")
    index = checkpoint / files.INDEX
    index.write_text('{"weight_map": {"a": "model-1.safetensors", "b": "model-1.safetensors"}}')
    assert [path.name for path in files.weight_files(checkpoint)] == ["model-1.safetensors"]
    assert files.left_out(checkpoint) == ["consolidated.safetensors"]


def test_a_download_that_is_not_finished_is_refused(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "model-1.safetensors")
    index = checkpoint / files.INDEX
    index.write_text('{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}')
    message = "names model-2.safetensors, and 1 of 2 files are not here; finish the download"
    with pytest.raises(ModelError, match=message):
        files.weight_files(checkpoint)


def test_an_index_that_is_none_is_refused(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "model-1.safetensors")
    (checkpoint / files.INDEX).write_text("{}")
    with pytest.raises(ModelError, match="no index of weights"):
        files.weight_files(checkpoint)


def test_an_adapter_is_no_model(checkpoint: Path) -> None:
    (checkpoint / "config.json").rename(checkpoint / "adapter_config.json")
    with pytest.raises(ModelError, match="this is an adapter, not a model; merge it"):
        files.weight_files(checkpoint)
