"""Which executor the settings name (`run.executor`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.core.executors.executor import Executor
from stages.core.executors.local import LocalExecutor
from stages.core.project.params import Run


@contextmanager
def executor_of(run: Run, folder: Path, worker_module: str) -> Iterator[Executor]:
    """The executor that `run` names, for the time of the body.

    `folder` must exist: workers write into it. `worker_module` names the module that imports all
    the code that workers run. That code and its libraries must be the same on every node of a
    cluster. Raises ExecutorError where the executor cannot be used.
    """
    if run.executor == "local":
        yield LocalExecutor(run.threads)
        return
    from stages.core.executors.ray import connected

    with connected(run, folder, worker_module) as executor:
        yield executor
