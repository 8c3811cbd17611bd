"""MLflow, behind one small interface: where the store is, and runs with their curves.

Only this module, `registry` and `served` import mlflow. Nothing here can change an output's bytes: run
ids, clocks and addresses stay in the store. The store is what MLFLOW_TRACKING_URI names, or else
`sqlite:///mlflow.db` in the project's root, with artifacts in `mlruns`. Experiments that DVC runs in a
temporary folder use the same one. A store that cannot be used costs a run its log, never its result:
one warning, then silence.
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

from stages.core.project.errors import InputError

EXPERIMENT = "lorekeep"


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


def client() -> Any:
    """Return an MlflowClient of the store, which is made where it is missing.

    Raises InputError where it cannot be reached.
    """
    address = uri()
    try:
        from mlflow import MlflowClient

        store = MlflowClient(tracking_uri=address)
        if store.get_experiment_by_name(EXPERIMENT) is None:
            artifacts = None
            if address == local_store():
                artifacts = (root() / "mlruns").as_uri()
            store.create_experiment(EXPERIMENT, artifact_location=artifacts)
    except Exception as error:  # whatever a store may raise
        raise unreachable(error) from None
    return store


def unreachable(error: Exception) -> InputError:
    """Return the error for a store that fails.

    An address may contain a password, so the store's own message is not repeated.
    """
    reason = getattr(error, "error_code", None) or type(error).__name__
    return InputError(
        f"MLflow: the store cannot be used ({reason}); start the server that MLFLOW_TRACKING_URI names, "
        "or unset it to use mlflow.db in this folder"
    )


def uri() -> str:
    """Return the address of the store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or local_store()


def local_store() -> str:
    """Return the address of the store in the project's root."""
    return f"sqlite:///{root() / 'mlflow.db'}"


def root() -> Path:
    """Return the project's root.

    For an experiment that runs in a temporary folder, DVC_ROOT names the root of its project.
    """
    return Path(os.environ.get("DVC_ROOT", "")).absolute()


def _start(stage: str) -> Log:
    try:
        store = client()
        experiment = store.get_experiment_by_name(EXPERIMENT)
        tags = {"stage": stage}
        dvc_experiment = os.environ.get("DVC_EXP_NAME")
        if dvc_experiment:
            tags["dvc_experiment"] = dvc_experiment
        started = store.create_run(experiment.experiment_id, run_name=stage, tags=tags)
    except Exception as error:  # see Log._try
        failure = error if isinstance(error, InputError) else unreachable(error)
        print(f"{failure}; this run is not logged", file=sys.stderr)
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
