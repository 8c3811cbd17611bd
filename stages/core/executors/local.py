"""Who works on the batches of a corpus: threads and processes of this machine, or a Ray cluster (`run.engine`).

An engine calls a pure function of one item for many of them and gives the results in the order of the items, few of them ahead of
who takes them. No byte of the result depends on which engine it is, or on how many workers it has.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol, TypeVar

from stages.core.project.params import Run
from stages.core.project.runtime import die_with_parent

KEPT = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(256 << 20))
"""Environment of workers: arrays up to this many bytes stay with the process when they are done with. By itself glibc hands each
back to the system, which clears it page by page for the next batch: a twentieth of the time.
"""
Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Calls functions for many items."""

    def in_order(
        self, function: Callable[[Item], Result], items: Iterable[Item], processes: bool = False
    ) -> Iterator[Result]:
        """Results in the order of the items. `processes`: threads would wait for each other, as the work is Python's own."""


@dataclass(frozen=True)
class Local:
    """Workers of this machine. Threads share what polars, Arrow and rensa do; what Python itself does, only processes share."""

    workers: int

    def in_order(
        self, function: Callable[[Item], Result], items: Iterable[Item], processes: bool = False
    ) -> Iterator[Result]:
        """As `Engine.in_order`."""
        waiting: deque[Future[Result]] = deque()
        with pool_of(self.workers, processes and self.workers > 1) as pool:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def pool_of(workers: int, processes: bool) -> Executor:
    """Threads, or processes that are made anew (a fork would copy the locks of polars' threads) and end with this one."""
    if not processes:
        return ThreadPoolExecutor(workers)
    os.environ.update(KEPT)  # read by processes that start
    return ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=die_with_parent
    )


@contextmanager
def engine_of(run: Run, folder: Path) -> Iterator[Engine]:
    """The engine that `run` names; `folder`, which is there, takes what workers write. Raises EngineError where there is none."""
    if run.engine == "local":
        yield Local(run.threads)
        return
    from stages.core.executors.ray import connected

    with connected(run, folder) as engine:
        yield engine
