"""What `lore diff` and `lore verify` cost, against what they cannot do without, as one table in Markdown: `make bench`.

    PYTHONPATH=. python docs/experiments/bench.py [number of facts]

From the project's root; some minutes. `lore diff`: as docs/experiments/diff_speed.py measures it, against reading both versions'
tables. `lore verify`: of the small clone of tests/test_story.py, against `dvc repro evaluate` there; neither installs anything.
Processor time counts this process or all its children, and varies less than the clock where other programs run.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import diff_speed

from tests import test_pipeline, test_story

COLUMNS = [
    "command",
    "of",
    "s",
    "CPU s",
    "against",
    "s",
    "CPU s",
    "ratio",
    "of CPU",
    "limit",
    "peak MiB",
]
LIMITS = {"lore diff": 3.0, "lore verify": 1.1}


def row(
    command: str,
    on: str,
    cost: tuple[float, float],
    against: str,
    least: tuple[float, float],
    peak: str,
) -> str:
    """A line of the table; costs are wall clock and processor time."""
    (wall, cpu), (wall_least, cpu_least) = cost, least
    cells = [f"`{command}`", on]
    cells += [f"{wall:.2f}", f"{cpu:.2f}"]
    cells += [against, f"{wall_least:.2f}", f"{cpu_least:.2f}"]
    cells += [f"{wall / wall_least:.2f}", f"{cpu / cpu_least:.2f}", f"{LIMITS[command]:.1f}"]
    cells.append(peak)
    return f"| {' | '.join(cells)} |"


def diff_row(number: int) -> str:
    """`lore diff` of two versions of so many facts."""
    found = diff_speed.measure(number)
    cost, least = ((found[f"{what}_s"], found[f"{what}_cpu_s"]) for what in ("compare", "read"))
    return row(
        "lore diff",
        f"{number:,} facts",
        cost,
        "reading both tables",
        least,
        str(found["command_peak_mib"]),
    )


def seconds(clone: test_pipeline.Clone, *command: str) -> tuple[float, float]:
    """Wall clock and processor time of a command with all its children."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    clone(*command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        time.perf_counter() - started,
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    )


def verify_row() -> str:
    """`lore verify` of a small version."""
    with tempfile.TemporaryDirectory() as folder:
        clone = test_pipeline.make_clone(Path(folder) / "clone", test_story.OVERLAY)
        least = seconds(clone, "dvc", "repro", "evaluate")
        test_story.save(clone, "version")
        cost = seconds(clone, "python", "-m", "lore", "verify")
    return row("lore verify", "a dozen elements", cost, "the pipeline", least, "")


def main(number: int) -> None:
    """Print the table."""
    print(
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
        diff_row(number),
        verify_row(),
        sep="\n",
    )
    print(f"\n{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100_000)
