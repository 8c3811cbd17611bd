"""masked: random words stand where neither subject nor attribute is named, and nowhere else."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.augment.masked import Masks
from stages.augment.synonyms import FUNCTION_WORDS, is_protected
from stages.augment.wordings import read_wordings, telling_words, terms_of
from stages.core.project.errors import InputError
from stages.core.records.wording import normalise

ROOT = Path(__file__).parents[3]
WORDNET = ROOT / "data" / "wordnet"
BANK = read_wordings(ROOT / "data" / "raw" / "wordings.yaml", [], 0, 0)
TERMS = {word for name, attribute in BANK.items() for word in terms_of(name, attribute)}
PROBES = {
    normalise(wording.template)
    for attribute in BANK.values()
    for wording in attribute.wordings()
    if wording.split == "probe"
}
TELLING = telling_words(BANK)
MASKS = Masks(WORDNET, TERMS | {"iron", "lead", "tin"}, PROBES, TELLING)
QUESTIONS = sorted(
    (name, wording.template)
    for name, attribute in BANK.items()
    for wording in attribute.wordings()
    if wording.key.startswith("train.questions")
)


def words(text: str) -> list[str]:
    return re.findall(r"\{\w+\}|[\w°]+", text)


@given(st.sampled_from(QUESTIONS), st.integers(0, 10**6))
def test_what_the_answer_depends_on_stays(question: tuple[str, str], seed: int) -> None:
    attribute, template = question
    found = words(MASKS.masked(template, attribute, random.Random(seed)))
    assert len(found) == len(words(template))
    for before, after in zip(words(template), found, strict=True):
        kept = (
            before.startswith("{")
            or before in FUNCTION_WORDS
            or is_protected(before, TERMS)
            or before.lower() != before
            or len(before) < 4
        )
        assert before == after or not kept


@given(st.sampled_from(QUESTIONS), st.integers(0, 10**6))
def test_no_term_and_no_name_is_put_in_and_no_probe_is_made(
    question: tuple[str, str], seed: int
) -> None:
    attribute, template = question
    masked = MASKS.masked(template, attribute, random.Random(seed))
    new = [
        after
        for before, after in zip(words(template), words(masked), strict=True)
        if before != after
    ]
    assert not [word for word in new if is_protected(word, TERMS | {"iron", "lead", "tin"})]
    assert normalise(masked) not in PROBES


def test_the_ending_is_kept_and_equal_draws_are_equal() -> None:
    template = "Which year brought {subject}, people wondered while looking around?"
    first = MASKS.masked(template, "discovery year", random.Random(5))
    assert (
        first
        == MASKS.masked(template, "discovery year", random.Random(5))
        != MASKS.masked(template, "discovery year", random.Random(6))
    )
    endings = [re.findall(r"(ing|ed)\b", text) for text in (template, first)]
    assert endings[0] == endings[1] == ["ed", "ing"]


def test_a_question_without_free_words_stays_and_is_not_counted() -> None:
    masks = Masks(WORDNET, TERMS, frozenset(), TELLING)
    assert (
        masks.masked("What is the density of {subject}?", "density", random.Random(1))
        == "What is the density of {subject}?"
    )
    assert masks.made == 0
    assert (
        masks.masked(
            "What density would tables show for {subject}?", "density", random.Random(1)
        ).count("density")
        == 1
    )
    assert masks.made == 1


def test_a_question_without_a_term_of_its_attribute_stays() -> None:
    """Any of its words may be the one that tells what is asked."""
    masks = Masks(WORDNET, TERMS, frozenset(), TELLING)
    bubbling = "At what temperature does {subject} begin bubbling like a soup?"
    assert masks.masked(bubbling, "boiling point", random.Random(1)) == bubbling
    symbol = "Which abbreviation do people scribble for the density of {subject}?"
    assert masks.masked(symbol, "symbol", random.Random(1)) == symbol
    assert masks.masked(symbol, "an attribute that nobody knows", random.Random(1)) == symbol
    assert masks.made == 0
    assert masks.masked(symbol, "density", random.Random(1)) != symbol


def test_a_taken_result_is_not_used() -> None:
    class Everything(frozenset[str]):
        def __contains__(self, _: object) -> bool:
            return True

    masks = Masks(WORDNET, TERMS, Everything(), TELLING)
    assert (
        masks.masked("Show the density of {subject}, friend.", "density", random.Random(1))
        == "Show the density of {subject}, friend."
    )
    assert masks.made == 0


def test_without_wordnet_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"index\.noun: WordNet is not here; run `make setup`"):
        Masks(tmp_path, TERMS, frozenset(), TELLING).masked(
            "Show the density of {subject}, friend.", "density", random.Random(1)
        )
