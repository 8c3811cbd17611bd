"""DeepSpeed and several processes: what changes when training is shared.

ZeRO (Rajbhandari et al. 2020, arXiv 1910.02054) shards optimizer states (stage 1), gradients (2) and
parameters (3) over processes. It flattens the parameters that it optimizes, so that under stages 1 to 3
the steps are plain AdamW's. The penalty of `curvature.py` stays.
"""

import copy
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

Wanted = None | int | dict[str, Any]
"""The setting `train.deepspeed`: none, a ZeRO stage, or a whole config."""
FOLLOWS_PARAMS: dict[str, Any] = {
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "bf16": {"enabled": "auto"},
    "fp16": {"enabled": "auto"},
    "zero_allow_untested_optimizer": True,
}
"""Batch, precision and clipping are what params.yaml says ("auto"), unless a config says otherwise."""


def config(wanted: int | dict[str, Any]) -> dict[str, Any]:
    """Return the DeepSpeed config of a ZeRO stage, or the given one with the rest filled in."""
    given = {"zero_optimization": {"stage": wanted}} if isinstance(wanted, int) else wanted
    return copy.deepcopy(FOLLOWS_PARAMS) | given


def zero_stage(wanted: Wanted) -> int:
    """Return what is sharded: 0 nothing, 1 optimizer states, 2 gradients too, 3 parameters too."""
    if wanted is None:
        return 0
    stage: int = config(wanted).get("zero_optimization", {}).get("stage", 0)
    return stage


def launched() -> bool:
    """Return whether this process is one of several that a launcher started."""
    return "LOCAL_RANK" in os.environ


def is_first() -> bool:
    """Return whether this process is the one that writes."""
    return os.environ.get("RANK", "0") == "0"


def launch(processes: int, stage: str, paths: list[Path]) -> None:
    """Run the stage in several processes of this machine by torchrun.

    Exits with a message where one of them fails.
    """
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={processes}",
        "-m",
        "stages",
        stage,
    ]
    for path in paths:
        command.append(str(path))
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(
            f"{stage}: one of {processes} processes failed, exit code {done.returncode}; "
            "what it said stands above"
        )


def whole(parameters: list[Any], wanted: Wanted) -> Any:
    """Return a context in which parameters that stage 3 has sharded are whole."""
    if zero_stage(wanted) < 3:
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(parameters)
