"""Several changes as one act: all of them or none, also where the program is killed or the machine stops between two.

Before each step the journal (.git/lorekeep-journal.json) says which one comes. It is removed when all are done. One that is found
later belongs to an act that was cut off, and its steps are undone, the last first. So an undo must be right whether its step was
done, half done or not begun. Programs that a step calls hold the lock too: no other act begins while one of them still runs.
"""

import fcntl
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from stages.core.project.errors import InputError, LorekeepError
from stages.core.project.output import write_json

Plan = Mapping[str, Any]
"""What an act is made from, as JSON: `act` names it, `title` tells a person."""


@dataclass(frozen=True)
class Step:
    """One change and how to take it back."""

    name: str
    do: Callable[[], None]
    undo: Callable[[], None]


class Journal:
    """The journal of the repository in this folder, while its lock is held."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path, self.lock = path, lock

    def perform(self, plan: Plan, steps: Sequence[Step]) -> None:
        """Do all steps. Where one fails, undo what was done and raise its error."""
        for number, step in enumerate(steps):
            self.write(plan, number)
            try:
                step.do()
            except LorekeepError as error:
                self.take_back(plan, steps, number)
                raise InputError(
                    f"{plan['title']}: {error}; everything is as it was before"
                ) from None
            except (Exception, KeyboardInterrupt):
                self.take_back(plan, steps, number)
                raise
        self.write(plan, len(steps))
        self.path.unlink()

    def take_back(self, plan: Plan, steps: Sequence[Step], last: int) -> None:
        """Undo the steps up to number `last`. Raises InputError where one cannot be undone; the journal then stays."""
        for number in range(last, -1, -1):
            self.write(plan, number)
            try:
                steps[number].undo()
            except LorekeepError as error:
                raise InputError(
                    f"{plan['title']}: the step '{steps[number].name}' cannot be undone: {error}\n"
                    f"Put this right, then call lore {plan['act']} again: it first undoes what is left ({self.path})"
                ) from None
        self.path.unlink()

    def pending(self) -> tuple[Plan, int] | None:
        """The plan of an act that was cut off and the number of its last step, or None. Raises InputError for a broken file."""
        if not self.path.exists():
            return None
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            return found["plan"], found["step"]
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{self.path}: not a journal ({type(error).__name__}); compare git log, dvc status and MLflow's alias by hand, "
                "then delete this file"
            ) from None

    def recover(self, steps_of: Callable[[Plan], Sequence[Step]]) -> str | None:
        """Undo an act that was cut off and say so; None where there is none. Raises InputError as `take_back` does."""
        found = self.pending()
        if found is None:
            return None
        plan, last = found
        steps = steps_of(plan)
        if last == len(steps):
            self.path.unlink()
            return f"{plan['title']} had been cut off after its last step: it is complete"
        self.take_back(plan, steps, last)
        return f"{plan['title']} had been cut off: undone"

    def write(self, plan: Plan, number: int) -> None:
        """Say which step comes next, so that it is on disk before the step."""
        write_json(self.path, {"plan": plan, "step": number})
        for place in (self.path, self.path.parent):
            handle = os.open(place, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    def call(self, *command: str) -> str:
        """Run a program, which holds the lock as long as it runs. Raises InputError with its last words where it fails."""
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            pass_fds=[self.lock.fileno()],
        )
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[-500:]
            raise InputError(f"{' '.join(command[-3:])}: {said or f'ended with {done.returncode}'}")
        return done.stdout


@contextmanager
def opened() -> Iterator[Journal]:
    """The journal, for one process at a time. Raises InputError where another works, or where there is no repository."""
    from lore.versions.version import git

    place = git("rev-parse", "--git-path", "lorekeep-journal.json")
    if place is None:
        raise InputError("no git repository here; run from the project's root folder")
    path = Path(place.decode().rstrip("\n"))
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "another lore release or rollback is at work in this repository; wait for it to end"
            ) from None
        yield Journal(path, lock)
