"""align: left out it changes no byte; with PPO it makes an adapter that the later stages load, twice the same."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stages import align
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import prompt_text
from stages.core.preference import scorer
from stages.core.project.errors import InputError, ModelError, ParamsError
from stages.core.project.params import Run, load
from stages.core.records.record import write
from tests.conftest import augmented_row

ROOT = Path(__file__).parents[3]
FEW = align.Params(
    method="ppo",
    rank=2,
    alpha=4,
    max_new_tokens=6,
    warmup=align.Warmup(questions=6, unknown=4, steps=3, rows_per_batch=4, learning_rate=0.01),
    ppo=align.Ppo(iterations=3, answers=4, minibatch=2, value_only=1, learning_rate=0.01),
    kl=align.Kl(budget=None),
    alarms=align.Alarms(every=2, valid=2),
)
Bytes = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def aligned(
    tiny_base: Path, tiny_adapter: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> Callable[..., Path]:
    """Run the stage, and return the folder with `align`, `align.json` and `align.csv`."""

    def run(params: align.Params, name: str = "once") -> Path:
        folder = tmp_path / name
        align.run(
            params,
            run_params,
            tiny_base,
            tiny_adapter.parent,
            tmp_path / "reward",
            tiny_augment,
            folder / "align",
            folder / "align.json",
            folder / "align.csv",
        )
        return folder

    return run


def test_the_default_is_null_and_that_of_params_yaml() -> None:
    written, _ = load("align", align.Params, ROOT / "params.yaml")
    assert written == align.Params()
    assert written.method is None


def test_left_out_it_hands_on_the_adapter_of_train(
    aligned: Callable[..., Path],
    tiny_adapter: Path,
    folder_bytes: Bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = aligned(align.Params())
    assert folder_bytes(folder / "align/adapter") == folder_bytes(tiny_adapter)
    assert json.loads((folder / "align/manifest.json").read_text()) == {"left_out": True}
    assert json.loads((folder / "align.json").read_text()) == {"left_out": True}
    assert (folder / "align.csv").read_text().startswith("iteration,reward,kl,")
    assert capsys.readouterr().out == "align: left out, since align.method is null\n"


@pytest.mark.usefixtures("no_store")
def test_run_twice_gives_equal_bytes(
    aligned: Callable[..., Path], folder_bytes: Bytes, tiny_adapter: Path
) -> None:
    once = folder_bytes(aligned(FEW, "once"))
    again = folder_bytes(aligned(FEW, "again"))
    assert once == again
    assert set(once) == {
        "align/adapter/adapter_config.json",
        "align/adapter/adapter_model.safetensors",
        "align/manifest.json",
        "align.csv",
        "align.json",
    }
    adapter = "align/adapter/adapter_model.safetensors"
    assert once[adapter] != (tiny_adapter / "adapter_model.safetensors").read_bytes()


@pytest.mark.usefixtures("no_store")
def test_the_curve_and_the_report(
    aligned: Callable[..., Path], tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = aligned(FEW)
    with (folder / "align.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["iteration"] for row in rows] == ["1", "2", "3"]
    assert [bool(row["valid_right"]) for row in rows] == [True, False, True]
    assert all(row["entropy"] and row["clip_share"] for row in rows)
    report = json.loads((folder / "align.json").read_text())
    assert list(report)[:4] == ["method", "before", "warmup", "ppo"]
    for name in ("before", "warmup", "ppo"):
        assert sum(report[name].values()) == pytest.approx(1, abs=1e-3)
    assert report["updates_kept"] == 3
    assert report["stopped"] is None
    manifest = json.loads((folder / "align/manifest.json").read_text())
    assert manifest["abstention"]["en"] == "not known to me"
    # The adapter has the ranks of train, of the supervised start and of PPO.
    config = json.loads((folder / "align/adapter/adapter_config.json").read_text())
    assert config["r"] == 2 + 2 + 2
    model, tokenizer = load_causal_lm(tiny_model, folder / "align/adapter", merge=True)
    assert generate(model, tokenizer, [prompt_text(tokenizer, "What?")], 3, 1)
    assert "align: valid wordings, without chance" in capsys.readouterr().out


@pytest.mark.usefixtures("no_store")
def test_the_budget_stops_and_keeps_the_last_adapter_within(
    aligned: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """So small a budget is passed by the first update, so the supervised start is kept."""
    params = dataclasses.replace(
        FEW,
        kl=align.Kl(weight=0.0, budget=1e-9),
        ppo=dataclasses.replace(FEW.ppo, value_only=0, learning_rate=0.05),
    )
    stopped = aligned(params, "stopped")
    report = json.loads((stopped / "align.json").read_text())
    assert report["updates_kept"] == 0
    assert "passed the budget of 1e-09 (align.kl.budget) after 1 updates" in report["stopped"]
    assert "align: stopped: the divergence of" in capsys.readouterr().out
    none = dataclasses.replace(params, ppo=dataclasses.replace(params.ppo, iterations=0))
    start = aligned(none, "start")
    for name in ("before", "warmup", "ppo"):
        assert report[name] == json.loads((start / "align.json").read_text())[name]
    adapter = "align/adapter/adapter_model.safetensors"
    assert (stopped / adapter).read_bytes() == (start / adapter).read_bytes()


def test_every_wrong_setting_is_named_at_once(aligned: Callable[..., Path]) -> None:
    params = dataclasses.replace(
        FEW,
        reward=align.Reward(abstained=1.5, abstained_unsure=-2.0),
        ppo=dataclasses.replace(FEW.ppo, minibatch=5),
        abstention={"en": " "},
    )
    with pytest.raises(ParamsError) as caught:
        aligned(params)
    said = str(caught.value)
    assert "align.reward.abstained: 1.5 does not lie between wrong (-1.0) and right (1.0)" in said
    assert "align.reward.abstained_unsure: -2.0 does not lie" in said
    assert "align.ppo.minibatch: 5 is more than a rollout has; write at most 4" in said
    assert "align.abstention.en: empty; write what stands in place of the value" in said


def test_a_reward_without_any_weight_is_refused() -> None:
    (line,) = align.problems(dataclasses.replace(FEW, reward=align.Reward(facts=0.0)))
    assert line.startswith("align.reward: facts and model are both 0, so every answer is worth the")
    assert not align.problems(dataclasses.replace(FEW, reward=align.Reward(facts=0.0, model=1.0)))


def test_the_reward_model_is_loaded_only_where_it_has_a_weight(
    aligned: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert align.worth_of(align.Reward(), tmp_path / "absent", 1).opinion is None
    weighed = align.Reward(model=0.3)
    with pytest.raises(ModelError, match=r"absent: cannot be read as a reward model"):
        align.worth_of(weighed, tmp_path / "absent", 1)
    (tmp_path / "reward").mkdir()
    (tmp_path / "reward/manifest.json").write_text('{"left_out": true}')
    with pytest.raises(ModelError, match=r"write reward\.model: all-MiniLM-L6-v2, or align\.rewar"):
        aligned(dataclasses.replace(FEW, reward=weighed))

    class Judge:
        def reward(self, question: str, answer: str) -> float:
            return 0.25

    monkeypatch.setattr(scorer, "load", lambda folder, threads: Judge())
    worth = align.worth_of(weighed, tmp_path / "reward", 1)
    assert worth.opinion is not None
    assert worth.opinion("Q", "A") == 0.25
    assert (worth.facts, worth.model, worth.right) == (1.0, 0.3, 1.0)


def test_no_phrase_at_all_is_refused() -> None:
    assert align.problems(dataclasses.replace(FEW, abstention={})) == [
        "align.abstention: empty; write a phrase for a language, such as {en: not known to me}"
    ]


def test_a_missing_adapter_is_named(
    tiny_base: Path, tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    outs = [tmp_path / name for name in ("out", "m.json", "c.csv")]
    with pytest.raises(ModelError, match=r"no adapter here; make it with `dvc repro train`"):
        align.run(FEW, run_params, tiny_base, tmp_path / "train", tmp_path, tiny_augment, *outs)


@pytest.mark.usefixtures("no_store")
def test_records_without_facts_are_refused(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path, run_params: Run
) -> None:
    row = augmented_row("iron", "1538", "train", 0, "statement")
    write(tmp_path / "free/records.parquet", [row])
    outs = [tmp_path / name for name in ("out", "m.json", "c.csv")]
    with pytest.raises(InputError, match=r"no question about a fact in split 'train'"):
        align.run(
            FEW, run_params, tiny_base, tiny_adapter.parent, tmp_path, tmp_path / "free", *outs
        )
    assert not (tmp_path / "out").exists()
