"""Before `dvc repro`: which stages will run and why, which may follow, and what each took when it last ran here. With --memory
also whether tuning the base model fits this machine: full, LoRA and QLoRA, with and without gradient checkpointing, at every
DeepSpeed ZeRO stage. Nothing runs and nothing is changed. Example: `lore plan`, then `lore plan --memory` after `lore overlay` of
a model's profile; `lore plan --memory --config FOLDER` needs a model's config.json alone. Exit code 0, 1 for an error."""

import argparse
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.versions.version import Version

Maker = TypeVar("Maker")
TIMING = Path("metrics/timing.json")
RUNS, KEPT, RESTORED, PERHAPS, STAYS = (
    "runs",
    "from the run cache",
    "restored",
    "perhaps",
    "up to date",
)
MAKES_ANEW = (RUNS, KEPT, PERHAPS)
"""Verdicts after which an output may be another than dvc.lock has."""


@dataclass(frozen=True)
class Step:
    """What will become of one stage."""

    stage: str
    verdict: str
    """runs; from the run cache: DVC keeps what an earlier run made of the same inputs; restored: its outputs come back from the
    cache; perhaps; up to date. Only the first and perhaps the fourth cost time."""
    why: list[str]
    seconds: float | None
    """Of its last run here; None where none is recorded."""
    peak_bytes: int | None


