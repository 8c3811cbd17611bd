"""Synonyms by WordNet 3.0 through NLTK, with care: a wrong synonym teaches a wrong fact.

A word is replaced only if all of this holds:

- It is a plain lower-case word of four letters or more, in its base form.
- It is not protected. Protected are names, terms of attributes, units, negation and function words.
- It has a synonym that is one common word.
- The first sense of the synonym is also the first sense of the word: the two are then each other's
  ordinary meaning.

Everything else is refused. Refusals are counted by their reason, each time a word occurs. This is the rule
`base_form`. `in_context.py` has another one, which reads the neighbours of a word.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Set
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.project.errors import InputError
from stages.core.records.wording import normalise

MOST_SENSES = 5
"""A word with more senses cannot be replaced without understanding the sentence."""
CLEARLY = 5
"""Least ratio between the uses of a word as its usual part of speech and as any other."""
ADVERB = "r"
"""WordNet's sign of the part of speech."""

# A slot, or a word. Parts of a word may be joined by a hyphen, an apostrophe, a dot, a comma or a slash.
# Examples: {subject}, iron, rust-proof, metal's, 3.5, g/cm
TOKEN = re.compile(
    r"\{\w+\}"  # a slot
    r"|[^\W_]+"  # letters and digits
    r"(?:[-'’.,/][^\W_]+)*"
)
# A word of the letters a to z alone: iron, but not `rust-proof` or `Iron`.
PLAIN_WORD = re.compile(r"[a-z]+")
# A number directly after a word. Example: " 1" in "group 1".
NUMBER_AFTER = re.compile(r"\s*\d")
# An article directly before a word. Example: "a " in "This is a metal".
ARTICLE = re.compile(r"\b(an?)\s+$", re.IGNORECASE)
# Beginnings of words that surely take `a`: a consonant letter, but not h, as in "an hour".
AFTER_A = re.compile(r"[b-df-gj-np-tv-z]")
# Beginnings of words that surely take `an`: a vowel letter, but neither u, as in "a unit", nor eu, as in
# "a European", nor once and one, as in "a one-off".
AFTER_AN = re.compile(r"a|i|e(?!u)|o(?!n[ce])")


def words_of_file(path: Path) -> frozenset[str]:
    """Read the words of a file. Lines that begin with # are comments."""
    words: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            words += line.split()
    return frozenset(words)


FUNCTION_WORDS = words_of_file(Path(__file__).parent / "data" / "function_words.txt")
"""Negation, comparison, units and function words. Replacing one changes what a sentence says."""


class Lookup(NamedTuple):
    """The result of looking up a word."""

    synonyms: tuple[str, ...] = ()
    """Most common first."""
    reason: str = ""
    """Reason why there is no synonym."""


class Replacement(NamedTuple):
    """A text with one word replaced."""

    text: str
    word: str
    """The word that stood there."""
    synonym: str
    """The word that stands there now."""


