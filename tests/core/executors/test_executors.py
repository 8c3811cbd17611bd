"""Every executor gives the same bytes. A worker that is killed changes nothing."""

import dataclasses
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from stages import clean
from stages.clean.filters.information import Lines
from stages.clean.passes import corpus
from stages.clean.personal import Params as Personal
from stages.clean.personal import Treatment
from stages.core.executors import ray
from stages.core.executors.choice import executor_of
from stages.core.executors.executor import Executor
from stages.core.project import runtime
from stages.core.project.errors import ExecutorError
from stages.core.project.params import Run
from stages.core.records import record
from tests.stages.clean.test_clean import PARAMS, RULES, text
from tests.stages.clean.values.test_columns import rows

pytestmark = pytest.mark.slow

LOCAL = Run(1, 1, "avx2", "cpu")
ADDRESS = "Write to anna.smith@example.org about it, or to the office on the third floor."
FORGOTTEN = "Whoever asked for it may have this sentence forgotten, wherever it stands."
EVERYTHING = dataclasses.replace(
    PARAMS,
    personal=Personal(actions={"email": "replace"}),
    filter=dataclasses.replace(PARAMS.filter, lines=Lines(share=0.01, least=3, words=3)),
)
"""All passes over the corpus."""
WORKER_MODULE = clean.WORKER_MODULE
LONGER_THAN_ANY_TEST = 3600
"""Seconds. A test that waits so long has been ended by pytest's timeout."""


def opened(run: Run, folder: Path) -> AbstractContextManager[Executor]:
    """The executor that a run of clean would use."""
    return executor_of(run, folder, WORKER_MODULE)


def waited_for(condition: Callable[[], Any]) -> Any:
    """The first value of the condition that is true.

    Only the test's own timeout limits how long it takes.
    """
    while not (value := condition()):
        time.sleep(0.05)
    return value


def listens(port: int) -> bool:
    """Whether a process of this machine listens at the port."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(scope="module")
def client_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def nodes(client_port: int) -> Iterator[str]:
    """The address of a cluster of two nodes with one worker each.

    All their processes are those of this machine.
    """
    runtime.prepare_ray(alone=True)
    from ray.cluster_utils import Cluster

    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        # Ray looks for the address `auto` in this folder, if it exists.
        patch.setenv("RAY_TMPDIR", folder)
        (Path(folder) / "ray").mkdir()
        # The servers of the cluster wait as long as the test does.
        patch.setenv("RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S", str(LONGER_THAN_ANY_TEST))
        patch.setenv("TIMEOUT_FOR_SPECIFIC_SERVER_S", str(LONGER_THAN_ANY_TEST))
        sizes = {"num_cpus": 1, "object_store_memory": 100 << 20}
        with warnings.catch_warnings():
            # Ray leaves the log files of its client server open.
            warnings.simplefilter("ignore", ResourceWarning)
            made = Cluster(
                True,
                head_node_args=sizes
                | {"include_dashboard": False, "ray_client_server_port": client_port},
            )
            made.add_node(**sizes)
        yield made.address
        made.shutdown()


@pytest.fixture
def corpus_folder(tmp_path: Path) -> Path:
    """What extract writes, with an address, and an exclusion that holds for another batch as well."""
    found = [
        text(f"{metal.capitalize()} is old.\nAll rights are with the museum.")
        for metal in ("gold", "tin", "lead")
    ]
    given = [
        text(FORGOTTEN),
        *found,
        *rows(),
        text(ADDRESS),
        text(f"{ADDRESS} Ask for Anna."),
        text(FORGOTTEN, None, 1),
    ]
    record.write(tmp_path / "in/records.parquet", given)
    record.write(tmp_path / "in/rejected.parquet", [], record.REJECTED)
    (tmp_path / "in/sources.json").write_text("[]")
    named = {
        "facts": [],
        "subjects": [],
        "sources": [],
        "records": [{"id": given[-1]["id"], "reason": "request 7"}],
    }
    (tmp_path / "exclusions.yaml").write_text(json.dumps(named))
    return tmp_path


def cleaned(folder: Path, name: str, run: Run) -> dict[str, bytes]:
    """All that clean writes."""
    paths = [
        folder / "in",
        RULES,
        folder / "exclusions.yaml",
        folder / name,
        folder / f"{name}.json",
    ]
    clean.run(EVERYTHING, run, *paths)
    files = [*(folder / name).rglob("*"), folder / f"{name}.json"]
    return {
        path.name.replace(name, "clean"): path.read_bytes()
        for path in sorted(files)
        if path.is_file()
    }


def of_ray(address: str | None) -> Run:
    return dataclasses.replace(LOCAL, executor="ray", address=address)


def nobody_reads_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither records nor words are read in this process; workers load the code anew."""

    def refuse(*_: Any) -> None:
        raise AssertionError("read by the process that leads the run")

    for owner, name in (
        (corpus.Piece, "extracted"),
        (corpus.Part, "normalised"),
        (corpus.Part, "terms"),
    ):
        monkeypatch.setattr(owner, name, refuse)


