"""The executor of this machine: threads, or processes."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

from stages.core.executors.executor import WORKER_ENVIRONMENT, Item, Result
from stages.core.project.errors import ExecutorError
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
        """As `Executor.in_order`. Raises ExecutorError where a worker process is killed."""
        several_processes = processes and self.workers > 1
        waiting: deque[futures.Future[Result]] = deque()
        with pool_of(self.workers, several_processes) as pool:
            for item in items:
                waiting.append(submitted(pool, function, item))
                if len(waiting) > self.workers:
                    yield result_of(waiting.popleft())
            while waiting:
                yield result_of(waiting.popleft())


def submitted(
    pool: futures.Executor, function: Callable[[Item], Result], item: Item
) -> futures.Future[Result]:
    """Give an item to a worker. Raises ExecutorError where one was killed before."""
    try:
        return pool.submit(function, item)
    except BrokenProcessPool:
        raise killed() from None


def result_of(future: futures.Future[Result]) -> Result:
    """Wait for a result. Raises ExecutorError where a worker was killed meanwhile."""
    try:
        return future.result()
    except BrokenProcessPool:
        raise killed() from None


def killed() -> ExecutorError:
    """Make the error for a worker process that ended without a result."""
    return ExecutorError(
        "a worker process was killed; mostly the system does that where memory runs out (dmesg "
        "says so): set run.threads lower, or use a machine with more memory, and run dvc repro "
        "again; the former output is unchanged"
    )


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
