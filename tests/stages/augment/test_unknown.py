"""unknown: questions about subjects that no record knows, and answers that say so."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.augment.fact import fact_of
from stages.augment.readings import Vocabulary
from stages.augment.unknown import Unknown
from stages.augment.wordings import read_wordings
from stages.core.records.abstention import PHRASES, Phrases
from stages.core.records.record import fact_id, record_id
from stages.core.records.unknown import OUTSIDE

ROOT = Path(__file__).parents[3]
NAMES = {"iron", "copper", "neon", "iron ore"}


class Nouns(Vocabulary):
    """Knows few nouns."""

    def __init__(self, *nouns: str) -> None:
        self.nouns = nouns

    def draw(self, part: str, rng: random.Random) -> str:
        assert part == "noun"
        return rng.choice(self.nouns)


def row(subject: str, lang: str = "en") -> dict[str, Any]:
    """A record as clean writes it."""
    return {
        "id": record_id("elements", subject),
        "fact": fact_id(subject, "melting point"),
        "subject": subject,
        "attribute": "melting point",
        "value": "1538",
        "unit": "°C",
        "lang": lang,
        "text": "…",
    }


def rows_of(unknown: Unknown, subject: str, wanted: int) -> list[dict[str, Any]]:
    wording = read_wordings(ROOT / "data/raw/wordings.yaml", [], 0, 0)["melting point"]
    return list(unknown.rows(fact_of([row(subject)], wording), wording, wanted))


def test_the_question_is_a_train_wording_and_the_answer_abstains() -> None:
    unknown = Unknown(NAMES, Nouns("teacup", "garden"), 7)
    made = rows_of(unknown, "copper", 12)
    assert len(made) == unknown.made == 12
    assert len({one["id"] for one in made}) == 12
    for one in made:
        name = one["subject"]
        assert name.lower() not in NAMES
        assert name.lower() in one["question"].lower()
        assert "copper" not in one["text"]
        assert one["answer"] == f"The melting point of {name} is not known to me."
        assert Phrases(PHRASES).is_abstention(one["answer"])
        assert (one["fact"], one["value"], one["unit"], one["split"]) == (None, None, None, "train")
        assert one["parents"] == [record_id("elements", "copper")]
    assert {one["subject"] for one in made} & {"teacup", "garden"}
    assert made == rows_of(Unknown(NAMES, Nouns("teacup", "garden"), 7), "copper", 12)


def test_more_rows_keep_the_ones_there() -> None:
    few = rows_of(Unknown(NAMES, Nouns("teacup"), 7), "copper", 3)
    many = rows_of(Unknown(NAMES, Nouns("teacup"), 7), "copper", 6)
    assert many[:3] == few


def test_none_are_made_where_none_are_wanted() -> None:
    assert rows_of(Unknown(NAMES, Nouns("teacup"), 7), "copper", 0) == []


@pytest.mark.parametrize("name", ["copper", "Neon", OUTSIDE[0], OUTSIDE[-1].upper()])
def test_a_name_of_the_records_or_of_evaluate_is_never_taken(name: str) -> None:
    unknown = Unknown(NAMES, Nouns(name), 7)
    found = {unknown.name("iron", random.Random(seed)) for seed in range(50)}
    assert name not in found


@given(st.integers(0, 10_000), st.sampled_from(["iron", "copper", "Fe₂O₃", "Neon gas"]))
def test_a_name_is_new_and_no_sentence(seed: int, subject: str) -> None:
    unknown = Unknown(NAMES | {subject}, Nouns("teacup"), 7)
    name = unknown.name(subject, random.Random(seed))
    assert name.lower() not in {one.lower() for one in NAMES | {subject}}
    assert 1 <= len(name.split()) <= 2
    assert name == unknown.name(subject, random.Random(seed))
