"""A Ray cluster as the engine of `clean`: one started on this machine for the run, or one that is there (`run.address`).

Every batch is a task of Ray Core, which is given to another worker where its own dies: a task reads its records and writes its
files anew, so nothing of the first try is missed. Ray Data is not used (docs/decisions/011-engines.md).

Nodes must see the project, its data and the folder of the run under the same paths, and have the same code and libraries; each
worker looks before its first batch.
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

from stages.core.executors.local import KEPT, Item, Result
from stages.core.project import runtime
from stages.core.project.errors import EngineError
from stages.core.project.params import Run
from stages.core.repeatable import fingerprint

RETRIES = 5
"""Times a batch is given to another worker after one died."""
AHEAD = 2
"""Batches per CPU that are under way or wait for those before them."""
OBJECTS = 512 << 20
"""Bytes of shared memory for results, of a cluster of this machine's own; more of them go to disk."""
PATIENCE = 5.0
"""Seconds in which a cluster must answer."""
SHOWN = 5
"""Differences of a node that are listed."""
INSTALL = (
    "pip install 'ray[client]', in the version of requirements.lock, or write run.engine: local"
)
START = (
    "start one (GRPC_ENABLE_FORK_SUPPORT=0 ray start --head), write its address, or write run.address: null for one of this "
    "machine's own"
)


@dataclasses.dataclass(frozen=True)
class Demand:
    """What a worker must have before it may take part."""

    mark: Path
    """A file in the folder of the run."""
    versions: tuple[tuple[str, str], ...]
    """Of Python, the libraries and the code."""


class Ray:
    """The workers of a cluster."""

    def __init__(self, demand: Demand | None) -> None:
        """This process is connected. `demand`: what workers are asked for, if they may be elsewhere."""
        import ray

        self.ray: Any = ray
        self.demand = demand
        self.task = ray.remote(call).options(
            num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD"
        )

    def in_order(
        self, function: Callable[[Item], Result], items: Iterable[Item], processes: bool = False
    ) -> Iterator[Result]:
        """As `Engine.in_order`. Raises EngineError where workers die again and again, or lack what they need."""
        shared = self.ray.put((function, self.demand))
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(self.task.remote(shared, item))
                if len(waiting) > AHEAD * self.ray.cluster_resources().get("CPU", 1):
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            self._give_up(list(waiting))

    def _result(self, under_way: Any) -> Any:
        errors = self.ray.exceptions
        try:
            return self.ray.get(under_way)
        except errors.RayTaskError as error:
            if isinstance(error.cause, ModuleNotFoundError):
                raise EngineError(
                    f"ray: {error.cause} on a worker; {fingerprint.ROOT} must be there on every node"
                ) from None
            raise error.cause from None
        except errors.RayError as error:
            raise EngineError(
                f"ray: a batch was given up after {RETRIES + 1} tries: {shown(error)}; see whether the nodes have memory enough "
                "(ray status), and run dvc repro again"
            ) from None

    def _give_up(self, under_way: list[Any]) -> None:
        """Stop what nobody waits for any more: it would write into a folder that is about to go."""
        with suppress(self.ray.exceptions.RayError, OSError):  # the connection may be what was lost
            for task in under_way:
                self.ray.cancel(task, force=True)
            if under_way:
                self.ray.wait(under_way, num_returns=len(under_way), timeout=PATIENCE)


def call(shared: tuple[Callable[[Any], Any], Demand | None], item: Any) -> Any:
    """What a worker does for one item."""
    function, demand = shared
    if demand:
        check(demand)
    return function(item)


@cache
def check(demand: Demand) -> None:
    """Raise EngineError where this worker does not see the folder of the run, or would perhaps give other bytes."""
    node = socket.gethostname()
    if not demand.mark.exists():
        raise EngineError(
            f"ray: node {node} does not see {demand.mark.parent}; share the project's folder with every node"
        )
    there, here = dict(demand.versions), dict(versions())
    if other := [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]:
        told = "".join(
            f"\n  {name}: {here.get(name, 'none')}, not {there.get(name, 'none')}"
            for name in other[:SHOWN]
        )
        told += f"\n  and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
        raise EngineError(
            f"ray: node {node} has other code or libraries; make setup there, in the same revision:{told}"
        )


def demanded(folder: Path) -> Demand:
    """What workers elsewhere must have."""
    mark = folder.absolute() / f"{token_hex(8)}.mark"
    mark.touch()
    return Demand(mark, versions())


def versions() -> tuple[tuple[str, str], ...]:
    """What the bytes of a result depend on: Python, the code of `clean`, and the libraries that it imports."""
    module = "stages.clean.passes.writing"  # which imports all that workers do
    code = {
        str(path.relative_to(fingerprint.ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in fingerprint.sources(module)
    }
    return tuple(
        ({"python": platform.python_version()} | code | fingerprint.libraries(module)).items()
    )


@contextmanager
def connected(run: Run, folder: Path) -> Iterator[Ray]:
    """The cluster that `run` names. Raises EngineError where Ray is not installed or the cluster does not answer."""
    if importlib.util.find_spec("ray") is None:
        raise EngineError(f"run.engine is ray, which is not installed: {INSTALL}")
    runtime.prepare_ray(alone=run.address is None)
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
            else:
                join(run.address, settings)
            yield Ray(demanded(folder) if run.address else None)
        finally:
            ray.shutdown()


def environment(run: Run) -> dict[str, str]:
    """Environment of the workers, each of which has one CPU."""
    path = os.pathsep.join(filter(None, [str(fingerprint.ROOT), os.environ.get("PYTHONPATH")]))
    return runtime.settings(dataclasses.replace(run, threads=1)) | KEPT | {"PYTHONPATH": path}


def start(workers: int, temporary: str, settings: dict[str, Any]) -> None:
    """Start a cluster of this machine's own. Raises EngineError where that fails."""
    import ray

    own = {
        "num_cpus": workers,
        "include_dashboard": False,
        "object_store_memory": OBJECTS,
        "_temp_dir": temporary,
    }
    try:
        ray.init("local", **own, **settings)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise EngineError(
            f"ray: no cluster can be started here: {shown(error)}; write run.engine: local"
        ) from None


def join(address: str, settings: dict[str, Any]) -> None:
    """Connect to a cluster that is there. Raises EngineError where it does not answer."""
    import ray

    if address.startswith("ray://") and importlib.util.find_spec("grpc") is None:
        raise EngineError(
            f"run.address: {address} needs Ray's client, which is not installed: {INSTALL}"
        )
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():  # Ray itself would try for a minute
            socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
        ray.init(address, **settings)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise EngineError(
            f"run.address: no Ray cluster at {address}: {shown(error)}; {START}"
        ) from None


def shown(error: Exception) -> str:
    """The beginning of what an error says, on one line."""
    return " ".join(str(error).split())[:300]
