"""Variants of free texts, chunk by chunk, on the executor that `run.executor` names.

A text gets synonyms by WordNet first. Where a masked model is given, it fills what is left of `synonyms`. A
variant depends on its text, the settings and the protected words alone, so neither the executor nor the size of
a chunk changes a byte.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from stages.augment import checkpoints
from stages.augment.in_context import ContextThesaurus
from stages.augment.masked_words import MaskedWords
from stages.augment.synonyms import Thesaurus
from stages.core.executors.choice import executor_of
from stages.core.project.params import Run

CHUNK = 4096
"""Texts that a worker gets at once. Fewer texts than this are handled here, without workers."""
WORDNET = "wordnet"
MASKED = "masked_model"
"""Operations."""
BASE_FORM = "base_form"
"""The rule of `synonyms.py`."""
IN_CONTEXT = "in_context"
"""The rule of `in_context.py`."""
Text = tuple[str, str]
"""A text and its language."""


@dataclass(frozen=True)
class Settings:
    """What decides the variants of a text."""

    wordnet: Path
    rule: str
    """base_form or in_context."""
    min_count: int
    wanted: int
    encoder: checkpoints.Model | None = None
    masked: checkpoints.Model | None = None
    similarity: float = 0.95


class Variant(NamedTuple):
    """A variant of a text."""

    text: str
    operation: str
    """wordnet or masked_model."""
    word: str
    """The word that stood there."""
    by: str
    """The word that stands there now."""


class Made(NamedTuple):
    """The variants of a chunk, and the counts of the work."""

    variants: list[list[Variant]]
    made: int
    refused: Counter[str]
    masked_made: int
    masked_refused: Counter[str]


class Variants:
    """The variants of texts, in their order, and the counts of the work so far."""

    def __init__(self, chunks: Iterable[Made]) -> None:
        """`chunks` are worked on as they are taken."""
        self._chunks = chunks
        self.made = 0
        """Variants by WordNet."""
        self.refused: Counter[str] = Counter()
        """Words refused, by reason."""
        self.masked_made = 0
        """Variants by the masked model."""
        self.masked_refused: Counter[str] = Counter()
        """Candidates of the masked model refused, by reason."""

    def __iter__(self) -> Iterator[list[Variant]]:
        """Yield the variants of each text."""
        for chunk in self._chunks:
            self.made += chunk.made
            self.refused += chunk.refused
            self.masked_made += chunk.masked_made
            self.masked_refused += chunk.masked_refused
            yield from chunk.variants

    def masked_report(self) -> dict[str, Any]:
        """Return the counts of the masked model by name."""
        return {"made": self.masked_made, "refused": dict(sorted(self.masked_refused.items()))}


def thesaurus_of(settings: Settings) -> Thesaurus:
    """Return the thesaurus that the settings name."""
    if settings.rule != IN_CONTEXT:
        return Thesaurus(settings.wordnet, settings.min_count)
    sense_of = None
    if settings.encoder is not None:
        sense_of = partial(checkpoints.nearest, encoder=settings.encoder)
    return ContextThesaurus(settings.wordnet, settings.min_count, sense_of)


@lru_cache(1)
def of_worker(settings: Settings) -> Thesaurus:
    """Return the thesaurus of this process, whose look-ups serve all its chunks."""
    return thesaurus_of(settings)


def variants_of(
    pairs: Iterable[Text],
    number: int,
    settings: Settings,
    protected: frozenset[str],
    run: Run,
    out: Path,
) -> Variants:
    """Return the variants of texts. `number`: how many texts there are.

    `out`: the stage's output. Workers of a cluster must see the folder in which it stands.
    """
    chunks = in_chunks(pairs)
    is_small = number <= CHUNK and settings.masked is None
    if is_small or not settings.wanted:
        return Variants(of_chunk(chunk, settings, protected) for chunk in chunks)
    return Variants(on_workers(chunks, settings, protected, run, out))


def in_chunks(pairs: Iterable[Text]) -> Iterator[list[Text]]:
    """Yield lists of up to `CHUNK` texts."""
    remaining = iter(pairs)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def on_workers(
    chunks: Iterable[list[Text]],
    settings: Settings,
    protected: frozenset[str],
    run: Run,
    out: Path,
) -> Iterator[Made]:
    """Yield the results of chunks, in their order."""
    work = partial(of_chunk, settings=settings, protected=protected)
    out.parent.mkdir(parents=True, exist_ok=True)
    with executor_of(run, out.parent, __name__) as executor:
        yield from executor.in_order(work, chunks, processes=True)


def of_chunk(texts: list[Text], settings: Settings, protected: frozenset[str]) -> Made:
    """Return the variants of some texts."""
    thesaurus = of_worker(settings)
    thesaurus.refused = Counter()
    thesaurus.made = 0
    masked = None
    if settings.masked is not None:
        masked = MaskedWords(thesaurus, settings.masked, settings.encoder, settings.similarity)
    found = []
    for text, lang in texts:
        of_text: list[Variant] = []
        if lang == "en":
            for replacement in thesaurus.replacements(text, settings.wanted, protected):
                of_text.append(Variant(replacement.text, WORDNET, *replacement[1:]))
        elif settings.wanted:
            thesaurus.refused["text_not_english"] += 1
        if masked is not None:
            left = settings.wanted - len(of_text)
            for replacement in masked.replacements(text, lang, left, protected):
                of_text.append(Variant(replacement.text, MASKED, *replacement[1:]))
        found.append(of_text)
    masked_made = masked.made if masked else 0
    masked_refused = masked.refused if masked else Counter()
    return Made(found, thesaurus.made, thesaurus.refused, masked_made, masked_refused)
