"""Is `lore release` or `lore rollback` all or nothing wherever it is killed? Kill each at ten moments, and look.

    PYTHONPATH=. python docs/experiments/kills_lore.py <folder for the projects> <result.csv>

From the project's root. The project is that of tests/lore/released.py: real git, real DVC, a real MLflow store, no model.
Moments are uniform in the time that the act takes when it is left alone, one drawn in each tenth of it; the whole process group
is killed, or the leader alone. `left`: what is there after the kill. The next call then undoes what was cut off, or says that it
is complete: `after` is what is there then, and must be the state before or the state after.
"""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import chdir
from pathlib import Path

from stages.core.mlflow import registry
from tests.lore.released import GOLD, HOTTER, IRON, MODEL, NEON, Released, Row

ROOT = Path(__file__).parents[2]
ACTS = {
    "release": ["release", "1.1.0"],
    "rollback": ["rollback", "knowledge@v1.0.0", "--reason", "iron was wrong", "--no-canaries"],
}
SETTLE = ["rollback", "knowledge@v9.9.9", "--reason", "there is none"]
"""A call that is refused, after it has undone what was cut off."""


def make(root: Path) -> Released:
    """The releases 1.0.0 and 1.1.0, of which the second is not yet tagged and the alias means the first."""
    made = Released(root)
    with chdir(root):
        made.release("knowledge@v1.0.0", [IRON, GOLD], 100)
        made.release("knowledge@v1.1.0", [HOTTER, NEON], 200)
        made.git("tag", "-d", "knowledge@v1.1.0")
        registry.move_alias(MODEL, "champion", "1")
    return made


def copy(template: Path, root: Path, act: str) -> Released:
    """A copy to be killed in; for a rollback its alias means the second version, which is what it leaves."""
    shutil.copytree(template, root, symlinks=True)
    made = Released.__new__(Released)
    made.root = root
    if act == "rollback":
        with chdir(root):
            registry.move_alias(MODEL, "champion", "2")
    return made


def start(root: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """`lore` in a process group of its own."""
    identity = {
        f"GIT_{who}_DATE": "2026-07-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")
    }  # so that equal commits are equal
    environment = os.environ | identity | {"PYTHONPATH": str(ROOT)}
    quiet = subprocess.DEVNULL
    whole = [sys.executable, "-m", "lore", *command]
    return subprocess.Popen(
        whole, cwd=root, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
    )


def state(made: Released) -> Row:
    """All that an act may change, DVC's own notes and the store's file apart."""
    with chdir(made.root):
        return made.state()


def called(found: Row, before: Row, after: Row) -> str:
    """Which of the two states it is."""
    if found == before:
        return "before"
    return "after" if found == after else "between"


def settled(made: Released) -> int:
    """Call `lore` until no program that outlived the kill keeps it out; how often it was called."""
    for count in range(1, 101):
        process = start(made.root, SETTLE)
        process.wait()
        if not (made.root / ".git/lorekeep-journal.json").exists():
            return count
        time.sleep(0.2)
    return 0


def main(folder: Path, result: Path) -> None:
    """Run all kills, write a row each, print the sums."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    template = folder / "template"
    make(template)
    rng, rows = random.Random(20260701), []
    with result.open("w", newline="", encoding="utf-8") as file:
        names = ["act", "kill", "fraction", "seconds", "left", "journal", "calls", "after"]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for act, command in ACTS.items():
            made = copy(template, folder / act, act)
            before, started = state(made), time.monotonic()
            start(made.root, command).wait()
            whole, after = time.monotonic() - started, state(made)
            for number in range(10):
                for kill in ("group", "leader"):
                    fraction = (number + rng.random()) / 10
                    # A folder of its own: MLflow keeps the connections to stores that it has seen.
                    made = copy(template, folder / f"{act}-{number}-{kill}", act)
                    process = start(made.root, command)
                    time.sleep(fraction * whole)
                    (os.killpg if kill == "group" else os.kill)(process.pid, signal.SIGKILL)
                    process.wait()
                    row: Row = {
                        "act": act,
                        "kill": kill,
                        "fraction": f"{fraction:.2f}",
                        "seconds": f"{fraction * whole:.2f}",
                    }
                    row |= {"left": called(state(made), before, after)}
                    row |= {"journal": (made.root / ".git/lorekeep-journal.json").exists()}
                    row |= {"calls": settled(made), "after": called(state(made), before, after)}
                    rows.append(row)
                    writer.writerow(row)
                    file.flush()
                    shutil.rmtree(made.root)
    for column in ("left", "after"):
        counts = Counter(dict.fromkeys(("before", "between", "after"), 0))
        counts.update(row[column] for row in rows)
        print(
            f"{column}: "
            + ", ".join(f"{name} {count}" for name, count in counts.items())
            + f" of {len(rows)}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
