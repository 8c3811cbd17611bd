"""The report of `lore plan --memory`: the memory that each way of tuning takes, and the devices here."""

import json
import resource
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lore.planning.timing import timings
from stages.core.project import artifacts
from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.planning.devices import Device
    from lore.planning.memory import Model, Need, Settings

BASE = Path(artifacts.BASE) / "model"
SEED = Path("models/seed/model")
GIB = 2**30
CONTEXT = GIB // 2
"""Bytes of a GPU that CUDA's context and kernels take: an order of magnitude."""
GAPS = 2.0
"""`Settings.gaps` of a process in main memory."""


@dataclass(frozen=True)
class Row:
    """One way of tuning, and the bytes that it takes at each ZeRO stage."""

    method: str
    checkpointing: bool
    bytes: list[int]


@dataclass(frozen=True)
class Estimate:
    """Everything that the report prints."""

    model: "Model"
    run: "Settings"
    table: list[Row]
    devices: "list[Device]"
    """All devices here."""
    device: "Device"
    """The one that the verdict is about: the smallest usable GPU, else main memory."""
    room: int
    """Bytes that a process may fill on it."""
    parts: "Need"
    """The memory of LoRA as params.yaml sets it."""
    verdict: str
    measured: list[str]
    """The peak of the last run beside the estimate, where one is recorded."""


def lines(config: Path | None, processes: int | None) -> list[str]:
    """Return the report as text.

    Raises InputError, ParamsError or ModelError where params.yaml or config.json cannot be used.
    """
    estimate = make_estimate(config, processes)
    model, run, room = estimate.model, estimate.run, estimate.room
    devices = "one device, where ZeRO has nothing to share"
    if run.processes > 1:
        devices = f"{run.processes} devices"
    bits = 16 if run.mixed else 32
    titles = [f"{title:>13}" for title in ("no ZeRO", "ZeRO 1", "ZeRO 2", "ZeRO 3")]
    printed = [
        f"memory on each of {devices}: {model.name}",
        f"  {model.parameters:,} parameters of {model.weight_bytes} bytes, "
        f"adapter {model.adapter:,}; {run.rows} rows of {run.max_tokens} tokens a step, "
        f"which is the longest; activations of {bits} bits",
        f"  {'':<8}{'checkpointing':<16}{''.join(titles)}",
    ]
    some_too_large = False
    for row in estimate.table:
        cells = []
        for size in row.bytes:
            too_large = size > room
            some_too_large = some_too_large or too_large
            mark = "!" if too_large else " "
            cells.append(f"{f'{size / GIB:.1f} GiB':>12}{mark}")
        checkpointing = "yes" if row.checkpointing else "no"
        printed.append(f"  {row.method:<8}{checkpointing:<16}{''.join(cells)}")
    if some_too_large:
        name = estimate.device.name
        printed.append(f"  ! does not fit in the {room / GIB:.1f} GiB that {name} has for it")
    for device in estimate.devices:
        unusable = ""
        if not device.usable:
            unusable = "; this torch cannot use it: install torch with CUDA"
        total = f"{device.total / GIB:.1f} GiB"
        free = f"{device.free / GIB:.1f} GiB free"
        printed.append(f"  {device.name}: {total}, {free}{unusable}")
    return [*printed, estimate.verdict, *estimate.measured]


def as_json(config: Path | None, processes: int | None) -> dict[str, Any]:
    """Return the report for machines. Raises errors as `lines` does."""
    return asdict(make_estimate(config, processes))


def make_estimate(config: Path | None, processes: int | None) -> Estimate:
    """Compute the report for params.yaml and the devices here. Raises errors as `lines` does."""
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

    main_memory = devices.main_memory()
    # Several GPUs wait for the smallest one. Without GPUs all processes share main memory.
    if usable:
        device = min(usable, key=lambda each: each.total)
        room = room_on(device, sharing=1)
    else:
        device = main_memory
        room = room_on(device, sharing=count)

    table = []
    for method in memory.METHODS:
        for checkpointing in (False, True):
            row = sizes(model, settings, method, checkpointing)
            table.append(Row(method, checkpointing, row))

    checkpointing = params.gradient_checkpointing
    zero = distributed.zero_stage(params.deepspeed)
    parts = memory.need(model, settings, memory.LORA, checkpointing, zero)
    # The last run was one of params.yaml's own base, not of the model that --config names.
    last_run = list(measured(parts.total)) if config is None else []
    return Estimate(
        model=model,
        run=settings,
        table=table,
        devices=[main_memory, *graphics],
        device=device,
        room=room,
        parts=parts,
        verdict=verdict(model, settings, checkpointing, zero, device, room),
        measured=last_run,
    )


