"""MLflow, behind one small interface: runs with their curves.

Only the modules of this folder import mlflow. Nothing here can change an output's bytes: run ids,
clocks and addresses stay in the store, which `store` finds. Experiments that DVC runs in a temporary
folder use the project's store. A store that cannot be used costs a run its log, never its result: one
warning, then silence.
"""

import dataclasses
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.core.mlflow.store import EXPERIMENT, client, experiment_of, failure, root, uri

__all__ = ["EXPERIMENT", "Log", "client", "root", "run", "uri"]


class Log:
    """The log of a stage's run. Without a store it does nothing."""

    def __init__(self, client: Any = None, run_id: str = "") -> None:
        """`client` is an MlflowClient, or None for a log that goes nowhere."""
        self._client = client
        self._run_id = run_id
        self._monitor: Any = None

    def metric(self, name: str, value: float, step: int = 0) -> None:
        """Log one number of a curve."""
        self._try(lambda client: client.log_metric(self._run_id, name, float(value), step=step))

    def param(self, name: str, value: Any) -> None:
        """Log one setting."""
        self._try(lambda client: client.log_param(self._run_id, name, value))

    def file(self, path: Path) -> None:
        """Attach a file."""
        self._try(lambda client: client.log_artifact(self._run_id, str(path)))

    def table(self, frame: Any, name: str) -> None:
        """Attach a pandas table that MLflow's pages show and compare between runs; `name` ends in .json."""
        self._try(lambda client: client.log_table(self._run_id, frame, name))

    def figure(self, figure: Any, name: str) -> None:
        """Attach a matplotlib figure; the ending of `name` is its format."""
        self._try(lambda client: client.log_figure(self._run_id, figure, name))

    def watch(self) -> None:
        """Log CPU, memory, disk, network and GPUs every ten seconds from now on, until the run ends."""
        if self._client is None:
            return
        from mlflow.system_metrics import system_metrics_monitor as system

        # It announces its start and its end.
        logging.getLogger(system.__name__).setLevel(logging.ERROR)
        self._monitor = system.SystemMetricsMonitor(self._run_id, tracking_uri=uri())
        self._monitor.start()

    def end(self, status: str) -> None:
        """Close the run as FINISHED or FAILED."""
        if self._monitor is not None:
            self._monitor.finish()
        self._try(lambda client: client.set_terminated(self._run_id, status))

    def _try(self, request: Callable[[Any], None]) -> None:
        if self._client is None:
            return
        try:
            request(self._client)
        except (
            Exception
        ) as error:  # whatever a store may raise: the result matters more than its log
            self._client = None
            print(f"MLflow: {type(error).__name__}; this run is no longer logged", file=sys.stderr)


@contextmanager
def run(stage: str, params: Any) -> Iterator[Log]:
    """Yield the log of a run of the stage. Its settings and its seconds are logged, and it ends with the body."""
    log = _start(stage)
    log.watch()
    started = time.perf_counter()
    for name, value in _flat(dataclasses.asdict(params)).items():
        log.param(name, value)
    try:
        yield log
    except BaseException:
        log.end("FAILED")
        raise
    log.metric("seconds", time.perf_counter() - started)
    log.end("FINISHED")


def _start(stage: str) -> Log:
    try:
        store = client()
        experiment = experiment_of(store)
        tags = {"stage": stage}
        dvc_experiment = os.environ.get("DVC_EXP_NAME")
        if dvc_experiment:
            tags["dvc_experiment"] = dvc_experiment
        started = store.create_run(experiment, run_name=stage, tags=tags)
    except Exception as error:  # see Log._try
        print(f"{failure(error)}; this run is not logged", file=sys.stderr)
        return Log()
    return Log(store, started.info.run_id)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name: {"lora": {"r": 16}} becomes {"lora.r": 16}."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
