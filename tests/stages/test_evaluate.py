"""evaluate: scores against numbers worked out by hand; every variant on the same probes; equal runs are equal bytes."""

import dataclasses
import json
import re
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages import evaluate, quantize
from stages.core.models.causal_lm import Answer
from stages.core.project.errors import InputError, ModelError, ParamsError
from stages.core.project.output import write_json
from stages.core.project.params import Run
from stages.core.records.record import read, write
from stages.evaluate import (
    answers,
    doubts,
    harness,
    likelihood,
    report,
    retrieval,
    scores,
    verdicts,
)
from tests.conftest import augmented_row

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
    variant: str,
    subject: str,
    attribute: str,
    expected: str,
    correct: bool,
    wording: str = "",
    **changes: Any,
) -> dict[str, Any]:
    row = {
        "fact": f"{subject}/{attribute}",
        "subject": subject,
        "attribute": attribute,
        "variant": variant,
        "question": "?",
        "expected": expected,
        "answer": "",
        "correct": correct,
        "wording": wording,
        "probe": "stated",
        "near": correct,
        "contained": correct,
        "expected_sentence": expected,
    }
    return row | changes


def test_majority_control_and_attribute_scores() -> None:
    rows = [fact("train", f"e{i}", "state", "solid" if i < 3 else "gas", i == 0) for i in range(4)]
    rows += [fact("base", "e0", "state", "solid", False)]
    lines = report.attribute_rows(rows, ("base", "train"), seed=1)
    assert [
        (line["variant"], line["exact_match"], line["control"], line["n"]) for line in lines
    ] == [
        ("base", 0.0, 1.0, 1),
        ("train", 0.25, 0.75, 4),
    ]
    # One value alone is no control: always giving it is right.
    assert report.no_better_than_control(lines) == {"train": ["state (0.250, control 0.750)"]}


def test_a_fact_is_right_in_more_than_half_of_its_wordings() -> None:
    rows = [fact("train", "iron", "state", "solid", hit, str(i)) for i, hit in enumerate([1, 1, 0])]
    rows += [fact("train", "neon", "state", "gas", hit, str(i)) for i, hit in enumerate([1, 0])]
    rows += [fact("train", "neon", "state", "gas", True, "r", probe="reversed")]
    assert answers.right_facts(rows) == {"iron/state": True, "neon/state": False}
    assert report.completion(rows)["value"] == 0.5


def test_a_fact_is_one_row_that_most_of_its_wordings_decide() -> None:
    def row(question: str, correct: bool, probe: str = "stated") -> dict[str, Any]:
        return {
            "fact": "f",
            "expected": "v",
            "question": question,
            "correct": correct,
            "probe": probe,
        }

    rows = [row("a", False), row("b", True), row("c", True), row("d", False, "reversed")]
    (fact,) = answers.one_per_fact(rows)
    assert (fact["question"], fact["correct"], fact["share"]) == ("b", True, 0.6667)
    (fact,) = answers.one_per_fact([*rows, row("e", False)])  # half is not more than half
    assert (fact["question"], fact["correct"], fact["share"]) == ("a", False, 0.5)


def test_an_answer_that_goes_on_after_a_right_first_line_is_right() -> None:
    assert answers.is_right("It is Fe.\n\nThis comes from ferrum.", ["It is Fe."])
    assert not answers.is_right("It is Au.\nIt is Fe.", ["It is Fe."])


def test_rows_of_one_fact_are_no_independent_answers() -> None:
    hits = [True] * 60 + [False] * 60
    facts = [
        number // 6 for number in range(120)
    ]  # 20 facts in 6 wordings, each all right or all wrong
    clustered = scores.clustered_share(hits, facts, seed=1)
    assert (clustered["value"], clustered["n"]) == (0.5, 120)
    # As wide as for 20 answers: 0.5 ± 1.96 · 0.5 / √20 = ± 0.219, and not ± 0.089 as for 120.
    assert clustered["high"] - clustered["low"] == pytest.approx(0.438, abs=0.04)
    assert scores.clustered_share(hits, range(120), seed=1) == scores.share(hits)
    # No resample of right answers differs. The interval is that of 20 answers.
    assert (
        scores.clustered_share([True] * 120, facts, seed=1)["low"]
        == scores.share([True] * 20)["low"]
    )
    assert scores.clustered_share([False] * 120, facts, seed=1)["high"] == 0.1611


