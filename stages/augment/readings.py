"""Readings: questions in wordings that a grammar makes, to learn how a fact may be asked for.

A model that learns facts from a few dozen wordings takes, in an unusual question, another word for the
subject. A reading teaches to find subject and attribute in any sentence: "Which symbol gets carried to
silver?". Its answer is the whole sentence, or its opening up to before the value: "The symbol of silver is".
An opening states no fact, and nothing behind it is learned.

The grammar (`data/reading_frames.yaml`) knows no domain. It puts the attribute's name and the attribute's
own train wordings into clauses, with random common words of WordNet around them. Those words are never a
name, a value or a term of an attribute, so that they cannot ask for something else. A clause names another
attribute only where it says that this one is not wanted. No reading is a wording of `valid` or `probe`.
"""

import random
import re
from collections.abc import Mapping, Set
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from stages.augment.masked import USABLE, Masks
from stages.augment.synonyms import is_protected
from stages.augment.wordings import Attribute
from stages.core.project.errors import InputError
from stages.core.project.params import read_yaml
from stages.core.records.wording import fill, normalise

FRAMES = Path(__file__).parent / "data" / "reading_frames.yaml"
SLOT = re.compile(r"\{(\w+)(?:\+(\w+))?\}")
"""A slot with or without an ending: {thing}, {verb+ed}."""
PARTS = {"noun": "noun", "verb": "verb", "adjective": "adj", "adverb": "adv"}
"""Slots that WordNet fills, and the parts of speech in the names of its index files."""
DEPTH = 20
"""Most rounds of filling. Slots that a round leaves are filled in the next one."""
TRIES = 20
"""Draws of one reading, before it is left out because every draw was a wording of valid or probe."""
MASKED_SHARE = 0.5
"""Share of the attribute's own wordings in which words are masked."""
# The beginning of a sentence: of the text, or behind a full stop, question or exclamation mark.
SENTENCE = re.compile(r"(^|[.?!] )([a-z])")
# Behind these signs a sentence goes on in lower case: "Today, which symbol …".
GOES_ON = re.compile(r"[,:] $")


class Reading(NamedTuple):
    """A question, and the beginning of its answer."""

    question: str
    opening: str
    """The answer sentence up to before its value: `The symbol of iron is`."""


class Readings:
    """Makes readings, and counts them."""

    def __init__(
        self, attributes: Mapping[str, Attribute], masks: Masks, wordnet: Path, protected: Set[str]
    ) -> None:
        """`protected` words are neither replaced nor put in."""
        self._attributes = attributes
        self._names = sorted(attributes)
        self._masks = masks
        self._grammars: dict[str, Mapping[str, list[str]]] = read_yaml(FRAMES)
        self._vocabulary = Vocabulary(wordnet, protected)
        self._kept_apart = asked_word_sets(attributes)
        self.made = 0
        """Number of readings."""
        self.left_out = 0
        """Number of readings left out: without a grammar of their language, without an opening, or never
        different from all wordings of valid and probe."""

    def draw(self, attribute: str, subject: str, lang: str, rng: random.Random) -> Reading | None:
        """Return a reading about a subject and an attribute; None where there is none."""
        opening = opening_of(self._attributes[attribute].answer, subject)
        if lang in self._grammars and opening:
            for _ in range(TRIES):
                template = self._template(attribute, lang, rng)
                if word_set(template) not in self._kept_apart:
                    self.made += 1
                    return Reading(fill(template, subject=subject), opening)
        self.left_out += 1
        return None

    def _template(self, attribute: str, lang: str, rng: random.Random) -> str:
        """Return a template with {subject}."""
        grammar = self._grammars[lang]
        own = rng.choice(self._attributes[attribute].train.questions)
        if lang == "en" and rng.random() < MASKED_SHARE:
            own = self._masks.masked(own, attribute, rng)
        others = [name for name in self._names if name != attribute]
        given = {
            "attribute": rng.choice(self._attributes[attribute].names or [attribute]),
            "question": own,
            "other": rng.choice(others or [attribute]),
        }
        text = self._filled("{start}", grammar, given, rng)
        around = rng.choice(grammar["subject"])
        text = text.replace("{subject}", self._filled(around, grammar, given, rng))
        return SENTENCE.sub(lambda begin: begin[1] + begin[2].upper(), text)

    def _filled(
        self,
        text: str,
        grammar: Mapping[str, list[str]],
        given: Mapping[str, str],
        rng: random.Random,
    ) -> str:
        """Return the text with every slot filled but {subject}."""

        def entry(slot: re.Match[str]) -> str:
            name, ending = slot[1], slot[2]
            if name == "subject":
                return slot[0]
            if name in PARTS:
                return inflected(self._vocabulary.draw(name, rng), ending)
            chosen = given.get(name) or rng.choice(grammar[name])
            inside_sentence = GOES_ON.search(slot.string[: slot.start()])
            return lower_first(chosen) if inside_sentence else chosen

        for _ in range(DEPTH):
            filled = SLOT.sub(entry, text)
            if filled == text:
                break
            text = filled
        return text


