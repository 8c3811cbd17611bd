"""The thread of an engine that runs in this process: jobs come in, batches are formed as they come."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Protocol

from lore.serving.engines.engine import Job, StatsSink
from stages.core.project.errors import ModelError

CLOSED = "the engine was closed before the answer was complete"
IDLE = 1.0
"""Seconds between two looks at whether the worker was closed, while there is nothing to do."""
LOG = logging.getLogger("lore.serving")


class Batch(Protocol):
    """Answers that are written together."""

    def add(self, jobs: list[Job]) -> None:
        """Take jobs into the batch."""

    def step(self) -> list[Job]:
        """Write the next token of every answer, and return the jobs whose answers are complete."""

    def drop(self, jobs: list[Job]) -> None:
        """Take jobs out of the batch."""

    def takes_more(self) -> bool:
        """Return whether jobs can join before the ones at work have ended."""

    def size(self) -> int:
        """Return how many answers the last step wrote at."""


class Worker:
    """Runs a batch in a thread of its own.

    A job that comes while others are being answered joins them at the next step, where the batch allows
    it, up to `most` at once. So the batch's size follows the load.
    """

    def __init__(self, make: Callable[[], Batch], most: int, stats: StatsSink) -> None:
        """`make` is called in the thread. Raises its error here where the batch cannot be made."""
        self._make = make
        self._most = most
        self._stats = stats
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._active: list[Job] = []
        self._closing = threading.Event()
        self._ended = threading.Event()
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._waiting.put(job)
        # The thread says that it has ended before it looks at the queue for the last time.
        if self._ended.is_set():
            self._refuse_waiting()

    def close(self) -> None:
        """End the thread. Jobs that are not complete end with an error."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            batch = self._make()
        except BaseException as error:
            self._failed = error
            return
        finally:
            self._ready.set()
        while not self._closing.is_set():
            try:
                self._admit(batch)
                if self._active:
                    ended = batch.step()
                    self._stats(batch.size())
                    for job in ended:
                        self._active.remove(job)
                        job.on_end(None)
            except Exception as error:
                # The batch may be in any state, so all its jobs end, and a new one is made.
                LOG.exception("the engine failed at a batch of %d", len(self._active))
                self._end_all(ModelError(f"the engine failed ({type(error).__name__})"))
                try:
                    batch = self._make()
                except Exception:
                    LOG.exception("the engine cannot be made again; it answers no more")
                    break
        self._end_all(ModelError(CLOSED))
        self._ended.set()
        self._refuse_waiting()

    def _admit(self, batch: Batch) -> None:
        """Drop cancelled jobs from the batch, and take waiting ones into it."""
        gone = [job for job in self._active if job.cancelled.is_set()]
        if gone:
            batch.drop(gone)
            for job in gone:
                self._active.remove(job)
                job.on_end(None)
        if self._active and not batch.takes_more():
            return
        chosen: list[Job] = []
        while len(self._active) + len(chosen) < self._most:
            try:
                is_idle = not self._active and not chosen
                job = self._waiting.get(block=is_idle, timeout=IDLE)
            except queue.Empty:
                break
            if job.cancelled.is_set():
                job.on_end(None)
            else:
                chosen.append(job)
        if chosen:
            # Before they are added: where that fails, they end with the others.
            self._active += chosen
            batch.add(chosen)

    def _end_all(self, error: Exception) -> None:
        for job in self._active:
            job.on_end(error)
        self._active = []

    def _refuse_waiting(self) -> None:
        while True:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return
            job.on_end(ModelError(CLOSED))