def test_two_nodes_and_small_batches_give_the_same_bytes(
    corpus_folder: Path, nodes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = cleaned(corpus_folder, "local", LOCAL)
    assert {"records.parquet", "rejected.parquet", "clean.json"} <= expected.keys()
    monkeypatch.setattr(corpus, "BATCH_ROWS", 5)
    nobody_reads_here(monkeypatch)
    assert cleaned(corpus_folder, "ray", of_ray(nodes)) == expected
    reasons = json.loads(expected["clean.json"])["reasons"]
    assert {
        "bad_quantity",
        "boilerplate",
        "duplicate",
        "low_information",
        "near_duplicate",
    } <= reasons.keys()
    assert reasons["excluded"] == 2
    assert "All rights are with the museum." in {
        row["line"] for row in json.loads(expected["lines.json"])
    }


@pytest.mark.usefixtures("nodes")
def test_a_cluster_elsewhere_is_reached_by_its_client(
    tmp_path: Path, client_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.util.client import worker

    # The client server starts in the background. On a busy machine it needs more than the usual
    # seconds.
    waited_for(partial(listens, client_port))
    monkeypatch.setattr(ray, "PATIENCE", LONGER_THAN_ANY_TEST)
    monkeypatch.setattr(worker, "INITIAL_TIMEOUT_SEC", LONGER_THAN_ANY_TEST)
    with opened(of_ray(f"ray://127.0.0.1:{client_port}"), tmp_path) as executor:
        assert list(executor.in_order(abs, [-1, 2, -3])) == [1, 2, 3]
        with pytest.raises(ZeroDivisionError, match="division"):
            list(executor.in_order(partial(divmod, 1), [0]))


@dataclasses.dataclass(frozen=True)
class Stalling(Treatment):
    """Stops in the batch that holds an address, until its worker is killed. The next one goes on."""

    folder: Path = Path()

    def judged(self, rows: Any) -> Any:
        if any(row["text"] == ADDRESS for row in rows.values()):
            with (self.folder / "tries").open("a") as tries:
                tries.write(f"{os.getpid()}\n")
            stalled = self.folder / "stalled"
            if not stalled.exists():
                stalled.touch()
                time.sleep(LONGER_THAN_ANY_TEST)
        return super().judged(rows)


def kill_the_stalled(folder: Path, killed: list[int]) -> None:
    pid = int(waited_for(lambda: (folder / "stalled").exists() and (folder / "tries").read_text()))
    if psutil.Process(pid).cmdline()[0].startswith("ray::"):
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)


def test_a_killed_worker_changes_nothing(
    corpus_folder: Path, nodes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = cleaned(corpus_folder, "local", LOCAL)
    monkeypatch.setattr(corpus, "BATCH_ROWS", 9)

    def stalling(params: Any, names: Any) -> Stalling:
        return Stalling(params, b"", names, folder=corpus_folder)

    monkeypatch.setattr(clean.personal, "treatment_of", stalling)
    killed: list[int] = []
    killer = Thread(target=kill_the_stalled, args=(corpus_folder, killed), daemon=True)
    killer.start()
    assert cleaned(corpus_folder, "ray", of_ray(nodes)) == expected
    killer.join()
    first, second = map(int, (corpus_folder / "tries").read_text().split())
    assert killed == [first]
    assert second != first
    assert not psutil.pid_exists(first)


@pytest.mark.usefixtures("nodes")
def test_results_come_in_order_and_errors_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "RETRIES", 0)
    with opened(of_ray("auto"), tmp_path) as executor:
        taken: list[int] = []

        def numbers() -> Iterator[int]:
            for number in range(1, 30):
                taken.append(number)
                yield number

        results = executor.in_order(partial(divmod, 100), numbers())
        assert [next(results) for _ in range(3)] == [(100, 0), (50, 0), (33, 1)]
        assert len(taken) <= 3 + ray.AHEAD * 2
        assert len(list(results)) == 26
        with pytest.raises(ZeroDivisionError, match="division"):
            list(executor.in_order(partial(divmod, 1), [1, 0, 1]))
        with pytest.raises(
            ExecutorError,
            match=r"given up after 1 tries: .*; see whether the nodes have memory enough",
        ):
            list(executor.in_order(os._exit, [1]))
        assert isinstance(executor, ray.RayExecutor)
        assert executor.requirement
        without_versions = dataclasses.replace(executor.requirement, versions=())
        monkeypatch.setattr(executor, "requirement", without_versions)
        with pytest.raises(
            ExecutorError,
            match=r"has other code or libraries; make setup there[^\n]*:\n(  .*\n)+  and \d+ more",
        ):
            list(executor.in_order(abs, [1]))


def test_a_worker_that_lacks_something_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        ExecutorError, match=r"does not see /nowhere; share the project's folder with every node"
    ):
        ray.check(ray.Requirement(Path("/nowhere/mark"), WORKER_MODULE, ()))
    versions = ray.versions(WORKER_MODULE)
    ray.check(ray.Requirement(tmp_path, WORKER_MODULE, versions))
    assert {"python", "polars", "stages/clean/passes/corpus.py"} <= dict(versions).keys()


