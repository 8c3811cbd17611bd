"""`lore plan --memory`: what each way of tuning the base model takes on a device, against the devices that are here."""

import json
import resource
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.planning.devices import Device
    from lore.planning.memory import Model, Settings

BASE = Path("models/base/model")
SEED = Path("models/seed/model")
GIB = 2**30
CONTEXT = GIB // 2
"""What CUDA's context and kernels take of a GPU: an order of magnitude."""
GAPS = 2.0
"""How much more than its activations a process takes of main memory (Settings.gaps)."""


def lines(config: Path | None, processes: int | None) -> list[str]:
    """The report. Raises InputError, ParamsError or ModelError where params.yaml or config.json cannot be used."""
    found = estimate(config, processes)
    model, run = found["model"], found["run"]
    devices = (
        f"{run.processes} devices"
        if run.processes > 1
        else "one device, where ZeRO has nothing to share"
    )
    said = [
        f"memory on each of {devices}: {model.name}",
        f"  {model.parameters:,} parameters of {model.weight_bytes} bytes, adapter {model.adapter:,}; {run.rows} rows of "
        f"{run.max_tokens} tokens a step, which is the longest; activations of {16 if run.mixed else 32} bits",
        f"  {'':<8}{'checkpointing':<16}"
        + "".join(f"{title:>13}" for title in ("no ZeRO", "ZeRO 1", "ZeRO 2", "ZeRO 3")),
    ]
    for row in found["table"]:
        cells = "".join(
            f"{f'{size / GIB:.1f} GiB':>12}{' ' if size <= found['room'] else '!'}"
            for size in row["bytes"]
        )
        said.append(f"  {row['method']:<8}{'yes' if row['checkpointing'] else 'no':<16}{cells}")
    said += (
        [
            f"  ! does not fit in the {found['room'] / GIB:.1f} GiB that {found['device'].name} has for it"
        ]
        if any_over(found)
        else []
    )
    said += [f"  {device.name}: {device.total / GIB:.1f} GiB, {device.free / GIB:.1f} GiB free" + ("" if device.usable else
             "; this torch cannot use it: install torch with CUDA") for device in found["devices"]]  # fmt: skip
    return [*said, found["verdict"], *found["measured"]]


def as_json(config: Path | None, processes: int | None) -> dict[str, Any]:
    """The same for machines."""
    found = estimate(config, processes)
    plain = {name: asdict(found[name]) for name in ("model", "run", "device", "parts")}
    return found | plain | {"devices": [asdict(device) for device in found["devices"]]}


