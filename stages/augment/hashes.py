"""Many texts in little memory: what is kept of each is 8 bytes of its hash.

Two of a million different texts share a hash with a chance of 1 to 37 million, by the birthday bound
n² / 2 / 2⁶⁴. The hash is SHA-256, so such a case is the same one on every machine.
"""

import hashlib
from array import array
from typing import Any

import numpy as np


def hash_of(*parts: str) -> int:
    """Return 64 bits of the hash of some texts, in their order."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


class Hashes:
    """Texts that can be counted and looked up. First all are added, then they are asked about."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._added = array("Q")
        self._sorted: Any = None
        """The hashes in order, uint64 [texts]. None while texts are still added."""

    def add(self, *parts: str) -> None:
        """Take a text, or several parts that count as one."""
        self._added.append(hash_of(*parts))
        self._sorted = None

    def count(self, *parts: str) -> int:
        """Return how often a text was added."""
        if self._sorted is None:
            self._sorted = np.sort(np.array(self._added, dtype=np.uint64))
        wanted = np.uint64(hash_of(*parts))
        first = np.searchsorted(self._sorted, wanted, side="left")
        behind = np.searchsorted(self._sorted, wanted, side="right")
        return int(behind - first)

    def __contains__(self, text: object) -> bool:
        """Whether a text was added."""
        return isinstance(text, str) and self.count(text) > 0

    def repeated(self) -> int:
        """Return how many of the texts that were added are not the only one of their words."""
        _, counts = np.unique(np.array(self._added, dtype=np.uint64), return_counts=True)
        return int(counts[counts > 1].sum())
