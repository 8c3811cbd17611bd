"""The report of `lore plan --memory`: the memory that each way of tuning takes, and the devices here.

Only what params.yaml can ask for is offered. Elsewhere stands a dash, and a line below says why.
"""

import json
import resource
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lore.planning.timing import timings
from stages.core.project import artifacts
from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.planning.devices import Device
    from lore.planning.memory import Model, Need, Settings
    from stages.train import Params

BASE = Path(artifacts.BASE) / "model"
SEED = Path("models/seed/model")
GIB = 2**30
CONTEXT = GIB // 2
"""Bytes of a GPU that CUDA's context and kernels take: an order of magnitude."""
GAPS = 3.0
"""`Settings.gaps` of a process in main memory."""
DASH = "–"
SPREAD = ("fsdp2", "zero3")
"""Ways to share a step in which no process holds the whole base."""


@dataclass(frozen=True)
class Row:
    """One way of tuning, and the bytes that it takes with each way to share a step (`memory.SHARES`)."""

    method: str
    checkpointing: bool
    bytes: list[int | None]
    """None where train refuses the settings, or where there are none."""


@dataclass(frozen=True)
class Choice:
    """The settings that decide the memory of a process, as params.yaml has them or might have them."""

    run: "Settings"
    method: str
    checkpointing: bool
    share: str
    """One of `memory.SHARES`."""

    def total(self, model: "Model") -> int:
        """Return the bytes at the peak."""
        from lore.planning.memory import need

        return need(model, self.run, self.method, self.checkpointing, self.share).total


@dataclass(frozen=True)
class Estimate:
    """Everything that the report prints."""

    model: "Model"
    run: "Settings"
    rows_of_step: int
    """Rows that a process has in a step. It shows the model `run.rows` of them at once."""
    table: list[Row]
    dashes: list[str]
    """A line for each reason why there is no number."""
    full_tuning: int
    """Bytes that full tuning would take without ZeRO and checkpointing, for comparison."""
    devices: "list[Device]"
    """All devices here."""
    device: "Device"
    """The one that the verdict is about: the smallest usable GPU, else main memory."""
    room: int
    """Bytes that a process may fill on it."""
    as_set: Choice
    """What params.yaml says."""
    parts: "Need"
    """The memory that it takes."""
    verdict: str
    measured: list[str]
    """The peak of the last run beside the estimate, where one is recorded."""


def lines(config: Path | None, processes: int | None) -> list[str]:
    """Return the report as text.

    Raises InputError, ParamsError or ModelError where params.yaml or config.json cannot be used.
    """
    from lore.planning.memory import SHARES

    estimate = make_estimate(config, processes)
    model, run, room = estimate.model, estimate.run, estimate.room
    devices = "one device, where there is nothing to share"
    if run.processes > 1:
        devices = f"{run.processes} devices"
    bits = 16 if run.mixed else 32
    titles = [f"{share:>13}" for share in SHARES]
    printed = [
        f"memory on each of {devices}: {model.name}",
        f"  {model.parameters:,} parameters, adapter {model.adapter:,}; frozen weights and activations "
        f"of {bits} bits",
        f"  {estimate.rows_of_step} rows of at most {run.max_tokens} tokens a step, {run.rows} at once "
        "(train.rows_per_device)",
    ]
    if run.curvature_rows:
        printed.append(curvature_line(estimate))
    printed.append(f"  {'':<8}{'checkpointing':<16}{''.join(titles)}")
    some_too_large = False
    for row in estimate.table:
        cells = []
        for size in row.bytes:
            too_large = size is not None and size > room
            some_too_large = some_too_large or too_large
            mark = "!" if too_large else " "
            shown = DASH if size is None else f"{size / GIB:.1f} GiB"
            cells.append(f"{shown:>12}{mark}")
        checkpointing = "yes" if row.checkpointing else "no"
        printed.append(f"  {row.method:<8}{checkpointing:<16}{''.join(cells)}".rstrip())
    for reason in estimate.dashes:
        printed.append(f"  {DASH} {reason}")
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


