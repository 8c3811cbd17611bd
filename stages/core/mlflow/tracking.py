"""MLflow, behind one small interface: where the store is, and runs with their curves.

Only this module, `registry` and `served` import mlflow. Nothing here can change an output's bytes: run ids, clocks and
addresses stay in the store. The store is `sqlite:///mlflow.db` in the project's root (artifacts in `mlruns`), also of
experiments that DVC runs in a folder of their own, or what MLFLOW_TRACKING_URI names. A store that cannot be used costs a run
its log, never its result: one warning, then silence.
"""

import dataclasses
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError

EXPERIMENT = "lorekeep"


class Log:
    """What a stage may say about its run. Without a store it says nothing."""

    def __init__(self, client: Any = None, run_id: str = "") -> None:
        """`client` is an MlflowClient, or None for a log that goes nowhere."""
        self._client, self._run_id = client, run_id
        self._monitor: Any = None

    def metric(self, name: str, value: float, step: int = 0) -> None:
        """Log one number of a curve."""
        self._try("log_metric", self._run_id, name, float(value), step=step)

    def param(self, name: str, value: Any) -> None:
        """Log one setting."""
        self._try("log_param", self._run_id, name, value)

    def file(self, path: Path) -> None:
        """Attach a file."""
        self._try("log_artifact", self._run_id, str(path))

    def table(self, frame: Any, name: str) -> None:
        """Attach a pandas table that MLflow's pages show and compare between runs; `name` ends in .json."""
        self._try("log_table", self._run_id, frame, name)

    def figure(self, figure: Any, name: str) -> None:
        """Attach a matplotlib figure; `name` says the format."""
        self._try("log_figure", self._run_id, figure, name)

    def watch(self) -> None:
        """Log CPU, memory, disk, network and GPUs every ten seconds from now on, until the run ends."""
        if self._client is None:
            return
        from mlflow.system_metrics import system_metrics_monitor as system

        logging.getLogger(system.__name__).setLevel(
            logging.ERROR
        )  # it announces its start and its end
        self._monitor = system.SystemMetricsMonitor(self._run_id, tracking_uri=uri())
        self._monitor.start()

    def end(self, status: str) -> None:
        """Close the run as FINISHED or FAILED."""
        if self._monitor is not None:
            self._monitor.finish()
        self._try("set_terminated", self._run_id, status)

    def _try(self, method: str, *arguments: Any, **options: Any) -> None:
        if self._client is None:
            return
        try:
            getattr(self._client, method)(*arguments, **options)
        except (
            Exception
        ) as error:  # whatever a store may raise: the result matters more than its log
            self._client = None
            print(f"MLflow: {type(error).__name__}; this run is no longer logged", file=sys.stderr)


@contextmanager
def run(stage: str, params: Any) -> Iterator[Log]:
    """A run of the stage in the experiment, its settings and its seconds logged; it ends as the body ends."""
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
    """An MlflowClient of the store, which is made where it is missing. Raises InputError where it cannot be reached."""
    address = uri()
    try:
        from mlflow import MlflowClient

        found = MlflowClient(tracking_uri=address)
        if found.get_experiment_by_name(EXPERIMENT) is None:
            artifacts = (root() / "mlruns").as_uri() if address == local_store() else None
            found.create_experiment(EXPERIMENT, artifact_location=artifacts)
    except Exception as error:  # whatever a store may raise
        raise unreachable(error) from None
    return found


def unreachable(error: Exception) -> InputError:
    """What to say when a store fails. An address may hold a password, so the store's own words stay unsaid."""
    reason = getattr(error, "error_code", None) or type(error).__name__
    return InputError(
        f"MLflow: the store cannot be used ({reason}); start the server that MLFLOW_TRACKING_URI names, or unset it to use "
        "mlflow.db in this folder"
    )


def uri() -> str:
    """Address of the store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or local_store()


def local_store() -> str:
    """Address of the store in the project's root."""
    return f"sqlite:///{root() / 'mlflow.db'}"


def root() -> Path:
    """The project's root: of an experiment that runs in a temporary folder, DVC names that of the project it belongs to."""
    return Path(os.environ.get("DVC_ROOT", "")).absolute()


def _start(stage: str) -> Log:
    try:
        found = client()
        experiment = found.get_experiment_by_name(EXPERIMENT)
        names = {"stage": stage, "dvc_experiment": os.environ.get("DVC_EXP_NAME", "")}
        tags = {name: value for name, value in names.items() if value}
        started = found.create_run(experiment.experiment_id, run_name=stage, tags=tags)
    except Exception as error:  # see Log._try
        failure = error if isinstance(error, InputError) else unreachable(error)
        print(f"{failure}; this run is not logged", file=sys.stderr)
        return Log()
    return Log(found, started.info.run_id)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
