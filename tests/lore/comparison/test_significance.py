"""verdict: the numbers of the literature and of scipy, and the verdicts that follow from them."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lore.comparison.significance import judge, mcnemar, paired, unpaired, wilson
from stages.evaluate.scores import share
from tests.lore.knowledge import answer, fact, scores

FACTS = [fact(f"s{number // 2}", str(number), attribute=f"p{number % 2}") for number in range(40)]


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_two_sided_binomial_test(lost: int, gained: int) -> None:
    expected = binomtest(lost, lost + gained, 0.5).pvalue if lost + gained else 1.0
    assert mcnemar(lost, gained) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_many_pairs_is_exact_and_quick() -> None:
    assert mcnemar(49_000, 51_000) == pytest.approx(
        binomtest(49_000, 100_000, 0.5).pvalue, rel=1e-6
    )


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    # An example of Newcombe's paper; Bentur et al. (2009) as Fagerland, Lydersen and Laake compute it.
    [((36, 2, 12, 0), 0.0569, 0.3404), ((1, 1, 7, 12), 0.0256, 0.5069)],
)
def test_the_paired_interval_is_newcombes(
    cells: tuple[int, int, int, int], low: float, high: float
) -> None:
    found = paired(*cells)
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=2e-4)


def test_the_interval_of_two_proportions_is_newcombes() -> None:
    found = unpaired(
        share([True] * 48 + [False] * 32), share([True] * 56 + [False] * 14)
    )  # 56/70 against 48/80
    assert (found["difference"], found["low"], found["high"]) == pytest.approx(
        (0.2, 0.0524, 0.3339), abs=2e-4
    )
    assert found["verdict"] == "better"


@given(st.tuples(*[st.integers(0, 50)] * 4).filter(any))
def test_the_paired_interval_holds_the_difference_and_turns_with_the_sides(
    cells: tuple[int, int, int, int],
) -> None:
    both, lost, gained, neither = cells
    found, other = paired(*cells), paired(both, gained, lost, neither)
    assert -1 <= found["low"] <= found["difference"] <= found["high"] <= 1
    assert (found["low"], found["high"]) == pytest.approx((-other["high"], -other["low"]), abs=1e-4)
    assert found["n"] == sum(cells)


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_wilsons_interval_is_that_of_evaluate(hits: list[bool]) -> None:
    expected = share(hits)
    assert wilson(sum(hits), len(hits)) == pytest.approx(
        (expected["low"], expected["high"]), abs=1e-4
    )


@pytest.mark.parametrize(
    ("lost", "gained", "verdict"),
    [(0, 6, "better"), (6, 0, "worse"), (0, 5, "inside the noise"), (9, 9, "inside the noise")],
)
def test_the_verdict_is_the_tests(lost: int, gained: int, verdict: str) -> None:
    assert paired(100, lost, gained, 20)["verdict"] == verdict


def judged(
    wrong_a: set[int], wrong_b: set[int], facts_b: int = 40, general: tuple[int, int] = (90, 60)
) -> list[dict[str, Any]]:
    """The verdicts on two versions in which these facts are answered wrong."""
    sides = [
        [answer(row, "x" if number in wrong else None) for number, row in enumerate(FACTS[:most])]
        for wrong, most in ((wrong_a, 40), (wrong_b, facts_b))
    ]
    metrics = [scores(side, (hits, 100)) for side, hits in zip(sides, general, strict=True)]
    return judge(metrics[0], metrics[1], *map(pa.Table.from_pylist, sides))


def test_facts_are_paired_by_id_and_tasks_by_subject() -> None:
    probes, tasks, general = judged({0, 1, 2}, {3, 5, 7, 8, 9}, facts_b=30)
    assert (probes["score"], probes["method"], probes["n"], probes["lost"], probes["gained"]) == (
        "probes",
        "mcnemar",
        30,
        5,
        3,
    )
    assert (tasks["score"], tasks["method"], tasks["n"]) == ("tasks", "mcnemar", 15)
    assert (tasks["lost"], tasks["gained"]) == (3, 1)
    assert (general["score"], general["method"], general["verdict"]) == (
        "general",
        "newcombe",
        "worse",
    )
    assert (probes["a"]["n"], probes["b"]["n"]) == (40, 30)


def test_a_variant_or_a_score_of_one_side_only_has_no_verdict() -> None:
    sides = [
        pa.Table.from_pylist([answer(FACTS[0], variant=variant)]) for variant in ("base", "train")
    ]
    metrics = [scores(side.to_pylist(), (1, 2)) for side in sides]
    found = {
        (row["variant"], row["score"]): row["verdict"]
        for row in judge(metrics[0], metrics[1], *sides)
    }
    assert set(found.values()) == {"only in a", "only in b"}
    assert found["base", "probes"] == "only in a"


def test_facts_that_only_one_version_asked_leave_two_proportions() -> None:
    sides = [pa.Table.from_pylist([answer(row)]) for row in FACTS[:3:2]]
    metrics = [scores(side.to_pylist(), (1, 2)) for side in sides]
    assert judge(metrics[0], metrics[1], *sides)[0]["method"] == "newcombe"
