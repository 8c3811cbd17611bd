"""Fuzz the readers: `python -m tests.fuzz [TARGET …] --seconds 60`.

Atheris (github.com/google/atheris) mutates inputs, watches which lines run, and keeps the inputs that
reach new ones. It starts from the files of `corpus/<target>/`, and from real files below --data where
that folder exists. An input that breaks a promise is written to --out, with the command that shows it
again. Add it to `corpus/` once it is mended: `make test` runs every file there.

Each target runs in a process of its own, so a fault ends one target alone. Exit code 1: faults.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
REAL = {
    "json": "*.json",
    "jsonl": "*.jsonl",
    "xml": "*.xml",
    "sql": "*.sql",
    "markdown": "*.md",
    "html": "*.html",
    "text": "*.txt",
    "pdf": "*.pdf",
}
"""Target → real files to start from."""
LARGEST = 8 * 1024
"""Bytes of a real file to start from. Small ones show more in the same time."""
SLOWEST = 20
"""Seconds after which one input counts as a hang."""
MOST_MEMORY = 2048
"""MB of a target."""


def main() -> int:
    """Fuzz each target for a share of the time, and print one line per target."""
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--seconds", type=int, default=120, help="of all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("fuzz"))
    options = parser.parse_args()
    targets = options.targets or list(TARGETS)
    unknown = sorted(set(targets) - set(TARGETS))
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    seconds = max(2, options.seconds // len(targets))
    faults = [name for name in targets if not fuzzed(name, seconds, options)]
    if faults:
        print(f"faults in {', '.join(faults)}: their inputs are in {options.out}/")
    return 1 if faults else 0


def fuzzed(name: str, seconds: int, options: argparse.Namespace) -> bool:
    """Fuzz one target in a process of its own. Return whether all promises held."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        for file in seeds(name, options.data):
            shutil.copyfile(file, corpus / f"{len(list(corpus.iterdir()))}-{file.name}")
        found = options.out / name
        found.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.fuzz.one", name]
        limits = [f"-max_total_time={seconds}", f"-timeout={SLOWEST}", f"-seed={options.seed}"]
        limits += [f"-rss_limit_mb={MOST_MEMORY}", "-max_len=16384", f"-artifact_prefix={found}/"]
        process = subprocess.run(
            [*command, *limits, str(corpus)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    said = process.stdout.splitlines()
    runs = [line for line in said if line.startswith(("#", "Done "))]
    if process.returncode == 0:
        print(f"{name:11} {runs[-1] if runs else 'no input was tried'}", flush=True)
        return bool(runs)
    lines = [line for line in said if not line.startswith(("#", "INFO", "WARNING"))]
    shown = [f"  {line[:300]}" for line in lines[-40:]]
    print("\n".join([f"{name:11} FAULT", *shown]), flush=True)
    return False


def seeds(name: str, data: Path) -> list[Path]:
    """Return the inputs to start from: our own, and small real files."""
    own = sorted((HERE / "corpus" / name).glob("*"))
    real = []
    for file in sorted(data.glob(f"**/{REAL.get(name, '')}")) if name in REAL else []:
        if file.stat().st_size <= LARGEST:
            real.append(file)
    return own + real[:40]


if __name__ == "__main__":
    sys.exit(main())
