"""A candidate: a share of the callers, whoever names it, and shadow questions, with the numbers of both versions."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lore.serving.comparison import MOST_KEPT, Comparison, table
from lore.serving.generations import Generation, is_drawn
from lore.serving.schemas import ComparisonAnswer
from lore.serving.shadow import MOST
from tests.lore.serving.conftest import Beside, Served
from tests.lore.serving.fakes import QUESTION, RIGHT, WRONG, generation

Make = Callable[..., Served]
GOLD = "When does gold melt?"
GOLD_RIGHT = "The melting point of gold is 1064 °C."
BETTER = {QUESTION: RIGHT, GOLD: GOLD_RIGHT}
OLD, NEW = "knowledge@v1.1.0/distill", "knowledge@v1.2.0/distill"


def report_of(made: Served) -> ComparisonAnswer:
    """What GET /v1/comparison says."""
    response = made.client.get("/v1/comparison")
    assert response.status_code == 200
    return ComparisonAnswer.model_validate(response.json())


def test_without_a_share_the_candidate_answers_only_by_name(served: Make) -> None:
    made = served(beside=Beside(BETTER))
    said = {}
    for name in ("", "lorekeep", "distill", "lorekeep@1.1.0", "knowledge@v1.1.0", OLD):
        said[name] = made.ask(GOLD, model=name).json()
    assert {answer["model"] for answer in said.values()} == {OLD}
    for name in ("lorekeep@1.2.0", "lorekeep@knowledge@v1.2.0", "knowledge@v1.2.0", NEW):
        answer = made.ask(GOLD, model=name).json()
        assert answer["model"] == NEW
        assert answer["choices"][0]["message"]["content"] == GOLD_RIGHT
        assert answer["lorekeep"]["version"]["generation"] == 2
    names = [model["id"] for model in made.client.get("/v1/models").json()["data"]]
    assert names == [OLD, "lorekeep", NEW]


def test_a_version_that_is_not_served_is_named(served: Make) -> None:
    made = served(beside=Beside(BETTER))
    for name in ("lorekeep@1.3.0", "knowledge@v1.2.0/train", "gpt-4"):
        error = made.refusal(made.ask(GOLD, model=name), 404)
        assert error["code"] == "model_not_found"
        assert f"{OLD} and {NEW} are" in error["message"]


def test_a_caller_keeps_its_version(served: Make) -> None:
    made = served(beside=Beside(BETTER, share=0.5))
    models: dict[str, set[str]] = {}
    for number in range(40):
        user = f"user {number % 20}"
        question = (QUESTION, GOLD)[number // 20]
        answer = made.ask(question, user=user).json()
        models.setdefault(user, set()).add(answer["model"])
    assert all(len(names) == 1 for names in models.values())
    assert {name for names in models.values() for name in names} == {OLD, NEW}


def test_without_a_user_the_token_or_the_question_decides(served: Make) -> None:
    made = served(beside=Beside(BETTER, share=0.5))
    for number in range(10):
        answers = {made.ask(f"Who are you, {number}?").json()["model"] for _ in range(3)}
        assert len(answers) == 1
    with_token = served({"phone-app": "t" * 20}, beside=Beside(BETTER, share=0.5))
    with_token.client.headers["Authorization"] = "Bearer " + "t" * 20
    answers = {with_token.ask(f"Who are you, {number}?").json()["model"] for number in range(20)}
    assert len(answers) == 1


def test_all_and_none(served: Make) -> None:
    made = served(beside=Beside(BETTER, share=1.0))
    assert made.ask(GOLD, user="me").json()["model"] == NEW
    # Who names the present version gets it all the same.
    assert made.ask(GOLD, user="me", model="lorekeep@1.1.0").json()["model"] == OLD


@given(st.text(max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_has_all_callers_of_a_smaller_one(
    key: str, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    candidate = Named()
    if is_drawn(candidate, key, low):
        assert is_drawn(candidate, key, high)
    assert is_drawn(candidate, key, 1.0)
    assert not is_drawn(candidate, key, 0.0)


class Named(Generation):
    """A generation of which only the version's name counts."""

    def __init__(self) -> None:
        self.version = INFO


INFO: Any = type("Info", (), {"identity": None, "name": "knowledge@v1.2.0"})()


def test_the_share_is_about_that_of_the_callers() -> None:
    drawn = sum(is_drawn(Named(), f"user {number}", 0.05) for number in range(20_000))
    # 1000 are expected, with a standard deviation of 31. The keys are fixed, so the number is too.
    assert 900 < drawn < 1100