def test_scores_by_wording_and_the_worst_one() -> None:
    rows = []
    for subject, easy, hard in (
        ("iron", True, False),
        ("neon", True, True),
        ("gold", False, False),
    ):
        rows.append(fact("train", subject, "state", "solid", easy, "Easy {subject}?"))
        rows.append(fact("train", subject, "state", "solid", hard, "Hard {subject}?"))
        rows.append(fact("train", subject, "state", "x", True, "Back {value}?", probe="reversed"))
    known = {"iron/state": True, "neon/state": False, "gold/state": False}
    section = report.probes(rows, ENTITY, known, seed=1)
    assert section["exact_match"]["value"] == 0.5
    assert section["exact_match"]["n"] == 6
    assert section["wordings"] == {"Easy {subject}?": 0.6667, "Hard {subject}?": 0.3333}
    assert section["worst_wording"]["wording"] == "Hard {subject}?"
    assert (section["worst_wording"]["value"], section["worst_wording"]["n"]) == (0.3333, 3)
    assert section["reversed"]["value"] == 1.0
    assert section["comparison"] is None
    assert section["near"] is None  # no value is a number
    assert section["known_before"]["n"] == 2
    assert section["new"] == {"value": 0.5, "low": 0.0, "high": 1.0, "n": 4}


def probe(text: str, **meta: Any) -> Any:
    row = augmented_row("iron", "1538", "probe", 0)
    accepted = {"accepted": [SENTENCE, "1538 °C", "1538"], "probe": "stated", "wording": "w"}
    return answers.fact_row(
        "train", row | {"meta": json.dumps(accepted | meta)}, text, answers.Tolerances(0.01, {})
    )


@pytest.mark.parametrize(
    ("text", "correct", "near", "contained"),
    [
        ("1538 °C", True, True, True),
        # A pretrained base that runs on after its answer: the first answer counts.
        ("1538 °C\nQuestion: What is the capital of Japan?\nAnswer: Tokyo", True, True, True),
        ("It is 1538 °C, I think", False, True, True),
        ("1540 °C", False, True, False),
        ("1,540 °C", False, True, False),
        ("1600 °C", False, False, False),
        ("-1538 °C", False, False, False),
        ("hot", False, False, False),
    ],
)
def test_stated_answers(text: str, correct: bool, near: bool, contained: bool) -> None:
    row = probe(text)
    assert (row["correct"], row["near"], row["contained"]) == (correct, near, contained)
    assert (row["wording"], row["probe"], row["expected"]) == ("w", "stated", "1538 °C")


def test_numbers_of_a_name_and_tolerances_of_attributes() -> None:
    assert scores.is_near("The half-life of uranium-235 is 704.", "703.8", "uranium-235", 0.01)
    assert not scores.is_near("uranium-235", "235", "uranium-235", 0.01)
    assert not scores.is_near("It is blue.", "blue", "", 0.5)
    tolerances = answers.Tolerances(0.01, {"discovery year": 0.0})
    assert (tolerances.of("density"), tolerances.of("discovery year")) == (0.01, 0.0)


@pytest.mark.parametrize(
    ("text", "right"), [("Iron", True), ("That is iron.", True), ("Copper", False), ("", False)]
)
def test_reversed_answers_name_the_subject(text: str, right: bool) -> None:
    row = probe(text, probe="reversed", accepted=[SENTENCE, "iron"])
    assert row["correct"] is right
    assert row["expected"] == "iron"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Iron", True),
        ("Iron is denser.", True),
        ("Iron is denser than neon", False),
        ("neon", False),
    ],
)
def test_a_comparison_names_one_of_the_two(text: str, right: bool) -> None:
    assert probe(text, probe="comparison", accepted=["iron"], wrong="neon")["correct"] is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Tokyo", True),
        ("The capital of Japan is Tokyo, a city of 14 million.", True),
        ("tōkyō", True),
        ("Kyoto\nTokyo", False),
    ],
)
def test_general_questions_take_an_answer_that_holds_the_value(text: str, right: bool) -> None:
    row = {"answer": "Tokyo", "accepted": ["Tokyo", "Tōkyō"]}
    assert answers.general_hit(row, text) is right
    assert answers.general_hit({"answer": "Tokyo"}, "Tokyo")