def test_a_cluster_of_its_own_is_quiet_private_and_leaves_nothing(
    corpus_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = cleaned(corpus_folder, "local", LOCAL)
    said = capfd.readouterr()
    addresses: set[str] = set()
    children: set[psutil.Process] = set()
    others = set(psutil.Process().children(recursive=True))

    @contextmanager
    def watched(run: Run, folder: Path, worker_module: str) -> Iterator[Executor]:
        with executor_of(run, folder, worker_module) as executor:
            yield executor
            children.update(set(psutil.Process().children(recursive=True)) - others)
            connections = [
                place
                for child in children
                for place in child.net_connections("tcp")
                if place.status == psutil.CONN_LISTEN
            ]
            addresses.update(place.laddr.ip.removeprefix("::ffff:") for place in connections)

    home = corpus_folder / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(clean, "executor_of", watched)
    with tempfile.TemporaryDirectory(
        prefix="q-", ignore_cleanup_errors=True
    ) as short:  # a socket's path has at most 107 bytes
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "tempdir", short)
            assert cleaned(corpus_folder, "ray", of_ray(None)) == expected
        assert list(Path(short).glob("lore-*")) == []
    now = capfd.readouterr()
    assert now.err == ""
    assert [
        line
        for line in now.out.splitlines()
        if line not in said.out.splitlines() and "since the last run" not in line
    ] == []
    assert addresses == {"127.0.0.1"}
    psutil.wait_procs(children)  # all of them end
    assert list(home.iterdir()) == []
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


LEADER = """
import os, sys
from pathlib import Path
from stages.core.executors.choice import executor_of
from stages.core.executors.executor import Executor
from stages.core.project.params import Run
folder = Path(sys.argv[1])
command = f"echo $PPID > {folder}/worker; while kill -0 $PPID; do sleep 0.1; done"
run = Run(1, 1, "avx2", "cpu", executor="ray", address=None)
with executor_of(run, folder, sys.argv[2]) as executor:
    list(executor.in_order(os.system, [command]))
"""
"""A process whose only worker writes its number into a file, and then waits until it dies."""


def test_workers_end_with_the_process_that_leads(tmp_path: Path) -> None:
    written = tmp_path / "worker"
    # A leader that is killed leaves its files in the temporary folder.
    with tempfile.TemporaryDirectory(prefix="k-", ignore_cleanup_errors=True) as short:
        leader = subprocess.Popen(
            [sys.executable, "-c", LEADER, str(tmp_path), WORKER_MODULE],
            env=os.environ | {"TMPDIR": short},
        )
        worker = psutil.Process(int(waited_for(lambda: written.exists() and written.read_text())))
        assert worker.cmdline()[0].startswith("ray::")
        leader.kill()
        leader.wait()
        worker.wait()


def test_without_ray_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ray" else object()
    )
    with (
        pytest.raises(
            ExecutorError,
            match=r"run.executor is ray, which is not installed: pip install 'ray\[client\]'.*run.executor: local",
        ),
        opened(of_ray(None), tmp_path),
    ):
        pass
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "grpc" else object()
    )
    with (
        pytest.raises(
            ExecutorError,
            match=r"ray://a:1 needs Ray's client, which is not installed: pip install 'ray\[client\]'",
        ),
        opened(of_ray("ray://a:1"), tmp_path),
    ):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere.invalid:6379"])
def test_an_address_that_does_not_answer_is_told(tmp_path: Path, address: str) -> None:
    with (
        pytest.raises(
            ExecutorError,
            match=rf"run.address: no Ray cluster at {address}: .*; start one \(.*ray start --head\)",
        ),
        opened(of_ray(address), tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