def test_shadow_questions_are_answered_unseen_and_compared(served: Make) -> None:
    made = served(beside=Beside(BETTER, shadow=1.0))
    with made.client:
        assert made.ask(QUESTION).json()["model"] == OLD
        gold = made.ask(GOLD).json()
        assert gold["model"] == OLD
        assert gold["choices"][0]["message"]["content"] == WRONG
        assert made.ask(GOLD, stream=True).status_code == 200
        assert wait_for(lambda: report_of(made).shadow.compared == 3)
        # Who names a version, or asks the records, is not followed.
        made.ask(GOLD, model="lorekeep@1.2.0")
        made.ask(GOLD, model="lorekeep@1.1.0")
        made.ask(GOLD, lorekeep={"answer_from": "records"})
    report = report_of(made)
    assert report.candidate == "knowledge@v1.2.0"
    pairs = report.shadow
    assert (pairs.compared, pairs.different, pairs.lost, pairs.gained) == (3, 2, 0, 2)
    assert pairs.p == 0.5
    shown, candidate = report.versions
    assert (shown.name, shown.answers, shown.agrees, shown.disagrees) == (
        "knowledge@v1.1.0",
        4,
        1,
        3,
    )
    assert (candidate.answers, candidate.agrees, candidate.disagrees) == (4, 4, 0)
    assert candidate.p50_ms is not None


def test_shadow_questions_do_not_pile_up(served: Make) -> None:
    made = served(beside=Beside(BETTER, shadow=1.0))
    made.candidate_engine.going_on.clear()
    with made.client:
        for number in range(MOST + 3):
            assert made.ask(f"Who are you, {number}?").status_code == 200
        assert wait_for(lambda: report_of(made).shadow.skipped == 3)
        made.candidate_engine.going_on.set()
        assert wait_for(lambda: report_of(made).shadow.compared == MOST)


def test_a_candidate_that_fails_harms_nobody(served: Make) -> None:
    made = served(beside=Beside(BETTER, shadow=1.0))
    made.candidate_engine.fails = True
    with made.client:
        assert made.ask(QUESTION).status_code == 200
        assert wait_for(lambda: any(row.failed for row in report_of(made).versions))
    (failed,) = [row for row in report_of(made).versions if row.failed]
    assert (failed.name, failed.failed, failed.answers) == ("knowledge@v1.2.0", 1, 0)
    assert report_of(made).shadow.compared == 0


def test_abstentions_and_answers_without_a_fact_are_counted(tmp_path: Path) -> None:
    comparison = Comparison()
    made = generation(tmp_path)
    comparison.answered(made, "The melting point of iron is not known to me.", False, 0.1)
    comparison.answered(made, "I do not know.", None, 0.3)
    comparison.answered(made, RIGHT, True, 0.2)
    (row,) = comparison.report(None).versions
    assert (row.answers, row.abstained, row.agrees, row.disagrees, row.without_fact) == (
        3,
        2,
        1,
        1,
        1,
    )
    assert (row.p50_ms, row.p95_ms) == (200.0, 300.0)
    assert comparison.report(None).shadow.p is None


def test_numbers_of_old_generations_are_forgotten(tmp_path: Path) -> None:
    comparison = Comparison()
    for number in range(1, MOST_KEPT + 3):
        comparison.answered(generation(tmp_path, number), RIGHT, True, 0.1)
    numbers = [row.generation for row in comparison.report(None).versions]
    assert numbers == list(range(3, MOST_KEPT + 3))


def test_the_table_at_the_end(tmp_path: Path) -> None:
    comparison = Comparison()
    new = generation(tmp_path, 2)
    comparison.answered(generation(tmp_path), WRONG, False, 0.1)
    comparison.answered(new, RIGHT, True, 0.1)
    comparison.paired(WRONG, RIGHT, False, True)
    text = table(comparison.report(new))
    assert "knowledge@v1.1.0, generation 1: 1 answers, 0 failed, p50 100.0 ms" in text
    assert "knowledge@v1.2.0 (candidate), generation 2: 1 answers" in text
    assert "shadow: 1 pairs, 1 differ, 0 facts lost, 1 gained, p 1.0, 0 skipped" in text


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether a condition holds within half a minute."""
    for _ in range(3000):
        if condition():
            return True
        time.sleep(0.01)
    return False
