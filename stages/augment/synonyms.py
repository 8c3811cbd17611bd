"""Synonyms by WordNet 3.0 through NLTK, with care: a wrong synonym teaches a wrong fact.

A word is replaced only if it is a plain lower-case word of four letters or more in its base form, is not protected
(names, attribute terms, units, negation, function words), and has a synonym that is one common word whose own first
sense is the same as the word's first sense: the two are then each other's ordinary meaning. Everything else is refused
and counted, once each time a word is met.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Set
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.project.errors import InputError
from stages.core.records.wording import normalise

KEPT = frozenset(
    "not never none neither nor without cannot hardly barely scarcely only less more most least under above below over "
    "before after this that these those what when where which whose whom with from into upon about than then there "
    "their they them have does were been being will would could should must might shall also such each every some many "
    "much very both half twice "
    "gram grams percent degree degrees metre metres meter meters litre litres liter liters kelvin mole moles".split()
)
"""Negation, comparison, units and function words: replacing one changes what a sentence says, or its grammar."""
MOST_SENSES = 5
"""A word of more senses than this one means too many things to be replaced without understanding the sentence."""
CLEARLY = 5
"""How many times as often as any other part of speech a word must occur as its usual one."""
TOKEN = re.compile(r"\{\w+\}|[^\W_]+(?:[-'’.,/][^\W_]+)*")
AFTER_A = re.compile(r"[b-df-gj-np-tv-z]")  # not h, as in hour
AFTER_AN = re.compile(r"a|i|e(?!u)|o(?!n[ce])")  # not u, as in unit


class Found(NamedTuple):
    """What a look-up came to: synonyms, most common first, or the reason why there is none."""

    synonyms: tuple[str, ...] = ()
    reason: str = ""


class Thesaurus:
    """Finds synonyms and counts what was made and what was refused, by reason."""

    def __init__(self, wordnet: Path, min_count: int) -> None:
        """`wordnet` holds `corpora/wordnet`, which is read when the first word is looked up."""
        self._wordnet = wordnet
        self._min_count = min_count
        self._cache: dict[str, Found] = {}
        self.refused: Counter[str] = Counter()
        self.made = 0

    def variants(
        self, text: str, wanted: int, protected: Set[str], taken: Set[str] = frozenset()
    ) -> list[str]:
        """Up to `wanted` texts, each with one word replaced, in the order of the words; none normalised as in `taken`."""
        found: list[str] = []
        if wanted == 0:
            return found
        for variant in self._candidates(text, protected):
            if normalise(variant) in taken:
                self.refused["taken"] += 1
                continue
            found.append(variant)
            if len(found) == wanted:
                break
        self.made += len(found)
        return found

    def templates(
        self, templates: list[str], wanted: int, protected: Set[str], taken: set[str]
    ) -> list[str]:
        """Variants of templates whose normalised form is not in `taken`, which grows by them."""
        made = []
        for template in templates:
            found = self.variants(template, wanted, protected, taken)
            taken.update(normalise(variant) for variant in found)
            made += found
        return made

    def _candidates(self, text: str, protected: Set[str]) -> Iterator[str]:
        for match in TOKEN.finditer(text):
            before, word, after = text[: match.start()], match.group(), text[match.end() :]
            if word.startswith("{"):
                continue
            if reason := kept_because(before, word, after, protected):
                self.refused[reason] += 1
                continue
            for synonym in self._synonyms(word, protected):
                if fits_article(before, synonym):
                    yield before + synonym + after
                else:
                    self.refused["article"] += 1

    def _synonyms(self, word: str, protected: Set[str]) -> Iterator[str]:
        if word not in self._cache:
            self._cache[word] = self._look_up(word)
        found = self._cache[word]
        if found.reason:
            self.refused[found.reason] += 1
        for synonym in found.synonyms:
            if is_protected(synonym, protected):
                self.refused["protected_synonym"] += 1
            else:
                yield synonym

    def _look_up(self, word: str) -> Found:  # noqa: PLR0911
        senses = self._reader.synsets(word)
        if not senses:
            return Found(reason="unknown")
        if any(word not in names_of(sense) for sense in senses):
            return Found(
                reason="inflected"
            )  # "found" is a word of its own and also a form of "find"
        part = self._usual_part(word, senses)
        if part is None:
            return Found(reason="several_parts_of_speech")
        if part == "r":
            return Found(reason="adverb")  # too often an adjective or a preposition as well
        senses = [sense for sense in senses if self._part(sense) == part]
        if len(senses) > MOST_SENSES:
            return Found(reason="many_senses")
        if count_of(word, senses[0]) < self._min_count:
            return Found(reason="rare_sense")
        fitting = [lemma for lemma in senses[0].lemmas() if self._fits(lemma, word, senses[0])]
        if not fitting:
            return Found(reason="no_safe_synonym")
        return Found(tuple(x.name() for x in sorted(fitting, key=lambda x: (-x.count(), x.name()))))

    def _usual_part(self, word: str, senses: list[Any]) -> str | None:
        """The part of speech a word nearly always has: without a parser nobody knows which one it has here."""
        counts: Counter[str] = Counter({self._part(sense): 0 for sense in senses})
        for sense in senses:
            counts[self._part(sense)] += count_of(word, sense)
        (part, most), *others = counts.most_common()
        return part if not others or most >= CLEARLY * max(1, others[0][1]) else None

    def _fits(self, lemma: Any, word: str, sense: Any) -> bool:
        name = lemma.name()
        if name == word or not re.fullmatch(r"[a-z]+", name) or lemma.count() < self._min_count:
            return False
        if name.endswith("ing") != word.endswith("ing"):
            return False  # "a tube", but not "a tubing"
        first: Any = self._reader.synsets(name, pos=sense.pos())[0]
        return bool(first == sense)

    @staticmethod
    def _part(sense: Any) -> str:
        return "a" if sense.pos() == "s" else str(sense.pos())

    @cached_property
    def _reader(self) -> Any:
        """NLTK's reader. Raises InputError where the dictionary is not there."""
        import nltk
        from nltk.corpus.reader import WordNetCorpusReader

        folder = (self._wordnet / "corpora" / "wordnet").resolve()
        if not (folder / "index.noun").is_file():
            raise InputError(f"{folder}: WordNet is not here; run `make setup`")
        if (root := str(self._wordnet.resolve())) not in nltk.data.path:
            nltk.data.path.insert(0, root)  # NLTK reads nothing outside these folders
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "The multilingual functions are not available"
            )  # nor needed
            return WordNetCorpusReader(str(folder), None)


