"""reward: left out it writes a manifest; with an encoder it learns what can be seen, twice the same."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages import reward
from stages.core.preference import scorer
from stages.core.project.errors import InputError, ModelError, ParamsError
from stages.core.project.params import Run, load
from stages.core.records import feedback
from stages.core.records.record import write
from tests.conftest import augmented_row

ROOT = Path(__file__).parents[3]
RULES = ROOT / "data/raw/compliance.yaml"
HALF = reward.Params(model="drawn", held_out=0.5, pairs=40, penalty=0.01)
Bytes = Callable[[Path], dict[str, bytes]]


class Drawn:
    """An encoder whose vector is the mean of a random vector for each word. `identity` may be changed."""

    identity = "drawn"
    folder = Path("drawn")

    def vector(self, text: str) -> np.ndarray:
        total = np.zeros(24, dtype=np.float32)
        for word in ["", *text.lower().rstrip(".?").split()]:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
            total += np.random.default_rng(seed).normal(size=24).astype(np.float32)
        return total / np.linalg.norm(total)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    made = Drawn()
    monkeypatch.setattr(scorer, "problems", lambda model, revision: [])
    monkeypatch.setattr(scorer, "encoder_of", lambda *_, **__: made)
    return made


def augmented(folder: Path, number: int = 40) -> Path:
    rows = [augmented_row(f"metal{i}", str(i), "train", 0) for i in range(number)]
    write(folder / "records.parquet", rows)
    return folder


def made(folder: Path, run: Run, params: reward.Params = HALF, said: str = "") -> Path:
    folder.mkdir()
    (folder / "feedback.jsonl").write_text(said, encoding="utf-8")
    paths = (augmented(folder / "augment"), RULES, folder / "feedback.jsonl")
    reward.run(params, run, *paths, folder / "reward", folder / "reward.json")
    return folder


def said_by_people(number: int, better: str) -> str:
    """Return judgements of people, who like (or dislike) polite answers."""
    lines = []
    for place in range(number):
        row = {
            "question": f"What of thing{place}?", "first": f"It is {place} dear reader",
            "second": f"It is {place}", "better": better, "who": "ada", "when": "2026-11-30T16:45:00Z",
        }  # fmt: skip
        lines.append(feedback.line_of(feedback.judgement_of(row)))
    return "".join(lines)


def test_the_default_is_null_and_that_of_params_yaml() -> None:
    written, _ = load("reward", reward.Params, ROOT / "params.yaml")
    assert written == reward.Params()
    assert written.model is None


def test_left_out_nothing_is_read(
    tmp_path: Path, run_params: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent"
    out, metrics = tmp_path / "reward", tmp_path / "reward.json"
    reward.run(reward.Params(), run_params, absent, absent, absent, out, metrics)
    assert [path.name for path in out.iterdir()] == ["manifest.json"]
    assert json.loads(metrics.read_text()) == {"left_out": True}
    assert capsys.readouterr().out == "reward: left out, since reward.model is null\n"
    with pytest.raises(ModelError, match=r"no reward model was trained, since reward\.model is nu"):
        scorer.load(out, 1)


@pytest.mark.usefixtures("no_store", "encoder")
def test_run_twice_gives_equal_bytes(
    tmp_path: Path, run_params: Run, folder_bytes: Bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    once = folder_bytes(made(tmp_path / "once", run_params))
    assert once == folder_bytes(made(tmp_path / "again", run_params))
    assert {name for name in once if name.startswith("reward")} == {
        "reward.json", "reward/head.safetensors", "reward/manifest.json", "reward/set_aside.jsonl",
    }  # fmt: skip
    assert "held out   pairs   accuracy   calibration error" in capsys.readouterr().out


@pytest.mark.usefixtures("no_store", "encoder")
def test_what_can_be_seen_is_learned_and_values_are_not(tmp_path: Path, run_params: Run) -> None:
    folder = made(tmp_path / "made", run_params)
    report = json.loads((folder / "reward.json").read_text())
    held_out = report["held_out"]
    assert held_out["evasive"]["accuracy"] > 0.9
    assert held_out["abstains"]["accuracy"] + held_out["invented"]["accuracy"] < 1.6
    assert held_out["value"]["accuracy"] < 0.8
    assert report["loss"] < report["chance_loss"]
    for kind, counts in report["pairs"].items():
        assert held_out.get(kind, {"pairs": 0})["pairs"] == counts["held_out"]
    assert held_out["all"]["pairs"] == sum(row["held_out"] for row in report["pairs"].values())


@pytest.mark.usefixtures("no_store", "encoder")
def test_people_change_the_score_of_their_kind_and_a_withdrawal_undoes_it(
    tmp_path: Path, run_params: Run, folder_bytes: Bytes
) -> None:
    question, polite, plain = "What of thing999?", "It is 999 dear reader", "It is 999"

    def margin(folder: Path) -> float:
        judge = scorer.load(folder / "reward", 1)
        return judge.score(question, polite) - judge.score(question, plain)

    without = made(tmp_path / "without", run_params)
    liked = made(tmp_path / "liked", run_params, said=said_by_people(40, "first"))
    disliked = made(tmp_path / "disliked", run_params, said=said_by_people(40, "second"))
    assert margin(liked) > 0.5
    assert margin(disliked) < -0.5
    assert margin(disliked) < margin(without) < margin(liked)
    report = json.loads((liked / "reward.json").read_text())
    assert report["held_out"]["human"]["accuracy"] > 0.9
    assert report["feedback"]["judgements"] == 40

    text = said_by_people(40, "first")
    notes = [
        json.dumps({"withdrawn": json.loads(line)["id"], "who": "ada"})
        for line in text.splitlines()
    ]
    gone = made(tmp_path / "gone", run_params, said=text + "\n".join(notes))
    assert folder_bytes(gone / "reward") == folder_bytes(without / "reward")


@pytest.mark.usefixtures("no_store", "encoder")
def test_lines_that_cannot_be_read_are_set_aside(tmp_path: Path, run_params: Run) -> None:
    folder = made(tmp_path / "made", run_params, said="{\n" + said_by_people(1, "first"))
    (line,) = (folder / "reward/set_aside.jsonl").read_text().splitlines()
    assert json.loads(line) == {"line": 1, "reason": "no JSON", "content": "{"}
    assert json.loads((folder / "reward.json").read_text())["feedback"]["set_aside"] == 1


@pytest.mark.usefixtures("no_store", "encoder")
def test_without_pairs_on_both_sides_it_is_refused(tmp_path: Path, run_params: Run) -> None:
    files = (augmented(tmp_path / "augment", 1), RULES, tmp_path / "none", tmp_path / "reward")
    with pytest.raises(InputError, match=r"held out, and both are needed; give more facts"):
        reward.run(HALF, run_params, *files, tmp_path / "reward.json")
    assert not (tmp_path / "reward").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "a b"}, "reward.model: 'a b' is no folder and no name on the hub"),
        ({"model": "a/b"}, "reward.revision: 'a/b' is no folder, and"),
        (
            {"model": "all-MiniLM-L6-v2", "revision": "0" * 40},
            "reward.revision: the packaged encoder has none; remove it",
        ),
    ],
)
def test_a_wrong_setting_is_named(
    changes: dict[str, Any], message: str, tmp_path: Path, run_params: Run
) -> None:
    params = dataclasses.replace(reward.Params(), **changes)
    with pytest.raises(ParamsError) as caught:
        reward.run(params, run_params, *[tmp_path / name for name in "abcde"])
    assert message in str(caught.value)


@pytest.mark.usefixtures("no_store")
def test_the_reward_lies_between_minus_one_and_one_and_another_encoder_is_refused(
    tmp_path: Path, run_params: Run, encoder: Drawn
) -> None:
    folder = made(tmp_path / "made", run_params) / "reward"
    judge = scorer.load(folder, 1)
    question = "When does metal1 melt 0?"
    right = "The melting point of metal1 is 1 °C."
    assert -1 < judge.reward(question, "It depends.") < judge.reward(question, right) < 1
    encoder.identity = "another"
    with pytest.raises(ModelError, match="is another encoder than the one that the head was train"):
        scorer.load(folder, 1)


@pytest.mark.usefixtures("no_store", "encoder")
def test_a_damaged_model_is_refused(tmp_path: Path, run_params: Run) -> None:
    folder = made(tmp_path / "made", run_params) / "reward"
    head = (folder / scorer.HEAD).read_bytes()
    (folder / scorer.HEAD).write_bytes(head[:-9])
    with pytest.raises(ModelError, match=r"cannot be read as a reward model .*make it with dvc"):
        scorer.load(folder, 1)
    (folder / scorer.HEAD).unlink()
    with pytest.raises(ModelError, match="cannot be read as a reward model"):
        scorer.load(folder, 1)
    manifest = json.loads((folder / scorer.MANIFEST).read_text())
    scorer.save(folder, np.full(3 * 24, np.nan), 0.0, manifest)
    with pytest.raises(ModelError, match="or holds no numbers; make it with dvc repro reward"):
        scorer.load(folder, 1)