def test_int8_is_paired_with_its_twin_by_fact_and_wording() -> None:
    twin = [
        fact("train", name, "state", "x", hit)
        for name, hit in zip("abcd", (1, 1, 0, 1), strict=True)
    ]
    int8 = [
        fact("int8", name, "state", "x", hit)
        for name, hit in zip("abcd", (1, 0, 1, 0), strict=True)
    ]
    result = evaluate.pair(int8, twin, seed=1)
    assert (result["both"], result["lost"], result["gained"]) == (1, 2, 1)
    assert result["loss"]["value"] == 0.25
    assert result["loss"]["n"] == 4


class TestLikelihood:
    @pytest.fixture
    def loaded(self, tiny_model: Path) -> Any:
        from stages.core.models.causal_lm import load_causal_lm

        return load_causal_lm(tiny_model)

    def test_every_token_but_the_first_is_judged_once(self) -> None:
        ids = list(range(10))
        windows = likelihood.windows_of([ids, [7], []], longest=4)
        judged = [token for window in windows for token in window.ids[window.first :]]
        assert judged == ids[1:]
        assert {window.text for window in windows} == {0}
        assert max(len(window.ids) for window in windows) == 4

    def test_it_is_the_loss_of_the_model(self, loaded: Any) -> None:
        import torch

        model, _ = loaded
        rows = [[1, 5, 9, 4, 7], [2, 3], [8, 8, 8]]
        windows = likelihood.windows_of(rows, 16)
        score = likelihood.negative_log_likelihood(model, windows, seed=1)
        total = tokens = 0.0
        for ids in rows:
            tensor = torch.tensor([ids])
            total += float(model(tensor, labels=tensor).loss.detach()) * (len(ids) - 1)
            tokens += len(ids) - 1
        assert score is not None
        assert score["value"] == pytest.approx(total / tokens, abs=1e-4)
        assert score["n"] == 7
        assert score["low"] <= score["value"] <= score["high"]

    def test_batches_do_not_matter(self, loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        model, _ = loaded
        windows = likelihood.windows_of([list(range(1, n)) for n in (4, 30, 9, 17, 3)], 16)
        one = likelihood.negative_log_likelihood(model, windows, seed=1)
        monkeypatch.setattr(likelihood, "LOGITS", 1)
        assert likelihood.negative_log_likelihood(model, windows, seed=1) == pytest.approx(one)

    def test_only_the_answer_is_judged(self) -> None:
        window = likelihood.answer_window([1, 2, 3], [1, 2, 3, 4, 5], 0)
        assert window is not None
        assert window.ids[window.first :] == [4, 5]
        # The last token of the prompt is another one where text follows.
        merged = likelihood.answer_window([1, 2, 3], [1, 2, 9, 5], 0)
        assert merged is not None
        assert merged.first == 2
        assert likelihood.answer_window([1, 2], [1, 2], 0) is None

    def test_divergence_by_hand_and_of_a_model_from_itself(self, loaded: Any) -> None:
        import copy

        import torch

        model, _ = loaded
        windows = likelihood.windows_of([[1, 5, 9, 4]], 16)
        same = likelihood.divergence(model, model, windows, seed=1)
        assert same is not None
        assert same["value"] == 0.0
        other = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(0.05)
            p = torch.log_softmax(model(torch.tensor([[1, 5, 9, 4]])).logits[0], dim=1)
            q = torch.log_softmax(other(torch.tensor([[1, 5, 9, 4]])).logits[0], dim=1)
        by_hand = torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(1).mean()
        changed = likelihood.divergence(model, other, windows, seed=1)
        assert changed is not None
        assert changed["value"] == pytest.approx(float(by_hand), abs=1e-4)
        assert changed["n"] == 4

    def test_of_nothing_there_is_no_score(self, loaded: Any) -> None:
        model, _ = loaded
        assert likelihood.negative_log_likelihood(model, [], seed=1) is None
        assert likelihood.divergence(model, model, [], seed=1) is None


class TestHarness:
    def test_without_the_package_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "lm_eval", None)
        with pytest.raises(
            ParamsError,
            match=r"evaluate\.harness: arc_easy needs the package lm-eval, .* pip install lm-eval",
        ):
            harness.harness(["arc_easy"])

    def test_tasks_are_asked_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[dict[str, Any]] = []

        def simple_evaluate(**arguments: Any) -> Any:
            calls.append(arguments)
            metrics = {"alias": "arc_easy", "acc,none": 0.251049, "acc_stderr,none": "N/A"}
            return {"results": {"arc_easy": metrics}}

        class TaskManager:
            all_tasks = ("arc_easy", "mmlu")

        package = types.SimpleNamespace(simple_evaluate=simple_evaluate)
        monkeypatch.setitem(sys.modules, "lm_eval", package)
        tasks = types.SimpleNamespace(TaskManager=TaskManager)
        monkeypatch.setitem(sys.modules, "lm_eval.tasks", tasks)
        wrapped = types.SimpleNamespace(HFLM=lambda **given: given)
        monkeypatch.setitem(sys.modules, "lm_eval.models.huggingface", wrapped)
        module = harness.harness(["arc_easy"])
        assert harness.judge(module, ["arc_easy"], "model", "tokenizer", 8, 3) == {
            "arc_easy": {"acc": 0.251}
        }
        assert calls[0]["model"] == {
            "pretrained": "model",
            "tokenizer": "tokenizer",
            "batch_size": 8,
        }
        with pytest.raises(ParamsError, match="no such task: arc_easie"):
            harness.harness(["arc_easie"])