def curvature_line(estimate: Estimate) -> str:
    """Return the line on elastic weight consolidation: its memory, and the time of its inverse roots."""
    size = f"{estimate.parts.factors / GIB:.2f} GiB"
    rows = f"{estimate.run.curvature_rows} rows at once"
    if estimate.as_set.share.startswith("zero"):
        return f"  curvature (train.ewc): {size}, measured on {rows}; with ZeRO it has no inverse roots"
    seconds = f"{estimate.model.root_seconds:,.0f} s"
    return (
        f"  curvature (train.ewc): {size} with its inverse roots, measured on {rows}; the roots take at "
        f"most about {seconds}, once"
    )


def as_json(config: Path | None, processes: int | None) -> dict[str, Any]:
    """Return the report for machines. Raises errors as `lines` does."""
    return asdict(make_estimate(config, processes))


def make_estimate(config: Path | None, processes: int | None) -> Estimate:
    """Compute the report for params.yaml and the devices here. Raises errors as `lines` does."""
    from lore.planning import devices, memory
    from stages import train
    from stages.core.project import runtime
    from stages.core.project.params import load

    params, run = load("train", train.Params)
    runtime.prepare(run)
    graphics = devices.gpus()
    usable = [device for device in graphics if device.usable and run.device == "auto"]
    kind = "cuda" if usable else "cpu"
    model = memory.model_of(config or folder_of_base(), params.lora, params.ewc.widest, kind)

    count = processes or params.processes
    rows_of_step = max(1, params.rows_per_batch // count)
    micro_batch = min(params.rows_per_device or rows_of_step, rows_of_step)
    settings = memory.Settings(
        rows=micro_batch,
        max_tokens=params.max_tokens,
        mixed=params.precision != "fp32",
        curvature_rows=train.rows_of_curvature(params) if params.ewc.weight else 0,
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
            row = sizes(model, settings, params, method, checkpointing)
            table.append(Row(method, checkpointing, row))

    method = memory.LORA if params.base_bits is None else memory.QLORA
    share = share_of(params)
    as_set = Choice(settings, method, params.gradient_checkpointing, share)
    parts = memory.need(model, settings, method, as_set.checkpointing, share)
    full_tuning = memory.need(model, settings, memory.FULL, False, "ddp").total
    wrong = refused(params, method, share)
    if wrong:
        said = f"{method} as set cannot be trained: {'; '.join(wrong)}"
    else:
        four_bits = not refused(params, memory.QLORA, "ddp")
        said = verdict(model, as_set, rows_of_step, four_bits, device, room)
    # The last run was one of params.yaml's own base, not of the model that --config names.
    last_run = list(measured(parts.total)) if config is None else []
    return Estimate(
        model=model,
        run=settings,
        rows_of_step=rows_of_step,
        table=table,
        dashes=list(reasons(params, full_tuning)),
        full_tuning=full_tuning,
        devices=[main_memory, *graphics],
        device=device,
        room=room,
        as_set=as_set,
        parts=parts,
        verdict=said,
        measured=last_run,
    )


def sizes(
    model: "Model", run: "Settings", params: "Params", method: str, checkpointing: bool
) -> list[int | None]:
    """Return the bytes with each way to share a step, and None where no setting asks for them."""
    from lore.planning.memory import FULL, SHARES

    found: list[int | None] = []
    for share in SHARES:
        if method == FULL or refused(params, method, share):
            found.append(None)
        else:
            found.append(Choice(run, method, checkpointing, share).total(model))
    return found


def share_of(params: "Params") -> str:
    """Return the way to share a step that takes the memory of `train.share`: one of `memory.SHARES`."""
    from stages.train import distributed

    if params.share is None:
        return "ddp"
    if isinstance(params.share, dict):
        stage = distributed.zero_stage(params.share)
        return f"zero{stage}" if stage else "ddp"
    return params.share


def refused(params: "Params", method: str, share: str) -> list[str]:
    """Return what train would say against LoRA or QLoRA, shared so, with all other settings as they are."""
    from lore.planning.memory import QLORA
    from stages.train import adapter, distributed

    bits = 4 if method == QLORA else None
    weight = params.ewc.weight
    of_sharing = distributed.problems(cast("distributed.Share", share), 1, weight, bits)
    return [*adapter.problems(params.lora, weight, bits), *of_sharing]


def reasons(params: "Params", full_tuning: int) -> Iterator[str]:
    """Yield a line for each reason why a cell of the table is a dash."""
    from lore.planning.memory import LORA, QLORA, SHARES

    yield (
        "full: no setting tunes all weights, train tunes an adapter; for comparison, it would take "
        f"{full_tuning / GIB:.1f} GiB"
    )
    said = refused(params, LORA, "ddp")
    for line in said:
        yield f"LoRA, QLoRA: {line}"
    of_qlora = refused(params, QLORA, "ddp")
    for line in of_qlora:
        if line not in said:
            yield f"QLoRA: {line}"
    said = [*said, *of_qlora]
    for method, subject in ((LORA, ""), (QLORA, "QLoRA, ")):
        if method == QLORA and of_qlora:
            continue  # it has no number anywhere
        for share in SHARES:
            for line in refused(params, method, share):
                if line not in said:
                    yield f"{subject}{share}: {line}"
                    said.append(line)


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
    model: "Model",
    as_set: Choice,
    rows_of_step: int,
    four_bits: bool,
    device: "Device",
    room: int,
) -> str:
    """Say whether the settings fit. If they do not, name the first change of them that does.

    `four_bits` says whether the base can be held in 4 bits here.
    """
    size = as_set.total(model)
    takes = f"{as_set.method} as set takes {size / GIB:.1f} GiB"
    there = f"the {room / GIB:.1f} GiB that {device.name} has for it"
    if size <= room:
        return f"{takes}: fits in {there}"
    least = size
    for remedy in remedies(as_set, rows_of_step, four_bits):
        needed = remedy.choice.total(model)
        if needed <= room:
            return f"{takes}: will not fit in {there}; set {remedy.advice}"
        least = min(least, needed)
    return (
        f"{takes}: will not fit in {there}, with no setting: at least {least / GIB:.1f} GiB are "
        "needed; choose a smaller base, a device with more memory, or several (train.processes) "
        "with train.share: fsdp2"
    )


@dataclass(frozen=True)
class Remedy:
    """Settings that take less memory."""

    advice: str
    """The settings as a person writes them in params.yaml."""
    choice: Choice


def remedies(as_set: Choice, rows_of_step: int, four_bits: bool) -> Iterator[Remedy]:
    """Yield settings to try. Each includes those before it, except the number of rows at once.

    First come those that leave the result as it is, and take time.
    """
    from lore.planning.memory import LORA, QLORA

    advice: list[str] = []
    choice = as_set
    if not choice.checkpointing:
        advice.append("train.gradient_checkpointing: true")
        choice = replace(choice, checkpointing=True)
    yield from with_fewer_rows(advice, choice, rows_of_step)
    if choice.run.processes > 1 and choice.method == LORA and choice.share not in SPREAD:
        advice.append("train.share: fsdp2")
        choice = replace(choice, share="fsdp2")
        yield from with_fewer_rows(advice, choice, rows_of_step)
    if choice.run.curvature_rows:
        advice.append("train.ewc.weight: 0")
        choice = replace(choice, run=replace(choice.run, curvature_rows=0))
        yield from with_fewer_rows(advice, choice, rows_of_step)
    if four_bits and choice.method == LORA:
        if choice.share == "fsdp2":  # it cannot spread 4 bits
            advice = [
                *(line for line in advice if line != "train.share: fsdp2"),
                "train.share: ddp",
            ]
            choice = replace(choice, share="ddp")
        advice.append("train.base_bits: 4")
        yield from with_fewer_rows(advice, replace(choice, method=QLORA), rows_of_step)


def with_fewer_rows(advice: list[str], choice: Choice, rows_of_step: int) -> Iterator[Remedy]:
    """Yield the settings as they are, then with ever fewer rows at once. They divide those of a step."""
    if advice:
        yield Remedy(", ".join(advice), choice)
    for rows in range(choice.run.rows, 0, -1):
        measured_rows = min(rows, choice.run.curvature_rows)
        run = replace(choice.run, rows=rows, curvature_rows=measured_rows)
        if rows_of_step % rows == 0 and run != choice.run:
            batch = f"train.rows_per_device: {rows}"
            yield Remedy(", ".join([*advice, batch]), replace(choice, run=run))


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