def kept_because(before: str, word: str, after: str, protected: Set[str]) -> str | None:  # noqa: PLR0911
    """Why a word must stay as it is, whatever WordNet knows; None if it need not."""
    if any(letter.isdigit() for letter in word):
        return "number"
    if re.search(r"\d\s*$", before) or re.match(r"\s*\d", after):
        return "beside_a_number"  # a unit, or "group 1"
    if word.lower() != word:
        return "name"
    if not re.fullmatch(r"[a-z]+", word):
        return "not_plain"  # hyphens, apostrophes, letters of other languages
    if is_protected(word, protected):
        return "protected"
    if len(word) < 4 or word in KEPT:
        return "function_word"
    return None


def is_protected(word: str, protected: Set[str]) -> bool:
    """Whether a word is one of the protected ones or begins with one of four letters or more (`melt`, `melted`)."""
    return word in protected or any(word[:end] in protected for end in range(4, len(word)))


def fits_article(before: str, synonym: str) -> bool:
    """Whether the a or an that stands before a word surely suits its synonym, or there is none."""
    article = re.search(r"\b(an?)\s+$", before, re.IGNORECASE)
    if article is None:
        return True
    return bool((AFTER_A if article[1].lower() == "a" else AFTER_AN).match(synonym))


def names_of(sense: Any) -> set[str]:
    """Words of a sense, in lower case."""
    return {name.lower() for name in sense.lemma_names()}


def count_of(word: str, sense: Any) -> int:
    """How often a word stands for a sense in WordNet's sense-tagged corpus."""
    return sum(lemma.count() for lemma in sense.lemmas() if lemma.name().lower() == word)