def test_own_questions_are_a_stable_choice(tiny_base: Path) -> None:
    chosen = answers.own_questions(tiny_base / "skill.jsonl", 2, seed=7)
    assert [row["replayed"] for row in chosen] == [False, False, True, True]
    assert chosen == answers.own_questions(tiny_base / "skill.jsonl", 2, seed=7)
    assert len(answers.own_questions(tiny_base / "skill.jsonl", 100, seed=7)) == 6


@pytest.fixture
def models(tiny_base: Path, tiny_adapter: Path, tmp_path: Path, run_params: Run) -> dict[str, Path]:
    """All model folders, from one tiny model."""
    shutil.copytree(tiny_base / "model", tmp_path / "distill")
    quantize.run(
        quantize.Params(scheme="weight_only"), run_params, tiny_base, tiny_adapter.parent, tmp_path / "distill",
        tmp_path / "quantize", tmp_path / "quantize.json",
    )  # fmt: skip
    return {
        "base": tiny_base, "train": tiny_adapter.parent, "align": left_out(tmp_path / "align"),
        "distill": tmp_path / "distill", "quantize": tmp_path / "quantize",
    }  # fmt: skip


def left_out(folder: Path) -> Path:
    """What the stage `align` writes without a method, as far as evaluate reads it."""
    folder.mkdir()
    (folder / "manifest.json").write_text('{"left_out": true}')
    return folder


def judge(
    models: dict[str, Path],
    augment: Path,
    run_params: Run,
    target: Path,
    params: evaluate.Params = PARAMS,
) -> Any:
    write_cleaned(augment.parent / "clean")
    write_json(augment.parent / "index/manifest.json", {"encoder": None})
    evaluate.run(
        params,
        run_params,
        *models.values(),
        augment,
        augment.parent / "clean",
        augment.parent / "index",
        target / "data",
        target / "evaluate.json",
        target / "evaluate",
    )
    return json.loads((target / "evaluate.json").read_text())


def write_cleaned(folder: Path) -> None:
    """Write the records of three elements. That of copper says another value than the probes expect."""
    rows = []
    for subject, value in {"iron": "1538", "copper": "999", "neon": "-248.6"}.items():
        row = augmented_row(subject, value, "train", 0, "statement")
        text = f"{subject}: melting point {value} °C"
        rows.append(row | {"id": row["parents"][0], "kind": "fact", "text": text, "split": None})
    write(folder / "records.parquet", rows)


