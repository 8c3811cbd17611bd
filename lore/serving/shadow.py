"""Shadow questions: what a caller asked is asked of the candidate too, and only the comparison sees its answer."""

import asyncio
from collections.abc import Callable

from lore.serving.answering import Answering, Asked, Finished
from lore.serving.errors import ApiError
from lore.serving.generations import Generation, Generations, is_drawn

MOST = 8
"""Shadow questions at once. A further one is skipped, so that they never pile up."""


class Shadow:
    """Asks the candidate behind the caller's answer. Used in the server's event loop alone."""

    def __init__(self, generations: Generations, answering: Answering, share: float) -> None:
        """`share` is that of the questions. The same question is always among them, or never."""
        self._generations = generations
        self._answering = answering
        self._share = share
        # The loop keeps weak references only.
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(
        self,
        generation: Generation,
        asked: Asked,
        make: Callable[[Generation], Asked],
        shown: Finished,
    ) -> None:
        """Ask the candidate what `generation` has answered. Returns at once.

        `make` makes the request's prompt for a generation, since the two may have different tokenizers.
        """
        candidate = self._generations.candidate
        if candidate is None or candidate is generation or asked.from_records:
            return
        if not is_drawn(candidate, asked.question, self._share, "shadow"):
            return
        if len(self._tasks) >= MOST:
            self._answering.comparison.skipped()
            return
        task = asyncio.create_task(self._ask(candidate, make, shown))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(
        self, candidate: Generation, make: Callable[[Generation], Asked], shown: Finished
    ) -> None:
        try:
            unseen = await self._answering.unseen(candidate, make(candidate))
        except ApiError:
            # An engine that fails is counted where it fails. A prompt may be too long for the candidate alone.
            return
        self._answering.comparison.paired(
            shown.text, unseen.text, shown.info.agrees, unseen.info.agrees
        )
