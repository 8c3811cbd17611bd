"""Generations: loaded versions that never change. One of them is current, and each request keeps its own.

A swap is a compare-and-swap: it names the generation that it replaces. The engine of a replaced generation
is closed when its last request has ended. A candidate is a second version that stays beside the current one,
for a share of the callers (a percentage canary), for whoever names it (A/B), or in the shadow.
"""

import hashlib
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lore.serving.engines.engine import Engine
from lore.serving.knowledge import Knowledge
from lore.serving.reading import Reader
from lore.serving.schemas import VersionInfo

LOG = logging.getLogger("lore.serving")
ALIAS = "lorekeep"
"""A model's name that means whatever version is served. `lorekeep@1.2.0` means that release."""
SHOWN = 100
"""Characters of a wrong model's name that the refusal repeats."""


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
    least: float | None = None
    """The limit on confidence below which it says that it does not know. None: it always answers."""
    requests: int = field(default=0)
    is_replaced: bool = field(default=False)

    @property
    def number(self) -> int:
        """Its number: 1, 2, …"""
        return self.version.generation

    @property
    def name(self) -> str:
        """The model's name: version and variant, such as `knowledge@v1.2.0/distill`."""
        return f"{self.version.name}/{self.variant}"

    def is_called(self, name: str) -> bool:
        """Return whether a model's name means this version: `lorekeep@1.2.0`, `knowledge@v1.2.0`, with or without `/distill`."""
        version, _, variant = name.partition("/")
        if variant not in ("", self.variant):
            return False
        known = {self.version.name, f"{ALIAS}@{self.version.name}"}
        if self.version.tag is not None:
            known.add(f"{ALIAS}@{self.version.tag.rpartition('@v')[2]}")
        return version in known


class Generations:
    """The current generation, a candidate beside it, and the replaced ones that still answer."""

    def __init__(
        self,
        first: Generation,
        candidate: Generation | None = None,
        share: float = 0.0,
        names: Sequence[str] = (),
    ) -> None:
        """`share` is that of the callers whom the candidate answers. `names` mean any version, as `lorekeep` does."""
        self._lock = threading.Lock()
        self._current = first
        self.candidate = candidate
        self._share = share
        self.names = tuple(names)
        """Further names of models that mean whatever version is served."""

    @property
    def current(self) -> Generation:
        """The generation that new requests get."""
        return self._current

    @contextmanager
    def held(self, model: str = "", caller: str = "") -> Iterator[Generation]:
        """Yield the generation that a request gets. It stays loaded meanwhile.

        `model` is the name that the request gives. Where it names no version, `caller` decides: one caller always
        gets the same of the two versions. Raises UnknownModelError for a version that is not served.
        """
        with self._lock:
            generation = self._chosen(model, caller)
            generation.requests += 1
        try:
            yield generation
        finally:
            self._release(generation)

    @contextmanager
    def held_version(self, name: str) -> Iterator[Generation]:
        """Yield the generation of a version's name if it is loaded, else the current one. It stays loaded meanwhile."""
        with self._lock:
            generation = self._current
            candidate = self.candidate
            if candidate is not None and name == candidate.version.name != generation.version.name:
                generation = candidate
            generation.requests += 1
        try:
            yield generation
        finally:
            self._release(generation)

    def _release(self, generation: Generation) -> None:
        """Count a request less, and close a replaced generation behind its last one."""
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
        """Close the engines of the current generation and of the candidate."""
        self._current.engine.close()
        if self.candidate is not None:
            self.candidate.engine.close()

    def is_any(self, model: str) -> bool:
        """Return whether a model's name means whatever version is served."""
        return model in ("", ALIAS, self._current.variant, *self.names)

    def _chosen(self, model: str, caller: str) -> Generation:
        candidate = self.candidate
        if self.is_any(model):
            if candidate is not None and is_drawn(candidate, caller, self._share):
                return candidate
            return self._current
        # Where both are the same version, the current one answers.
        if self._current.is_called(model):
            return self._current
        if candidate is not None and candidate.is_called(model):
            return candidate
        names = [self._current.name]
        if candidate is not None:
            names.append(candidate.name)
        raise UnknownModelError(model, names)


class UnknownModelError(Exception):
    """A request names a model that is not served."""

    def __init__(self, model: str, names: list[str]) -> None:
        """`names` are those of the models that are served."""
        verb = "is" if len(names) == 1 else "are"
        asked = model if len(model) <= SHOWN else f"{model[:SHOWN]}…"
        super().__init__(f"model {asked}: not served here; {' and '.join(names)} {verb}")


def is_drawn(candidate: Generation, key: str, share: float, purpose: str = "share") -> bool:
    """Return whether a key is among a share of all keys. The same key and candidate always give the same.

    A larger share has all keys of a smaller one.
    """
    who = candidate.version.identity or candidate.version.name
    digest = hashlib.sha256(f"{purpose}\0{who}\0{key}".encode()).digest()
    # The first eight bytes as a whole number: evenly spread from 0 to 2**64 - 1.
    place = int.from_bytes(digest[:8])
    return place < share * 2**64


def close_soon(generation: Generation) -> None:
    """Close a generation's engine in a thread of its own, since closing waits for the engine's step."""

    def close() -> None:
        generation.engine.close()
        LOG.info("closed generation %d, %s", generation.number, generation.version.name)

    threading.Thread(target=close, name="closing", daemon=True).start()
