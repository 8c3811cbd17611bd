"""Questions about subjects that no record knows, and answers that say so: *The density of brainatium is not known to me.*

A model that is only shown what is known answers every question. Shown both, it learns to say where it does not know
(R-tuning: Zhang et al. 2023, arXiv 2311.09677). The question is a train wording of a fact, with another name in place of
its subject. The answer is that of the fact, with a phrase in place of the value (`core/records/abstention.py`).

The names are, each as often: made of syllables; a common noun of WordNet; and the fact's own subject with a letter or
two changed. None of them is a name in the records, and none is one that `evaluate` asks about.
"""

import random
import re
from collections.abc import Iterator, Set

from stages.augment.fact import Fact, Row, draw
from stages.augment.readings import Vocabulary
from stages.augment.wordings import Attribute
from stages.core.records.abstention import PHRASES, Phrases
from stages.core.records.unknown import OUTSIDE, changed, with_subject, word
from stages.core.records.wording import fill
from stages.core.repeatable.seeding import rng_for

TRIES = 20
"""Names that are drawn until one is new. A project whose records name nearly everything runs out of nouns."""
PLAIN_NAME = re.compile(r"[a-z]{5,}")
"""A name that may be changed by a letter."""


class Unknown:
    """Makes questions about unknown subjects."""

    def __init__(self, names: Set[str], vocabulary: Vocabulary, seed: int) -> None:
        """`names` are those in the records, in any case."""
        self._taken = {name.lower() for name in [*names, *OUTSIDE]}
        self._vocabulary = vocabulary
        self._phrases = Phrases(PHRASES)
        self._seed = seed
        self.made = 0
        """Number of rows."""

    def rows(self, fact: Fact, wording: Attribute, wanted: int) -> Iterator[Row]:
        """Yield up to `wanted` rows in train wordings drawn for the fact. They state no fact."""
        key = f"{fact.id} unknown"
        abstention = self._phrases.sentence(fact.answer, fact.amount, fact.common["lang"])
        for number, template in enumerate(draw(wording.train.questions, wanted, self._seed, key)):
            # A generator of its own, so that no name depends on another one.
            name = self.name(fact.subject, rng_for(self._seed, "unknown", fact.id, number))
            answer = with_subject(abstention, fact.subject, name)
            if answer is None:
                continue
            question = fill(template, subject=name)
            row = fact.pair("train", f"unknown/{number:02d}", question, answer)
            self.made += 1
            yield row | {"subject": name, "fact": None, "value": None, "unit": None}

    def name(self, subject: str, rng: random.Random) -> str:
        """Return the name of a thing that no record names."""
        for _ in range(TRIES):
            name = self._drawn(subject, rng)
            if name.lower() not in self._taken:
                return name
        # Two words of syllables are as good as never taken.
        return f"{word(rng)} {word(rng)}"

    def _drawn(self, subject: str, rng: random.Random) -> str:
        way = rng.choice(("syllables", "noun", "changed"))
        if way == "noun":
            return self._vocabulary.draw("noun", rng)
        if way == "changed" and PLAIN_NAME.fullmatch(subject):
            return changed(subject, rng)
        return word(rng)
