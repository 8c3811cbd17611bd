"""base: the model is pinned by hash; what could move, run code or is not safetensors is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stages import base
from stages.base import sources
from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.model_folder import sha256_of_folder
from stages.core.project.errors import InputError, ModelError, ParamsError
from stages.core.project.params import Run
from tests import checkpoints
from tests.checkpoints import write_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*rope_parameters.*")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


GENERAL = Path(__file__).parents[3] / "models/general"
NOTHING_WRITTEN = base.Replay(texts=0, from_nothing=0)
EMBEDDED = base.Params(replay=NOTHING_WRITTEN)


@pytest.fixture(autouse=True)
def outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without dvc.yaml, which would have to list each folder of these tests."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def seed(tiny_model: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_model, tmp_path / "seed" / "model")
    for number, name in enumerate(("replay.jsonl", "echoes.jsonl", "skill.jsonl"), start=1):
        (tmp_path / "seed" / name).write_text(f'{{"id": "{number}"}}\n')
    return tmp_path / "seed"


def test_embedded_is_copied_and_described(seed: Path, tmp_path: Path, run_params: Run) -> None:
    base.run(EMBEDDED, run_params, seed, GENERAL, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["architecture"] == "LlamaForCausalLM"
    assert (
        manifest["sha256"]
        == sha256_of_folder(tmp_path / "out" / "model")
        == sha256_of_folder(seed / "model")
    )
    assert manifest["parameters"] == 300 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32
    assert (tmp_path / "out" / "replay.jsonl").read_text() == '{"id": "1"}\n{"id": "2"}\n'
    assert (tmp_path / "out" / "neutral.jsonl").read_bytes() == b""
    assert manifest["prompt"] == "plain"
    assert manifest["mended"] == []
    assert manifest["material"]["replay"] == 2


def test_folder_takes_only_what_is_safe(seed: Path, tmp_path: Path, run_params: Run) -> None:
    shutil.copytree(seed / "model", tmp_path / "mine")
    (tmp_path / "mine" / "modeling_evil.py").write_text("raise SystemExit")
    (tmp_path / "mine" / "optimizer.pt").write_bytes(b"pickle")
    params = base.Params(source="folder", folder=str(tmp_path / "mine"), replay=NOTHING_WRITTEN)
    base.run(params, run_params, seed, GENERAL, tmp_path / "out")
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
        sources.locate(params, seed)


def test_hub_is_asked_for_that_very_commit(seed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def snapshot_download(repository: str, **options: Any) -> str:
        asked.update(options, repository=repository)
        return str(seed / "model")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    params = base.Params(source="hub", folder=None, repository="some/model", revision=COMMIT)
    assert sources.locate(params, seed) == seed / "model"
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
        sources.locate(params, seed)


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
        sources.locate(params, seed)


def test_missing_folder(seed: Path) -> None:
    params = base.Params(source="folder", folder="nowhere", repository=None, revision=None)
    with pytest.raises(
        InputError, match="nowhere: no such folder; write the path of a model folder"
    ):
        sources.locate(params, seed)


def test_pickled_weights_are_refused(seed: Path, tmp_path: Path, run_params: Run) -> None:
    (seed / "model" / "model.safetensors").rename(seed / "model" / "pytorch_model.bin")
    with pytest.raises(
        ModelError,
        match=r"found pytorch_model\.bin; only safetensors are loaded: convert the model first",
    ):
        base.run(EMBEDDED, run_params, seed, GENERAL, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_model_without_tokenizer_is_refused(seed: Path, tmp_path: Path, run_params: Run) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (seed / "model" / name).unlink()
    with pytest.raises(
        ModelError, match=r"no usable tokenizer \(.*put tokenizer.json beside the weights"
    ):
        base.run(EMBEDDED, run_params, seed, GENERAL, tmp_path / "out")


def real_base(folder: Path, **settings: Any) -> base.Params:
    """Params of a base in a folder that writes few texts."""
    few = base.Replay(texts=6, max_new_tokens=4, from_nothing=0)
    every: dict[str, Any] = {"source": "folder", "folder": str(folder), "replay": few} | settings
    return base.Params(**every)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("architecture", checkpoints.ARCHITECTURES)
def test_a_checkpoint_of_each_architecture_is_described(
    architecture: str, seed: Path, tmp_path: Path, run_params: Run, capsys: Any
) -> None:
    source = write_checkpoint(tmp_path / "mine", architecture, generation=checkpoints.HALF_SAMPLED)
    base.run(real_base(source), run_params, seed, GENERAL, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["dtype"] == "bfloat16"
    assert manifest["prompt"] == "chat"
    assert manifest["tied_embeddings"] is False
    assert (manifest["fused_expert_parameters"] > 0) == architecture.startswith("deepseek")
    assert manifest["tokens"]["begin"] == checkpoints.BOS_ID
    assert manifest["tokens"]["begins_by"] == "chat template"
    assert manifest["tokens"]["padding"] == checkpoints.EOS_ID
    assert manifest["mended"] == ["do_sample: true added, which temperature, top_p need"]
    assert manifest["loaded"]
    printed = capsys.readouterr().out
    assert "the chat template of the tokenizer" in printed
    assert "mended      generation_config.json: do_sample: true added" in printed


def test_a_mended_checkpoint_is_saved_after_training_and_the_owners_stays(
    seed: Path, tmp_path: Path, run_params: Run
) -> None:
    source = write_checkpoint(tmp_path / "mine", generation=checkpoints.HALF_SAMPLED)
    before = sha256_of_folder(source)
    base.run(real_base(source), run_params, seed, GENERAL, tmp_path / "out")
    model, _ = load_causal_lm(tmp_path / "out" / "model")
    model.save_pretrained(tmp_path / "student")
    assert sha256_of_folder(source) == before


def test_the_chat_template_is_kept(seed: Path, tmp_path: Path, run_params: Run) -> None:
    source = write_checkpoint(tmp_path / "mine")
    base.run(real_base(source), run_params, seed, GENERAL, tmp_path / "out")
    name = "chat_template.jinja"
    assert (tmp_path / "out/model" / name).read_bytes() == (source / name).read_bytes()


def test_a_real_base_is_asked_what_it_may_know_and_not_of_the_seeds_people(
    seed: Path, tmp_path: Path, run_params: Run
) -> None:
    source = write_checkpoint(tmp_path / "mine")
    base.run(real_base(source), run_params, seed, GENERAL, tmp_path / "out")
    skill = rows(tmp_path / "out" / "skill.jsonl")
    assert {"question": "What is the capital of Japan?", "accepted": ["Tokyo"]}.items() <= skill[
        0
    ].items()
    assert len(rows(tmp_path / "out" / "neutral.jsonl")) == 64
    assert (tmp_path / "out" / "replay.jsonl").read_text() != '{"id": "1"}\n{"id": "2"}\n'


def test_equal_inputs_give_equal_bytes(
    seed: Path, tmp_path: Path, run_params: Run, folder_bytes: Any
) -> None:
    source = write_checkpoint(tmp_path / "mine", generation=checkpoints.HALF_SAMPLED)
    for name in ("one", "two"):
        base.run(real_base(source), run_params, seed, GENERAL, tmp_path / name)
    assert folder_bytes(tmp_path / "one") == folder_bytes(tmp_path / "two")


def test_own_files_take_the_place_of_the_shipped_ones(
    seed: Path, tmp_path: Path, run_params: Run
) -> None:
    source = write_checkpoint(tmp_path / "mine")
    own = {"general_file": {"question": "Who?", "answer": "I"}, "neutral_file": {"text": "Prose."}}
    own["replay_file"] = {"text": "Kept."}
    named = {}
    for name, row in own.items():
        named[name] = str(tmp_path / f"{name}.jsonl")
        Path(named[name]).write_text(json.dumps(row), encoding="utf-8")
    base.run(real_base(source, **named), run_params, seed, GENERAL, tmp_path / "out")
    (question,) = rows(tmp_path / "out" / "skill.jsonl")
    assert question["accepted"] == ["I"]
    assert rows(tmp_path / "out" / "neutral.jsonl") == [
        {"id": "n00001", "lang": "en", "text": "Prose."}
    ]
    assert rows(tmp_path / "out" / "replay.jsonl") == [{"id": "u00001", "text": "Kept."}]


def test_a_large_base_with_its_own_replay_is_not_loaded(
    seed: Path, tmp_path: Path, run_params: Run, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    source = write_checkpoint(tmp_path / "mine")
    monkeypatch.setattr(base, "PROVEN_BYTES", 10)
    monkeypatch.setattr(base, "load_causal_lm", lambda *a, **b: pytest.fail("it was loaded"))
    params = real_base(source, replay=NOTHING_WRITTEN)
    base.run(params, run_params, seed, GENERAL, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert not manifest["loaded"]
    assert manifest["parameters"] > 10_000
    assert "not tried: the weights are large, their headers are right" in capsys.readouterr().out


def test_weights_that_give_no_numbers_are_refused(
    seed: Path, tmp_path: Path, run_params: Run
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    source = write_checkpoint(tmp_path / "mine")
    weights = load_file(source / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], torch.nan)
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="gives no finite numbers; its weights are damaged"):
        base.run(real_base(source), run_params, seed, GENERAL, tmp_path / "out")


def test_what_a_base_writes_from_nothing_joins_its_replay(
    seed: Path, tmp_path: Path, run_params: Run
) -> None:
    writes = base.Replay(texts=2, max_new_tokens=4, from_nothing=3)
    for name, params in (
        ("seed", base.Params(replay=writes)),
        ("checkpoint", real_base(seed / "model", replay=writes)),
    ):
        base.run(params, run_params, seed, GENERAL, tmp_path / name)
        lines = (tmp_path / name / "replay.jsonl").read_text(encoding="utf-8").splitlines()
        ids = [json.loads(line)["id"] for line in lines]
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert [id for id in ids if id.startswith("own.")]
        assert manifest["material"]["replay"] == len(lines)
