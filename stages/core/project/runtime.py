"""What must be settled before torch and numpy are loaded: threads, instruction set, no telemetry, no network.

The only place that writes environment variables.
"""

import ctypes
import logging
import os
import secrets
import signal
import sys
import warnings

from stages.core.project.params import Run

QUIET = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a server that is down costs seconds, not minutes
    "TOKENIZERS_PARALLELISM": "false",
    "TORCHAO_FORCE_SKIP_LOADING_SO_FILES": "1",  # its CUDA kernels, which are of no use here and warn when absent
    "TQDM_MININTERVAL": "1",
}
RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as Ray will do it by default; until then it warns
    # The process that Ray starts for a client is a fork of one that serves others; gRPC's handlers end it now and then.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}


def settings(run: Run, online: bool = False) -> dict[str, str]:
    """The environment of a run; `online` lets a hub repository be fetched."""
    avx2 = run.isa == "avx2"
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return QUIET | {
        **({"HF_HUB_OFFLINE": "0"} if online else offline),
        # The number of threads decides how sums are split, and so the last bits.
        **dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(run.threads)
        ),
        "POLARS_MAX_THREADS": str(run.threads),
        "OMP_DYNAMIC": "FALSE",
        "MKL_DYNAMIC": "FALSE",
        # Each library picks its kernels by CPU, and sums in another order: pin them all to one instruction set.
        "ATEN_CPU_CAPABILITY": "avx2" if avx2 else "default",
        "ONEDNN_MAX_CPU_ISA": "AVX2" if avx2 else "SSE41",
        "MKL_CBWR": "AVX2" if avx2 else "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Haswell" if avx2 else "Prescott",
    }


def die_with_parent() -> None:
    """On Linux, ask for SIGTERM when the parent dies: a killed run must not leave a stage, or a process of one, writing."""
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG, <sys/prctl.h>
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
        if os.getppid() == 1:  # it died before we asked
            raise SystemExit(1)


def prepare_deepspeed(run: Run) -> None:
    """Settle what DeepSpeed reads: the device, and, where no launcher has started this process, that it is alone."""
    import socket

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
    """Settle what Ray reads when it is loaded; `alone`: its processes are for this one, and nobody else may reach them."""
    os.environ.update(RAY)
    if alone:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = (
            "0"  # Ray's name for: loopback addresses only
        )
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault(
            "RAY_AUTH_TOKEN", secrets.token_hex(32)
        )  # else Ray keeps one in the home folder


def prepare(run: Run, online: bool = False) -> None:
    """Set the environment of this process. Call it before anything imports torch or numpy."""
    os.environ.update(settings(run, online))
    for name in (
        "torch.utils._pytree",
        "torchao",
    ):  # what libraries tell each other's authors while they are imported
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
