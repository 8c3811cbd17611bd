"""Several changes as one transaction: all or none, even if the program is killed between two.

Before each step, the journal (.git/lorekeep-journal.json) records which step comes next. It is
removed after the last step. A journal that a later call finds belongs to a transaction that was
interrupted. Its steps are then undone, the last one first. An undo must therefore be right whether
its step was done, half done or not begun. Programs that a step calls hold the lock too, so no other
transaction begins while one of them still runs.
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

from stages.core.project import git
from stages.core.project.errors import InputError, LorekeepError
from stages.core.project.output import write_json

JOURNAL_FILE = "lorekeep-journal.json"
"""In the folder of git."""
LONGEST_MESSAGE = 500
"""Characters of a failed program's output that an error repeats."""

Plan = Mapping[str, Any]
"""Everything from which the steps of a transaction are made, as JSON.

`command` is the command of lore that began it, `title` names it in messages. The other keys belong
to the steps: see release_steps.py and rollback_steps.py.
"""


@dataclass(frozen=True)
class Step:
    """One change and how to take it back."""

    name: str
    do: Callable[[], None]
    undo: Callable[[], None]


class Journal:
    """The journal of the repository in this folder, while its lock is held."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path = path
        self.lock = lock

    def perform(self, plan: Plan, steps: Sequence[Step]) -> None:
        """Do all steps. If one fails, undo what was done and raise its error."""
        for number, step in enumerate(steps):
            self.write(plan, number)
            try:
                step.do()
            except LorekeepError as error:
                # The step itself is undone too, since it may be half done.
                self.undo(plan, steps, number)
                raise InputError(
                    f"{plan['title']}: {error}; everything is as it was before"
                ) from None
            except (Exception, KeyboardInterrupt):
                self.undo(plan, steps, number)
                raise
        # A kill between these two lines leaves a journal that says: complete.
        self.write(plan, len(steps))
        self.path.unlink()

    def undo(self, plan: Plan, steps: Sequence[Step], last: int) -> None:
        """Undo the steps from number `last` back to the first, then remove the journal.

        Raises InputError if a step cannot be undone. The journal then stays, so that the next call
        goes on from that step.
        """
        for number in range(last, -1, -1):
            # If the undo is interrupted too, the next call goes on from here.
            self.write(plan, number)
            try:
                steps[number].undo()
            except LorekeepError as error:
                raise InputError(
                    f"{plan['title']}: the step '{steps[number].name}' cannot be undone: {error}\n"
                    f"Put this right, then call lore {plan['command']} again: it first undoes what "
                    f"is left ({self.path})"
                ) from None
        self.path.unlink()

    def interrupted(self) -> tuple[Plan, int] | None:
        """Return the plan of an interrupted transaction and the number of its last step, or None.

        Raises InputError if the file is not a journal.
        """
        if not self.path.exists():
            return None
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            plan = document["plan"]
            last = document["step"]
            # Without these two, neither its steps nor its messages can be made.
            for key in ("command", "title"):
                plan[key]
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{self.path}: not a journal ({type(error).__name__}); compare git log, dvc status "
                "and MLflow's alias by hand, then delete this file"
            ) from None
        return plan, last

    def recover(self, steps_of: Callable[[Plan], Sequence[Step]]) -> str | None:
        """Undo an interrupted transaction and return a sentence about it, or None if there is none.

        `steps_of` makes the steps of a plan. Raises InputError if a step cannot be undone.
        """
        interrupted = self.interrupted()
        if interrupted is None:
            return None
        plan, last = interrupted
        steps = steps_of(plan)
        if last == len(steps):
            self.path.unlink()
            return f"{plan['title']} had been cut off after its last step: it is complete"
        self.undo(plan, steps, last)
        return f"{plan['title']} had been cut off: undone"

    def write(self, plan: Plan, number: int) -> None:
        """Record the step that comes next, and wait until the record is on disk."""
        write_json(self.path, {"plan": plan, "step": number})
        # The folder too: the file was put in place by a rename, which is an entry of the folder.
        for path in (self.path, self.path.parent):
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    def call(self, *command: str) -> str:
        """Run a program, which holds the lock as long as it runs, and return what it prints.

        Raises InputError with the end of its output if it fails.
        """
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            pass_fds=[self.lock.fileno()],
        )
        if done.returncode:
            printed = done.stderr or done.stdout
            message = " ".join(printed.split())[-LONGEST_MESSAGE:]
            if not message:
                message = f"ended with {done.returncode}"
            # The last words of the command say what it did: "git tag --delete v1".
            raise InputError(f"{' '.join(command[-3:])}: {message}")
        return done.stdout


@contextmanager
def opened() -> Iterator[Journal]:
    """Yield the journal to one process at a time.

    Raises InputError if another process has it, or if there is no repository.
    """
    location = git.text("rev-parse", "--git-path", JOURNAL_FILE)
    if location is None:
        raise InputError("no git repository here; run from the project's root folder")
    path = Path(location)
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "another lore release or rollback is at work in this repository; wait for it to end"
            ) from None
        yield Journal(path, lock)
