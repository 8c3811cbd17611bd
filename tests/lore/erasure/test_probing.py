"""probing: the control is as large as the question, in the same words, about names that nobody knows."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.erasure import probing
from lore.erasure.probing import Case
from stages.core.records.record import fact_id, fold

Row = dict[str, Any]


def probe(subject: str, value: str, attribute: str = "melting point") -> Row:
    return {
        "fact": fact_id(subject, attribute),
        "subject": subject,
        "attribute": attribute,
        "value": value,
        "question": f"When does {subject} melt?",
    }


@given(
    st.lists(st.text("abcdefgh 铁铜金", min_size=1, max_size=8), min_size=1, max_size=8),
    st.integers(0, 9),
)
def test_invented_names_are_new_and_the_same_each_time(known: list[str], seed: int) -> None:
    names = list(probing.new_names(known, 5, seed, "f"))
    assert names == list(probing.new_names(known, 5, seed, "f"))
    assert not {fold(name) for name in names} & {fold(name) for name in known}
    assert len(set(map(fold, names))) == len(names)


def test_invented_names_are_halves_of_known_ones() -> None:
    names = set(probing.new_names(["copper", "nickels"], 2, 7, "f"))
    assert names == {"copkels", "nickper"}


def test_controls_are_as_many_in_the_same_words_and_chance_is_the_most_common_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []

    def answers(questions: list[str], variant: str) -> list[str]:
        asked.extend(questions)
        return ["7 °C"] * len(questions)

    monkeypatch.setattr("stages.core.models.variants.answers", answers)
    probes = {row["fact"]: row for row in (probe(f"metal{number}", "100") for number in range(30))}
    kept = [probe("copper", "100"), probe("silver", "100"), probe("bronze", "50")]
    found = probing.ask(probes, [*probes, "0" * 16], kept, "train", 7)
    assert found.scores["forgotten"]["n"] == found.scores["control"]["n"] == 30
    assert found.unasked == 1
    assert found.scores["chance"]["value"] == 1.0
    names = {question.split()[2] for question in asked}
    known = {row["subject"] for row in [*probes.values(), *kept]}
    assert len(names - known) > 15  # two facts may be asked beside the same name
    fact = next(iter(probes))
    few = probing.ask({fact: probes[fact]}, [fact], kept, "train", 7)
    assert few.scores["control"]["n"] == probing.CONTROLS


def test_the_telling_answer_is_shown() -> None:
    case = Case("f", "iron", "1538", ("a?", "b?", "c?"))
    silent = probing.answer_to(case, {"a?": "15380", "b?": "hot", "c?": "-1538"})
    assert (silent.text, silent.states_value) == ("15380", False)
    telling = probing.answer_to(case, {"a?": "hot", "b?": "at 1538 °C", "c?": "1538"})
    assert (telling.text, telling.states_value) == ("at 1538 °C", True)


def test_of_equally_common_values_the_first_counts() -> None:
    assert probing.most_common(Counter({"b": 2, "a": 2, "0": 1})) == "a"
    assert probing.chance([], {}, []) == 0.0
    row = probe("iron", "1538")
    case = Case(row["fact"], "iron", "1538", ())
    kept = [row | {"value": "1538"}, row | {"value": "7"}, row | {"attribute": "state"}]
    assert probing.chance([case], {row["fact"]: row}, kept) == 1.0
    assert probing.chance([case], {row["fact"]: row}, []) == 0.0
