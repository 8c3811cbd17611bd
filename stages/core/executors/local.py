"""The executor of this machine: threads, or processes."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from dataclasses import dataclass
from multiprocessing import get_context

from stages.core.executors.executor import WORKER_ENVIRONMENT, Item, Result
from stages.core.project.runtime import die_with_parent


@dataclass(frozen=True)
class LocalExecutor:
    """Workers of this machine.

    Threads run in parallel what polars, Arrow and rensa do. Python code runs in parallel only in
    processes.
    """

    workers: int

    def in_order(
        self, function: Callable[[Item], Result], items: Iterable[Item], processes: bool = False
    ) -> Iterator[Result]:
        """As `Executor.in_order`."""
        several_processes = processes and self.workers > 1
        waiting: deque[futures.Future[Result]] = deque()
        with pool_of(self.workers, several_processes) as pool:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def pool_of(workers: int, processes: bool) -> futures.Executor:
    """A pool of threads, or of processes that end with this process.

    Processes are spawned, not forked: a fork would copy the locks of polars' threads.
    """
    if not processes:
        return futures.ThreadPoolExecutor(workers)
    os.environ.update(WORKER_ENVIRONMENT)  # processes that start inherit it
    return futures.ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=die_with_parent
    )
