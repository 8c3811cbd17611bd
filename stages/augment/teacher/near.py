"""Near duplicates among short texts, by MinHash (Broder 1997; R-MinHash of rensa).

Two texts are compared by the sets of their sequences of four characters, after normalising: case, punctuation and
articles do not count.
"""

from rensa import RMinHash

from stages.core.records.wording import normalise

VALUES = 128
"""Values of a signature. The estimate of a similarity of 0.8 has a standard error of 0.035."""
SEED = 42
LENGTH = 4
SIMILAR = 0.8
"""Jaccard similarity from which on two texts are near duplicates."""


class Kept:
    """Texts that were kept, and the question whether another one is like them."""

    def __init__(self, texts: list[str] | None = None) -> None:
        """With texts that are there already."""
        self.signatures: list[tuple[str, RMinHash]] = []
        for text in texts or []:
            self.add(text)

    def add(self, text: str) -> None:
        """Keep a text."""
        self.signatures.append((text, signature(text)))

    def like(self, text: str) -> tuple[str, float] | None:
        """Return the first kept text that this one is like, and their similarity."""
        own = signature(text)
        for other, theirs in self.signatures:
            similarity = own.jaccard(theirs)
            if similarity >= SIMILAR:
                return other, similarity
        return None


def signature(text: str) -> RMinHash:
    """Return the MinHash signature of a text."""
    made = RMinHash(VALUES, SEED)
    made.update(sorted(sequences(text)))
    return made


def sequences(text: str) -> set[str]:
    """Return the sequences of `LENGTH` characters of a text. A shorter one is its own sequence."""
    normal = normalise(text)
    last = max(1, len(normal) - LENGTH + 1)
    return {normal[start : start + LENGTH] for start in range(last)}
