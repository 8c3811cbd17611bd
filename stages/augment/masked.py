"""Masked words: in some training questions, random English words replace words that do not matter.

What stays is what the answer depends on. A model learns to rely on that, and meets wordings that
nobody wrote down (random replacement as in EDA: Wei & Zou 2019, arXiv 1901.11196). Slots, terms of
attributes, numbers, names and function words stay. A random word is never one of those either.
A question without a term that is its attribute's alone stays whole: any of its words may be the one that
matters ("When does iron begin to bubble?"). Answers are never changed.
"""

import random
import re
from collections.abc import Mapping, Set
from functools import cached_property
from pathlib import Path

from stages.augment.synonyms import TOKEN, is_protected, kept_because
from stages.core.project.errors import InputError
from stages.core.records.wording import normalise

ENDINGS = ("ing", "ed", "s")
SHARE = 0.5
"""Share of the words of a question that are masked, among those that may be."""
# Plain words of three to twelve letters: iron, but neither `x` nor `rust_proof`.
USABLE = re.compile(r"[a-z]{3,12}")


class Masks:
    """Replaces words and counts the questions it changed."""

    def __init__(
        self,
        wordnet: Path,
        protected: Set[str],
        taken: Set[str],
        telling: Mapping[str, Set[str]],
    ) -> None:
        """`protected` words are neither replaced nor put in.

        No result has the normalised form of one in `taken`. `telling` are the terms that belong to one
        attribute alone, by attribute.
        """
        self._wordnet = wordnet
        self._protected = protected
        self._taken = taken
        self._telling = telling
        self.made = 0
        """Number of changed questions."""

    def masked(self, template: str, attribute: str, rng: random.Random) -> str:
        """Return an attribute's template with about half of its free words replaced, and at least one.

        The template stays as it is where it has no telling term or no free word, or the result is taken.
        """
        if not self._is_told(template, attribute):
            return template
        free = [match for match in TOKEN.finditer(template) if self._is_free(template, match)]
        if not free:
            return template
        chosen = [match for match in free if rng.random() < SHARE]
        if not chosen:
            chosen = [rng.choice(free)]
        text = template
        # From the end, so that earlier positions stay valid.
        for match in reversed(chosen):
            word = self._word_like(match.group(), rng)
            text = text[: match.start()] + word + text[match.end() :]
        if normalise(text) in self._taken:
            return template
        self.made += 1
        return text

    def _is_told(self, template: str, attribute: str) -> bool:
        """Whether a word of a template belongs to this attribute alone."""
        telling = self._telling.get(attribute, frozenset())
        for match in TOKEN.finditer(template):
            if is_protected(match.group().lower(), telling):
                return True
        return False

    def _is_free(self, template: str, match: re.Match[str]) -> bool:
        """Whether a token of a template may be replaced."""
        word = match.group()
        if word.startswith("{"):
            return False
        before, after = template[: match.start()], template[match.end() :]
        return kept_because(before, word, after, self._protected) is None

    def _word_like(self, word: str, rng: random.Random) -> str:
        """Return a random word with the ending of a word: `takes` may become `stones`."""
        chosen = rng.choice(self._words)
        for ending in ENDINGS:
            if word.endswith(ending):
                break
        else:
            return chosen
        if ending in ("ing", "ed"):
            return chosen.removesuffix("e") + ending
        return chosen + ending

    @cached_property
    def _words(self) -> list[str]:
        """Nouns, verbs and adjectives that occur in WordNet's sense-tagged corpus, sorted.

        Raises InputError where WordNet is not there.
        """
        words: set[str] = set()
        for part in ("noun", "verb", "adj"):
            index = self._wordnet / "corpora" / "wordnet" / f"index.{part}"
            if not index.is_file():
                raise InputError(f"{index}: WordNet is not here; run `make setup`")
            for line in index.read_text(encoding="utf-8").splitlines():
                # Lines of the licence begin with a blank.
                if line.startswith(" "):
                    continue
                # Format (wndb(5WN)): lemma, part of speech, number of senses, number of pointer
                # types, the pointer types, number of senses again, number of tagged senses …
                # Example: `iron n 4 4 @ ~ #s + 4 2 14642417 …` has 2 tagged senses.
                lemma, _, _, pointers, *fields = line.split()
                tagged_senses = int(fields[int(pointers) + 1])
                if tagged_senses > 0 and USABLE.fullmatch(lemma):
                    words.add(lemma)
        return sorted(word for word in words if not is_protected(word, self._protected))
