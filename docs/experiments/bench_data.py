"""What cleaning a corpus costs and what it loses, against the guide's recipe and two peers, as one table: `make bench-data`.

    PYTHONPATH=. python docs/experiments/bench_data.py --harness ../shared/bench --data ../shared/data [--work folder] [--mb 200]
        [--seed 7] [--only lorekeep,recipe]

From the project's root, on a machine with nothing else to do. The harness makes the corpus (real texts recombined, with planted
copies and menus), runs one command after the other on it, watches time and memory of its processes, and counts what it kept. The
recipe (pandas, scikit-learn, rules row by row, datasketch), datatrove and Data-Juicer are installed in environments of their own
below `--work` on first use (2 GB); 200 MB on two cores take a quarter of an hour. The first line of the table is what the
others are compared with: `clean` with dates and four units rewritten.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS = [
    sys.executable,
    "docs/experiments/clean_corpus.py",
    "--corpus",
    "{corpus}",
    "--out",
    "{out}",
]
HEAD = [
    "run",
    "texts",
    "s",
    "texts/s",
    "of the first",
    "processor, s",
    "peak MB",
    "lost",
    "extra copies left",
    "menus left",
]


@dataclass(frozen=True)
class Contender:
    """A command of the table; {corpus}, {out}, {work}, {harness} and {python} are filled in."""

    name: str
    label: str
    command: list[str]
    packages: tuple[str, ...] = ()
    """What its own environment needs; none: the project's."""
    warm_up: bool = False
    """Whether a first run, on a small corpus, is not counted: it installs what operators lack."""


CONTENDERS = [
    Contender("lorekeep", "`clean`, dates and units rewritten", OURS),
    Contender("lorekeep-written", "`clean`, dates and quantities as written", [*OURS, "--as-written"]),
    Contender(
        "recipe", "the guide's recipe", ["{python}", "{harness}/naive.py", "--corpus", "{corpus}", "--out", "{out}", "--near"],
        ("pandas", "scikit-learn", "pyarrow", "datasketch"),
    ),
    Contender(
        "datatrove", "datatrove",
        ["{python}", "{harness}/peer_datatrove.py", "--corpus", "{corpus}", "--out", "{out}", "--work", "{work}"],
        ("datatrove[io,processing]", "spacy"),
    ),
    Contender(
        "datajuicer", "Data-Juicer",
        [
            "{python}", "{harness}/peer_datajuicer.py", "--corpus", "{corpus}", "--out", "{out}", "--work", "{work}",
            "--tokens", "character",
        ],
        ("py-data-juicer", "ftfy", "scipy", "aiohttp", "torch"), warm_up=True,
    ),
]  # fmt: skip


def environment(contender: Contender, work: Path) -> str:
    """The Python that runs it, with its packages."""
    folder = work / f"venv-{contender.name}"
    python = folder / "bin/python"
    if not contender.packages:
        return sys.executable
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *contender.packages], check=True)
        (folder / "done").touch()
    return str(python)


def corpus(harness: Path, data: Path, work: Path, megabytes: int, seed: int) -> Path:
    """A corpus of this size, made once."""
    folder = work / f"corpus-{megabytes}-{seed}"
    if not (folder / "truth.parquet").exists():
        options = ["--data", data, "--out", folder, "--mb", str(megabytes), "--seed", str(seed)]
        subprocess.run(
            [sys.executable, harness / "make_corpus.py", *options],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return folder


def measured(contender: Contender, on: Path, harness: Path, work: Path) -> dict[str, Any]:
    """What the harness says of one run."""
    out, own, results = (
        work / "out" / contender.name,
        work / "own" / contender.name,
        work / "results.jsonl",
    )
    shutil.rmtree(own, ignore_errors=True)  # a peer would go on from where it was
    own.mkdir(parents=True)
    out.parent.mkdir(exist_ok=True)
    places = {
        "corpus": on,
        "out": out,
        "work": own,
        "harness": harness,
        "python": environment(contender, work),
    }
    command = [part.format(**places) for part in contender.command]
    options = ["--label", contender.name, "--corpus", on, "--out", out, "--results", results]
    run = subprocess.run(
        [sys.executable, harness / "measure.py", *options, "--", *command],
        check=False,
        stdout=subprocess.DEVNULL,
    )
    if run.returncode:
        raise SystemExit(f"{contender.name}: ended with {run.returncode}; {out}.log says why")
    found: dict[str, Any] = json.loads(results.read_text(encoding="utf-8").splitlines()[-1])
    return found


def line(contender: Contender, row: dict[str, Any], first: float) -> str:
    """A line of the table."""
    cells = [
        contender.label,
        f"{row['records_in']:,}",
        f"{row['wall_s']:.1f}",
        f"{row['records_s']:,}",
    ]
    cells += [
        f"{row['records_s'] / first:.3f}",
        f"{row['cpu_s']:.0f}",
        f"{row['peak_rss_mb']:,}",
        str(row["families_lost"]),
    ]
    cells += [
        f"{row['extra_copies_left']} of {row['extra_copies_in']:,}",
        f"{row['boilerplate_left']} of {row['boilerplate_in']:,}",
    ]
    return f"| {' | '.join(cells)} |"


def lines(options: argparse.Namespace, work: Path) -> Iterator[str]:
    """The table in Markdown, line by line as the runs end."""
    harness, data = options.harness.resolve(), options.data.resolve()
    chosen = [
        contender
        for contender in CONTENDERS
        if not options.only or contender.name in options.only.split(",")
    ]
    on, small = (corpus(harness, data, work, size, options.seed) for size in (options.mb, 1))
    for contender in chosen:
        environment(contender, work)
        if contender.warm_up:
            measured(contender, small, harness, work)
    yield f"| {' | '.join(HEAD)} |\n{'|---' * len(HEAD)}|"
    first = None
    for contender in chosen:
        row = measured(contender, on, harness, work)
        first = first or row["records_s"]
        yield line(contender, row, first)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--harness", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--work", type=Path, help="kept, for a further run; default: a temporary folder"
    )
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--only", default="", help=f"of {','.join(contender.name for contender in CONTENDERS)}"
    )
    options = parser.parse_args()
    if not (options.harness / "measure.py").exists():
        parser.error(
            f"{options.harness}: no measure.py there; the harness stands beside the project, not in it"
        )
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        for text in lines(options, work):
            print(text, flush=True)


if __name__ == "__main__":
    main()