class Vocabulary:
    """Common words of WordNet, each drawn as often as its senses occur in WordNet's tagged texts."""

    def __init__(self, wordnet: Path, protected: Set[str]) -> None:
        """`protected` words are never drawn, nor words that begin with one of them."""
        self._wordnet = wordnet
        self._protected = protected

    def draw(self, part: str, rng: random.Random) -> str:
        """Return a noun, verb, adjective or adverb."""
        words, weights = self._words[part]
        (word,) = rng.choices(words, cum_weights=weights)
        return word

    @cached_property
    def _words(self) -> dict[str, tuple[list[str], list[int]]]:
        """Words and their cumulated weights, by part of speech. Raises InputError without WordNet."""
        found = {}
        for part, name in PARTS.items():
            index = self._wordnet / "corpora" / "wordnet" / f"index.{name}"
            if not index.is_file():
                raise InputError(f"{index}: WordNet is not here; run `make setup`")
            words: list[str] = []
            weights: list[int] = []
            total = 0
            for line in index.read_text(encoding="utf-8").splitlines():
                if line.startswith(" "):  # the licence
                    continue
                # The format is told in `masked.py`.
                lemma, _, _, pointers, *fields = line.split()
                tagged_senses = int(fields[int(pointers) + 1])
                if not tagged_senses or not USABLE.fullmatch(lemma):
                    continue
                if is_protected(lemma, self._protected):
                    continue
                total += tagged_senses
                words.append(lemma)
                weights.append(total)
            found[part] = (words, weights)
        return found


def opening_of(answer: str, subject: str) -> str:
    """Return an answer template up to before its value: `The symbol of iron is`.

    It is empty where the value comes before the subject, because then nothing of the question is read.
    """
    before, _, _ = answer.partition("{value}")
    if "{subject}" not in before:
        return ""
    return fill(before.rstrip(), subject=subject)


def asked_word_sets(attributes: Mapping[str, Attribute]) -> set[str]:
    """Return the words of every wording of valid and probe, in the form of `word_set`."""
    found = set()
    for attribute in attributes.values():
        for wording in attribute.wordings():
            if wording.split != "train":
                found.add(word_set(wording.template))
    return found


def word_set(template: str) -> str:
    """Return the sorted words of a template: two with the same words, in any order, count as the same."""
    return " ".join(sorted(normalise(template).split()))


def inflected(word: str, ending: str | None) -> str:
    """Return the word with a regular ending: make and `ing` give making, try and `ed` give tried."""
    if ending is None:
        return word
    y_behind_consonant = re.search(r"[^aeiou]y$", word) is not None
    if ending == "s":
        if word.endswith(("s", "x", "z", "ch", "sh")):
            return f"{word}es"
        return f"{word[:-1]}ies" if y_behind_consonant else f"{word}s"
    if ending == "ed" and y_behind_consonant:
        return f"{word[:-1]}ied"
    return word.removesuffix("e") + ending


def lower_first(text: str) -> str:
    """Return the text with a small first letter, unless it begins with a slot or the word I."""
    if text.startswith(("{", "I ")):
        return text
    return text[:1].lower() + text[1:]
