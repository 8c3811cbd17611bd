"""The time that some work takes, measured so that neither the machine nor other tests decide."""

import gc
import time
from collections.abc import Callable


def quickest(work: Callable[[], object], turns: int = 5) -> float:
    """Return the processor seconds of the quickest of several turns.

    A disturbed turn takes longer, never shorter. Garbage is not collected meanwhile: a collection
    walks through all that earlier tests left in memory, which may take longer than the work itself.
    """
    taken = []
    for _ in range(turns):
        gc.disable()
        try:
            started = time.process_time()
            work()
            taken.append(time.process_time() - started)
        finally:
            gc.enable()
    return min(taken)
