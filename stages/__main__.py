"""The one launcher: `python -m stages <name> <paths…>`, as dvc.yaml calls it.

Before torch or numpy load, it fixes threads and instruction set. It checks the installed libraries
against requirements.lock, runs the stage, and dies with its parent. It notes the stage's time and
memory in metrics/timing.json, which is not hashed. An error raised on purpose is printed without a
traceback.
"""

import argparse
import errno
import inspect
import json
import os
import resource
import sys
import time
from pathlib import Path
from types import ModuleType

from stages.core.project import lock, runtime, stage_modules
from stages.core.project.errors import LorekeepError, UnknownStageError, resources_explained
from stages.core.project.output import write_json
from stages.core.project.params import Run, load, read_section

TIMING = Path("metrics/timing.json")
FORBIDDEN = "make it writable for this user and run dvc repro again"
ADVICE = {
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.EROFS: FORBIDDEN,
}
"""Advice for errors of the file system, by error number."""


def main(argv: list[str] | None = None) -> int:
    """Run one stage and return the exit code.

    0: done. 1: an error of input or settings. 2: a wrong command line.
    """
    options = parse_arguments(sys.argv[1:] if argv is None else argv)
    one_of_several_processes = "LOCAL_RANK" in os.environ
    runtime.die_with_parent()
    try:
        lock.check(lock.lock_file(Path()))
        runtime.prepare(read_section("run", Run), online=options.stage == "base")
        stage = stage_modules.load(options.stage)
        check_paths(stage, options)
        params, run = load(options.stage, stage.Params)
        started = time.perf_counter()
        with resources_explained(options.stage, Path()):
            stage.run(params, run, *options.paths)
        if one_of_several_processes:  # the process that started them notes the time
            leave()
        note_timing(options.stage, time.perf_counter() - started)
    except UnknownStageError as error:
        print(f"python -m stages: error: {error}", file=sys.stderr)
        return 2
    except LorekeepError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in ADVICE:
            raise
        print(f"\n{options.stage}: {error}; {ADVICE[error.errno]}", file=sys.stderr)
        return 1
    return 0


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """Parse stage name and paths."""
    parser = argparse.ArgumentParser(
        prog="python -m stages",
        description="Run one stage of the pipeline. `dvc repro` does this for every stage whose inputs changed.",
        epilog="dvc.yaml lists the stages of a project in flow order, with their paths. "
        "params.yaml holds their settings.",
    )
    parser.add_argument("stage", help="name of the stage")
    parser.add_argument("paths", nargs="*", type=Path, help="inputs, then outputs, as in dvc.yaml")
    return parser.parse_args(argv)


def check_paths(stage: ModuleType, options: argparse.Namespace) -> None:
    """Exit with 2 and a usage line where the number of paths is not what the stage takes."""
    # A stage's `run` takes (params, run, …paths).
    wanted = list(inspect.signature(stage.run).parameters)[2:]
    if len(options.paths) != len(wanted):
        usage = " ".join(f"<{name}>" for name in wanted)
        print(f"usage: python -m stages {options.stage} {usage}", file=sys.stderr)
        print(f"got {len(options.paths)} paths, need {len(wanted)}", file=sys.stderr)
        raise SystemExit(2)


def leave() -> None:
    """End one of several processes at once: everything is written.

    While Python takes down torch's connections, a process sometimes aborts (3 of 38 launches, with torch 2.13).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def note_timing(stage: str, seconds: float) -> None:
    """Write wall time in seconds and peak memory in bytes of the stage into metrics/timing.json."""
    timing = {}
    if TIMING.is_file():
        timing = json.loads(TIMING.read_text())
    timing[stage] = {"seconds": round(seconds, 2), "peak_bytes": peak_memory()}
    # A stage that somebody ran by hand may stand in no dvc.yaml.
    order = stage_modules.in_flow_order() if Path("dvc.yaml").is_file() else []
    names = [name for name in [*order, *timing] if name in timing]
    write_json(TIMING, {name: timing[name] for name in dict.fromkeys(names)})


def peak_memory() -> int:
    """Return the peak resident memory in bytes of the largest process: this one or a finished child."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    largest_child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    # The unit is kilobytes, on macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return max(own, largest_child) * unit


if __name__ == "__main__":
    sys.exit(main())