def sizes(model: "Model", run: "Settings", method: str, checkpointing: bool) -> list[int]:
    """Return the bytes at each ZeRO stage."""
    from lore.planning.memory import ZERO_STAGES, need

    return [need(model, run, method, checkpointing, zero).total for zero in ZERO_STAGES]


def folder_of_base() -> Path:
    """Return the folder of the model that params.yaml names as base.

    Raises InputError where it is not on this machine.
    """
    from stages.base import Params
    from stages.core.project.params import load

    base, _ = load("base", Params)
    if base.source == "embedded":
        return SEED
    if base.source == "folder" and base.folder:
        return Path(base.folder)
    manifest = BASE.parent / "manifest.json"
    pinned = None
    if manifest.is_file():
        pinned = json.loads(manifest.read_text(encoding="utf-8")).get("revision")
    if pinned and pinned == base.revision:
        return BASE
    raise InputError(
        f"base.repository: {base.repository} is not here; dvc repro base fetches it; "
        "or put its config.json alone into a folder, and name that with --config"
    )


def room_on(device: "Device", sharing: int) -> int:
    """Return the bytes that a process may fill on a device, beside its libraries.

    `sharing` processes share main memory.
    """
    if device.name != "cpu":
        return device.total - CONTEXT
    return device.free // sharing - libraries()


def libraries() -> int:
    """Return the peak bytes of this process: torch, transformers and peft without weights."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def verdict(
    model: "Model", run: "Settings", checkpointing: bool, zero: int, device: "Device", room: int
) -> str:
    """Say whether LoRA as params.yaml sets it fits. If it does not, name the first setting that does."""
    from lore.planning.memory import LORA, need

    size = need(model, run, LORA, checkpointing, zero).total
    as_set = f"LoRA as set takes {size / GIB:.1f} GiB"
    there = f"the {room / GIB:.1f} GiB that {device.name} has for it"
    if size <= room:
        return f"{as_set}: fits in {there}"
    for remedy in remedies(run, checkpointing, zero):
        needed = need(model, remedy.run, LORA, remedy.checkpointing, remedy.zero).total
        if needed <= room:
            return f"{as_set}: will not fit in {there}; set {remedy.advice}"
    smallest = replace(run, rows=1, curvature=False)
    least = need(model, smallest, LORA, True, zero).total
    return (
        f"{as_set}: will not fit in {there}, with no setting: at least {least / GIB:.1f} GiB are "
        "needed; choose a smaller base, a device with more memory, or several (train.processes) "
        "with train.deepspeed: 3"
    )


@dataclass(frozen=True)
class Remedy:
    """Settings that take less memory."""

    advice: str
    """The settings as a person writes them in params.yaml."""
    run: "Settings"
    checkpointing: bool
    zero: int


def remedies(run: "Settings", checkpointing: bool, zero: int) -> Iterator[Remedy]:
    """Yield settings to try, the least costly first. Each includes those before it, except the batch."""
    advice: list[str] = []
    if not checkpointing:
        advice.append("train.gradient_checkpointing: true")
        yield Remedy(", ".join(advice), run, True, zero)
    if run.curvature:
        advice.append("train.ewc.weight: 0")
        run = replace(run, curvature=False)
        yield Remedy(", ".join(advice), run, True, zero)
    while run.rows > 1:
        run = replace(run, rows=run.rows // 2)
        batch = f"train.rows_per_batch: {run.rows * run.processes}"
        yield Remedy(", ".join([*advice, batch]), run, True, zero)
    if run.processes > 1 and zero < 3:
        batch = f"train.rows_per_batch: {run.processes}"
        yield Remedy(", ".join([*advice, batch, "train.deepspeed: 3"]), run, True, 3)


def measured(total: int) -> Iterator[str]:
    """Yield a line with the last run's peak beside the estimate, where one is recorded.

    `total` is the estimate in bytes, without libraries.
    """
    peak = timings().get("train", {}).get("peak_bytes")
    if not peak:
        return
    own = libraries()
    whole = total + own
    yield (
        f"measured: train's last run took {peak / GIB:.2f} GiB at most; estimated, with "
        f"{own / GIB:.2f} GiB of libraries, {whole / GIB:.2f} GiB: ratio {whole / peak:.2f}"
    )
