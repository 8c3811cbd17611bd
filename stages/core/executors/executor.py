"""The protocol of executors, which run a function over many items.

An executor gives the results in the order of the items. It takes few items ahead of the results
that were taken. No byte of a result depends on which executor is used, or on its number of workers.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST_KEPT_ARRAY = str(256 << 20)
WORKER_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": LARGEST_KEPT_ARRAY,
    "MALLOC_TRIM_THRESHOLD_": LARGEST_KEPT_ARRAY,
}
"""Environment of worker processes. Memory of arrays up to this many bytes stays with the process
when they are freed. By default glibc returns it to the system, which clears it page by page for the
next batch. That costs a twentieth of the time."""


class Executor(Protocol):
    """Runs a function over many items."""

    def in_order(
        self, function: Callable[[Item], Result], items: Iterable[Item], processes: bool = False
    ) -> Iterator[Result]:
        """Yield the result of each item, in the order of the items.

        `processes`: the work is done by Python itself, so threads would wait for each other.
        """
