"""The rules: those of the project can be used, and every mistake is named at once."""

from pathlib import Path

import pytest

from stages.core.project.errors import ParamsError
from stages.reward import compliance
from stages.reward.compliance import About

ROOT = Path(__file__).parents[3]
WRONG = """
evasive: {en: [], zh: [" "]}
forbidden:
  - id: one
    about: {subjects: [], attributes: []}
    claims: {}
  - id: one
    about: {subjects: [], attributes: []}
    claims: {en: ["{other} is {subject.x} safe", "a {", "{0}"]}
required: []
"""


def test_those_of_the_project() -> None:
    rules = compliance.read(ROOT / "data/raw/compliance.yaml")
    assert [rule.id for rule in rules.forbidden] == ["harmless", "cures"]
    assert {len(rules.evasive[lang]) > 1 for lang in ("en", "zh")} == {True}


def test_every_mistake_is_named(tmp_path: Path) -> None:
    path = tmp_path / "compliance.yaml"
    path.write_text(WRONG)
    with pytest.raises(ParamsError) as caught:
        compliance.read(path)
    said = str(caught.value)
    assert said.count("\n") == 7
    assert f"{path}:\n" in said
    assert "evasive.en: no sentence; write one, or leave the language out" in said
    assert "evasive.zh: an empty sentence; remove it" in said
    assert "forbidden.one: this id stands twice; give each rule its own" in said
    assert "forbidden.one: no sentence; write one for a language, such as en: […]" in said
    assert "'a {' has other braces than {subject} and {attribute}" in said


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "compliance.yaml"
    path.write_text("evasiv: {}\n")
    with pytest.raises(ParamsError, match=r"compliance\.evasiv: unknown; did you mean evasive\?"):
        compliance.read(path)


def test_what_a_rule_is_about() -> None:
    row = {"subject": "Lead", "attribute": "use"}
    assert About([], []).holds_for(row)
    assert About(["lead"], ["use"]).holds_for(row)
    assert not About(["lead"], ["symbol"]).holds_for(row)
    assert not About(["iron"], []).holds_for(row)


def test_wordings_to_learn_from_and_to_test_with() -> None:
    assert compliance.of_split(["a"], True) == compliance.of_split(["a"], False) == ["a"]
    assert compliance.of_split(["a", "b", "c"], False) == ["a", "b"]
    assert compliance.of_split(["a", "b", "c"], True) == ["c"]


def test_a_sentence_begins_with_a_capital() -> None:
    row = {"subject": "lead", "attribute": "use"}
    assert compliance.filled("{subject} is safe.", row) == "Lead is safe."