class Thesaurus:
    """Replaces words by synonyms, and counts the variants made and the words refused."""

    def __init__(self, wordnet: Path, min_count: int) -> None:
        """`wordnet` holds `corpora/wordnet`, which is read when the first word is looked up.

        `min_count`: least number of uses of a word and its synonym in WordNet's sense-tagged corpus.
        """
        self._wordnet = wordnet
        self._min_count = min_count
        self._cache: dict[str, Lookup] = {}
        self.refused: Counter[str] = Counter()
        """Number of refusals by reason."""
        self.made = 0
        """Number of variants."""

    def variants(
        self, text: str, wanted: int, protected: Set[str], taken: Set[str] = frozenset()
    ) -> list[str]:
        """Return up to `wanted` texts, each with one word replaced, in the order of the words.

        No text has the normalised form of one in `taken`.
        """
        found = self.replacements(text, wanted, protected, taken)
        return [replacement.text for replacement in found]

    def replacements(
        self, text: str, wanted: int, protected: Set[str], taken: Set[str] = frozenset()
    ) -> list[Replacement]:
        """Return the variants of `variants`, each with the word that was replaced."""
        found: list[Replacement] = []
        if wanted == 0:
            return found
        for candidate in self._candidates(text, protected):
            if taken and normalise(candidate.text) in taken:
                self.refused["taken"] += 1
                continue
            found.append(candidate)
            if len(found) == wanted:
                break
        self.made += len(found)
        return found

    def has_none(self, word: str) -> bool:
        """Whether WordNet does not know a word, or has no safe synonym for it."""
        if word not in self._cache:
            self._cache[word] = self._look_up(word)
        return self._cache[word].reason in ("unknown", "no_safe_synonym")

    def are_opposites(self, word: str, other: str) -> bool:
        """Whether WordNet knows two words as opposites in some sense."""
        for sense in self._reader.synsets(word):
            for lemma in sense.lemmas():
                opposites = {opposite.name().lower() for opposite in lemma.antonyms()}
                bases = {name for own in self._reader.synsets(other) for name in names_of(own)}
                if opposites & (bases | {other}):
                    return True
        return False

    def templates(
        self, templates: list[str], wanted: int, protected: Set[str], taken: set[str]
    ) -> list[str]:
        """Return variants of templates whose normalised form is not in `taken`, and add them to it."""
        all_variants = []
        for template in templates:
            variants = self.variants(template, wanted, protected, taken)
            taken.update(normalise(variant) for variant in variants)
            all_variants += variants
        return all_variants

    def _candidates(self, text: str, protected: Set[str]) -> Iterator[Replacement]:
        """Yield a replacement for each word and each of its synonyms."""
        for match in TOKEN.finditer(text):
            before, word, after = text[: match.start()], match.group(), text[match.end() :]
            if word.startswith("{"):
                continue
            reason = kept_because(before, word, after, protected)
            if reason:
                self.refused[reason] += 1
                continue
            for synonym in self._synonyms(word, protected):
                if fits_article(before, synonym):
                    yield Replacement(before + synonym + after, word, synonym)
                else:
                    self.refused["article"] += 1

    def _synonyms(self, word: str, protected: Set[str]) -> Iterator[str]:
        """Yield the synonyms of a word that are not protected."""
        if word not in self._cache:
            self._cache[word] = self._look_up(word)
        lookup = self._cache[word]
        if lookup.reason:
            self.refused[lookup.reason] += 1
        for synonym in lookup.synonyms:
            # "percentage" has the synonym "percent", which is a unit.
            if is_protected(synonym, protected) or synonym in FUNCTION_WORDS:
                self.refused["protected_synonym"] += 1
            else:
                yield synonym

    def _look_up(self, word: str) -> Lookup:
        """Look up the synonyms of a word, or the reason why there is none."""
        senses = self._reader.synsets(word)
        if not senses:
            return Lookup(reason="unknown")
        # "found" is a word of its own, and also a form of "find": some senses have another name.
        if any(word not in names_of(sense) for sense in senses):
            return Lookup(reason="inflected")
        part = self._usual_part(word, senses)
        if part is None:
            return Lookup(reason="several_parts_of_speech")
        # Too often an adverb is an adjective or a preposition as well.
        if part == ADVERB:
            return Lookup(reason="adverb")
        senses = [sense for sense in senses if part_of_speech(sense) == part]
        if len(senses) > MOST_SENSES:
            return Lookup(reason="many_senses")
        first_sense = senses[0]
        if count_of(word, first_sense) < self._min_count:
            return Lookup(reason="rare_sense")
        fitting = [lemma for lemma in first_sense.lemmas() if self._fits(lemma, word, first_sense)]
        if not fitting:
            return Lookup(reason="no_safe_synonym")
        fitting.sort(key=lambda lemma: (-lemma.count(), lemma.name()))
        return Lookup(tuple(lemma.name() for lemma in fitting))

    def _usual_part(self, word: str, senses: list[Any]) -> str | None:
        """Return the part of speech that a word nearly always has, or None.

        Without a parser, the part of speech in the sentence is unknown.
        """
        counts: Counter[str] = Counter()
        for sense in senses:
            counts[part_of_speech(sense)] += count_of(word, sense)
        ranking = counts.most_common()
        part, uses = ranking[0]
        if len(ranking) == 1:
            return part
        _, other_uses = ranking[1]
        return part if uses >= CLEARLY * max(1, other_uses) else None

    def _fits(self, lemma: Any, word: str, sense: Any) -> bool:
        """Whether a lemma of a sense may replace a word."""
        name = lemma.name()
        if name == word or not PLAIN_WORD.fullmatch(name):
            return False
        if lemma.count() < self._min_count:
            return False
        # "a tube" is right, "a tubing" is not.
        if name.endswith("ing") != word.endswith("ing"):
            return False
        first_sense = self._reader.synsets(name, pos=sense.pos())[0]
        return bool(first_sense == sense)

    @property
    def _reader(self) -> Any:
        """NLTK's reader of WordNet. Raises InputError where the dictionary is not there."""
        return reader_of(self._wordnet)


