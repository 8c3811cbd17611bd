"""Does `clean` give the same bytes with every executor, and what does each cost? Also where a worker, or a node, is killed.

    PYTHONPATH=. python docs/experiments/engines.py --corpus <folder with parquet/> --out <folder> [--batch-rows 500]

Run it from the project's root. The corpus is that of clean_corpus.py, which is run with each executor. It prints a table:

- the time of cleaning, with the start of the executor, as a ratio to the first run
- the peak memory (not shared, sampled) of the process that leads, and of all processes together
- after how many batches something was killed

It exits with 1 where bytes differ.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

Kill = Callable[[list[psutil.Process]], bool]
"""Kills one of the run's processes, or none yet."""


@dataclass
class Measured:
    """One run."""

    seconds: float = 0.0
    leader: int = 0
    """Bytes."""
    together: int = 0
    """Bytes."""
    killed: str = "nothing"
    digest: str = ""


@dataclass
class Setting:
    """What all runs share."""

    corpus: Path
    out: Path
    threads: int
    rows: int
    done: dict[str, Measured] = field(default_factory=dict)

    def run(self, name: str, *arguments: str, kill: Kill | None = None) -> None:
        """Clean the corpus with an executor; kill something when a third of the batches are done."""
        out = self.out / name.replace(" ", "-")
        script = str(Path(__file__).with_name("clean_corpus.py"))
        command = [
            sys.executable,
            script,
            "--corpus",
            str(self.corpus),
            "--out",
            str(out),
            "--batch-rows",
            str(self.rows),
        ]
        leader = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
        found = self.watched(psutil.Process(leader.pid), out, kill)
        said, _ = leader.communicate()
        if leader.returncode:
            raise SystemExit(f"{name}: exit code {leader.returncode}")
        found.seconds = json.loads(said.splitlines()[-1])["steps"]["clean"]
        files = [
            *sorted(path for path in out.rglob("*") if path.is_file()),
            out.with_name(f"{out.name}.rejected.parquet"),
        ]
        found.digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[
            :12
        ]
        self.done[name] = found

    def watched(self, leader: psutil.Process, out: Path, kill: Kill | None) -> Measured:
        """Follow a run until its end."""
        found = Measured()
        between = out.with_name(f".{out.name}.partial") / "between"
        while leader.is_running() and leader.status() != psutil.STATUS_ZOMBIE:
            others = [*leader.children(recursive=True), *psutil.Process().children(recursive=True)]
            sizes = {
                process.pid: size for process in {leader, *others} if (size := resident(process))
            }
            found.leader = max(found.leader, sizes.get(leader.pid, 0))
            found.together = max(found.together, sum(sizes.values()))
            ready = len(list(between.glob("*.bands")))
            if kill and found.killed == "nothing" and ready >= self.batches() / 3 and kill(others):
                found.killed = f"after {ready} of {self.batches()} batches"
            time.sleep(0.05)
        return found

    def batches(self) -> int:
        """How many batches the corpus is, at least."""
        import pyarrow.parquet as pq

        records = sum(
            pq.read_metadata(path).num_rows for path in (self.corpus / "parquet").glob("*.parquet")
        )
        return -(-records // self.rows)


def resident(process: psutil.Process) -> int:
    """Bytes of memory of a process, without what it shares."""
    try:
        memory = process.memory_info()
        return int(memory.rss - memory.shared)
    except psutil.Error:
        return 0


def kill_worker(processes: list[psutil.Process]) -> bool:
    """Kill a process of Ray that works on a batch."""
    for process in processes:
        try:
            if process.cmdline()[:1] == ["ray::call"]:
                os.kill(process.pid, signal.SIGKILL)
                return True
        except (psutil.Error, ProcessLookupError):
            continue
    return False


@contextmanager
def two_nodes(workers: int) -> Iterator[tuple[str, Kill]]:
    """A cluster of two nodes on this machine: its address, and what kills the second node."""
    from stages.core.project import runtime

    runtime.prepare_ray(alone=True)
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        os.environ["RAY_TMPDIR"] = folder
        (Path(folder) / "ray").mkdir()
        sizes = {"num_cpus": workers, "object_store_memory": 512 << 20}
        made = Cluster(True, head_node_args=sizes | {"include_dashboard": False})
        second = made.add_node(**sizes)

        def kill(_: list[psutil.Process]) -> bool:
            made.remove_node(second, allow_graceful=False)
            return True

        yield made.address, kill
        made.shutdown()


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-rows", type=int, default=500)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    runs = Setting(options.corpus, options.out, options.threads, options.batch_rows)
    many = str(options.threads)
    runs.run("local", "--threads", many)
    runs.run("local, one worker", "--threads", "1")
    runs.run("ray", "--threads", many, "--executor", "ray")
    runs.run("ray, one worker", "--threads", "1", "--executor", "ray")
    runs.run("ray, a worker killed", "--threads", many, "--executor", "ray", kill=kill_worker)
    with two_nodes(1) as (address, kill):
        runs.run("ray, two nodes", "--threads", many, "--executor", "ray", "--address", address)
        runs.run(
            "ray, a node killed",
            "--threads",
            many,
            "--executor",
            "ray",
            "--address",
            address,
            kill=kill,
        )
    first = runs.done["local"]
    print(
        "| run | time | leader, peak MB | together, peak MB | killed | bytes |\n|---|---|---|---|---|---|"
    )
    for name, found in runs.done.items():
        same = "the same" if found.digest == first.digest else "differ"
        memory = f"{found.leader / 1e6:,.0f} | {found.together / 1e6:,.0f}"
        print(
            f"| {name} | {found.seconds / first.seconds:.2f} | {memory} | {found.killed} | {same} |"
        )
    sys.exit(any(found.digest != first.digest for found in runs.done.values()))


if __name__ == "__main__":
    main()
