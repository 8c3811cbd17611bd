"""readings: subject and attribute in endless wordings, no value, no probe, and nothing that asks for something else."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.augment.masked import Masks
from stages.augment.readings import (
    FRAMES,
    PARTS,
    SLOT,
    Readings,
    asked_word_sets,
    inflected,
    lower_first,
    opening_of,
    word_set,
)
from stages.augment.synonyms import FUNCTION_WORDS, is_protected
from stages.augment.wordings import (
    Asked,
    Attribute,
    Probe,
    Train,
    read_wordings,
    telling_words,
    terms_of,
)
from stages.core.project.errors import InputError
from stages.core.project.params import read_yaml
from stages.core.records.record import fold

ROOT = Path(__file__).parents[3]
WORDNET = ROOT / "data" / "wordnet"
BANK = read_wordings(ROOT / "data" / "raw" / "wordings.yaml", [], 0, 0)
TERMS = {word for name, attribute in BANK.items() for word in terms_of(name, attribute)}
PROTECTED = TERMS | {"iron", "lead", "tin"}
MASKS = Masks(WORDNET, PROTECTED, frozenset(), telling_words(BANK))
READINGS = Readings(BANK, MASKS, WORDNET, PROTECTED)
GRAMMARS = read_yaml(FRAMES)


def attribute(answer: str, probe: str = "Who asks for {subject}?") -> Attribute:
    return Attribute(
        terms=[],
        answer=answer,
        train=Train(statements=[], questions=["How hard is {subject}?"]),
        valid=Asked(questions=["Say how hard {subject} is."]),
        probe=Probe(questions=[probe]),
    )


class TestReadings:
    @given(st.sampled_from(sorted(BANK)), st.integers(0, 10**6))
    def test_the_question_names_the_subject_and_the_answer_stops_before_the_value(
        self, name: str, seed: int
    ) -> None:
        reading = READINGS.draw(name, "iron", "en", random.Random(seed))
        assert reading is not None
        assert re.search(r"(?i)\biron\b", reading.question)
        assert "{" not in reading.question
        assert (
            reading.opening == BANK[name].answer.replace("{subject}", "iron").split(" {value}")[0]
        )

    @given(st.sampled_from(sorted(BANK)), st.integers(0, 10**6))
    def test_random_words_are_no_terms_and_no_names(self, name: str, seed: int) -> None:
        drawn = READINGS._vocabulary.draw("noun", random.Random(seed))
        assert not is_protected(drawn, PROTECTED)
        reading = READINGS.draw(name, "copper", "en", random.Random(seed))
        assert reading is not None
        words = set(re.findall(r"[a-z]+", fold(reading.question)))
        # Names of things stand in no question but as its subject.
        assert not words & {"iron", "lead", "tin"}

    def test_equal_draws_are_equal_and_wordings_are_endless(self) -> None:
        drawn = [READINGS.draw("symbol", "iron", "en", random.Random(i)) for i in range(300)]
        again = [READINGS.draw("symbol", "iron", "en", random.Random(i)) for i in range(300)]
        assert drawn == again
        assert len(set(drawn)) > 240

    def test_sentences_begin_with_a_capital_letter_and_go_on_with_a_small_one(self) -> None:
        for i in range(300):
            reading = READINGS.draw("density", "iron", "en", random.Random(i))
            assert reading is not None
            assert not re.search(r"(^|[.?!] )[a-z]", reading.question)
            assert not re.search(r", [A-HJ-Z][a-z]", reading.question)

    def test_chinese_has_a_grammar_of_its_own(self) -> None:
        names = {"熔点": attribute("{subject}的熔点是{value}。")}
        readings = Readings(names, READINGS._masks, WORDNET, PROTECTED)
        questions = set()
        for i in range(50):
            reading = readings.draw("熔点", "铁", "zh", random.Random(i))
            assert reading is not None
            assert reading.opening == "铁的熔点是"
            assert "铁" in reading.question.lower()
            questions.add(reading.question)
        assert len(questions) > 10
        assert any("熔点" in question for question in questions)

    def test_what_has_no_reading_is_counted(self) -> None:
        names = {
            "value first": attribute("{value} is the hardness of {subject}."),
            "hardness": attribute("The hardness of {subject} is {value}."),
        }
        readings = Readings(names, READINGS._masks, WORDNET, PROTECTED)
        assert readings.draw("value first", "iron", "en", random.Random(1)) is None
        assert readings.draw("hardness", "iron", "fr", random.Random(1)) is None
        assert (readings.made, readings.left_out) == (0, 2)
        assert readings.draw("hardness", "iron", "en", random.Random(1)) is not None
        assert (readings.made, readings.left_out) == (1, 2)

    def test_no_reading_is_a_probe_in_any_order_of_words(self) -> None:
        # A grammar with one sentence, which is the probe in another order.
        answer = "The hardness of {subject} is {value}."
        names = {"hardness": attribute(answer, "{subject} how hard is?")}
        masks = Masks(WORDNET, {"hard"}, frozenset(), {"hardness": {"hard"}})
        readings = Readings(names, masks, WORDNET, {"hard"})
        readings._grammars = {"en": {"start": ["{question}"], "subject": ["{subject}"]}}
        assert readings.draw("hardness", "iron", "en", random.Random(1)) is None
        assert readings.left_out == 1

    def test_missing_wordnet_is_named(self, tmp_path: Path) -> None:
        readings = Readings(BANK, READINGS._masks, tmp_path, PROTECTED)
        with pytest.raises(InputError, match=r"index\.noun: WordNet is not here; run `make setup`"):
            readings._vocabulary.draw("noun", random.Random(1))


class TestGrammar:
    @pytest.mark.parametrize("lang", sorted(GRAMMARS))
    def test_every_slot_has_entries(self, lang: str) -> None:
        grammar = GRAMMARS[lang]
        given_slots = {"subject", "attribute", "question", "other"}
        for entries in grammar.values():
            for entry in entries:
                for name, ending in SLOT.findall(entry):
                    assert name in grammar or name in given_slots or name in PARTS
                    assert ending in ("", "s", "ed", "ing")
                    assert not ending or name in PARTS

    @pytest.mark.parametrize("lang", sorted(GRAMMARS))
    def test_every_frame_asks_for_the_attribute_of_the_subject(self, lang: str) -> None:
        for frame in GRAMMARS[lang]["frame"]:
            assert frame.count("{subject}") == 1
            assert frame.count("{attribute}") == 1
        for context in GRAMMARS[lang]["context"]:
            assert context.count("{core}") == 1

    def test_it_knows_no_domain(self) -> None:
        text = fold(FRAMES.read_text(encoding="utf-8"))
        words = set(re.findall(r"[a-z]{4,}", text))
        assert not words & (TERMS - FUNCTION_WORDS)


def test_openings() -> None:
    assert (
        opening_of("The state of {subject} at home is {value}.", "iron")
        == "The state of iron at home is"
    )
    assert opening_of("{subject} melts at {value}.", "iron") == "Iron melts at"
    assert opening_of("{value} melts {subject}.", "iron") == ""


@pytest.mark.parametrize(
    ("word", "ending", "expected"),
    [
        ("make", "ing", "making"),
        ("try", "ed", "tried"),
        ("play", "ed", "played"),
        ("use", "ed", "used"),
        ("box", "s", "boxes"),
        ("city", "s", "cities"),
        ("day", "s", "days"),
        ("lamp", None, "lamp"),
    ],
)
def test_inflected(word: str, ending: str | None, expected: str) -> None:
    assert inflected(word, ending) == expected


def test_lower_first() -> None:
    assert lower_first("What is it?") == "what is it?"
    assert lower_first("I am here.") == "I am here."
    assert lower_first("{subject} is it?") == "{subject} is it?"


def test_word_sets_of_what_is_asked() -> None:
    asked = asked_word_sets(BANK)
    # Whether it is in: the probes of the project are not to be printed by a test that fails.
    valid_in_another_order = word_set("will {subject} melt at which temperature")
    has_valid = valid_in_another_order in asked
    has_train = word_set("What is the density of {subject}?") in asked
    assert (has_valid, has_train) == (True, False)
