"""Several processes share a step: which ways there are, how processes are started, and what they share.

`train.share` names the way.

- `ddp`: every process holds the whole model and shows it a part of the step's rows. Gradients are averaged (Li
  et al. 2020, arXiv 2006.15704).
- `fsdp2`: as `ddp`, and the frozen weights of the base are spread over the processes. Each layer is whole only
  while it computes (`torch.distributed.fsdp.fully_shard`; Zhao et al. 2023, arXiv 2304.11277). The adapter is small
  and stays whole on every process. So elastic weight consolidation and its steps are those of one process.
- `zero1`, `zero2`, `zero3`, or a whole DeepSpeed config: ZeRO (Rajbhandari et al. 2020, arXiv 1910.02054) shards
  optimizer states (stage 1), gradients (2) and parameters (3). It flattens the parameters that it optimizes, so that
  the steps are plain AdamW's. The penalty of `curvature.py` stays.

The rows of a step, and their order, are those of one process (`training.SharedRows`).

Several machines (nodes) take part where the environment says so, in torchrun's own words: `NNODES`, `NODE_RANK`,
`MASTER_ADDR`, `MASTER_PORT`. `train.processes` counts the processes of all nodes, since the number decides the last
bits. On how many nodes they are decides nothing.
"""

import copy
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stages.core.project import runtime
from stages.core.project.errors import InputError, ParamsError

Share = Literal["ddp", "fsdp2", "zero1", "zero2", "zero3"] | dict[str, Any] | None
"""The setting `train.share`: one process, a way to share a step, or a whole DeepSpeed config."""
STAGE_OF_ZERO = {"zero1": 1, "zero2": 2, "zero3": 3}
FOLLOWS_PARAMS: dict[str, Any] = {
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "bf16": {"enabled": "auto"},
    "fp16": {"enabled": "auto"},
    "zero_allow_untested_optimizer": True,
}
"""Batch, precision and clipping are what params.yaml says ("auto"), unless a config says otherwise."""
PORT = "29500"
"""torchrun's own default."""


def deepspeed_config(share: Share) -> dict[str, Any] | None:
    """Return the DeepSpeed config, a given one with the rest filled in. None: without DeepSpeed."""
    if isinstance(share, dict):
        return copy.deepcopy(FOLLOWS_PARAMS) | share
    if share not in STAGE_OF_ZERO:
        return None
    stage = {"zero_optimization": {"stage": STAGE_OF_ZERO[share]}}
    return copy.deepcopy(FOLLOWS_PARAMS) | stage


def zero_stage(share: Share) -> int:
    """Return what DeepSpeed shards: 0 nothing, 1 optimizer states, 2 gradients too, 3 parameters too."""
    config = deepspeed_config(share) or {}
    stage: int = config.get("zero_optimization", {}).get("stage", 0)
    return stage


def spreads_base(share: Share, processes: int) -> bool:
    """Return whether no process holds the whole base, so that all must compute with it at the same time."""
    if share == "fsdp2":
        return processes > 1
    return zero_stage(share) == 3


def problems(share: Share, processes: int, ewc_weight: float, bits: int | None) -> list[str]:
    """Return a line for each setting that does not go with this way to share a step."""
    found = []
    if processes < 1:
        found.append(f"train.processes: {processes} processes are none; write 1 or more")
    if processes > 1 and share is None:
        found.append(
            f"train.share: {processes} processes (train.processes) need a way to share a step; write ddp, or "
            "fsdp2 for a base that does not fit one device, or processes: 1"
        )
    if zero_stage(share) == 3 and ewc_weight:
        found.append(
            "train.share: ZeRO stage 3 shards the adapter that ewc needs whole; write fsdp2, zero2, or "
            "ewc.weight: 0"
        )
    if share == "fsdp2" and bits == 4:
        found.append(
            "train.share: fsdp2 cannot spread weights of 4 bits; write ddp, or base_bits: null"
        )
    return found


def launched() -> bool:
    """Return whether this process is one of several that a launcher started."""
    return "LOCAL_RANK" in os.environ


