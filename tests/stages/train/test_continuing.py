"""continuing: training goes on from a version that DVC and git hold, learns what changed, and says what it took."""

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stages import train
from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import InputError, ModelError, ParamsError
from stages.core.project.params import Run
from stages.core.records.record import read, write
from stages.train import continuing
from stages.train.curvature import penalty
from tests.conftest import augmented_row

pytestmark = pytest.mark.usefixtures("no_store")

UPDATE = train.Update(epochs=None, rate=1.0, rehearse_share=0.5)
PARAMS = train.Params(
    update=dataclasses.replace(UPDATE, rehearse_share=1.0),
    lora=train.Lora(r=4, alpha=8),
    ewc=train.Ewc(weight=0.1, rows=6, damping=0.1),
    learning_rate=1e-2,
    rows_per_batch=4,
    steps=4,
    warmup=1,
    eval_every=2,
    max_tokens=64,
)
WEIGHTS = "adapter/adapter_model.safetensors"
AUGMENT = Path("data/augment")
OUT = Path("models/train")
PIPELINE = """\
stages:
  augment:
    cmd: "true"
    outs: [data/augment]
  train:
    cmd: "true"
    deps: [data/augment]
    outs: [models/train]
"""


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def run(params: train.Params, run_params: Run, base: Path, out: Path = OUT) -> dict[str, Any]:
    paths = [Path(f"metrics/train.{end}") for end in ("json", "csv", "steps")]
    train.run(params, run_params, base, AUGMENT, out, *paths)
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return manifest


def facts_of_second_version() -> None:
    """Copper is as it was, iron has another value, neon is gone, gold is new."""
    rows = [row for row in read(AUGMENT / "records.parquet") if row["subject"] == "copper"]
    for subject, value in (("iron", "1811"), ("gold", "1064")):
        rows += [augmented_row(subject, value, "train", number) for number in range(2)]
        rows += [augmented_row(subject, value, "valid", 9)]
    write(AUGMENT / "records.parquet", rows)


