"""Synonyms by WordNet for words in any form, where the words around them leave no doubt (`synonym_rule: in_context`).

The rule of `synonyms.py` looks at a word alone. It takes base forms, and offers one for a term such as
"confidence interval". This rule reads the neighbours of a word, and refuses it for one of these reasons:

- part of speech: what the neighbours allow does not leave one part of speech that the word nearly always has.
- term: the word is part of a compound of nouns or of an entry of WordNet ("blood pressure"), an adjective that
  only names a field ("medical"), or a noun for a substance, a part of a body, a plant, an animal or a quantity.
- complement: what follows may not go with another word ("capable of", "find out", "try to").
- sense: word and synonym do not both have the common sense with a probability of `SURE`. The probability is
  the product of two shares: the uses of the word, as this part of speech, that have the sense, and the uses of
  the synonym, as any part of speech, that have it. With `augment.encoder`, the sense whose gloss is nearest to
  the sentence must be the common one, too. In place of the first share, it made more variants wrong.
- form: the synonym's form is not sure (`inflection.py`).

The common sense must be the first one of the synonym. The synonym takes the form of the word that it replaces.
No tagger is needed. Precision comes before recall: a variant that is not made costs little. How many variants
keep their meaning was found by reading: docs/experiments.md.
"""

import re
from collections.abc import Callable, Iterator, Set
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from stages.augment import sentence
from stages.augment.inflection import ADJECTIVE, ADVERB, NOUN, VERB, Inflections, Reading
from stages.augment.synonyms import (
    CLEARLY,
    FUNCTION_WORDS,
    PLAIN_WORD,
    TOKEN,
    Replacement,
    Thesaurus,
    count_of,
    fits_article,
    is_protected,
    kept_because,
    names_of,
)

PARTS = (NOUN, VERB, ADJECTIVE, ADVERB)
SURE = 0.7
"""Least estimated probability that word and synonym have their common sense."""
MOST_WORDS = 1 << 16
"""Words whose analysis is kept. A corpus of any size takes the same memory."""

DETERMINERS = frozenset("the a an its their his her our your my every".split())
MODALS = frozenset("can could may might must shall should will would".split())
BE = frozenset("is are was were be been being am".split())
HAVE = frozenset("has have had having".split())
DO = frozenset("do does did not".split())
PRONOUNS = frozenset("i you he she it we they who which that".split())
PREPOSITIONS = frozenset(
    "of in on at by for with from into onto during after before between among against under over "
    "without within through about as than per via toward towards upon since until".split()
)
CONJUNCTIONS = frozenset("and or but nor if because although while when where whereas so".split())
DEGREES = frozenset("very too quite rather highly extremely".split())
CLOSED = (
    DETERMINERS
    | MODALS
    | BE
    | HAVE
    | DO
    | PRONOUNS
    | PREPOSITIONS
    | CONJUNCTIONS
    | DEGREES
    | FUNCTION_WORDS
    | {
        "to",
        "this",
        "these",
        "those",
        "there",
        "how",
        "all",
        "no",
        "any",
        "one",
        "up",
        "out",
        "off",
    }
)
"""Words that are neither noun nor verb nor adjective of their own."""
AFTER_A_VERB = frozenset("the a an its their his her our your my by in at during after".split())
"""Words that may follow a verb and go with its synonyms too. None may follow, at the end of a clause."""
AFTER_AN_ADJECTIVE = frozenset("and or in at during after when because but".split())
"""The same for an adjective before no noun."""
COMPARING = frozenset("more most less least as so how soon".split())
"""Words before an adverb that do not go with each of its synonyms."""
COMPLEMENTS = frozenset("to of with than as from".split())
"""Words behind an adverb that belong to it."""
TERMS = frozenset(
    "noun.substance noun.body noun.plant noun.animal noun.food noun.quantity noun.time noun.Tops "
    "noun.shape noun.location adj.pert".split()
)
"""WordNet's groups of words that mostly name things of a field. `adj.pert` are adjectives such as `nuclear`."""
# Nothing but blanks between two words.
BLANK = re.compile(r"\s+")


class Choice(NamedTuple):
    """What a word is as one part of speech."""

    reading: Reading | None
    """None: it may be the form of two words, as `found`."""
    uses: int
    """Uses of its base forms as this part of speech in WordNet's sense-tagged corpus."""


class Offer(NamedTuple):
    """A synonym, and the sense that it shares with the word."""

    word: str
    sense: int
    """Number of the sense among those of the word."""
    of_word: float
    """Share of the word's uses that have this sense."""
    of_synonym: float
    """Share of the synonym's uses that have this sense."""


class Entry(NamedTuple):
    """A base form as one part of speech."""

    offers: tuple[Offer, ...] = ()
    """Most common first."""
    glosses: tuple[str, ...] = ()
    """Definitions and examples of its senses, in WordNet's order."""
    reason: str = ""
    """Why there is no synonym."""


