"""Does training stay fast beside busy processes? Its step rate, by how OpenMP threads wait.

    PYTHONPATH=. python docs/experiments/busy.py [--seconds 60] [--base models/base] [--augment data/augment]

From the project's root, on a machine that does nothing else; about eight minutes. It trains as `train` does,
with the default settings, six times: alone, and beside a busy loop on each core; each with OpenMP's
default wait, in which threads spin long, with a passive wait, and with the short spin that
`stages/core/project/runtime.py` sets.
A rate counts the steps from the end of the first one, for `--seconds`, or until three steps are done.

It also checks that the checksums of the weights are equal in all six runs, step by step: how threads wait
must change no bit.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from stages.core.project import runtime
from stages.core.project.params import Run

WAITS = ("default", "passive", "short spin")
LEAST_STEPS = 3
"""Steps behind the first one that are measured at least."""
NEVER = 10**6
"""More steps than any run here takes."""
LOOP = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
"""A busy loop that ends with its parent."""


class Enough(Exception):  # noqa: N818 - it is no error
    """The measurement is over."""


def main() -> None:
    """Measure the four cases and print a table in Markdown."""
    options = parse_arguments()
    if options.child:
        train(options)
        return
    print("| wait | beside | steps | steps per second |\n|---|---|---|---|", flush=True)
    checksums: list[list[str]] = []
    for wait in WAITS:
        for loops in (0, psutil.cpu_count()):
            with busy_loops(loops):
                result = measure(wait, options)
            checksums.append(result["checksums"])
            beside = f"{loops} busy loops" if loops else "nothing"
            rate = result["steps"] / result["seconds"]
            print(f"| {wait} | {beside} | {result['steps']} | {rate:.2f} |", flush=True)
    print(verdict(checksums))


def parse_arguments() -> argparse.Namespace:
    """Parse the command line. With `--child` it is one of the processes that train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="length of a measurement")
    parser.add_argument("--base", type=Path, default=Path("models/base"))
    parser.add_argument("--augment", type=Path, default=Path("data/augment"))
    parser.add_argument("--child", choices=WAITS, help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def busy_loops(number: int) -> Iterator[None]:
    """Keep `number` processes busy, each on a core of its own where the system can say so."""
    loops = []
    try:
        for core in range(number):
            loop = subprocess.Popen([sys.executable, "-c", LOOP])
            loops.append(loop)
            process = psutil.Process(loop.pid)
            if hasattr(process, "cpu_affinity"):  # not on macOS
                process.cpu_affinity([core])
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure(wait: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train in a process of its own, since OpenMP reads its settings once, when it is loaded."""
    command = [sys.executable, __file__, "--child", wait, "--seconds", str(options.seconds)]
    command += ["--base", str(options.base), "--augment", str(options.augment)]
    # What the user has set for OpenMP would decide in both cases.
    environment = dict(os.environ)
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        environment.pop(name, None)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def train(options: argparse.Namespace) -> None:
    """Train until the time is over; print steps, seconds and the checksum of every step as JSON."""
    runtime.die_with_parent()
    run = Run()
    runtime.prepare(run)
    if options.child != "short spin":
        del os.environ["GOMP_SPINCOUNT"]
    if options.child == "passive":
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

    from stages import train
    from stages.core.mlflow import tracking
    from stages.core.models import training

    ends: list[float] = []
    sums: list[Any] = []

    class Timed(training.Curve):  # type: ignore[misc]
        """Notes the end of every step, and ends the training when the time is over."""

        def on_step_end(self, *arguments: Any, **settings: Any) -> None:
            super().on_step_end(*arguments, **settings)
            ends.append(time.perf_counter())
            sums.append(self.sums[-1])
            long_enough = ends[-1] - ends[0] >= options.seconds
            if long_enough and len(ends) > LEAST_STEPS:
                raise Enough

    training.Curve = Timed  # type: ignore[misc]
    tracking._start = lambda stage: tracking.Log()  # runs here are not logged
    params = train.Params(
        ewc=train.Ewc(rows=64),  # the curvature is measured before the first step
        steps=NEVER,
        eval_every=NEVER,
    )
    with tempfile.TemporaryDirectory() as folder:
        names = ("adapter", "train.json", "train.csv", "steps.csv")
        outputs = [Path(folder) / name for name in names]
        with suppress(Enough):
            train.run(params, run, options.base, options.augment, *outputs)
    result = {
        "steps": len(ends) - 1,
        "seconds": ends[-1] - ends[0],
        "checksums": [f"{int(checksum) % 2**64:016x}" for checksum in sums],
    }
    print(json.dumps(result))


def verdict(checksums: list[list[str]]) -> str:
    """Say whether the runs agree, as far as the shortest of them came."""
    shortest = min(len(run) for run in checksums)
    for step in range(shortest):
        if len({run[step] for run in checksums}) > 1:
            return f"The weights differ from step {step + 1} on."
    return f"The weights are equal in all runs, as far as they go together: {shortest} steps."


if __name__ == "__main__":
    main()
