"""inflection: forms go to their base and back, irregular ones by the lists, and no form is guessed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.augment.inflection import (
    ADJECTIVE,
    NOUN,
    VERB,
    Inflections,
    Reading,
    with_ending,
    with_s,
    without_ending,
    without_s,
)
from stages.core.project.errors import InputError

WORDNET = Path(__file__).parents[3] / "data" / "wordnet"
INFLECTIONS = Inflections(WORDNET)


@pytest.mark.parametrize(
    ("lemma", "part", "form", "expected"),
    [
        ("metal", NOUN, "s", "metals"),
        ("city", NOUN, "s", "cities"),
        ("box", NOUN, "s", "boxes"),
        ("child", NOUN, "s", "children"),
        ("begin", VERB, "ing", "beginning"),
        ("find", VERB, "past", "found"),
        ("occur", VERB, "past", "occurred"),
        ("assess", VERB, "past", "assessed"),
        ("assess", VERB, "s", "assesses"),
        ("try", VERB, "past", "tried"),
        ("try", VERB, "ing", "trying"),
        ("stop", VERB, "past", "stopped"),
        ("agree", VERB, "past", "agreed"),
        ("lie", VERB, "ing", "lying"),
        ("build", VERB, "past", "built"),
        ("moist", ADJECTIVE, "base", "moist"),
    ],
)
def test_forms(lemma: str, part: str, form: str, expected: str) -> None:
    assert INFLECTIONS.form_of(lemma, part, form) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lemma", "part", "form"),
    [
        ("begin", VERB, "past"),  # began or begun
        ("show", VERB, "past"),  # the list has `shown` alone, beside `showed`
        ("nexus", NOUN, "s"),
        ("moist", ADJECTIVE, "s"),
        ("metal", NOUN, "past"),
    ],
)
def test_no_form_is_guessed(lemma: str, part: str, form: str) -> None:
    assert INFLECTIONS.form_of(lemma, part, form) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "part", "reading"),
    [
        ("children", NOUN, Reading(NOUN, "child", "s")),
        ("cities", NOUN, Reading(NOUN, "city", "s")),
        ("found", VERB, Reading(VERB, "find", "past")),
        ("stopping", VERB, Reading(VERB, "stop", "ing")),
        ("tried", VERB, Reading(VERB, "try", "past")),
        ("lying", VERB, Reading(VERB, "lie", "ing")),
        ("assesses", VERB, Reading(VERB, "assess", "s")),
        ("provided", VERB, Reading(VERB, "provide", "past")),
    ],
)
def test_readings(word: str, part: str, reading: Reading) -> None:
    assert reading in INFLECTIONS.readings(word, part)
    assert Reading(part, word, "base") in INFLECTIONS.readings(word, part)


def test_a_base_form_is_no_form_of_another_word() -> None:
    assert INFLECTIONS.readings("glass", NOUN) == [Reading(NOUN, "glass", "base")]
    assert INFLECTIONS.readings("moist", ADJECTIVE) == [Reading(ADJECTIVE, "moist", "base")]


@given(st.from_regex(r"[a-z]{3,9}", fullmatch=True))
def test_a_regular_form_leads_back_to_its_base(lemma: str) -> None:
    assert lemma in without_s(with_s(lemma)) or with_s(lemma).endswith("ss")
    for ending in ("ed", "ing"):
        form = with_ending(lemma, ending)
        # Only forms in -ying of words in -ie have a base that the rules do not find.
        if not (lemma.endswith("ie") and ending == "ing"):
            assert lemma in without_ending(form, ending)


def test_without_wordnet_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"noun\.exc: WordNet is not here; run `make setup`"):
        Inflections(tmp_path).readings("children", NOUN)