def estimate(config: Path | None, processes: int | None) -> dict[str, Any]:
    """Everything that both forms print."""
    from lore.planning import devices, memory
    from stages import train
    from stages.core.project import runtime
    from stages.core.project.params import load
    from stages.train import distributed

    params, run = load("train", train.Params)
    runtime.prepare(run)
    model = memory.model_of(config or folder_of_base(), params.lora)
    count = processes or params.processes
    graphics = devices.gpus()
    usable = [device for device in graphics if device.usable and run.device == "auto"]
    settings = memory.Settings(
        rows=max(1, params.rows_per_batch // count),
        max_tokens=params.max_tokens,
        mixed=params.precision != "fp32",
        curvature=bool(params.ewc.weight),
        processes=count,
        gaps=1.0 if usable else GAPS,
    )
    everything = [devices.main_memory(), *graphics]
    device = min(usable, key=lambda each: each.total) if usable else everything[0]
    room = room_on(device, 1 if usable else count)
    ways = [(method, saving) for method in memory.METHODS for saving in (False, True)]
    table = [
        {"method": method, "checkpointing": saving, "bytes": sizes(model, settings, method, saving)}
        for method, saving in ways
    ]
    zero = distributed.zero_stage(params.deepspeed)
    parts = memory.need(model, settings, memory.LORA, params.gradient_checkpointing, zero)
    return {
        "model": model, "run": settings, "table": table, "devices": everything, "device": device, "room": room, "parts": parts,
        "verdict": verdict(model, settings, params.gradient_checkpointing, zero, device, room),
        "measured": list(measured(parts.total)) if config is None else [],
    }  # fmt: skip


def sizes(model: "Model", run: "Settings", method: str, checkpointing: bool) -> list[int]:
    """Bytes at each ZeRO stage."""
    from lore.planning.memory import ZERO_STAGES, need

    return [need(model, run, method, checkpointing, zero).total for zero in ZERO_STAGES]


def folder_of_base() -> Path:
    """The folder with the config.json that params.yaml means. Raises InputError where it is not on this machine."""
    from stages.base import Params
    from stages.core.project.params import load

    base, _ = load("base", Params)
    if base.source == "embedded":
        return SEED
    if base.source == "folder" and base.folder:
        return Path(base.folder)
    manifest = BASE.parent / "manifest.json"
    pinned = (
        json.loads(manifest.read_text(encoding="utf-8")).get("revision")
        if manifest.is_file()
        else None
    )
    if pinned and pinned == base.revision:
        return BASE
    raise InputError(
        f"base.repository: {base.repository} is not here; dvc repro base fetches it; or put its config.json alone into a folder, "
        "and name that with --config"
    )


def room_on(device: "Device", sharing: int) -> int:
    """Bytes that a process may fill, beside what the libraries take; main memory is shared by the processes."""
    if device.name != "cpu":
        return device.total - CONTEXT
    return device.free // sharing - libraries()


def libraries() -> int:
    """What this process, with torch, transformers and peft loaded and no weights, has taken at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def verdict(
    model: "Model", run: "Settings", checkpointing: bool, zero: int, device: "Device", room: int
) -> str:
    """Whether LoRA as params.yaml has it fits; if not, the first setting that does."""
    from lore.planning.memory import LORA, need

    size = need(model, run, LORA, checkpointing, zero).total
    as_set, there = (
        f"LoRA as set takes {size / GIB:.1f} GiB",
        f"the {room / GIB:.1f} GiB that {device.name} has for it",
    )
    if size <= room:
        return f"{as_set}: fits in {there}"
    for advice, changed, saving, stage in remedies(run, checkpointing, zero):
        if need(model, changed, LORA, saving, stage).total <= room:
            return f"{as_set}: will not fit in {there}; set {advice}"
    least = need(model, replace(run, rows=1, curvature=False), LORA, True, zero).total
    return (
        f"{as_set}: will not fit in {there}, with no setting: at least {least / GIB:.1f} GiB are needed; choose a smaller base, "
        "a device with more memory, or several (train.processes) with train.deepspeed: 3"
    )


def remedies(
    run: "Settings", checkpointing: bool, zero: int
) -> Iterator[tuple[str, "Settings", bool, int]]:
    """Settings to try, the least costly first: (what to write, the run then, checkpointing, ZeRO stage)."""
    said: list[str] = []
    if not checkpointing:
        said.append("train.gradient_checkpointing: true")
        yield ", ".join(said), run, True, zero
    if run.curvature:
        said.append("train.ewc.weight: 0")
        run = replace(run, curvature=False)
        yield ", ".join(said), run, True, zero
    while run.rows > 1:
        run = replace(run, rows=run.rows // 2)
        yield (
            ", ".join([*said, f"train.rows_per_batch: {run.rows * run.processes}"]),
            run,
            True,
            zero,
        )
    if run.processes > 1 and zero < 3:
        yield (
            ", ".join([*said, f"train.rows_per_batch: {run.processes}", "train.deepspeed: 3"]),
            run,
            True,
            3,
        )


def measured(total: int) -> Iterator[str]:
    """The last run's peak beside the estimate, where one is recorded."""
    from lore.commands.plan import timings

    peak = timings().get("train", {}).get("peak_bytes")
    if peak:
        whole = total + libraries()
        yield (
            f"measured: train's last run took {peak / GIB:.2f} GiB at most; estimated, with {libraries() / GIB:.2f} GiB of "
            f"libraries, {whole / GIB:.2f} GiB: ratio {whole / peak:.2f}"
        )


def any_over(found: dict[str, Any]) -> bool:
    """Whether anything in the table does not fit."""
    return any(size > found["room"] for row in found["table"] for size in row["bytes"])
