"""evaluate: scores against numbers worked out by hand; every variant on the same probes; equal runs are equal bytes."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages import evaluate, quantize
from stages.core.project.errors import InputError, ModelError
from stages.core.project.params import Run
from stages.core.records.record import read, write
from stages.evaluate import scores

PARAMS = evaluate.Params(max_new_tokens=6, batch=4, general=2)
SENTENCE = "The melting point of iron is 1538 °C."


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (SENTENCE, True),
        ("the  Melting point of iron is 1538 °C", True),
        ("1538 °C", True),
        ("1538", True),
        ("１５３８ ℃", True),
        ("1538.0 °C", False),
        ("1539 °C", False),
        ("15380 °C", False),
        ("The melting point of copper is 1538 °C.", False),
        ("", False),
    ],
)
def test_exact_match(answer: str, right: bool) -> None:
    assert scores.is_right(answer, [SENTENCE, "1538 °C", "1538"]) is right


def test_a_chinese_full_stop_does_not_matter() -> None:
    assert scores.is_right("铁的熔点是1538 °C。", ["铁的熔点是1538 °C"])


def test_wilson_interval() -> None:
    # Wilson (1927) for 8 of 10: centre (0.8 + z²/20) / (1 + z²/10), z = 1.96: 0.4902 … 0.9433
    assert scores.share([True] * 8 + [False] * 2) == {
        "value": 0.8,
        "low": 0.4902,
        "high": 0.9433,
        "n": 10,
    }
    assert scores.share([False] * 20) == {"value": 0.0, "low": 0.0, "high": 0.1611, "n": 20}
    assert scores.share([]) == {"value": 0.0, "low": 0.0, "high": 1.0, "n": 0}


ENTITY = scores.entity_pattern(
    ["iron", "carbon", "As", "alkali metal", "alkali metal lamp"], ["°C", "g/cm³", "%"]
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SENTENCE, ["iron", "1538 °C"]),
        ("The density of iron is 7.874 g/cm³.", ["iron", "7.874 g/cm³"]),
        ("The boiling point of iron is -268.9 °C.", ["iron", "-268.9 °C"]),
        ("The category of iron is alkali metal.", ["iron", "alkali metal"]),
        ("The use of iron is alkali metal lamp.", ["iron", "alkali metal lamp"]),
        ("The discoverer of iron is Marie Curie.", ["iron", "Marie Curie"]),
        ("The discoverer of iron is Élie Ångström.", ["iron", "Élie Ångström"]),
        ("The discovery year of iron is 1669.", ["iron", "1669"]),
        ("As symbol: As, not as or ironing.", ["As", "As"]),
        ("Nothing here.", []),
    ],
)
def test_entities(text: str, found: list[str]) -> None:
    assert ENTITY.findall(text) == found


def test_text_scores_by_hand() -> None:
    wrong = "The melting point of iron is 1085 °C."
    result = scores.texts([(SENTENCE, SENTENCE), (SENTENCE, wrong)], ENTITY, seed=1)
    # Entities: 2 of 2, then iron of {iron, 1085 °C}: hits 3, expected 4, answered 4.
    assert result["entity_f1"]["value"] == 0.75
    # ROUGE-L tokens: the melting point of iron is 1538 c; 7 of 8 in common: F1 7/8.
    assert result["rouge_l"]["value"] == pytest.approx((1 + 7 / 8) / 2, abs=1e-4)
    # BLEU with the seventh of nine tokens wrong (… is 1085 °C .): precisions of 1- to 4-grams, geometric mean.
    precisions = (8 / 9) * (6 / 8) * (4 / 7) * (3 / 6)
    assert result["bleu"]["value"] == pytest.approx((1 + precisions**0.25) / 2, abs=1e-4)
    assert all(
        score["low"] <= score["value"] <= score["high"] and score["n"] == 2
        for score in result.values()
    )
    assert result == scores.texts([(SENTENCE, SENTENCE), (SENTENCE, wrong)], ENTITY, seed=1)


def test_chinese_texts_are_compared_by_character() -> None:
    result = scores.texts([("铁的熔点很高", "铁的沸点很高")], ENTITY, seed=1)
    assert result["rouge_l"]["value"] == pytest.approx(5 / 6, abs=1e-4)
    assert 0 < result["bleu"]["value"] < 1


def test_bootstrap_narrows_with_n() -> None:
    import numpy as np

    few, many = (
        scores.bootstrap(np.tile([[0.0], [1.0]], (n, 1)), scores.mean, seed=3) for n in (10, 1000)
    )
    assert few["value"] == many["value"] == 0.5
    # normal approximation of a mean of 2000 coin flips: 0.5 ± 1.96 · 0.5 / sqrt(2000) = ± 0.0219
    assert many["high"] - many["low"] == pytest.approx(0.0438, abs=0.005)
    assert few["high"] - few["low"] > 5 * (many["high"] - many["low"])


def fact(
    variant: str, subject: str, attribute: str, expected: str, correct: bool
) -> dict[str, Any]:
    row = {
        "fact": f"{subject}/{attribute}",
        "subject": subject,
        "attribute": attribute,
        "variant": variant,
    }
    return row | {"question": "?", "expected": expected, "answer": "", "correct": correct}


def test_majority_control_and_attribute_scores() -> None:
    rows = [fact("train", f"e{i}", "state", "solid" if i < 3 else "gas", i == 0) for i in range(4)]
    rows += [fact("base", "e0", "state", "solid", False)]
    lines = evaluate.attribute_rows(rows)
    assert [
        (line["variant"], line["exact_match"], line["control"], line["n"]) for line in lines
    ] == [
        ("base", 0.0, 1.0, 1),
        ("train", 0.25, 0.75, 4),
    ]


def test_int8_is_paired_with_its_twin_by_fact() -> None:
    twin = {"a": True, "b": True, "c": False, "d": True}
    int8 = {"a": True, "b": False, "c": True, "d": False}
    result = evaluate.pair(int8, twin, seed=1)
    assert (result["both"], result["lost"], result["gained"]) == (1, 2, 1)
    assert result["loss"]["value"] == 0.25


def test_own_questions_are_a_stable_choice(tiny_base: Path) -> None:
    chosen = evaluate.own_questions(tiny_base / "skill.jsonl", 2, seed=7)
    assert [row["replayed"] for row in chosen] == [False, False, True, True]
    assert chosen == evaluate.own_questions(tiny_base / "skill.jsonl", 2, seed=7)
    assert len(evaluate.own_questions(tiny_base / "skill.jsonl", 100, seed=7)) == 6


@pytest.fixture
def models(tiny_base: Path, tiny_adapter: Path, tmp_path: Path, run_params: Run) -> dict[str, Path]:
    """All model folders, from one tiny model."""
    shutil.copytree(tiny_base / "model", tmp_path / "distill")
    quantize.run(
        quantize.Params(scheme="weight_only"), run_params, tiny_base, tiny_adapter.parent, tmp_path / "distill",
        tmp_path / "quantize", tmp_path / "quantize.json",
    )  # fmt: skip
    return {
        "base": tiny_base, "train": tiny_adapter.parent, "distill": tmp_path / "distill", "quantize": tmp_path / "quantize",
    }  # fmt: skip


def judge(models: dict[str, Path], augment: Path, run_params: Run, target: Path) -> Any:
    evaluate.run(
        PARAMS,
        run_params,
        *models.values(),
        augment,
        target / "data",
        target / "evaluate.json",
        target / "evaluate",
    )
    return json.loads((target / "evaluate.json").read_text())


@pytest.mark.usefixtures("no_store")
def test_run_writes_what_others_script_against(
    models: dict[str, Path], tiny_augment: Path, tmp_path: Path, run_params: Run, folder_bytes: Any
) -> None:
    report = judge(models, tiny_augment, run_params, tmp_path / "first")
    assert list(report) == ["base", "train", "distill", "quantize", "quantize_train"]
    for entry in report.values():
        assert list(entry) == [
            "probes",
            "tasks",
            "general",
            "general_replayed",
            "bytes",
            "parameters",
        ]
        assert list(entry["probes"]) == ["exact_match", "bleu", "rouge_l", "entity_f1"]
        assert list(entry["tasks"]) == ["completion"]
        groups = ("probes", "tasks", "general", "general_replayed")
        for score in [score for group in groups for score in entry[group].values()]:
            assert list(score) == ["value", "low", "high", "n"]
        assert (
            entry["general"]["exact_match"]["n"]
            == entry["general_replayed"]["exact_match"]["n"]
            == 2
        )
    assert (
        report["base"]["parameters"]
        == report["train"]["parameters"]
        == report["quantize_train"]["parameters"]
    )
    assert report["train"]["bytes"] == 4 * report["train"]["parameters"]
    assert report["quantize"]["bytes"] < report["distill"]["bytes"]

    facts = pd.read_parquet(tmp_path / "first/data/facts.parquet")
    assert list(facts.columns) == [
        "fact",
        "subject",
        "attribute",
        "variant",
        "question",
        "expected",
        "answer",
        "correct",
    ]
    assert len(facts) == 5 * 3
    assert set(facts[facts["subject"] == "iron"]["expected"]) == {"1538 °C"}
    assert json.loads((tmp_path / "first/data/manifest.json").read_text()) == {"max_new_tokens": 6}
    survival = pd.read_csv(tmp_path / "first/evaluate/survival.csv")
    assert list(survival["variant"]) == list(report)

    assert judge(models, tiny_augment, run_params, tmp_path / "second") == report
    assert folder_bytes(tmp_path / "first") == folder_bytes(tmp_path / "second")


@pytest.mark.usefixtures("no_store")
def test_right_answers_are_counted(
    models: dict[str, Path],
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = {"iron": "1538 °C", "copper": "1085", "neon": "no idea"}

    def answer(model: Any, tokenizer: Any, prompts: list[str], *_: int) -> list[str]:
        asked = [re.findall("|".join(known), prompt) for prompt in prompts]
        return [known[names[0]] if names else "?" for names in asked]

    monkeypatch.setattr(evaluate, "generate", answer)
    report = judge(models, tiny_augment, run_params, tmp_path / "out")
    assert report["distill"]["probes"]["exact_match"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert report["distill"]["tasks"]["completion"] == {
        "value": 0.6667,
        "low": 0.2077,
        "high": 0.9385,
        "n": 3,
    }
    pairs = json.loads((tmp_path / "out/evaluate/pairs.json").read_text())
    assert pairs["quantize_train"]["loss"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 3}


@pytest.mark.usefixtures("no_store")
def test_without_probes_or_models_it_says_what_to_do(
    models: dict[str, Path], tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    shutil.rmtree(models["distill"])
    with pytest.raises(ModelError, match=r"distill: no safetensors here; make it with `dvc repro`"):
        judge(models, tiny_augment, run_params, tmp_path / "out")
    assert not (tmp_path / "out/data").exists()
    rows = [row for row in read(tiny_augment / "records.parquet") if row["split"] != "probe"]
    write(tiny_augment / "records.parquet", rows)
    with pytest.raises(InputError, match=r"no probe; check the augment section"):
        judge(models, tiny_augment, run_params, tmp_path / "out")
