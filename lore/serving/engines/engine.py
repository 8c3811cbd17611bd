"""What every engine does: it takes jobs from any thread, and tells their tokens as they come."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

StatsSink = Callable[[int], None]
"""Takes the number of answers that one step of the model wrote at."""


@dataclass(eq=False)
class Job:
    """One answer to write."""

    prompt: list[int]
    """Token ids, the begin token included."""
    prompt_text: str
    """The same as text, for engines that have a tokenizer of their own."""
    most: int
    """Longest answer, in tokens."""
    on_tokens: Callable[[list[int]], bool]
    """Takes the next tokens, in the engine's thread. Returns whether the answer ends with them."""
    on_end: Callable[[Exception | None], None]
    """Called once, after the last tokens, with the error if there was one."""
    log_p: float | None = None
    """The sum of the log-probabilities of its tokens so far, in nats. None where the engine does not tell them."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set by anyone: nobody reads the answer any more."""


class Engine(Protocol):
    """A loaded model that answers. It answers greedily: the same prompt gives the same tokens."""

    name: str

    def submit(self, job: Job) -> None:
        """Take a job. `on_end` is called in any case, also where the engine is closed before."""

    def close(self) -> None:
        """End the jobs with an error, and free the model. A second call does nothing."""