@cache  # reading the dictionary takes seconds
def reader_of(wordnet: Path) -> Any:
    """Return NLTK's reader of a dictionary. Raises InputError where it is not there."""
    import nltk
    from nltk.corpus.reader import WordNetCorpusReader

    folder = (wordnet / "corpora" / "wordnet").resolve()
    if not (folder / "index.noun").is_file():
        raise InputError(f"{folder}: WordNet is not here; run `make setup`")
    # NLTK reads nothing outside the folders of this list.
    root = str(wordnet.resolve())
    if root not in nltk.data.path:
        nltk.data.path.insert(0, root)

    class English(WordNetCorpusReader):  # type: ignore[misc]
        """The reader without a map to other languages, which takes most of the time to load."""

        def map_wn(self, version: str = "wordnet") -> None:
            """Return no map: only English words are looked up."""

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The multilingual functions are not available")
        return English(str(folder), None)


def kept_because(before: str, word: str, after: str, protected: Set[str]) -> str | None:
    """Return the reason why a word must stay, before it is looked up. None: it may be replaced."""
    if any(letter.isdigit() for letter in word):
        return "number"
    # A word beside a number may be a unit, or a name such as "group 1".
    if before.rstrip()[-1:].isdecimal() or NUMBER_AFTER.match(after):
        return "beside_a_number"
    if word.lower() != word:
        return "name"
    # Words with hyphens or apostrophes, and words in other letters than a to z.
    if not PLAIN_WORD.fullmatch(word):
        return "not_plain"
    if is_protected(word, protected):
        return "protected"
    if len(word) < 4 or word in FUNCTION_WORDS:
        return "function_word"
    return None


def is_protected(word: str, protected: Set[str]) -> bool:
    """Whether a word is protected, or begins with a protected word of four letters or more.

    Example: `melt` protects `melted`.
    """
    if word in protected:
        return True
    return any(word[:end] in protected for end in range(4, len(word)))


def fits_article(before: str, synonym: str) -> bool:
    """Whether a synonym surely fits the article `a` or `an` before it, or there is no article."""
    article = ARTICLE.search(before)
    if article is None:
        return True
    fitting = AFTER_A if article[1].lower() == "a" else AFTER_AN
    return fitting.match(synonym) is not None


def part_of_speech(sense: Any) -> str:
    """Return the part of speech of a sense. WordNet's `s` is a kind of adjective, `a`."""
    return "a" if sense.pos() == "s" else str(sense.pos())


def names_of(sense: Any) -> set[str]:
    """Return the words of a sense, in lower case."""
    return {name.lower() for name in sense.lemma_names()}


def count_of(word: str, sense: Any) -> int:
    """Return how often a word stands for a sense in WordNet's sense-tagged corpus."""
    return sum(lemma.count() for lemma in sense.lemmas() if lemma.name().lower() == word)
