"""Generations: loaded versions that never change. One of them is current, and each request keeps its own.

A swap is a compare-and-swap: it names the generation that it replaces. The engine of a replaced generation
is closed when its last request has ended.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lore.serving.engines.engine import Engine
from lore.serving.knowledge import Knowledge
from lore.serving.reading import Reader
from lore.serving.schemas import VersionInfo

LOG = logging.getLogger("lore.serving")


@dataclass(eq=False)
class Generation:
    """A version that is loaded. Nothing of it changes but the number of its requests."""

    version: VersionInfo
    """Its `generation` is the number of this generation."""
    variant: str
    engine: Engine
    tokenizer: Any
    reader: Reader
    knowledge: Knowledge
    context: int
    """Longest prompt and answer together, in tokens."""
    requests: int = field(default=0)
    is_replaced: bool = field(default=False)

    @property
    def number(self) -> int:
        """Its number: 1, 2, …"""
        return self.version.generation


class Generations:
    """The current generation, and the replaced ones that still answer."""

    def __init__(self, first: Generation) -> None:
        self._lock = threading.Lock()
        self._current = first

    @property
    def current(self) -> Generation:
        """The generation that new requests get."""
        return self._current

    @contextmanager
    def held(self) -> Iterator[Generation]:
        """Yield the current generation, which stays loaded meanwhile."""
        with self._lock:
            generation = self._current
            generation.requests += 1
        try:
            yield generation
        finally:
            with self._lock:
                generation.requests -= 1
                is_over = generation.is_replaced and generation.requests == 0
            if is_over:
                close_soon(generation)

    def swap(self, expected: int, new: Generation) -> bool:
        """Make `new` current if the generation number `expected` still is. Returns whether it was done."""
        with self._lock:
            old = self._current
            if old.number != expected:
                return False
            self._current = new
            old.is_replaced = True
            is_over = old.requests == 0
        if is_over:
            close_soon(old)
        return True

    def close(self) -> None:
        """Close the engine of the current generation."""
        self._current.engine.close()


def close_soon(generation: Generation) -> None:
    """Close a generation's engine in a thread of its own, since closing waits for the engine's step."""

    def close() -> None:
        generation.engine.close()
        LOG.info("closed generation %d, %s", generation.number, generation.version.name)

    threading.Thread(target=close, name="closing", daemon=True).start()
