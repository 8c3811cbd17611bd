"""base: the model is pinned by hash; what could move, run code or is not safetensors is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stages import base
from stages.core.models.model_folder import sha256_of_folder
from stages.core.project.errors import InputError, ModelError, ParamsError
from stages.core.project.params import Run

EMBEDDED = base.Params(source="embedded", folder=None, repository=None, revision=None)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def seed(tiny_model: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_model, tmp_path / "seed" / "model")
    for number, name in enumerate(("replay.jsonl", "echoes.jsonl", "skill.jsonl"), start=1):
        (tmp_path / "seed" / name).write_text(f'{{"id": "{number}"}}\n')
    return tmp_path / "seed"


def test_embedded_is_copied_and_described(seed: Path, tmp_path: Path, run_params: Run) -> None:
    base.run(EMBEDDED, run_params, seed, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["architecture"] == "LlamaForCausalLM"
    assert (
        manifest["sha256"]
        == sha256_of_folder(tmp_path / "out" / "model")
        == sha256_of_folder(seed / "model")
    )
    assert manifest["parameters"] == 300 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32
    assert (tmp_path / "out" / "replay.jsonl").read_text() == '{"id": "1"}\n{"id": "2"}\n'


def test_folder_takes_only_what_is_safe(seed: Path, tmp_path: Path, run_params: Run) -> None:
    shutil.copytree(seed / "model", tmp_path / "mine")
    (tmp_path / "mine" / "modeling_evil.py").write_text("raise SystemExit")
    (tmp_path / "mine" / "optimizer.pt").write_bytes(b"pickle")
    params = base.Params(
        source="folder", folder=str(tmp_path / "mine"), repository=None, revision=None
    )
    base.run(params, run_params, seed, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out" / "model").iterdir()}
    assert "model.safetensors" in names
    assert not names & {"modeling_evil.py", "optimizer.pt"}


@pytest.mark.parametrize("revision", [None, "main", "v1.0", COMMIT[:12], COMMIT.upper()])
def test_unpinned_revision_is_refused(seed: Path, revision: str | None) -> None:
    params = base.Params(
        source="hub", folder=None, repository="deepseek-ai/deepseek-llm-7b-base", revision=revision
    )
    with pytest.raises(
        ParamsError, match=r"base.revision: a hub model needs a full commit hash \(40 hex digits\)"
    ):
        base.locate(params, seed)


def test_hub_is_asked_for_that_very_commit(seed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def snapshot_download(repository: str, **options: Any) -> str:
        asked.update(options, repository=repository)
        return str(seed / "model")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    params = base.Params(source="hub", folder=None, repository="some/model", revision=COMMIT)
    assert base.locate(params, seed) == seed / "model"
    assert asked["repository"] == "some/model"
    assert asked["revision"] == COMMIT
    assert not [
        pattern for pattern in asked["allow_patterns"] if pattern.endswith((".py", ".bin", ".pt"))
    ]


def test_revision_that_cannot_be_had(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    params = base.Params(source="hub", folder=None, repository="some/model", revision=COMMIT)
    with pytest.raises(
        InputError, match=f"base: some/model at revision {COMMIT} cannot be fetched"
    ):
        base.locate(params, seed)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            base.Params(source="folder", folder=None, repository=None, revision=None),
            "base.folder: missing",
        ),
        (
            base.Params(source="hub", folder=None, repository=None, revision=COMMIT),
            "base.repository: missing",
        ),
    ],
)
def test_settings_that_do_not_fit_the_source(seed: Path, params: base.Params, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        base.locate(params, seed)


def test_missing_folder(seed: Path) -> None:
    params = base.Params(source="folder", folder="nowhere", repository=None, revision=None)
    with pytest.raises(
        InputError, match="nowhere: no such folder; write the path of a model folder"
    ):
        base.locate(params, seed)


def test_pickled_weights_are_refused(seed: Path, tmp_path: Path, run_params: Run) -> None:
    (seed / "model" / "model.safetensors").rename(seed / "model" / "pytorch_model.bin")
    with pytest.raises(
        ModelError,
        match=r"found pytorch_model\.bin; only safetensors are loaded: convert the model first",
    ):
        base.run(EMBEDDED, run_params, seed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_model_without_tokenizer_is_refused(seed: Path, tmp_path: Path, run_params: Run) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (seed / "model" / name).unlink()
    with pytest.raises(
        ModelError, match=r"no usable tokenizer \(.*put tokenizer.json beside the weights"
    ):
        base.run(EMBEDDED, run_params, seed, tmp_path / "out")