class ContextThesaurus(Thesaurus):
    """As `Thesaurus`, with the rule of this module."""

    def __init__(
        self,
        wordnet: Path,
        min_count: int,
        sense_of: Callable[[str, tuple[str, ...]], int] | None = None,
    ) -> None:
        """`sense_of` returns the number of the gloss that fits a sentence best. None: no encoder."""
        super().__init__(wordnet, min_count)
        self._inflections = Inflections(wordnet)
        self._sense_of = sense_of
        # Caches of the instance's own, so that they end with it.
        self._choices = lru_cache(MOST_WORDS)(self._choices_of)
        self._entry = lru_cache(MOST_WORDS)(self._entry_of)
        self._is_term = lru_cache(MOST_WORDS)(self._has_entry)

    def _candidates(self, text: str, protected: Set[str]) -> Iterator[Replacement]:
        """Yield a replacement for each word and each of its synonyms."""
        tokens = list(TOKEN.finditer(text))
        for index, match in enumerate(tokens):
            word = match.group()
            if word.startswith("{"):
                continue
            before, after = text[: match.start()], text[match.end() :]
            reason = kept_because(before, word, after, protected)
            if reason is None and word in CLOSED:
                reason = "function_word"
            if reason:
                self.refused[reason] += 1
                continue
            previous = self._neighbour(text, tokens, index, -1)
            following = self._neighbour(text, tokens, index, 1)
            yield from self._in_sentence(
                text, (match.start(), match.end()), previous, following, protected
            )

    def _neighbour(
        self, text: str, tokens: list[re.Match[str]], index: int, step: int
    ) -> str | None:
        """Return the word beside a word, or None where a sign or the end of the text stands between."""
        other = index + step
        if not 0 <= other < len(tokens):
            return None
        left, right = sorted((index, other))
        between = text[tokens[left].end() : tokens[right].start()]
        return tokens[other].group() if BLANK.fullmatch(between) else None

    def _in_sentence(
        self,
        text: str,
        place: tuple[int, int],
        previous: str | None,
        following: str | None,
        protected: Set[str],
    ) -> Iterator[Replacement]:
        """Yield the replacements of one word."""
        start, end = place
        word = text[start:end]
        found = self._reading_of(word, previous, following)
        if isinstance(found, str):
            self.refused[found] += 1
            return
        reason = self._unsafe(found, word, previous, following)
        entry = self._entry(found.lemma, found.part)
        reason = reason or entry.reason
        if reason:
            self.refused[reason] += 1
            return
        for offer in self._of_sense(text, start, entry):
            synonym = self._inflections.form_of(offer.word, found.part, found.form)
            if synonym is None:
                self.refused["form_not_sure"] += 1
            elif is_protected(synonym, protected) or is_protected(offer.word, protected):
                self.refused["protected_synonym"] += 1
            elif not fits_article(text[:start], synonym):
                self.refused["article"] += 1
            else:
                yield Replacement(text[:start] + synonym + text[end:], word, synonym)

    def _of_sense(self, text: str, start: int, entry: Entry) -> list[Offer]:
        """Return the synonyms whose sense is surely that of the word at `start`."""
        sure = [offer for offer in entry.offers if offer.of_word * offer.of_synonym >= SURE]
        if self._sense_of is not None and sure and len(entry.glosses) > 1:
            sense = self._sense_of(sentence.at(text, start), entry.glosses)
            sure = [offer for offer in sure if offer.sense == sense]
        if not sure:
            self.refused["several_senses"] += 1
        return sure

    def _reading_of(self, word: str, previous: str | None, following: str | None) -> Reading | str:
        """Return what a word is in its sentence, or the reason why that is not sure."""
        choices = self._choices(word)
        if not choices:
            return "unknown"
        allowed = allowed_parts(previous, following)
        uses = {part: choice.uses for part, choice in choices.items() if part in allowed}
        if not uses:
            return "part_of_speech"
        ranking = sorted(uses, key=lambda part: (-uses[part], part))
        part = ranking[0]
        others = max((uses[other] for other in ranking[1:]), default=0)
        if len(ranking) > 1 and uses[part] < CLEARLY * max(1, others):
            return "several_parts_of_speech"
        return choices[part].reading or "form_of_two_words"

    def _unsafe(
        self, reading: Reading, word: str, previous: str | None, following: str | None
    ) -> str | None:
        """Return the reason why a word may not be replaced between its neighbours, or None."""
        before = base_of_neighbour(previous)
        after = base_of_neighbour(following)
        for left, right in ((before, word), (word, after), (before, reading.lemma)):
            if left and right and self._is_term(left, right):
                return "term"
        if reading.part == NOUN:
            if reading.lemma.endswith("ing"):
                return "part_of_speech"
            if self._may_be_noun(previous) or self._may_be_noun(following):
                return "term"
        elif reading.part == VERB:
            if reading.form == "ing" and previous not in BE:
                return "part_of_speech"
            if following is not None and following not in AFTER_A_VERB:
                return "complement"
        elif reading.part == ADVERB:
            # "most recently", "similarly to"
            if previous in COMPARING or following in COMPLEMENTS:
                return "complement"
        elif following is not None:
            is_before_noun = following not in CLOSED and not following.endswith("ing")
            if not is_before_noun and following not in AFTER_AN_ADJECTIVE:
                return "complement"
        return None

    def _may_be_noun(self, neighbour: str | None) -> bool:
        """Whether a neighbour may make a compound with a noun."""
        if neighbour is None or neighbour in CLOSED:
            return False
        if not PLAIN_WORD.fullmatch(neighbour):
            # Names, numbers, abbreviations and slots make terms: "CT scan".
            return True
        choices = self._choices(neighbour)
        if not choices:
            return True
        uses = {part: choice.uses for part, choice in choices.items()}
        as_noun = uses.get(NOUN)
        if as_noun is None:
            return False
        return sum(uses.values()) < CLEARLY * max(1, as_noun)

    def _choices_of(self, word: str) -> dict[str, Choice]:
        """Return what a word may be, by part of speech. Empty for a word that WordNet does not know."""
        choices = {}
        for part in PARTS:
            readings = []
            uses = 0
            for reading in self._inflections.readings(word, part):
                senses = self._senses(reading.lemma, part)
                if senses:
                    readings.append(reading)
                    uses += sum(count_of(reading.lemma, sense) for sense in senses)
            if readings:
                choices[part] = Choice(readings[0] if len(readings) == 1 else None, uses)
        return choices

    def _senses(self, lemma: str, part: str) -> list[Any]:
        """Return the senses that have a lemma as their name, in WordNet's order."""
        senses = self._reader.synsets(lemma, pos=part)
        return [sense for sense in senses if lemma in names_of(sense)]

    def _has_entry(self, left: str, right: str) -> bool:
        """Whether two words together are an entry of WordNet."""
        return bool(self._reader.synsets(f"{left}_{right}"))

    def _entry_of(self, lemma: str, part: str) -> Entry:
        """Look up the synonyms of a base form."""
        senses = self._senses(lemma, part)
        counts = [count_of(lemma, sense) for sense in senses]
        if counts[0] < self._min_count:
            return Entry(reason="rare_sense")
        if senses[0].lexname() in TERMS:
            return Entry(reason="term")
        found: list[tuple[int, str, Offer]] = []
        for number, sense in enumerate(senses):
            for other in sense.lemmas():
                name = other.name()
                if not self._is_synonym(other, lemma, sense, part):
                    continue
                of_synonym = other.count() / self._all_uses(name)
                offer = Offer(name, number, counts[number] / sum(counts), of_synonym)
                found.append((-other.count(), name, offer))
        if not found:
            return Entry(reason="no_safe_synonym")
        offers = tuple(offer for _, _, offer in sorted(found))
        return Entry(offers, tuple(gloss_of(sense) for sense in senses))

    def _is_synonym(self, other: Any, lemma: str, sense: Any, part: str) -> bool:
        """Whether another name of a sense may stand for a base form in that sense."""
        name = other.name()
        if name == lemma or not PLAIN_WORD.fullmatch(name) or name in CLOSED:
            return False
        if other.count() < self._min_count:
            return False
        # "a decrease" is right, "a lessening" is not.
        if name.endswith("ing") != lemma.endswith("ing"):
            return False
        # Of other adverbs, too many are part of a verb: "eats away".
        if part == ADVERB and not (name.endswith("ly") or lemma.endswith("ly")):
            return False
        return bool(self._senses(name, part)[0] == sense)

    def _all_uses(self, name: str) -> int:
        """Return how often a base form occurs in WordNet's sense-tagged corpus, as any part of speech."""
        uses = 0
        for part in PARTS:
            for sense in self._senses(name, part):
                uses += count_of(name, sense)
        return uses


