"""Settings of the process, made before torch and numpy load: threads, instruction set, no telemetry, no network.

This is the only module that writes environment variables.
"""

import ctypes
import logging
import os
import secrets
import signal
import socket
import sys
import warnings

from stages.core.project.params import Run

QUIET = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A server that is down costs seconds, not minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "TOKENIZERS_PARALLELISM": "false",
    # torchao warns where its CUDA kernels are absent, and nothing here uses them.
    "TORCHAO_FORCE_SKIP_LOADING_SO_FILES": "1",
    "TQDM_MININTERVAL": "1",
}
"""No telemetry, and few messages."""
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
AVX2_KERNELS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
DEFAULT_KERNELS = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Prescott",
}
"""Each library picks its kernels by CPU, and each kernel sums in another order.

So all libraries are pinned to one instruction set.
"""
RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # This will be Ray's default; until then it warns.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray forks the process of a client from one that serves others; gRPC's fork handlers can end it.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}


SPIN_COUNT = "20000"
"""Rounds that a waiting thread spins before it sleeps. libgomp's default is 300,000.

With 0 (a passive wait) training is a quarter slower on an idle machine, see docs/experiments.md,
"Busy machines".
"""


def settings(run: Run, online: bool = False) -> dict[str, str]:
    """Return the environment of a run. With `online`, a hub repository may be fetched."""
    environment = dict(QUIET)
    if online:
        environment["HF_HUB_OFFLINE"] = "0"
    else:
        environment["HF_HUB_OFFLINE"] = "1"
        environment["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

    # The number of threads decides how sums are split, and so the last bits.
    for name in THREADS:
        environment[name] = str(run.threads)
    environment["OMP_DYNAMIC"] = "FALSE"
    environment["MKL_DYNAMIC"] = "FALSE"
    environment |= AVX2_KERNELS if run.isa == "avx2" else DEFAULT_KERNELS

    # OpenMP threads spin while they wait for each other. Where another process needs the core, they
    # burn the time that the last thread needs to finish. So they spin for a short time, then sleep.
    # This changes when threads work, not what they sum. torch brings libgomp on Linux, which reads
    # the variable. A user who says how to wait (OMP_WAIT_POLICY) decides.
    if "OMP_WAIT_POLICY" not in os.environ:
        environment["GOMP_SPINCOUNT"] = os.environ.get("GOMP_SPINCOUNT") or SPIN_COUNT
    return environment


def prepare(run: Run, online: bool = False) -> None:
    """Set the environment of this process. Call it before anything imports torch or numpy."""
    os.environ.update(settings(run, online))
    # While they are imported, these two log what concerns their developers only.
    for name in ("torch.utils._pytree", "torchao"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)


def die_with_parent() -> None:
    """On Linux, ask for SIGTERM when the parent dies.

    A killed run must not leave a stage, or a process of a stage, that goes on writing.
    """
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, <sys/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
    parent_died_before = os.getppid() == 1
    if parent_died_before:
        raise SystemExit(1)


def prepare_deepspeed(run: Run) -> None:
    """Set what DeepSpeed reads: the device, and that this process is alone where no launcher started it."""
    if run.device == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    if "RANK" not in os.environ:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        alone = {
            "RANK": "0",
            "LOCAL_RANK": "0",
            "WORLD_SIZE": "1",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        os.environ.update(alone)
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)


def prepare_ray(alone: bool) -> None:
    """Set what Ray reads when it is loaded. With `alone`, nobody else may reach this process's cluster."""
    os.environ.update(RAY)
    if alone:
        # Ray's name for "listen on loopback addresses only".
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        # Without a token here, Ray keeps one in the home folder.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
