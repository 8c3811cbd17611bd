"""A worker process that is killed ends the run with what to do, and not with a traceback."""

import os
import signal

import pytest

from stages.core.executors.local import LocalExecutor
from stages.core.project.errors import ExecutorError


def doubled(number: int) -> int:
    """What a worker does. At 3 it is killed, as the system kills where memory runs out."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def without_memory(number: int) -> int:
    """What a worker does that needs too much memory."""
    raise MemoryError(f"Unable to allocate {number} GiB")


def test_a_killed_worker_is_a_message() -> None:
    results = LocalExecutor(2).in_order(doubled, range(100), processes=True)
    with pytest.raises(ExecutorError, match=r"worker process was killed; .* set run.threads lower"):
        list(results)


def test_a_worker_without_memory_says_so() -> None:
    with pytest.raises(MemoryError, match="Unable to allocate 7 GiB"):
        list(LocalExecutor(2).in_order(without_memory, [7], processes=True))


def test_threads_and_processes_give_results_in_order() -> None:
    assert list(LocalExecutor(2).in_order(doubled, [0, 1, 2], processes=True)) == [0, 2, 4]
    assert list(LocalExecutor(2).in_order(doubled, [2, 1, 0])) == [4, 2, 0]