def is_first() -> bool:
    """Return whether this process is the one that writes."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class Nodes:
    """The machines that take part in a run."""

    number: int
    own: int
    """Number of this one, from 0. The first one writes."""
    address: str
    """Name or address of the first one."""
    port: str


def nodes_of(environment: Mapping[str, str], processes: int) -> Nodes:
    """Read which machines take part, one where the environment does not say. Raises ParamsError with all mistakes."""
    said = environment.get("NNODES", "1")
    if not said.isdigit() or int(said) < 1:
        raise ParamsError(f"environment: NNODES={said} is no number of machines; write 1 or more")
    number = int(said)
    if number == 1:
        return Nodes(1, 0, "", "")
    wrong = []
    own = environment.get("NODE_RANK", "")
    if not own.isdigit() or int(own) >= number:
        wrong.append(
            f"NODE_RANK={own} is not the number of one of {number} machines; write 0 on the first, which writes "
            f"the outputs, up to {number - 1}"
        )
    address = environment.get("MASTER_ADDR", "")
    if not address:
        wrong.append(
            "MASTER_ADDR is missing; write the address of the first machine, on each of them"
        )
    port = environment.get("MASTER_PORT", PORT)
    if not port.isdigit():
        wrong.append(f"MASTER_PORT={port} is no port; write a free one of the first machine")
    if processes % number:
        wrong.append(
            f"NNODES={number} machines cannot have equal parts of {processes} processes (train.processes, which "
            "counts those of all machines)"
        )
    if wrong:
        raise ParamsError("\n  ".join(["environment:", *wrong]))
    return Nodes(number, int(own), address, port)


def launch(processes: int, stage: str, paths: list[Path]) -> None:
    """Run the stage in several processes by torchrun, on this machine and on those that the environment names.

    Exits with a message where one of them fails. The processes end with this one.
    """
    nodes = nodes_of(os.environ, processes)
    command = [sys.executable, "-m", "torch.distributed.run"]
    if nodes.number == 1:
        command.append("--standalone")
    else:
        command += [
            f"--nnodes={nodes.number}",
            f"--node-rank={nodes.own}",
            f"--master-addr={nodes.address}",
            f"--master-port={nodes.port}",
        ]
    command += [f"--nproc-per-node={processes // nodes.number}", "-m", "stages", stage]
    for path in paths:
        command.append(str(path))
    # Without this, torchrun would go on where this process is killed.
    done = subprocess.run(command, check=False, preexec_fn=runtime.die_with_parent)
    if done.returncode:
        sys.exit(
            f"{stage}: one of {processes} processes failed, exit code {done.returncode}; "
            "what it said stands above"
        )
    if nodes.own:
        print(f"{stage}: done; machine {nodes.address} has written the outputs")


def join(processes: int, on_cpu: bool) -> None:
    """Join the other processes of the run, as their launcher says. Raises ParamsError where it started other ones."""
    import torch

    if torch.distributed.is_initialized():
        return
    started = int(os.environ["WORLD_SIZE"])
    if started != processes:
        raise ParamsError(
            f"train.processes: {processes}, and torchrun has started {started} processes; write {started}"
        )
    if not on_cpu and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.distributed.init_process_group("nccl")
    else:
        torch.distributed.init_process_group("gloo")


def check_same(run_key: str) -> None:
    """Raise InputError where a process has other inputs, settings, code or libraries than the first one.

    `run_key` is the hash of all these.
    """
    import torch

    if not torch.distributed.is_initialized():
        return
    keys: list[str] = [""] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(keys, run_key)
    others = [str(rank) for rank, key in enumerate(keys) if key != keys[0]]
    if others:
        raise InputError(
            f"train: processes with the ranks {', '.join(others)} have other inputs, settings, code or libraries "
            "than the first; bring their machine to the same commit (git pull, dvc pull, make setup)"
        )


def spread(model: Any, on_cpu: bool) -> None:
    """Spread the frozen weights of an adapted model over the processes, layer by layer.

    The trained weights stay whole on each. `model` is on the CPU. Its shards are moved to the device one layer after the
    other, so no device ever holds the whole model.
    """
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    use_gpu = not on_cpu and torch.cuda.is_available()
    device = torch.device("cuda", torch.cuda.current_device()) if use_gpu else torch.device("cpu")
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    trained = set()
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.to(device)
            trained.add(weight)
    whole = model.get_base_model()
    names_of_layers = set(getattr(whole, "_no_split_modules", None) or ())
    layers = [module for module in whole.modules() if type(module).__name__ in names_of_layers]
    for layer in layers:
        fully_shard(layer, mesh=mesh, ignored_params=trained)
    # Embeddings, last norm and head.
    fully_shard(whole, mesh=mesh, ignored_params=trained)


def averaging(model: Any) -> Any:
    """Return a spread model whose processes average the gradients of the trained weights.

    The frozen weights are left to their shards.
    """
    from torch.nn.parallel import DistributedDataParallel

    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    averages: Any = DistributedDataParallel
    averages._set_params_and_buffers_to_ignore_for_model(model, frozen)
    return averages(model)


def whole(parameters: list[Any], share: Share) -> Any:
    """Return a context in which parameters that ZeRO's stage 3 has sharded are whole."""
    if zero_stage(share) < 3:
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(parameters)