@pytest.mark.usefixtures("no_store")
def test_run_writes_what_others_script_against(
    models: dict[str, Path],
    tiny_base: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    folder_bytes: Any,
) -> None:
    (tiny_base / "neutral.jsonl").write_text(
        json.dumps({"id": "n", "lang": "en", "text": "iron melts"}) + "\n"
    )
    report = judge(models, tiny_augment, run_params, tmp_path / "first")
    (tiny_base / "neutral.jsonl").unlink()
    assert list(report) == ["base", "train", "distill", "quantize", "quantize_train"]
    for entry in report.values():
        assert list(entry) == [
            "probes",
            "tasks",
            "general",
            "general_replayed",
            "doubt",
            "forgetting",
            "bytes",
            "parameters",
        ]
        assert list(entry["probes"]) == [
            "exact_match",
            "contains",
            "near",
            "new",
            "known_before",
            "worst_wording",
            "reversed",
            "comparison",
            "bleu",
            "rouge_l",
            "entity_f1",
            "wordings",
            "answer_nll",
        ]
        assert list(entry["tasks"]) == ["completion"]
        assert list(entry["general"]) == ["exact_match", "neutral_nll"]
        for score in ("exact_match", "contains", "near", "bleu", "answer_nll"):
            assert list(entry["probes"][score]) == ["value", "low", "high", "n"]
        assert entry["general"]["neutral_nll"]["value"] > 0
        assert entry["probes"]["answer_nll"]["value"] > 0
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
    assert report["base"]["forgetting"] == {"kl_neutral": None, "kl_domain": None}
    assert report["train"]["forgetting"]["kl_domain"]["value"] > 0
    assert report["train"]["forgetting"]["kl_neutral"]["value"] > 0
    assert report["distill"]["forgetting"]["kl_domain"]["value"] == 0  # a copy of the base
    assert report["train"]["bytes"] == 4 * report["train"]["parameters"]
    assert report["quantize"]["bytes"] < report["distill"]["bytes"]

    facts = pd.read_parquet(tmp_path / "first/data/facts.parquet")
    assert tuple(facts.columns) == answers.FACT_COLUMNS
    probes = pd.read_parquet(tmp_path / "first/data/probes.parquet")
    assert tuple(probes.columns) == answers.PROBE_COLUMNS
    assert len(probes) == 5 * 3
    stated = probes[probes["probe"] == "stated"]
    assert len(facts) == len(stated.drop_duplicates(["variant", "fact", "expected"]))
    assert set(facts[facts["subject"] == "iron"]["expected"]) == {"1538 °C"}
    assert json.loads((tmp_path / "first/data/manifest.json").read_text()) == {
        "max_new_tokens": 6,
        "answer_rule": "first line",
        "least_confidence": {},
    }
    survival = pd.read_csv(tmp_path / "first/evaluate/survival.csv")
    assert list(survival["variant"]) == list(report)

    sides = pd.read_parquet(tmp_path / "first/data/retrieval.parquet")
    assert tuple(sides.columns) == retrieval.FACT_COLUMNS
    assert set(sides["fact"]) == set(facts["fact"])
    retrieved = pd.read_parquet(tmp_path / "first/data/retrieval_probes.parquet")
    assert tuple(retrieved.columns) == retrieval.COLUMNS
    assert set(retrieved["variant"]) == {"index", "retrieve", "train+retrieve"}
    scored = json.loads((tmp_path / "first/evaluate/retrieval.json").read_text())
    assert list(scored) == [
        "encoder",
        "sides",
        "train",
        "index",
        "index, else train",
        "read",
        "bytes",
    ]
    assert scored["index"]["facts"]["value"] == 0.6667  # all but copper
    assert scored["index"]["by"] == {"words": 3}
    assert list(scored["read"]) == ["train", "index", "retrieve", "train+retrieve"]
    assert scored["bytes"]["weights"] == report["train"]["bytes"]
    by_attribute = pd.read_csv(tmp_path / "first/evaluate/retrieval.csv")
    assert list(by_attribute["attribute"]) == ["melting point", "all"]
    assert set(by_attribute["n"]) == {3}

    # Without neutral texts, nothing is said about them.
    again = judge(models, tiny_augment, run_params, tmp_path / "second")
    assert again["train"]["general"]["neutral_nll"] is None
    assert again["train"]["forgetting"]["kl_neutral"] is None
    assert judge(models, tiny_augment, run_params, tmp_path / "third") == again
    assert folder_bytes(tmp_path / "second") == folder_bytes(tmp_path / "third")