STAY = Step("", STAYS, [], None, None)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore plan`."""
    parser.add_argument(
        "--memory",
        action="store_true",
        help="also: does tuning the base model fit this machine? Takes seconds",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FOLDER",
        help="with --memory: a folder with another model's config.json",
    )
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="with --memory: as on N devices; default: train.processes",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the plan. Raises InputError where DVC cannot say what changed, or for --memory where there is no config.json."""
    found = steps()
    if options.json:
        report: dict[str, Any] = {"stages": [asdict(step) for step in found], **cost(found)}
        if options.memory:
            from lore.planning import memory_table

            report["memory"] = memory_table.as_json(options.config, options.processes)
        print(json.dumps(report, ensure_ascii=False, indent=2), flush=True)
        return 0
    print("\n".join(lines(found)), flush=True)
    if options.memory:
        from lore.planning import memory_table

        print("\n" + "\n".join(memory_table.lines(options.config, options.processes)), flush=True)
    return 0


def steps() -> list[Step]:
    """Every stage in the order in which they run. Raises InputError where DVC cannot read the project."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    from lore.versions import version

    logging.getLogger("dvc").setLevel(logging.ERROR)
    here = version.workspace()
    try:
        with Repo() as repo:
            status = repo.status()
            going: dict[str, Step] = {}
            makers: dict[str, str] = {}
            for stage in in_order(repo):
                going[stage.name] = step(
                    repo, stage, here, makers, going, status.get(stage.name, [])
                )
                makers |= {out.def_path: stage.name for out in stage.outs}
    except DvcException as error:
        raise InputError(
            f"dvc: {' '.join(str(error).split())}; run from the project's root folder"
        ) from None
    return list(going.values())


def in_order(repo: Any) -> list[Any]:
    """Stages, each after those it needs; among equals as in dvc.yaml."""
    stages = [stage for stage in repo.index.stages if hasattr(stage, "name")]
    place = {stage: number for number, stage in enumerate(stages)}
    makers = {out.def_path: stage for stage in stages for out in stage.outs}
    # Not by repo.index.graph, which loads networkx: that takes as long as all the rest.
    needs = {
        stage: {maker_of(dep.def_path, makers) for dep in stage.deps} - {None} for stage in stages
    }
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    order: list[Any] = []
    while ready := sorted(sorter.get_ready(), key=lambda stage: place[stage]):
        order += ready
        sorter.done(*ready)
    return order


def step(
    repo: Any,
    stage: Any,
    here: "Version",
    makers: Mapping[str, str],
    going: Mapping[str, Step],
    status: list[Any],
) -> Step:
    """What will become of a stage, given what changed (`status`, of DVC) and what becomes of those before it."""
    from lore.planning.dvc_status import of_stage

    found = list(of_stage(status, here, stage))
    before = {
        dep.def_path: going[name] for dep in stage.deps if (name := maker_of(dep.def_path, makers))
    }
    changing = list(
        dict.fromkeys(one.stage for one in before.values() if one.verdict in MAKES_ANEW)
    )
    follows = (
        [f"depends on whether the output of {', '.join(changing)} changes"] if changing else []
    )
    back = {
        path
        for path, one in before.items()
        if one.verdict == RESTORED and ran_on_it(here, stage.name, path)
    }
    own = [
        change
        for change in found
        if not (change.path in back or before.get(change.path, STAY).verdict in MAKES_ANEW)
    ]
    if not own:
        verdict = PERHAPS if follows else STAYS
    elif all(change.restorable for change in own):
        verdict = PERHAPS if follows else RESTORED
    else:
        verdict = KEPT if not follows and in_run_cache(repo, stage) else RUNS
    last = timings().get(stage.name, {})
    return Step(
        stage.name,
        verdict,
        [change.why for change in own] + follows,
        last.get("seconds"),
        last.get("peak_bytes"),
    )


def ran_on_it(here: "Version", stage: str, path: str) -> bool:
    """Whether the stage last ran on what dvc.lock has as the output at `path`."""
    return any(
        dep["path"] == path and str(dep.get("md5")) == here.outs.get(path)
        for dep in here.stages[stage].get("deps", [])
    )


def maker_of(path: str, makers: Mapping[str, Maker]) -> Maker | None:
    """The stage that makes a file or folder, or something in or around it."""
    near = (
        name
        for out, name in makers.items()
        if Path(path).is_relative_to(out) or Path(out).is_relative_to(path)
    )
    return next(near, None)


def in_run_cache(repo: Any, stage: Any) -> bool:
    """Whether DVC keeps the outputs of an earlier run on the very same inputs, so that nothing needs to run."""
    from dvc.exceptions import DvcException
    from dvc.stage.cache import _can_hash

    try:
        stage.save_deps()  # in memory: their hashes now, not those of dvc.lock
        # StageCache.restore(dry=True) asks of dvc.lock's inputs alone.
        kept = repo.stage_cache._load(stage) if _can_hash(stage) else None
        return bool(kept) and repo.stage_cache._create_stage(kept, wdir=stage.wdir).outs_cached()
    except (DvcException, OSError):
        return False


def timings() -> dict[str, dict[str, Any]]:
    """Stage → seconds and peak_bytes of its last run here; nothing where they cannot be read."""
    try:
        found = json.loads(TIMING.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return (
        {name: entry for name, entry in found.items() if isinstance(entry, dict)}
        if isinstance(found, dict)
        else {}
    )


def cost(found: list[Step]) -> dict[str, Any]:
    """Seconds that the plan takes at least and at most, the largest peak, and stages of which nothing is recorded."""
    certain = [step for step in found if step.verdict == RUNS]
    possible = [step for step in found if step.verdict in (RUNS, PERHAPS)]
    return {
        "seconds_at_least": round(sum(step.seconds or 0.0 for step in certain), 1),
        "seconds_at_most": round(sum(step.seconds or 0.0 for step in possible), 1),
        "peak_bytes": max((step.peak_bytes or 0 for step in possible), default=0),
        "unknown": [step.stage for step in possible if step.seconds is None],
    }


def lines(found: list[Step]) -> list[str]:
    """The plan, a stage and its reasons below, and what it costs."""
    name, verdict = (
        max((len(getattr(one, column)) for one in found), default=5) + 2
        for column in ("stage", "verdict")
    )
    said = [f"{'stage':<{name}}{'comes to':<{verdict}}{'took':>9}{'memory':>11}"]
    for one in found:
        said.append(
            f"{one.stage:<{name}}{one.verdict:<{verdict}}{shown_seconds(one):>9}{shown_bytes(one):>11}".rstrip()
        )
        said += [f"{'':<{name}}{reason}" for reason in one.why]
    total = cost(found)
    if all(one.verdict == STAYS for one in found):
        return [*said, "nothing runs: everything is up to date"]
    recorded = ", by the last runs here" + (
        f"; none is recorded of {', '.join(total['unknown'])}" if total["unknown"] else ""
    )
    return [
        *said,
        f"at least {total['seconds_at_least']:,.0f} s, at most {total['seconds_at_most']:,.0f} s{recorded}",
    ]


def shown_seconds(one: Step) -> str:
    """Seconds of the last run, where they would be spent."""
    return (
        f"{one.seconds:,.0f} s"
        if one.seconds is not None and one.verdict in (RUNS, PERHAPS)
        else ""
    )


def shown_bytes(one: Step) -> str:
    """Peak memory of the last run, where it would be needed."""
    return (
        f"{one.peak_bytes / 2**30:.1f} GiB"
        if one.peak_bytes and one.verdict in (RUNS, PERHAPS)
        else ""
    )