@pytest.fixture
def version(
    tmp_path: Path,
    tiny_base: Path,
    tiny_augment: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The commit of a version in a project of its own, in whose working folder there are other facts by now."""
    from dvc.repo import Repo

    project = tmp_path / "project"
    shutil.copytree(tiny_augment, project / AUGMENT)
    monkeypatch.chdir(project)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@example.org")
    git("init", "-q", "-b", "main")
    run(PARAMS, run_params, tiny_base)
    Path("dvc.yaml").write_text(PIPELINE)
    with Repo.init() as repo:
        repo.commit(force=True)
    git("add", "dvc.yaml", "dvc.lock", ".dvc")
    git("commit", "-qm", "first version")
    git("tag", "v1")
    facts_of_second_version()
    return git("rev-parse", "HEAD")


def test_what_changed_is_learned_from_the_version_s_adapter(
    version: str, tiny_base: Path, run_params: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    first = load_file(OUT / WEIGHTS)
    locked = continuing.md5_of_folder(OUT)
    params = dataclasses.replace(PARAMS, continue_from=version, update=UPDATE)
    manifest = run(params, run_params, tiny_base)
    assert manifest["continued_from"] == {
        "commit": version,
        "adapter_md5": locked,
        # A statement of the fixture has the fact of its questions.
        "facts": {"new": 1, "changed": 1, "kept": 1, "removed": 1},
        "rehearsed_rows": 2,  # half of copper's three rows
    }
    assert "facts: 1 new, 1 changed, 1 kept, 1 removed; 2 of its rows replayed" in (
        capsys.readouterr().out
    )
    bytes_of_first_run = (OUT / WEIGHTS).read_bytes()
    run(params, run_params, tiny_base)
    assert (OUT / WEIGHTS).read_bytes() == bytes_of_first_run

    still = dataclasses.replace(params, learning_rate=0.0, steps=2, ewc=train.Ewc(weight=0.0))
    run(still, run_params, tiny_base)
    found = load_file(OUT / WEIGHTS)
    assert found.keys() == first.keys()
    assert all(torch.equal(found[name], first[name]) for name in first)


def test_an_update_has_a_length_and_a_rate_of_its_own() -> None:
    params = train.Params(
        steps=1200, learning_rate=0.004, update=train.Update(epochs=2.0, rate=0.5)
    )
    updated = params.of_update()
    assert (updated.steps, updated.epochs, updated.learning_rate) == (None, 2.0, 0.002)
    as_training = dataclasses.replace(
        params, update=train.Update(epochs=None, rate=1.0)
    ).of_update()
    assert (as_training.steps, as_training.epochs, as_training.learning_rate) == (1200, None, 0.004)


def test_a_killed_run_goes_on_from_its_checkpoint_too(
    version: str, tiny_base: Path, run_params: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stages.core.models.checkpoints import Resumable

    class Killed(BaseException):
        pass

    def killed(trainer: Any, *_: Any) -> None:
        raise Killed

    params = dataclasses.replace(PARAMS, continue_from=version)
    run(params, run_params, tiny_base)
    whole = (OUT / WEIGHTS).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Resumable, "_load_best_model", killed)
        with pytest.raises(Killed):
            run(params, run_params, tiny_base)
    run(params, run_params, tiny_base)
    assert (OUT / WEIGHTS).read_bytes() == whole


def test_a_tag_is_refused_with_the_commit_to_write(
    version: str, tiny_base: Path, run_params: Run
) -> None:
    with pytest.raises(ParamsError, match=rf"train.continue_from: .*'v1' is {version} now"):
        run(dataclasses.replace(PARAMS, continue_from="v1"), run_params, tiny_base)
    with pytest.raises(ParamsError, match=r"needs a full commit hash .* copy it from `git log`"):
        run(dataclasses.replace(PARAMS, continue_from="nothing"), run_params, tiny_base)


def test_versions_that_are_not_there(version: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such commit here; fetch it with `git fetch`"):
        continuing.fetch("0" * 40, OUT, AUGMENT, tmp_path / "a")
    with pytest.raises(InputError, match=r"dvc.lock of .* names no models/other"):
        continuing.fetch(version, Path("models/other"), AUGMENT, tmp_path / "b")
    shutil.rmtree(".dvc/cache")
    with pytest.raises(InputError, match=r"neither in DVC's cache nor in a remote .* `dvc fetch"):
        continuing.fetch(version, OUT, AUGMENT, tmp_path / "c")


def test_a_damaged_copy_is_not_taken(version: str, tmp_path: Path) -> None:
    for path in Path(".dvc/cache").rglob("*"):
        if path.is_file() and b"lora_A" in path.read_bytes():
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(InputError, match=r"has the hash .* dvc.lock says|neither in DVC's cache"):
        continuing.fetch(version, OUT, AUGMENT, tmp_path / "a")


def test_another_base_or_form_is_refused(version: str, tiny_model: Path, tmp_path: Path) -> None:
    found = continuing.fetch(version, OUT, AUGMENT, tmp_path / "a")
    model, _ = load_causal_lm(tiny_model)
    adapted = train.add_adapter(model, PARAMS.lora, 1)
    with pytest.raises(ModelError, match=r"was trained on the base .* continue_from: null"):
        continuing.start_from(found, adapted, "0" * 64)
    model, _ = load_causal_lm(tiny_model)
    other = train.add_adapter(model, dataclasses.replace(PARAMS.lora, r=8), 1)
    with pytest.raises(ModelError, match=r"has r 4, and train.lora.r gives 8"):
        continuing.start_from(found, other, found.base_sha256)


def test_nothing_to_learn(version: str, tiny_base: Path, run_params: Run) -> None:
    rows = [row for row in read(AUGMENT / "records.parquet") if row["subject"] == "copper"]
    write(AUGMENT / "records.parquet", rows)
    with pytest.raises(InputError, match="no fact is new or changed since"):
        run(dataclasses.replace(PARAMS, continue_from=version), run_params, tiny_base)


def row(fact: str | None, value: str, text: str = "") -> dict[str, Any]:
    return {"fact": fact, "value": value, "unit": "°C", "text": text}


def test_facts_are_compared_by_value() -> None:
    before = [row("a", "1"), row("a", "1"), row("b", "2"), row("c", "3"), row(None, "", "Neon.")]
    now = [row("a", "1"), row("b", "4"), row("d", "5"), row(None, "", "Neon is a gas.")]
    changes = continuing.compared(before, now)
    assert changes.kept == {"fact a"}
    assert changes.changed == {"fact b"}
    assert changes.removed == {"fact c", "text Neon."}
    assert changes.new == {"fact d", "text Neon is a gas."}
    assert [changes.learned(each) for each in now] == [False, True, True, True]


def test_the_version_is_put_back(tiny_model: Path) -> None:
    """In the body the model answers as before, without dropout, and a graph from before the body stays valid."""
    lora = dataclasses.replace(PARAMS.lora, dropout=0.5)
    model = train.add_adapter(load_causal_lm(tiny_model)[0], lora, 1)
    starts = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.1)
            starts[name] = weight.detach().clone()
    ids = torch.tensor([[1, 5, 6, 7]])
    before = model.eval()(ids).logits.detach()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in starts:
                weight.add_(0.1)
    model(ids, labels=ids).loss.backward()
    expected = {
        name: weight.grad.clone() for name, weight in model.named_parameters() if name in starts
    }
    model.zero_grad()
    loss = model(ids, labels=ids).loss
    model.train()
    with torch.no_grad(), continuing.as_before(model, starts):
        assert torch.equal(model(ids).logits, before)
    assert model.training
    loss.backward()
    for name, weight in model.named_parameters():
        if name in starts:
            assert torch.allclose(weight.grad, expected[name])


def test_the_penalty_is_on_the_change_since_the_version(tiny_model: Path) -> None:
    model = train.add_adapter(load_causal_lm(tiny_model)[0], PARAMS.lora, 1)
    name, layer = next(iter(train.lora_layers(model).items()))
    torch.manual_seed(3)
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.nn.init.normal_(up)
    starts = {name: (down.detach().clone(), up.detach().clone())}
    then = layer.get_delta_weight("default").detach()
    a, g = (
        torch.cov(torch.randn(layer.in_features, 90)),
        torch.cov(torch.randn(layer.out_features, 90)),
    )
    assert penalty({name: layer}, {name: (a, g)}, starts).item() == pytest.approx(0, abs=1e-2)
    with torch.no_grad():
        up.add_(0.3)
        down.mul_(1.5)
    change = layer.get_delta_weight("default") - then
    expected = 0.5 * torch.trace(g @ change @ a @ change.T)
    assert torch.isclose(penalty({name: layer}, {name: (a, g)}, starts), expected, rtol=1e-3)