def allowed_parts(previous: str | None, following: str | None) -> frozenset[str]:
    """Return the parts of speech that a word may have between its neighbours."""
    allowed = set(PARTS)
    if previous is not None:
        before = previous.lower()
        if before in DETERMINERS:
            allowed &= {NOUN, ADJECTIVE, ADVERB}
        elif before in MODALS or before in PRONOUNS:
            allowed &= {VERB, ADVERB}
        elif before in DO or before in BE:
            allowed &= {VERB, ADJECTIVE, ADVERB}
        elif before in DEGREES:
            allowed &= {ADJECTIVE, ADVERB}
        elif before in PREPOSITIONS:
            allowed &= {NOUN, ADJECTIVE, ADVERB}
    if following is not None:
        after = following.lower()
        if after in MODALS or after in BE or after in HAVE:
            # "we usually have", but no "the later was"
            is_after_pronoun = previous is not None and previous.lower() in PRONOUNS
            allowed &= {ADVERB} if is_after_pronoun else {NOUN}
        elif after in DETERMINERS:
            allowed -= {ADJECTIVE}
    return frozenset(allowed)


def base_of_neighbour(word: str | None) -> str | None:
    """Return a neighbour as an entry of WordNet may name it, or None for a slot or no word."""
    if word is None or word.startswith("{"):
        return None
    return word.lower()


def gloss_of(sense: Any) -> str:
    """Return what a sense means: its definition and its examples."""
    return "; ".join([sense.definition(), *sense.examples()])
