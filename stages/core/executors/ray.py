"""The executor of a Ray cluster: one of this machine's own, or a running one (`run.address`).

Every item is a task of Ray Core. Where a worker dies, Ray gives its task to another one. A task
reads its records and writes its files anew, so the first try leaves nothing half done. Ray Data is
not used (docs/decisions/011-engines.md).

All nodes must see the project, its data and the folder of the run under the same paths, and must
have the same code and libraries. Each worker checks this before its first item.
"""

import dataclasses
import hashlib
import importlib.util
import logging
import os
import platform
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

from stages.core.executors.executor import WORKER_ENVIRONMENT, Item, Result
from stages.core.project import runtime
from stages.core.project.errors import ExecutorError
from stages.core.project.params import Run
from stages.core.repeatable import fingerprint

RETRIES = 5
"""Times an item is given to another worker after one died."""
AHEAD = 2
"""Items per CPU that are being worked on or wait for earlier ones."""
OBJECT_STORE_BYTES = 512 << 20
"""Shared memory for results in a cluster of this machine's own. Further results go to disk."""
PATIENCE = 5.0
"""Seconds in which the port of a cluster must answer, and in which cancelled tasks should end."""
SHOWN = 5
"""Differences of a node that an error lists."""
LONGEST_CAUSE = 300
"""Characters of a library's error that a message shows."""
INSTALL = (
    "pip install 'ray[client]', in the version of requirements.lock, or write run.executor: local"
)
START = (
    "start one (GRPC_ENABLE_FORK_SUPPORT=0 ray start --head), write its address, "
    "or write run.address: null for one of this machine's own"
)


@dataclasses.dataclass(frozen=True)
class Requirement:
    """What a worker needs before it may take part."""

    mark: Path
    """A file in the folder of the run, which the worker must see."""
    module: str
    """The module that imports all the code that workers run."""
    versions: tuple[tuple[str, str], ...]
    """Name and version of Python, the libraries and the code."""


class RayExecutor:
    """The workers of a cluster."""

    def __init__(self, requirement: Requirement | None) -> None:
        """`requirement`: what workers need that may run on other machines.

        This process is already connected.
        """
        import ray

        self.ray: Any = ray
        self.requirement = requirement
        self.task = ray.remote(call).options(
            num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD"
        )

    def in_order(
        self, function: Callable[[Item], Result], items: Iterable[Item], processes: bool = False
    ) -> Iterator[Result]:
        """As `Executor.in_order`.

        Raises ExecutorError where workers die repeatedly or lack what they need.
        """
        shared = self.ray.put((function, self.requirement))
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(self.task.remote(shared, item))
                cpus = self.ray.cluster_resources().get("CPU", 1)
                if len(waiting) > AHEAD * cpus:
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            self._cancel(list(waiting))

    def _result(self, task: Any) -> Any:
        """Wait for the result of a task. An error of the function is raised as it is."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(task)
        except errors.RayTaskError as error:
            if isinstance(error.cause, ModuleNotFoundError):
                raise ExecutorError(
                    f"ray: {error.cause} on a worker; "
                    f"{fingerprint.ROOT} must be there on every node"
                ) from None
            raise error.cause from None
        except errors.RayError as error:
            raise ExecutorError(
                f"ray: a batch was given up after {RETRIES + 1} tries: {shown(error)}; "
                "see whether the nodes have memory enough (ray status), and run dvc repro again"
            ) from None

    def _cancel(self, tasks: list[Any]) -> None:
        """Stop tasks whose results nobody takes.

        They would write into a folder that is about to be removed.
        """
        # The connection itself may be lost.
        with suppress(self.ray.exceptions.RayError, OSError):
            for task in tasks:
                self.ray.cancel(task, force=True)
            if tasks:
                self.ray.wait(tasks, num_returns=len(tasks), timeout=PATIENCE)


def call(shared: tuple[Callable[[Any], Any], Requirement | None], item: Any) -> Any:
    """What a worker does for one item."""
    function, requirement = shared
    if requirement:
        check(requirement)
    return function(item)


@cache
def check(requirement: Requirement) -> None:
    """Raise ExecutorError where this worker lacks the run's folder, code or libraries."""
    node = socket.gethostname()
    folder = requirement.mark.parent
    if not requirement.mark.exists():
        raise ExecutorError(
            f"ray: node {node} does not see {folder}; share the project's folder with every node"
        )
    expected = dict(requirement.versions)
    installed = dict(versions(requirement.module))
    different = [
        name
        for name in sorted(expected.keys() | installed.keys())
        if expected.get(name) != installed.get(name)
    ]
    if not different:
        return
    lines = [
        f"  {name}: {installed.get(name, 'none')}, not {expected.get(name, 'none')}"
        for name in different[:SHOWN]
    ]
    if len(different) > SHOWN:
        lines.append(f"  and {len(different) - SHOWN} more")
    raise ExecutorError(
        f"ray: node {node} has other code or libraries; make setup there, in the same revision:\n"
        + "\n".join(lines)
    )


