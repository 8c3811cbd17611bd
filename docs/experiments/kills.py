"""Does a run that is killed recover? Kill every stage at ten moments, the whole process group or dvc alone, and run again.

    PYTHONPATH=. python docs/experiments/kills.py <folder for the clone> <result.csv> [stage …]

From the project's root. The clone is that of tests/test_pipeline.py: a dozen elements and few steps. After each kill no process
of it may be left, `dvc repro` must succeed (where it refuses, after `dvc checkout --force`, as it says, or after removing the
list of locks or restoring the dvc.lock that DVC was writing, as the README says), and dvc.lock must be the committed one. DVC's
run cache is removed first, so that what was lost is computed again.
"""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from stages import STAGES
from tests import test_pipeline

WAYS: dict[str, list[list[str]]] = {
    "repro": [],
    "checkout --force": [["dvc", "checkout", "--force"]],
    "rm .dvc/tmp/rwlock": [["rm", "-f", ".dvc/tmp/rwlock"]],
    "git checkout dvc.lock": [["git", "checkout", "--", "dvc.lock"]],
}
"""What a person does before `dvc repro`."""
MOMENTS = [(number + 0.5) / 10 for number in range(10)]


def make_clone(root: Path) -> test_pipeline.Clone:
    """The tests' clone, run once and committed."""
    clone = test_pipeline.make_clone(root)
    clone("dvc", "repro")
    clone("git", "add", "-A")
    clone("git", "commit", "-qm", "first version")
    return clone


def start(clone: test_pipeline.Clone, stage: str) -> subprocess.Popen[bytes]:
    """A forced run of one stage, in a process group of its own."""
    shutil.rmtree(clone.root / ".dvc/cache/runs", ignore_errors=True)
    command = ["dvc", "repro", "--force", "--single-item", stage]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command,
        cwd=clone.root,
        env=clone.environment,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
    )


def left(root: Path) -> list[int]:
    """Processes that work in the clone."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").resolve().is_relative_to(root):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def survivors(root: Path, patience: float = 10.0) -> list[int]:
    """Processes of the clone that are still there after `patience` seconds."""
    deadline = time.monotonic() + patience
    while (found := left(root)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def recovered(clone: test_pipeline.Clone, committed: str) -> str:
    """How the clone came back to what was committed: one of WAYS, or not."""
    for how, commands in WAYS.items():
        for command in [*commands, ["dvc", "repro"]]:
            code = subprocess.run(
                command, cwd=clone.root, env=clone.environment, capture_output=True, check=False
            ).returncode
        status = subprocess.run(
            ["dvc", "status", "-q"],
            cwd=clone.root,
            env=clone.environment,
            capture_output=True,
            check=False,
        )
        if (
            code == 0
            and status.returncode == 0
            and (clone.root / "dvc.lock").read_text() == committed
        ):
            return how
    return "not"


def main() -> None:
    """Run all kills and print a summary."""
    root, result = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    clone = make_clone(root)
    committed = (root / "dvc.lock").read_text()
    rows = []
    with result.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, ["stage", "kill", "seconds", "survivors", "recovered"], lineterminator="\n"
        )
        writer.writeheader()
        for stage in sys.argv[3:] or STAGES:
            started = time.monotonic()
            start(clone, stage).wait()
            whole = time.monotonic() - started
            for moment in MOMENTS:
                for kill in ("group", "dvc alone"):
                    process = start(clone, stage)
                    time.sleep(moment * whole)
                    if kill == "group":
                        os.killpg(process.pid, signal.SIGKILL)
                    else:
                        process.kill()
                    process.wait()
                    row = {
                        "stage": stage,
                        "kill": kill,
                        "seconds": f"{moment * whole:.2f}",
                        "survivors": len(survivors(root)),
                    }
                    rows.append(row | {"recovered": recovered(clone, committed)})
                    writer.writerow(rows[-1])
                    file.flush()
    for how in (*WAYS, "not"):
        print(f"{how}: {sum(row['recovered'] == how for row in rows)} of {len(rows)}")
    print(f"survivors: {sum(int(row['survivors']) for row in rows)}")


if __name__ == "__main__":
    main()
