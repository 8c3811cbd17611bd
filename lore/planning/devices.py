"""The devices of this machine and their memory: main memory that this process may use, and GPUs."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup/memory.max")
"""The container's limit: a number of bytes, or `max` where there is none (cgroup version 2)."""
DRIVER_SECONDS = 10
"""How long NVIDIA's driver may take to answer."""


@dataclass(frozen=True)
class Device:
    """One device. Sizes are in bytes."""

    name: str
    total: int
    free: int
    """Of main memory: what programs can have without swapping."""
    usable: bool = True
    """Whether torch here can train on it."""


def main_memory(limit: Path = CGROUP) -> Device:
    """Return main memory, or the limit of the container where that is less."""
    memory = psutil.virtual_memory()
    total = memory.total
    if limit.is_file():
        text = limit.read_text(encoding="ascii").strip()
        if text.isdigit():
            total = min(total, int(text))
    return Device("cpu", total, min(memory.available, total))


def gpus() -> list[Device]:
    """Return the GPUs that torch can use, else those that NVIDIA's driver names."""
    import torch

    if not torch.cuda.is_available():
        return [Device(name, total, free, usable=False) for name, total, free in named_by_driver()]
    devices = []
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        name = f"cuda:{number} {torch.cuda.get_device_name(number)}"
        devices.append(Device(name, total, free))
    return devices


def named_by_driver() -> list[tuple[str, int, int]]:
    """Return name, total and free bytes of each GPU that nvidia-smi names.

    The list is empty where there is no such program, or where it fails.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    devices = []
    try:
        done = subprocess.run(
            query, capture_output=True, text=True, check=True, timeout=DRIVER_SECONDS
        )
        for line in done.stdout.splitlines():
            if line.strip():
                # The name may hold commas; the sizes are in MiB: `NVIDIA H200, 143771, 143000`.
                name, total, free = line.rsplit(",", 2)
                devices.append((name.strip(), int(total) * 2**20, int(free) * 2**20))
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return devices
