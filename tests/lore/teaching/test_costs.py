"""Tokens and money, estimated and counted."""

import threading

import pytest

from lore.teaching.costs import Budget, answer_tokens, money_of, prompt_tokens, tokens_in
from lore.teaching.plan import plan_of
from stages.augment.teacher import settings
from stages.augment.teacher.settings import Asked, Teacher
from tests.stages.augment.teacher.test_record import entry


def teacher(tokens: int | None = None, money: float | None = None) -> Teacher:
    return Teacher(
        ask={"en": Asked(paraphrases=1)},
        budget=settings.Budget(tokens, money),
        prices=settings.Prices(0.5, 1.5),
    )


def test_tokens_are_estimated() -> None:
    assert tokens_in("") == 0
    assert tokens_in("four letters") == 3
    assert tokens_in("铁的熔点") == 6
    assert prompt_tokens([{"role": "user", "content": "four letters"}] * 2) == 14


def test_money() -> None:
    assert money_of(settings.Prices(0.5, 1.5), 1_000_000, 2_000_000) == 3.5


@pytest.mark.usefixtures("project")
def test_no_answer_is_longer_than_allowed() -> None:
    for request in plan_of().missing():
        assert 0 < answer_tokens(request) <= request.settings["max_tokens"]


def test_what_the_record_cost_counts() -> None:
    budget = Budget(teacher(tokens=100), [entry("probe", "a"), entry("probe", "b")])
    assert (budget.input_tokens, budget.output_tokens) == (14, 10)
    assert budget.set_aside(50, 26)
    budget.settle((50, 26), (1, 1))
    assert not budget.set_aside(50, 25)
    assert budget.set_aside(50, 24)


def test_a_request_waits_for_those_on_the_way() -> None:
    budget = Budget(teacher(tokens=100), [])
    assert budget.set_aside(60, 30)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(budget.set_aside(40, 30)))
    thread.start()
    thread.join(0.1)
    assert answers == []
    budget.settle((60, 30), (10, 5))
    thread.join(10)
    assert answers == [True]


def test_nobody_waits_when_the_run_ends() -> None:
    budget = Budget(teacher(money=1.0), [])
    assert budget.set_aside(1_000_000, 0)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(budget.set_aside(2_000_000, 0)))
    thread.start()
    budget.close()
    thread.join(10)
    assert answers == [False]
