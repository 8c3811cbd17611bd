"""What `dvc repro` will do with each stage, and why. Nothing runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from lore.planning.dvc_status import Change, of_stage
from lore.planning.timing import timings
from lore.versions import dvc_private, version
from lore.versions.dvc_private import Project, Stage
from lore.versions.version import Version

RUNS = "runs"
KEPT = "from the run cache"
"""DVC keeps the outputs of an earlier run on the same inputs and copies them."""
RESTORED = "restored"
"""The outputs of the last run come back from DVC's cache."""
PERHAPS = "perhaps"
"""It runs if an earlier stage makes another output."""
STAYS = "up to date"
STOPS = "cannot run"
"""An input is missing or has the conflicts of a merge, here or in an earlier stage."""
MAKES_ANEW = (RUNS, KEPT, PERHAPS)
"""Verdicts after which an output may differ from dvc.lock."""
COSTS = (RUNS, PERHAPS)
"""Verdicts that may cost time."""


@dataclass(frozen=True)
class Step:
    """What `dvc repro` will do with one stage."""

    stage: str
    verdict: str
    """RUNS, KEPT, RESTORED, PERHAPS, STAYS or STOPS."""
    why: list[str]
    seconds: float | None
    """Of its last run here. None where none is recorded."""
    peak_bytes: int | None
    """Memory of its last run here at its peak. None where none is recorded."""


def steps() -> list[Step]:
    """Return a step per stage in the order in which they run.

    Raises InputError where DVC cannot read the project.
    """
    here = version.workspace()
    planned: dict[str, Step] = {}
    makers: dict[str, str] = {}  # output → name of the stage that makes it
    with dvc_private.opened() as project:
        status = project.status()
        for stage in in_order(project.stages()):
            changes = list(of_stage(status.get(stage.name, []), here, stage))
            planned[stage.name] = step(project, stage, here, makers, planned, changes)
            for out in stage.outs:
                makers[out] = stage.name
    return list(planned.values())


def in_order(stages: list[Stage]) -> list[Stage]:
    """Return the stages, each after those it needs. Otherwise they stand as in dvc.yaml."""
    makers: dict[str, str] = {}
    for stage in stages:
        for out in stage.outs:
            makers[out] = stage.name
    # DVC's own repo.index.graph would load networkx, which takes as long as all the rest.
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for stage in stages:
        sorter.add(stage.name)
        for path in stage.deps:
            maker = maker_of(path, makers)
            if maker is not None:
                sorter.add(stage.name, maker)
    sorter.prepare()
    order: list[Stage] = []
    while sorter.is_active():
        ready = set(sorter.get_ready())
        # The sorter gives stages that may run at the same time in no particular order.
        order += [stage for stage in stages if stage.name in ready]
        sorter.done(*ready)
    return order


def step(
    project: Project,
    stage: Stage,
    here: Version,
    makers: Mapping[str, str],
    planned: Mapping[str, Step],
    changes: list[Change],
) -> Step:
    """Return the step of one stage.

    `changes` are those that DVC finds in it. `planned` holds the steps of all stages before it.
    """
    # The step of the stage that makes each dependency. Raw files have none.
    before: dict[str, Step] = {}
    for path in stage.deps:
        maker = maker_of(path, makers)
        if maker is not None:
            before[path] = planned[maker]

    changing = [one.stage for one in before.values() if one.verdict in MAKES_ANEW]
    # Nobody can say before the run whether an earlier stage will make the same output again.
    follows = []
    if changing:
        names = ", ".join(dict.fromkeys(changing))
        follows = [f"depends on whether the output of {names} changes"]

    own = [change for change in changes if counts(change, stage, here, before)]
    waits = list(dict.fromkeys(one.stage for one in before.values() if one.verdict == STOPS))
    if waits:
        follows = [f"needs the output of {', '.join(waits)}"]
    if waits or any(change.stops for change in own):
        verdict = STOPS
    elif own and not all(change.restorable for change in own):
        verdict = RUNS
        # The run cache is known by the inputs, so they must be certain.
        if not follows and project.in_run_cache(stage):
            verdict = KEPT
    elif follows:
        verdict = PERHAPS
    elif own:
        verdict = RESTORED
    else:
        verdict = STAYS

    last = timings().get(stage.name, {})
    return Step(
        stage=stage.name,
        verdict=verdict,
        why=[change.why for change in own] + follows,
        seconds=last.get("seconds"),
        peak_bytes=last.get("peak_bytes"),
    )


def counts(change: Change, stage: Stage, here: Version, before: Mapping[str, Step]) -> bool:
    """Whether a change concerns the stage itself, and is not undone or settled by an earlier one."""
    earlier = before.get(change.path)
    if earlier is None:
        return True
    if earlier.verdict in MAKES_ANEW or earlier.verdict == STOPS:
        return False
    # The dependency is missing, but comes back from the cache as it was.
    return not (earlier.verdict == RESTORED and ran_on_it(here, stage.name, change.path))


def ran_on_it(here: Version, stage: str, path: str) -> bool:
    """Whether the stage last ran on the output that dvc.lock has at `path`."""
    for dep in here.stages[stage].get("deps", []):
        if dep["path"] == path:
            return str(dep.get("md5")) == here.outs.get(path)
    return False


def maker_of(path: str, makers: Mapping[str, str]) -> str | None:
    """Return the stage that makes a file or folder, or a part of it, or a folder around it."""
    for out, name in makers.items():
        if Path(path).is_relative_to(out) or Path(out).is_relative_to(path):
            return name
    return None


def cost(planned: list[Step]) -> dict[str, Any]:
    """Return the seconds that the plan takes at least and at most, and the largest peak memory.

    `unknown` names the stages for which no time is recorded.
    """
    least = 0.0
    most = 0.0
    peak = 0
    unknown = []
    for one in planned:
        if one.verdict not in COSTS:
            continue
        if one.seconds is None:
            unknown.append(one.stage)
        seconds = one.seconds or 0.0
        most += seconds
        if one.verdict == RUNS:
            least += seconds
        peak = max(peak, one.peak_bytes or 0)
    return {
        "seconds_at_least": round(least, 1),
        "seconds_at_most": round(most, 1),
        "peak_bytes": peak,
        "unknown": unknown,
    }
