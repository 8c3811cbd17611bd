"""in_context: the neighbours of a word decide, its form is kept, and no protected token changes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.augment import in_context
from stages.augment.in_context import ContextThesaurus, allowed_parts
from stages.augment.inflection import ADJECTIVE, ADVERB, NOUN, VERB
from stages.augment.synonyms import FUNCTION_WORDS, TOKEN, Replacement, is_protected
from stages.augment.wordings import read_wordings, terms_of
from stages.core.records import record

ROOT = Path(__file__).parents[3]
WORDNET = ROOT / "data" / "wordnet"
BANK = read_wordings(ROOT / "data" / "raw" / "wordings.yaml", [], 0, 0)
TERMS = {word for name, attribute in BANK.items() for word in terms_of(name, attribute)}
SHARED = ContextThesaurus(WORDNET, 3)
"""One for all tests, because WordNet takes seconds to read."""
PUBMEDQA = ROOT.parent / "shared" / "data" / "pubmedqa" / "pqal.json"


def first(text: str, protected: frozenset[str] = frozenset()) -> tuple[str, str] | None:
    found = SHARED.replacements(text, 1, protected)
    return found[0][1:] if found else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The wound was evaluated by two of us.", ("evaluated", "assessed")),
        ("Doctors evaluate the wound.", ("Doctors", "")),
        ("We used the data.", ("used", "employed")),
        ("It was found most often near the coast.", None),
        ("These are our students.", ("students", "pupils")),
        ("In moist air it turns green.", ("moist", "damp")),
        ("It is usually green.", ("usually", "normally")),
    ],
)
def test_words_in_any_form_are_replaced_in_that_form(
    text: str, expected: tuple[str, str] | None
) -> None:
    if expected == ("Doctors", ""):
        # A name stays; the verb behind it keeps its base form.
        assert first(text) == ("evaluate", "assess")
    else:
        assert first(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The 95% confidence interval was wide.", "term"),  # two nouns
        ("She had an opportunity cost.", "term"),  # an entry of WordNet
        ("Wages were eaten away.", "no_safe_synonym"),  # no adverb without -ly
        ("It recovered most recently.", "complement"),
        ("They provide of it.", "complement"),
        ("The later was dull.", "part_of_speech"),
        ("It was found there.", "form_of_two_words"),
    ],
)
def test_words_that_are_not_sure_are_refused(text: str, reason: str) -> None:
    before = SHARED.refused[reason]
    assert first(text) is None
    assert SHARED.refused[reason] > before


def test_protected_words_stay_and_are_not_put_in() -> None:
    assert first("In moist air it is green.") == ("moist", "damp")
    assert first("In moist air it is green.", frozenset({"moist"})) is None
    assert first("In moist air it is green.", frozenset({"damp"})) is None


@pytest.mark.parametrize(
    ("previous", "following", "parts"),
    [
        (None, None, {NOUN, VERB, ADJECTIVE, ADVERB}),
        ("the", None, {NOUN, ADJECTIVE, ADVERB}),
        ("would", None, {VERB, ADVERB}),
        ("of", "the", {NOUN, ADVERB}),
        ("very", None, {ADJECTIVE, ADVERB}),
        ("the", "was", {NOUN}),
        ("we", "have", {ADVERB}),
    ],
)
def test_neighbours_allow_parts_of_speech(
    previous: str | None, following: str | None, parts: set[str]
) -> None:
    assert allowed_parts(previous, following) == parts


def test_an_encoder_chooses_the_sense() -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    def other_sense(sentence: str, glosses: tuple[str, ...]) -> int:
        asked.append((sentence, glosses))
        return len(glosses) - 1

    text = "It was late. We used the data. It rained."
    assert ContextThesaurus(WORDNET, 3, other_sense).replacements(text, 1, frozenset()) == []
    assert asked[0][0] == "We used the data."
    chosen = ContextThesaurus(WORDNET, 3, lambda *_: 0).replacements(text, 1, frozenset())
    assert chosen == [
        Replacement("It was late. We employed the data. It rained.", "used", "employed")
    ]


NEGATED = sorted(FUNCTION_WORDS & set("not never none without only more less under above".split()))
PLAIN = (
    "usually moist students evaluated approximately used evident illness the was of in air often "
    "melting density iron symbol found recently 12 3.5 g/cm 1538 °C Marie non-metals {value} (a) b, c."
).split()


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PLAIN + NEGATED), min_size=1, max_size=14))
def test_one_free_word_changes_and_nothing_else(words: list[str]) -> None:
    text = " ".join(words)
    for variant in SHARED.replacements(text, 5, TERMS | {"iron"}):
        check(text, variant)


def check(text: str, variant: Replacement) -> None:
    """Compare the tokens before and after."""
    before, after = TOKEN.findall(text), TOKEN.findall(variant.text)
    assert len(before) == len(after)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [(variant.word, variant.synonym)]
    assert TOKEN.sub("", text) == TOKEN.sub("", variant.text)
    for word in changed[0]:
        assert word not in FUNCTION_WORDS
        assert not is_protected(word, TERMS | {"iron"})
        assert word.isalpha()
        assert word.islower()


@pytest.mark.skipif(not PUBMEDQA.is_file(), reason=f"no real texts in {PUBMEDQA.parent}")
def test_protected_tokens_of_real_texts_stay() -> None:
    articles: Any = json.loads(PUBMEDQA.read_text(encoding="utf-8"))
    rows = list(articles.values()) if isinstance(articles, dict) else articles
    made = 0
    for row in rows[:60]:
        contexts = row.get("CONTEXTS") or row.get("contexts") or row.get("context")
        text = contexts if isinstance(contexts, str) else " ".join(contexts)
        for variant in SHARED.replacements(record.fold(text), 3, TERMS | {"iron"}):
            check(record.fold(text), variant)
            made += 1
    print(f"{made} variants of real texts, protected tokens changed: 0")
    assert made > 50


def test_a_cache_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_context, "MOST_WORDS", 2)
    thesaurus = ContextThesaurus(WORDNET, 3)
    text = "In moist air it is usually green."
    assert thesaurus.variants(text, 2, frozenset()) == SHARED.variants(text, 2, frozenset())
    assert thesaurus._choices.cache_info().currsize <= 2
