"""The one launcher: `python -m stages <name> <paths…>`, as dvc.yaml calls it.

It settles threads and instruction set before torch or numpy load, checks the installed libraries against
requirements.lock, dies with its parent, runs the stage, and notes its time and memory in metrics/timing.json (which is
not hashed). An error made on purpose is printed without a traceback.
"""

import argparse
import difflib
import errno
import importlib
import inspect
import json
import os
import resource
import sys
import time
from pathlib import Path
from types import ModuleType

from stages import STAGES
from stages.core.project import lock, runtime
from stages.core.project.errors import LorekeepError
from stages.core.project.output import write_json
from stages.core.project.params import Run, load, read_section

TIMING = Path("metrics/timing.json")
FULL = "free some space and run dvc repro again; no output was left half-written"
FORBIDDEN = "make it writable for this user and run dvc repro again"
WAYS_OUT = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EFBIG: FULL} | dict.fromkeys(
    (errno.EACCES, errno.EPERM, errno.EROFS), FORBIDDEN
)
"""What a person can do about an error of the file system."""


def main(argv: list[str] | None = None) -> int:
    """Run one stage; the exit code is 0, 1 for an error of input or settings, 2 for a wrong command line."""
    options = parse_arguments(sys.argv[1:] if argv is None else argv)
    runtime.die_with_parent()
    try:
        lock.check(Path("requirements.lock"))
        runtime.prepare(read_section("run", Run), online=options.stage == "base")
        stage = importlib.import_module(f"stages.{options.stage}")
        check_paths(stage, options)
        params, run = load(options.stage, stage.Params)
        started = time.perf_counter()
        stage.run(params, run, *options.paths)
        note_timing(options.stage, time.perf_counter() - started)
    except LorekeepError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in WAYS_OUT:
            raise
        print(f"\n{options.stage}: {error}; {WAYS_OUT[error.errno]}", file=sys.stderr)
        return 1
    return 0


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """Stage name and paths; exits with 2 and the nearest stage name where there is no such stage."""
    parser = argparse.ArgumentParser(
        prog="python -m stages",
        description="Run one stage of the pipeline. `dvc repro` does this for every stage whose inputs changed.",
        epilog=f"Stages, in flow order: {', '.join(STAGES)}. Settings: params.yaml. Paths: see dvc.yaml.",
    )
    parser.add_argument("stage", help="name of the stage")
    parser.add_argument("paths", nargs="*", type=Path, help="inputs, then outputs, as in dvc.yaml")
    options = parser.parse_args(argv)
    if options.stage not in STAGES:
        near = difflib.get_close_matches(options.stage, STAGES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(STAGES)}"
        parser.error(f"no stage {options.stage!r}; {hint}")
    return options


def check_paths(stage: ModuleType, options: argparse.Namespace) -> None:
    """Exit with 2 and a usage line where the number of paths is not what the stage takes."""
    wanted = list(inspect.signature(stage.run).parameters)[2:]
    if len(options.paths) != len(wanted):
        usage = " ".join(f"<{name}>" for name in wanted)
        print(f"usage: python -m stages {options.stage} {usage}", file=sys.stderr)
        print(f"got {len(options.paths)} paths, need {len(wanted)}", file=sys.stderr)
        raise SystemExit(2)


def note_timing(stage: str, seconds: float) -> None:
    """Merge wall time in seconds and peak memory in bytes (of the largest process) into metrics/timing.json."""
    if (
        "LOCAL_RANK" in os.environ
    ):  # one of several processes: the one that started them notes the time
        return
    timing = json.loads(TIMING.read_text()) if TIMING.is_file() else {}
    peak = (
        max(
            resource.getrusage(who).ru_maxrss
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        * 1024
    )
    timing[stage] = {"seconds": round(seconds, 2), "peak_bytes": peak}
    write_json(TIMING, {name: timing[name] for name in STAGES if name in timing})


if __name__ == "__main__":
    sys.exit(main())
