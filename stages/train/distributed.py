"""DeepSpeed and several processes: what changes when training is shared.

ZeRO (Rajbhandari et al. 2020, arXiv 1910.02054) shards optimizer states (stage 1), gradients (2) and parameters (3) over
processes. It flattens what it optimizes: under stages 1 to 3 steps are plain AdamW's; the penalty of `curvature.py` stays.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

Wanted = None | int | dict[str, Any]


def config(wanted: int | dict[str, Any]) -> dict[str, Any]:
    """A DeepSpeed config of a ZeRO stage, or the given one; batch, precision and clipping follow params.yaml ("auto")."""
    given = {"zero_optimization": {"stage": wanted}} if isinstance(wanted, int) else wanted
    auto = {
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": "auto"},
        "zero_allow_untested_optimizer": True,
    }
    return auto | given


def zero_stage(wanted: Wanted) -> int:
    """What is sharded: 0 nothing, 1 the optimizer's states, 2 the gradients too, 3 the parameters too."""
    return 0 if wanted is None else config(wanted).get("zero_optimization", {}).get("stage", 0)


def launched() -> bool:
    """Whether this process is one of several that a launcher started."""
    return "LOCAL_RANK" in os.environ


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return os.environ.get("RANK", "0") == "0"


def launch(processes: int, stage: str, paths: list[Path]) -> None:
    """Run the stage in several processes of this machine by torchrun; exits with a message where one of them fails."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={processes}",
    ]
    done = subprocess.run([*command, "-m", "stages", stage, *map(str, paths)], check=False)
    if done.returncode:
        sys.exit(
            f"{stage}: one of {processes} processes failed, exit code {done.returncode}; what it said stands above"
        )


def whole(parameters: list[Any], wanted: Wanted) -> Any:
    """A context in which parameters that stage 3 has sharded are whole."""
    from contextlib import nullcontext

    if zero_stage(wanted) < 3:
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(parameters)
