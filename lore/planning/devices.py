"""The devices of this machine and their memory: main memory as far as this process may use it, and GPUs."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Device:
    """One device. `usable` is whether torch here can train on it."""

    name: str
    total: int
    free: int
    """Bytes: of main memory, what can be had without swapping."""
    usable: bool = True


def main_memory(meminfo: Path = Path("/proc/meminfo"), limit: Path = CGROUP) -> Device:
    """Main memory; the limit of the container where that is less."""
    if meminfo.is_file():
        found = dict(
            line.split(":", 1)
            for line in meminfo.read_text(encoding="ascii").splitlines()
            if ":" in line
        )
        total, free = (int(found[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    else:
        total = free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if limit.is_file() and (text := limit.read_text(encoding="ascii").strip()).isdigit():
        total = min(total, int(text))
    return Device("cpu", total, min(free, total))


def gpus() -> list[Device]:
    """GPUs as torch sees them; else those that nvidia-smi names, which this torch cannot use."""
    import torch

    if torch.cuda.is_available():
        sizes = [torch.cuda.mem_get_info(number) for number in range(torch.cuda.device_count())]
        return [
            Device(f"cuda:{n} {torch.cuda.get_device_name(n)}", total, free)
            for n, (free, total) in enumerate(sizes)
        ]
    return [Device(name, total, free, usable=False) for name, total, free in named_by_driver()]


def named_by_driver() -> list[tuple[str, int, int]]:
    """Name, total and free bytes of each GPU that NVIDIA's driver names; nothing where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, check=True, timeout=10).stdout
        rows = [line.rsplit(",", 2) for line in said.splitlines() if line.strip()]
        return [(name.strip(), int(total) * 2**20, int(free) * 2**20) for name, total, free in rows]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
