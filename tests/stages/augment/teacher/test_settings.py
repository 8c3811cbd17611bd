"""Settings of the teacher: mistakes are named all at once, and no secret is shown."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.augment import Params
from stages.core.project.params import parse

ROOT = Path(__file__).parents[4]
GOOD: dict[str, Any] = {"ask": {"en": {"questions": 3, "valid": 1, "probe": 2}}}


def problems_of(**teacher: Any) -> list[str]:
    problems: list[str] = []
    parse({"teacher": GOOD | teacher}, Params, "augment", problems)
    return problems


def test_the_section_of_the_documentation_can_be_used() -> None:
    page = (ROOT / "docs" / "teacher.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    section = YAML(typ="safe").load(block)["augment"]
    problems: list[str] = []
    assert parse(section, Params, "augment", problems) is not None
    assert problems == []


def test_off_by_default() -> None:
    assert Params().teacher is None
    assert problems_of() == []


def test_the_model_is_that_of_the_card() -> None:
    teacher = parse({"teacher": GOOD}, Params, "augment", [])
    assert teacher is not None
    assert teacher.teacher is not None
    assert teacher.teacher.model == "gpt-3.5-turbo"
    assert teacher.teacher.api_key_env == "OPENAI_API_KEY"


def test_all_mistakes_at_once() -> None:
    problems = problems_of(
        base_url="localhost:8000",
        temperature=3.0,
        max_tokens=1,
        concurency=2,
        structured="xml",
        budget={"tokens": 0},
    )
    text = "\n".join(problems)
    assert len(problems) == 6
    assert "augment.teacher.base_url: value error, write an address with its scheme" in text
    assert "augment.teacher.temperature: input should be less than or equal to 2" in text
    assert "augment.teacher.max_tokens" in text
    assert "augment.teacher.concurency: unknown; did you mean concurrency?" in text
    assert "augment.teacher.structured" in text
    assert "augment.teacher.budget.tokens" in text


@pytest.mark.parametrize(
    "written", ["sk-proj-1234567890", "my key", "OPENAI-KEY", "$OPENAI_API_KEY"]
)
def test_a_key_in_place_of_a_name_is_not_shown(written: str) -> None:
    (problem,) = problems_of(api_key_env=written)
    assert written not in problem
    assert "write the name of an environment variable" in problem


def test_a_password_in_the_address_is_not_shown() -> None:
    (problem,) = problems_of(base_url="https://me:secret@example.org/v1")
    assert "secret" not in problem
    assert "holds a user or a password" in problem


@pytest.mark.parametrize("asked", [{"questions": 3}, {"probe": 1}, {"questions": 3, "valid": 1}])
def test_sets_of_questions_go_together(asked: dict[str, int]) -> None:
    (problem,) = problems_of(ask={"en": asked})
    assert "questions, valid and probe go together" in problem


def test_statements_need_questions() -> None:
    (problem,) = problems_of(ask={"zh": {"statements": 3}})
    assert "statements needs questions, valid and probe" in problem


def test_money_needs_prices() -> None:
    (problem,) = problems_of(budget={"money": 1.0})
    assert "budget.money needs prices.input and prices.output" in problem
    assert problems_of(budget={"money": 1.0}, prices={"output": 1.5}) == []


def test_a_language_without_prompts() -> None:
    assert "augment.teacher.ask.fr" in problems_of(ask={"fr": {"paraphrases": 1}})[0]
    assert "augment.teacher.ask" in problems_of(ask={})[0]