def requirement_of(folder: Path, module: str) -> Requirement:
    """What workers on other machines need: to see `folder`, and the code of `module`."""
    mark = folder.absolute() / f"{token_hex(8)}.mark"
    mark.touch()
    return Requirement(mark, module, versions(module))


def versions(module: str) -> tuple[tuple[str, str], ...]:
    """Name and version of what the bytes of a result depend on.

    These are Python, the code of `module`, and its libraries.

    The version of a source file is the beginning of its SHA-256, such as
    ("stages/clean/passes/corpus.py", "3f9a1c2b7d40").
    """
    found = {"python": platform.python_version()}
    for path in (*fingerprint.sources(module), *fingerprint.tables(module)):
        name = str(path.relative_to(fingerprint.ROOT))
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    found |= fingerprint.libraries(module)
    return tuple(found.items())


@contextmanager
def connected(run: Run, folder: Path, worker_module: str) -> Iterator[RayExecutor]:
    """The cluster that `run` names.

    Raises ExecutorError where Ray is not installed or the cluster does not answer.
    """
    if importlib.util.find_spec("ray") is None:
        raise ExecutorError(f"run.executor is ray, which is not installed: {INSTALL}")
    own_cluster = run.address is None
    runtime.prepare_ray(alone=own_cluster)
    import ray

    settings = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": environment(run)},
    }
    with TemporaryDirectory(prefix="lore-", ignore_cleanup_errors=True) as temporary:
        try:
            if run.address is None:
                start(run.threads, temporary, settings)
                requirement = None  # workers of this machine run the same code
            else:
                join(run.address, settings)
                requirement = requirement_of(folder, worker_module)
            yield RayExecutor(requirement)
        finally:
            ray.shutdown()


def environment(run: Run) -> dict[str, str]:
    """Environment of the workers, each of which has one CPU."""
    search_path = [str(fingerprint.ROOT)]
    if os.environ.get("PYTHONPATH"):
        search_path.append(os.environ["PYTHONPATH"])
    one_thread = dataclasses.replace(run, threads=1)
    return (
        runtime.settings(one_thread)
        | WORKER_ENVIRONMENT
        | {"PYTHONPATH": os.pathsep.join(search_path)}
    )


def start(workers: int, temporary: str, settings: dict[str, Any]) -> None:
    """Start a cluster of this machine's own. Raises ExecutorError where that fails."""
    import ray

    cluster = {
        "num_cpus": workers,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_temp_dir": temporary,
    }
    try:
        ray.init("local", **cluster, **settings)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ExecutorError(
            f"ray: no cluster can be started here: {shown(error)}; write run.executor: local"
        ) from None


def join(address: str, settings: dict[str, Any]) -> None:
    """Connect to a running cluster. Raises ExecutorError where it does not answer."""
    import ray

    by_client = address.startswith("ray://")
    if by_client and importlib.util.find_spec("grpc") is None:
        raise ExecutorError(
            f"run.address: {address} needs Ray's client, which is not installed: {INSTALL}"
        )
    # ray://[::1]:10001 is the host [::1] and the port 10001; `auto` has no port.
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():
            # Ray itself would try for a minute where nobody listens.
            socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
        ray.init(address, **settings)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ExecutorError(
            f"run.address: no Ray cluster at {address}: {shown(error)}; {START}"
        ) from None


def shown(error: Exception) -> str:
    """The beginning of an error's message, on one line."""
    return " ".join(str(error).split())[:LONGEST_CAUSE]