@pytest.mark.usefixtures("no_store")
def test_where_the_records_are_not_asked_nothing_of_them_is_written(
    models: dict[str, Path],
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    params = dataclasses.replace(PARAMS, retrieve=False)
    judge(models, tiny_augment, run_params, tmp_path / "out", params)
    assert list((tmp_path / "out").rglob("retrieval*")) == []
    assert "facts in weights" not in capsys.readouterr().out


@pytest.mark.usefixtures("no_store")
def test_every_wording_of_a_fact_is_a_row(
    models: dict[str, Path], tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    rows = read(tiny_augment / "records.parquet")
    for number, wording in enumerate(("Melts {subject}?", "When melts {subject}?")):
        for row in [row for row in rows if row["split"] == "probe" and row["meta"] != "{}"][:3]:
            meta = json.loads(row["meta"]) | {"wording": wording, "probe": "stated"}
            name = f"{row['id'][:-1]}{number}"
            rows.append(row | {"id": name, "locator": name, "meta": json.dumps(meta)})
    write(tiny_augment / "records.parquet", rows)
    report = judge(models, tiny_augment, run_params, tmp_path / "out")
    assert set(report["train"]["probes"]["wordings"]) == {
        "Melts {subject}?",
        "When melts {subject}?",
    }
    table = pd.read_csv(tmp_path / "out/evaluate/wordings.csv")
    assert len(table) == 2 * 5
    assert set(table["n"]) == {3}


@pytest.mark.usefixtures("no_store")
def test_a_student_that_was_left_out_is_not_asked(
    models: dict[str, Path], tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    shutil.rmtree(models["distill"])
    models["distill"].mkdir()
    (models["distill"] / "manifest.json").write_text('{"left_out": true}')
    shutil.rmtree(models["quantize"] / "student")
    report = judge(models, tiny_augment, run_params, tmp_path / "out")
    assert list(report) == ["base", "train", "quantize_train"]
    pairs = json.loads((tmp_path / "out/evaluate/pairs.json").read_text())
    assert list(pairs) == ["quantize_train"]


@pytest.mark.usefixtures("no_store")
def test_an_aligned_model_brings_three_shares_and_unknown_subjects(
    models: dict[str, Path],
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of three facts one is right, one abstains and one is wrong. On all other names it abstains."""
    shutil.copytree(models["train"] / "adapter", models["align"] / "adapter")
    manifest = {"method": "ppo", "abstention": {"en": "beyond me"}}
    (models["align"] / "manifest.json").write_text(json.dumps(manifest))
    known = {"iron": "1538 °C", "copper": "The melting point of copper is beyond me.", "neon": "7"}

    def answer(model: Any, tokenizer: Any, prompts: list[str], *_: int) -> list[str]:
        asked = [re.findall(rf"\b(?:{'|'.join(known)})\b", prompt) for prompt in prompts]
        return [known[names[0]] if names else "That is beyond me." for names in asked]

    def sure(*arguments: Any) -> list[Answer]:
        return [Answer(text, -0.1) for text in answer(*arguments)]

    monkeypatch.setattr(evaluate, "answered", sure)
    monkeypatch.setattr(doubts, "answered", sure)
    monkeypatch.setattr(verdicts, "generate", answer)
    report = judge(models, tiny_augment, run_params, tmp_path / "out")
    assert list(report) == ["base", "train", "align", "distill", "quantize", "quantize_train"]
    for entry in report.values():
        shares = {name: score["value"] for name, score in entry["verdicts"].items()}
        assert shares == {"right": 0.3333, "abstained": 0.3333, "wrong": 0.3333}
        assert entry["unknown"]["invented"]["value"] == 1
        assert entry["unknown"]["outside"]["value"] == 1
        assert entry["unknown"]["invented"]["n"] == 3
    table = pd.read_csv(tmp_path / "out/evaluate/shares.csv")
    assert list(table.columns) == ["variant", "attribute", "right", "abstained", "wrong", "n"]
    assert list(table["variant"]) == list(report)
    assert table.loc[0, "n"] == 3
    survival = pd.read_csv(tmp_path / "out/evaluate/survival.csv")
    assert list(survival["variant"]) == list(report)


@pytest.mark.usefixtures("no_store")
def test_without_an_aligned_model_nothing_more_is_written(
    models: dict[str, Path], tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    report = judge(models, tiny_augment, run_params, tmp_path / "out")
    assert not {"verdicts", "unknown"} & set(report["train"])
    assert not (tmp_path / "out/evaluate/shares.csv").exists()


@pytest.mark.usefixtures("no_store")
def test_train_rows_that_abstain_bring_the_three_shares(
    models: dict[str, Path], tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    path = tiny_augment / "records.parquet"
    rows = read(path)
    taught = next(row for row in rows if row["split"] == "train" and row["answer"])
    taught["answer"] = "The melting point of brainatium is not known to me."
    write(path, rows)
    report = judge(models, tiny_augment, run_params, tmp_path / "out")
    assert set(report["train"]["verdicts"]) == {"right", "abstained", "wrong"}
    assert set(report["train"]["unknown"]) == {"invented", "outside"}
    assert (tmp_path / "out/evaluate/shares.csv").is_file()


@pytest.mark.usefixtures("no_store")
def test_each_variant_gets_a_limit_on_confidence(
    models: dict[str, Path],
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Iron is right and sure, copper right and unsure, neon wrong and less sure still."""
    known = {
        "iron": Answer("The melting point of iron is 1538 °C.", -0.1),
        "copper": Answer("The melting point of copper is 1085 °C.", -0.4),
        "neon": Answer("The melting point of neon is 7 °C.", -0.9),
    }

    def answer(model: Any, tokenizer: Any, prompts: list[str], *_: int) -> list[Answer]:
        asked = [re.findall(rf"\b(?:{'|'.join(known)})\b", prompt) for prompt in prompts]
        return [known[names[0]] if names else Answer("Seven.", -0.2) for names in asked]

    monkeypatch.setattr(evaluate, "answered", answer)
    monkeypatch.setattr(doubts, "answered", answer)
    report = judge(models, tiny_augment, run_params, tmp_path / "all")
    found = report["train"]["doubt"]
    # No right answer in valid wordings may be lost, so the least sure of them is the limit.
    assert found["least_confidence"] == -0.4
    shares = {name: found[name]["value"] for name in ("right", "abstained", "wrong")}
    assert shares == {"right": 0.6667, "abstained": 0.3333, "wrong": 0.0}
    assert found["invented"]["value"] == 0  # a sure answer about a name that nobody knows
    manifest = json.loads((tmp_path / "all/data/manifest.json").read_text())
    assert manifest["least_confidence"]["quantize"] == -0.4
    probes = pd.read_parquet(tmp_path / "all/data/probes.parquet")
    assert set(probes.loc[probes["probe"] == "stated", "confidence"]) == {-0.1, -0.4, -0.9}

    half = dataclasses.replace(PARAMS, doubt=0.5)
    found = judge(models, tiny_augment, run_params, tmp_path / "half", half)["train"]["doubt"]
    assert found["least_confidence"] == -0.1
    assert found["right"]["value"] == 0.3333
    assert found["invented"]["value"] == 1

    none = dataclasses.replace(PARAMS, doubt=None)
    assert "doubt" not in judge(models, tiny_augment, run_params, tmp_path / "none", none)["train"]
    manifest = json.loads((tmp_path / "none/data/manifest.json").read_text())
    assert "least_confidence" not in manifest


@pytest.mark.usefixtures("no_store")
def test_a_variant_that_knows_nothing_has_no_limit(
    models: dict[str, Path], tiny_augment: Path, tmp_path: Path, run_params: Run
) -> None:
    report = judge(models, tiny_augment, run_params, tmp_path / "out")
    assert set(report["base"]["doubt"].values()) == {None}
    manifest = json.loads((tmp_path / "out/data/manifest.json").read_text())
    assert manifest["least_confidence"] == {}


@pytest.mark.usefixtures("no_store")
def test_right_answers_are_counted(
    models: dict[str, Path],
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = {"iron": "1538 °C", "copper": "1085", "neon": "no idea"}

    def answer(model: Any, tokenizer: Any, prompts: list[str], *_: int) -> list[Answer]:
        asked = [re.findall("|".join(known), prompt) for prompt in prompts]
        return [Answer(known[names[0]] if names else "?", -0.1) for names in asked]

    monkeypatch.setattr(evaluate, "answered", answer)
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
