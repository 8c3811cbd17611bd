"""Synonyms by WordNet 3.0 through NLTK, with care: a wrong synonym teaches a wrong fact.

A word is replaced only if it is a plain lower-case word of four letters or more in its base form, is not protected (names,
attribute terms, units, negation, function words), and has a synonym that is one common word whose own first sense is the
same as the word's first sense: the two are then each other's ordinary meaning. Everything else is refused and counted.
"""

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from stages.core.errors import InputError
from stages.core.wording import normalise

KEPT = set(
    "not never none neither nor without cannot hardly only less more most least under above below over before after "
    "this that these those what when where which whose whom with from into upon about than then there their they them "
    "have does were been being will would could should must might shall also such each every some many much very".split()
)
"""Negation, comparison and function words: replacing one changes what a sentence says, or its grammar."""
MOST_SENSES = 5
"""A word of more senses than this one means too many things to be replaced without understanding the sentence."""
WORD = re.compile(r"(?<![\w{-])[a-z]+(?![\w}-])")


class Thesaurus:
    """Finds synonyms and counts what was made and what was refused, by reason."""

    def __init__(self, wordnet: Path, min_count: int) -> None:
        """`wordnet` holds `corpora/wordnet`. Raises InputError where the dictionary is not there."""
        import nltk
        from nltk.corpus.reader import WordNetCorpusReader

        folder = (wordnet / "corpora" / "wordnet").resolve()
        if not (folder / "index.noun").is_file():
            raise InputError(f"{folder}: WordNet is not here; run `make setup`")
        if (root := str(wordnet.resolve())) not in nltk.data.path:
            nltk.data.path.insert(0, root)  # NLTK reads nothing outside these folders
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The multilingual functions are not available")  # nor needed
            self._reader: Any = WordNetCorpusReader(str(folder), None)
        self._min_count = min_count
        self._cache: dict[str, list[str]] = {}
        self.refused: Counter[str] = Counter()
        self.made = 0

    def variants(self, text: str, wanted: int, protected: set[str]) -> list[str]:
        """Up to `wanted` texts, each with one word replaced, in the order of the words."""
        found: list[str] = []
        if wanted == 0:
            return found
        for match in WORD.finditer(text):
            for synonym in self.synonyms(match.group(), protected):
                if len(found) == wanted:
                    return found
                found.append(text[: match.start()] + synonym + text[match.end() :])
                self.made += 1
        return found

    def templates(self, templates: list[str], wanted: int, protected: set[str], taken: set[str]) -> list[str]:
        """Variants of templates whose normalised form is not in `taken`, which grows by them."""
        found = []
        for template in templates:
            for variant in self.variants(template, wanted, protected):
                if normalise(variant) in taken:
                    self.refused["taken"] += 1
                    self.made -= 1
                    continue
                taken.add(normalise(variant))
                found.append(variant)
        return found

    def synonyms(self, word: str, protected: set[str]) -> list[str]:
        """Synonyms of a word, most common first; none if it must stay."""
        if word in protected or any(word.startswith(name) for name in protected if len(name) > 3):
            self.refused["protected"] += 1
            return []
        if len(word) < 4 or word in KEPT:
            self.refused["function_word"] += 1
            return []
        if word not in self._cache:
            self._cache[word] = self._look_up(word)
        return [synonym for synonym in self._cache[word] if synonym not in protected]

    def _look_up(self, word: str) -> list[str]:
        senses = self._reader.synsets(word)
        if not senses:
            self.refused["unknown"] += 1
            return []
        part = self._usual_part(word, senses)
        if part is None:
            self.refused["several_parts_of_speech"] += 1
            return []
        senses = [sense for sense in senses if self._part(sense) == part]
        if part == "r" or any(form != word for pos in "nvar" for form in self._reader._morphy(word, pos)):
            self.refused["inflected"] += 1  # "found" is also a form of "find"; and adverbs swap with adjectives
            return []
        if len(senses) > MOST_SENSES:
            self.refused["many_senses"] += 1
            return []
        found = [lemma for lemma in senses[0].lemmas() if self._fits(lemma, word, senses[0])]
        if not found:
            self.refused["no_safe_synonym"] += 1
        return [lemma.name() for lemma in sorted(found, key=lambda lemma: (-lemma.count(), lemma.name()))]

    def _usual_part(self, word: str, senses: list[Any]) -> str | None:
        """The part of speech a word nearly always has: without a parser nobody knows which one it has here."""
        counts: Counter[str] = Counter({self._part(sense): 0 for sense in senses})
        for sense in senses:
            counts[self._part(sense)] += sum(lemma.count() for lemma in sense.lemmas() if lemma.name() == word)
        (part, most), *others = counts.most_common()
        return part if not others or most >= 5 * max(1, others[0][1]) else None

    def _fits(self, lemma: Any, word: str, sense: Any) -> bool:
        name = lemma.name()
        if name == word or not re.fullmatch(r"[a-z]+", name) or lemma.count() < self._min_count:
            return False
        first: Any = self._reader.synsets(name, pos=sense.pos())[0]
        return bool(first == sense)

    @staticmethod
    def _part(sense: Any) -> str:
        return "a" if sense.pos() == "s" else str(sense.pos())
