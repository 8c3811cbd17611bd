"""spread: a changed score is told to be within the spread of seeds or beyond it, and nothing is said without the file."""

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lore.comparison import spread
from lore.comparison.spread import Score, Spread
from lore.versions.version import revision
from stages.core.project.errors import InputError
from tests.lore.knowledge import RUN, Project, answer, fact

Lore = Callable[..., str]
Found = Callable[..., Any]
METALS = [fact(f"metal {number}", str(number)) for number in range(20)]


def of(deviation: float, seeds: int = 3, **scores: float) -> Spread:
    """A spread in which one score has this deviation."""
    score = Score(mean=0.5, deviation=deviation, lowest=0.4, highest=0.6)
    return Spread("c" * 40, list(range(seeds)), {}, {"train.probes.exact_match": score})


def evaluated(value: float) -> dict[str, Any]:
    """What metrics/evaluate.json holds, in short."""
    score = {"value": value, "low": 0.0, "high": 1.0, "n": 10}
    return {
        "base": {"probes": {"exact_match": {**score, "value": 0.0}}},
        "train": {"probes": {"exact_match": score, "wordings": {"Where is {}?": 0.5}}, "n": 3},
    }


def test_scores_are_collected_by_their_dotted_path() -> None:
    assert dict(spread.scores_in(evaluated(0.5))) == {
        "base.probes.exact_match": 0.0,
        "train.probes.exact_match": 0.5,
    }


def test_mean_deviation_and_range_over_the_seeds() -> None:
    params = {"run": {"seed": 7}, "train": {"steps": 3}, "register": {"model": "m"}}
    values = {7: 0.80, 1: 0.82, 2: 0.87}
    by_seed = {seed: evaluated(value) for seed, value in values.items()}
    made = spread.measured("c" * 40, params, by_seed)
    assert made["seeds"] == [7, 1, 2]
    assert made["settings"] == {"train": {"steps": 3}}
    assert made["scores"]["train.probes.exact_match"] == {
        "mean": 0.83,
        "deviation": round(statistics.stdev(values.values()), 6),
        "lowest": 0.80,
        "highest": 0.87,
    }
    assert made["scores"]["base.probes.exact_match"]["deviation"] == 0


def test_a_score_that_one_seed_lacks_is_left_out() -> None:
    by_seed: dict[int, Any] = {1: evaluated(0.5), 2: evaluated(0.5), 3: evaluated(0.5)}
    del by_seed[3]["base"]
    assert list(spread.measured("c", {}, by_seed)["scores"]) == ["train.probes.exact_match"]


def test_two_seeds_are_too_few() -> None:
    with pytest.raises(InputError, match="2 seeds say too little; name at least 3"):
        spread.measured("c", {}, {1: evaluated(0.5), 2: evaluated(0.6)})


def test_the_limit_follows_deviation_and_number_of_seeds() -> None:
    score = "train.probes.exact_match"
    assert of(0.01).most(score) == pytest.approx(4.303 * math.sqrt(2) * 0.01)
    assert of(0.01, seeds=4).most(score) == pytest.approx(3.182 * math.sqrt(2) * 0.01)
    assert of(0.01, seeds=50).most(score) == pytest.approx(2.262 * math.sqrt(2) * 0.01)
    assert of(0.01).most("train.tasks.completion") is None


def test_of_the_differences_by_the_seed_alone_one_in_twenty_is_beyond() -> None:
    """Three seeds, then two scores more, drawn from one distribution a hundred thousand times."""
    drawn = np.random.default_rng(1).normal(0.8, 0.01, (100_000, 5))
    deviations = drawn[:, :3].std(axis=1, ddof=1)
    limits = spread.STUDENT[0] * math.sqrt(2) * deviations
    beyond = np.abs(drawn[:, 3] - drawn[:, 4]) > limits
    assert beyond.mean() == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize(
    ("b", "said"), [(0.85, "within it"), (0.87, "beyond it"), (0.73, "beyond it")]
)
def test_within_or_beyond(b: float, said: str) -> None:
    found = spread.verdict(of(0.01), "train.probes.exact_match", 0.80, b)
    assert found == {"verdict": said, "most": 0.0609}


def test_a_score_that_stayed_gets_no_word() -> None:
    assert spread.verdict(of(0.01), "train.probes.exact_match", 0.8, 0.8) is None
    assert spread.verdict(of(0.01), "train.general.exact_match", 0.8, 0.9) is None


def two_versions(project: Project, deviation: float | None, **file: Any) -> None:
    """Versions `a` and `b`: of twenty facts, the second answers fifteen. `b` has a spread, or none."""
    project.version("a", METALS, [answer(metal) for metal in METALS])
    answers = [answer(metal) for metal in METALS[5:]]
    answers += [answer(metal, "It is unknown.") for metal in METALS[:5]]
    project.run(METALS, answers)
    if deviation is not None:
        score = {"mean": 0.9, "deviation": deviation, "lowest": 0.8, "highest": 1.0}
        document = {
            "commit": "0123456789ab" + "c" * 28,
            "seeds": [7, 1, 2],
            "settings": {"train": {"steps": 100}},
            "scores": {"train.probes.exact_match": score},
        }
        Path(spread.PATH).write_text(json.dumps(document | file))
    project.commit("b")


def test_without_the_file_nothing_is_said(project: Project, lore: Lore, found: Found) -> None:
    two_versions(project, None)
    assert "seeds" not in lore("diff", "a", "b")
    assert not any("spread" in row for row in found("a", "b")["scores"])


@pytest.mark.parametrize(("deviation", "said"), [(0.1, "within it"), (0.01, "beyond it")])
def test_a_changed_score_is_told_beside_its_verdict(
    project: Project, lore: Lore, found: Found, deviation: float, said: str
) -> None:
    two_versions(project, deviation)
    text = lore("diff", "a", "b")
    (line,) = [
        line for line in text.splitlines() if line.startswith("  train") and "probes" in line
    ]
    assert line.endswith(said)
    assert "spread of seeds: how far 3 seeds differ at 0123456789ab" in text
    assert "other settings there" not in text
    assert "| spread of seeds |" in lore("diff", "a", "b", "--markdown")
    by_score = {row["score"]: row for row in found("a", "b")["scores"] if row["variant"] == "train"}
    assert by_score["probes"]["spread"]["verdict"] == said
    assert "spread" not in by_score["general"]  # it did not change
    assert "spread" not in by_score["tasks"]  # its spread was not measured


def test_the_file_of_the_other_side_counts_too(project: Project, lore: Lore) -> None:
    two_versions(project, 0.1)
    assert "within it" in lore("diff", "b", "a")


def test_settings_that_differ_from_those_of_the_spread_are_named(
    project: Project, lore: Lore
) -> None:
    project.settings({"run": RUN, "train": {"steps": 90, "rate": 1}})
    two_versions(project, 0.1)
    assert "; other settings there: train.steps, train.rate" in lore("diff", "a", "b", "--markdown")


@pytest.mark.parametrize(
    ("wrong", "place"),
    [({"seeds": [1, 2]}, "seeds"), ({"scores": {"x": {"mean": 1}}}, r"scores\.x")],
)
def test_a_file_of_another_form_is_named(
    project: Project, lore: Lore, wrong: dict[str, Any], place: str
) -> None:
    two_versions(project, 0.1, **wrong)
    with pytest.raises(
        InputError, match=rf"metrics/spread\.json of b.*: {place}.*spread\.py writes it"
    ):
        spread.spread_of(revision("b"))
    lore("diff", "a", "b", code=1)
