"""Masked words: in some training questions, words that carry neither subject nor attribute are replaced by random English ones.

What stays is what the answer depends on, so a model learns to rely on that, and meets wordings of its own in what nobody wrote
down (random replacement as in EDA: Wei & Zou 2019, arXiv 1901.11196). Kept are the slots, the attributes' terms, numbers, names
and function words; a random word is never one of those either. Answers are never touched.
"""

import random
import re
from collections.abc import Set
from functools import cached_property
from pathlib import Path

from stages.augment.synonyms import TOKEN, is_protected, kept_because
from stages.core.project.errors import InputError
from stages.core.records.wording import normalise

ENDINGS = ("ing", "ed", "s")
SHARE = 0.5
"""Of the words of a question that may be masked."""


class Masks:
    """Replaces words and counts the questions it changed."""

    def __init__(self, wordnet: Path, protected: Set[str], taken: Set[str]) -> None:
        """`protected` words are neither replaced nor put in; no result is normalised as one of `taken`."""
        self._wordnet, self._protected, self._taken = wordnet, protected, taken
        self.made = 0

    def masked(self, template: str, rng: random.Random) -> str:
        """The template with about half of its free words replaced, at least one; as it was where there is none."""
        places = [
            match
            for match in TOKEN.finditer(template)
            if not match.group().startswith("{")
            and not kept_because(
                template[: match.start()], match.group(), template[match.end() :], self._protected
            )
        ]
        if not places:
            return template
        chosen = [match for match in places if rng.random() < SHARE] or [rng.choice(places)]
        text = template
        for match in reversed(chosen):  # from the end, so that places stay where they are
            text = text[: match.start()] + self._word_like(match.group(), rng) + text[match.end() :]
        if normalise(text) in self._taken:
            return template
        self.made += 1
        return text

    def _word_like(self, word: str, rng: random.Random) -> str:
        """A random word with the ending of this one."""
        found = rng.choice(self._words)
        ending = next((ending for ending in ENDINGS if word.endswith(ending)), "")
        return found.removesuffix("e") + ending if ending in ("ing", "ed") else found + ending

    @cached_property
    def _words(self) -> list[str]:
        """Nouns, verbs and adjectives that occur in WordNet's sense-tagged corpus. Raises InputError where it is not there."""
        found = set()
        for part in ("noun", "verb", "adj"):
            index = self._wordnet / "corpora" / "wordnet" / f"index.{part}"
            if not index.is_file():
                raise InputError(f"{index}: WordNet is not here; run `make setup`")
            for line in index.read_text(encoding="utf-8").splitlines():
                if not line.startswith(" "):  # the licence
                    lemma, _, _, pointers, *fields = line.split()
                    if int(fields[int(pointers) + 1]) and re.fullmatch(r"[a-z]{3,12}", lemma):
                        found.add(lemma)
        return sorted(word for word in found if not is_protected(word, self._protected))
