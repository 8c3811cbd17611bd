"""merge: what is kept of three dvc.locks is what two oracles find: by merging worlds, and by trying every choice."""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lore.merging.dvc_lock import merge

Row = dict[str, Any]
Lock = dict[str, Row]
GONE, CONFLICT = "gone", "conflict"
SOURCES = ("a.txt", "b.txt", "code.py", "lib.py")


@dataclass(frozen=True)
class Stage:
    """A stage as dvc.yaml declares it. A careless one makes the same of other code."""

    cmd: str
    deps: tuple[str, ...]
    keys: tuple[str, ...]
    outs: tuple[str, ...]
    careless: bool = False


PIPELINE = {
    "clean": Stage("clean", ("a.txt", "code.py"), ("run",), ("clean.d",)),
    "train": Stage("train", ("clean.d", "lib.py"), ("run", "train"), ("model", "score.json")),
    "teach": Stage("teach", ("b.txt", "clean.d", "code.py"), ("teach",), ("small",), careless=True),
    "judge": Stage("judge", ("model", "small/weights"), (), ("verdict",)),
}


@dataclass(frozen=True)
class World:
    """One side: its files, its settings, its dvc.yaml."""

    files: Mapping[str, str]
    params: Mapping[str, Any]
    stages: Mapping[str, Stage]


BASE = World(
    dict.fromkeys(SOURCES, "0"),
    {"run": {"seed": 0, "threads": 0}, "train": 0, "teach": 0},
    PIPELINE,
)


def digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def flow(stages: Mapping[str, Stage]) -> list[tuple[str, Stage]]:
    """Stages, makers first: whatever its name, a stage keeps its first output."""
    return sorted(stages.items(), key=lambda item: rank(item[1]))


def rank(stage: Stage) -> int:
    return next(
        number for number, known in enumerate(PIPELINE.values()) if known.outs[0] == stage.outs[0]
    )


def content(world: World, outs: Mapping[str, str], path: str) -> str:
    """The hash of a file of the world, given those that stages made."""
    if path == "small/weights":
        return digest("inside", outs["small"]) if "small" in outs else digest("nothing")
    return outs.get(path) or digest("file", path, world.files.get(path, "none"))


def run(world: World, before: Lock, only: set[str] | None = None, noise: str = "") -> Lock:
    """A `dvc repro`: of all stages, or of some, the rest staying as they were recorded before."""
    lock: Lock = {}
    outs: dict[str, str] = {}
    for name, stage in flow(world.stages):
        if only is not None and name not in only:
            if name in before:
                lock[name] = before[name]
                outs |= {out["path"]: out["md5"] for out in before[name]["outs"]}
            continue
        deps = {path: content(world, outs, path) for path in stage.deps}
        params = {key: world.params[key] for key in stage.keys}
        seen = {
            path: value
            for path, value in deps.items()
            if not (stage.careless and path.endswith(".py"))
        }
        made = {
            out: digest(
                "made", out, stage.careless or stage.cmd, sorted(seen.items()), params, noise
            )
            for out in stage.outs
        }
        lock[name] = row(stage.cmd, deps, params, made)
        outs |= made
    return lock


def row(
    cmd: str, deps: Mapping[str, str], params: Mapping[str, Any], outs: Mapping[str, str]
) -> Row:
    """An entry of dvc.lock."""
    found: Row = {
        "cmd": cmd,
        "deps": [
            {"path": path, "hash": "md5", "md5": value, "size": 1} for path, value in deps.items()
        ],
    }
    if params:
        found["params"] = {"params.yaml": dict(params)}
    return found | {
        "outs": [
            {"path": path, "hash": "md5", "md5": value, "size": 1} for path, value in outs.items()
        ]
    }


FILE_EDITS = st.tuples(st.just("file"), st.sampled_from(SOURCES), st.sampled_from("12"))
PARAM_EDITS = st.tuples(
    st.just("param"),
    st.sampled_from(["seed", "threads", "train", "teach"]),
    st.sampled_from([1, 2]),
)
EDITS = st.one_of(
    FILE_EDITS,
    PARAM_EDITS,
    st.tuples(st.just("cmd"), st.sampled_from(list(PIPELINE)), st.sampled_from("12")),
    st.tuples(st.just("remove"), st.just("judge"), st.just("")),
    st.tuples(st.just("rename"), st.sampled_from(list(PIPELINE)), st.sampled_from("12")),
    st.tuples(
        st.just("dep"),
        st.sampled_from(["clean", "train", "teach"]),
        st.sampled_from(["b.txt", "lib.py", "a.txt"]),
    ),
    st.tuples(st.just("out"), st.sampled_from(["clean", "teach"]), st.sampled_from("12")),
)


def edited(world: World, edit: tuple[str, str, Any]) -> World:
    """A side after one edit; an edit of what is gone changes nothing."""
    kind, name, value = edit
    if kind == "file":
        return replace(world, files={**world.files, name: value})
    if kind == "param":
        whole = {**world.params["run"], name: value} if name in ("seed", "threads") else value
        return replace(
            world, params={**world.params, "run" if name in ("seed", "threads") else name: whole}
        )
    if name not in world.stages:
        return world
    stage, others = (
        world.stages[name],
        {key: other for key, other in world.stages.items() if key != name},
    )
    if kind == "remove":
        return replace(world, stages=others)
    if kind == "rename":
        return replace(world, stages={**others, f"{name}{value}": stage})
    if kind == "cmd":
        return replace(
            world, stages={**world.stages, name: replace(stage, cmd=f"{name} -v{value}")}
        )
    if kind == "out":
        return replace(
            world,
            stages={
                **world.stages,
                name: replace(stage, outs=(stage.outs[0], f"{name}-more{value}")),
            },
        )
    deps = tuple(sorted({*stage.deps} ^ {value}))
    return replace(world, stages={**world.stages, name: replace(stage, deps=deps)})


def side(edits: list[tuple[str, str, Any]]) -> World:
    world = BASE
    for edit in edits:
        world = edited(world, edit)
    return world


def agreed(base: Any, ours: Any, theirs: Any) -> Any:
    """What git would make of one line that stands for itself."""
    if theirs in (ours, base):
        return ours
    return theirs if ours == base else CONFLICT


def agreed_section(base: Any, ours: Any, theirs: Any) -> Any:
    """The same of a section, a line a key."""
    if not isinstance(base, dict):
        return agreed(base, ours, theirs)
    found = {key: agreed(base[key], ours[key], theirs[key]) for key in base}
    return CONFLICT if CONFLICT in found.values() else found


def agreed_names(
    base: tuple[str, ...], ours: tuple[str, ...], theirs: tuple[str, ...]
) -> tuple[str, ...]:
    """The same of a list, a line a name."""
    return tuple(
        n for n in dict.fromkeys(ours + theirs) if agreed(n in base, n in ours, n in theirs)
    )


def agreed_stage(base: Any, ours: Any, theirs: Any) -> Any:
    """The same of a stage in dvc.yaml."""
    if GONE in (base, ours, theirs):
        return agreed(base, ours, theirs)
    cmd = agreed(base.cmd, ours.cmd, theirs.cmd)
    if cmd == CONFLICT:
        return CONFLICT
    return Stage(
        cmd,
        agreed_names(base.deps, ours.deps, theirs.deps),
        agreed_names(base.keys, ours.keys, theirs.keys),
        agreed_names(base.outs, ours.outs, theirs.outs),
        ours.careless,
    )


def by_running(
    worlds: tuple[World, World, World], locks: tuple[Lock, Lock, Lock]
) -> tuple[World, set[str], int]:
    """The oracle for whole runs: merge the worlds as git would, then ask of each stage whether some side has run just this.

    Gives the merged world, its stages, and how many of them hold.
    """
    files = {}
    for path in SOURCES:
        # A file that no stage of a side reads is not in its dvc.lock, so its changes are not known.
        base, ours, theirs = (world.files[path] if reads(world, path) else None for world in worlds)
        if base is None and None in (ours, theirs):
            base = ours or theirs
        files[path] = agreed(base, ours or base, theirs or base) or worlds[0].files[path]
    params = {}
    for key in BASE.params:
        sides = [world.params[key] for world in worlds]
        params[key] = agreed_section(*sides)
    stages = {}
    for name in {**worlds[0].stages, **worlds[1].stages, **worlds[2].stages}:
        declared = [world.stages.get(name, GONE) for world in worlds]
        stage = agreed_stage(*declared)
        if stage != GONE:
            stages[name] = stage
    whole = {name: stage for name, stage in stages.items() if isinstance(stage, Stage)}
    merged = World(files, params, whole)
    return merged, set(stages), len(most(merged, list(flow(whole)), {}, locks))


def reads(world: World, path: str) -> bool:
    """Whether a stage of the world reads a file."""
    return any(path in stage.deps for stage in world.stages.values())


def most(
    merged: World,
    flow: list[tuple[str, Stage]],
    outs: Mapping[str, str],
    locks: tuple[Lock, Lock, Lock],
) -> set[str]:
    """The most stages that hold from here on, whichever side's run is taken of each; `outs` are those of stages that hold."""
    if not flow:
        return set()
    (name, stage), *rest = flow
    made: set[str] = set()
    for each in merged.stages.values():
        made.update(each.outs)
    wanted = {dep: content(merged, outs, dep) for dep in stage.deps}
    found = most(merged, rest, outs, locks)
    known = all(dep.split("/")[0] in outs for dep in stage.deps if dep.split("/")[0] in made)
    params = {key: merged.params[key] for key in stage.keys}
    if not known or CONFLICT in [*params.values(), *(merged.files.get(dep) for dep in stage.deps)]:
        return found
    fit = [
        lock[name]
        for lock in locks
        if name in lock and satisfied(lock[name], stage, wanted, params)
    ]
    exact = [
        ran
        for ran in fit
        if (len(ran["deps"]), len(ran["outs"])) == (len(stage.deps), len(stage.outs))
    ]
    for ran in exact or fit:
        new = {out["path"]: out["md5"] for out in ran["outs"] if out["path"] in stage.outs}
        found = max(found, {name} | most(merged, rest, {**outs, **new}, locks), key=len)
    return found


def all_hold(merged: World, kept: Mapping[str, Row]) -> bool:
    """Whether `dvc status` would find nothing to say of any kept entry."""
    outs: dict[str, str] = {}
    for name, stage in flow(merged.stages):
        if name in kept:
            wanted = {dep: content(merged, outs, dep) for dep in stage.deps}
            if not satisfied(
                kept[name], stage, wanted, {key: merged.params[key] for key in stage.keys}
            ):
                return False
            outs |= {out["path"]: out["md5"] for out in kept[name]["outs"]}
    return True


def satisfied(ran: Row, stage: Stage, deps: Mapping[str, str], params: Mapping[str, Any]) -> bool:
    """Whether all that is declared of a stage is recorded as it is."""
    recorded = {dep["path"]: dep["md5"] for dep in ran["deps"]}
    values = ran.get("params", {}).get("params.yaml", {})
    return (
        ran["cmd"] == stage.cmd
        and all(recorded.get(path) == value for path, value in deps.items())
        and all(values.get(key, GONE) == value for key, value in params.items())
        and set(stage.outs) <= {out["path"] for out in ran["outs"]}
    )


def whole_run(world: World) -> Lock:
    return run(world, {})


@settings(max_examples=400, deadline=None)
@given(st.lists(EDITS, max_size=2), st.lists(EDITS, max_size=3), st.lists(EDITS, max_size=3))
@example(  # no stage of the common ancestor reads lib.py, so nobody knows which side changed it
    [("dep", "train", "lib.py")],
    [("dep", "clean", "lib.py")],
    [("file", "lib.py", "1"), ("dep", "clean", "lib.py")],
)
def test_what_is_kept_is_what_holds_in_the_merged_project(
    before: list[Any], ours: list[Any], theirs: list[Any]
) -> None:
    worlds = (side(before), side(before + ours), side(before + theirs))
    locks = (whole_run(worlds[0]), whole_run(worlds[1]), whole_run(worlds[2]))
    merged, everything, number = by_running(worlds, locks)
    for found in (
        merge(*locks),
        merge(locks[0], locks[2], locks[1]),
    ):  # whichever side is called ours
        assert len(found.kept) == number
        assert all_hold(merged, found.kept)
        assert not set(found.kept) & set(found.dropped)
        assert {*found.kept, *found.dropped} == everything


def possible(recorded: list[set[str]]) -> set[str]:
    """Hashes that a file no stage makes may have, each side's recorded ones given."""
    base, ours, theirs = recorded
    if not base and not (ours and theirs):
        base = ours or theirs
    ours, theirs = ours or base, theirs or base
    if theirs in (ours, base):
        return ours
    return theirs if ours == base else set()


def by_trying(locks: tuple[Lock, Lock, Lock]) -> int:
    """The oracle for any three dvc.locks of stages declared alike: of all choices of entries, the most that fit together."""
    names = list(PIPELINE)
    options = [[None, *(lock[name] for lock in locks)] for name in names]
    recorded: dict[str, list[set[str]]] = {}
    for number, lock in enumerate(locks):
        for entry in lock.values():
            for dep in entry["deps"]:
                recorded.setdefault(dep["path"], [set(), set(), set()])[number].add(dep["md5"])
    settled = []
    for lock in locks:
        values: dict[str, list[Any]] = {key: [] for key in BASE.params}
        for name in names:
            for key in PIPELINE[name].keys:
                values[key].append(lock[name]["params"]["params.yaml"][key])
        settled.append(values)
    most = 0
    for choice in itertools.product(*options):
        chosen = dict(zip(names, choice, strict=True))
        kept = {name: entry for name, entry in chosen.items() if entry}
        made = {}
        for entry in kept.values():
            made |= {out["path"]: out["md5"] for out in entry["outs"]}
        if all(fits(name, kept[name], made, recorded, settled, locks) for name in kept):
            most = max(most, len(kept))
    return most


def fits(
    name: str,
    entry: Row,
    made: Mapping[str, str],
    recorded: Any,
    settled: Any,
    locks: tuple[Lock, Lock, Lock],
) -> bool:
    """Whether an entry fits those chosen with it."""
    for dep in entry["deps"]:
        path, value = dep["path"], dep["md5"]
        if path == "small/weights":
            there = [lock["teach"]["outs"][0]["md5"] for lock in locks if lock[name] == entry]
            right = made.get("small") in there
        elif path in ("clean.d", "model"):
            right = made.get(path) == value
        else:
            right = value in possible(recorded[path])
        if not right:
            return False
    for key, value in entry.get("params", {}).get("params.yaml", {}).items():
        sides = [{repr(each) for each in side[key]} for side in settled]
        if all(len(values) == 1 for values in sides):
            if agreed_section(*(side[key][0] for side in settled)) != value:
                return False
        elif repr(value) not in possible(sides):
            return False
    return True


FILES = st.lists(FILE_EDITS | PARAM_EDITS, max_size=3)
SOME = st.none() | st.sets(st.sampled_from(list(PIPELINE)))


@settings(max_examples=300, deadline=None)
@given(FILES, FILES, SOME, SOME, st.sampled_from(["", "x"]), st.sampled_from(["", "y"]))
def test_no_choice_of_entries_keeps_more(
    ours: list[Any],
    theirs: list[Any],
    ran: set[str] | None,
    others_ran: set[str] | None,
    noise: str,
    other_noise: str,
) -> None:
    """Also where a side ran some stages only, or where a stage does not make the same twice."""
    base = whole_run(BASE)
    locks = (
        base,
        run(side(ours), base, ran, noise),
        run(side(theirs), base, others_ran, other_noise),
    )
    found = merge(*locks)
    assert len(found.kept) == by_trying(locks)
    for name, entry in found.kept.items():
        assert entry in [lock[name] for lock in locks]
    assert sorted([*found.kept, *found.dropped]) == sorted(PIPELINE)


def merged(ours: list[Any], theirs: list[Any]) -> tuple[list[str], list[str]]:
    found = merge(whole_run(BASE), whole_run(side(ours)), whole_run(side(theirs)))
    return sorted(found.kept), found.dropped


@pytest.mark.parametrize(
    ("ours", "theirs", "dropped"),
    [
        ([], [], []),
        ([("file", "a.txt", "1")], [], []),
        ([("file", "a.txt", "1")], [("file", "a.txt", "1")], []),
        ([("file", "a.txt", "1")], [("file", "a.txt", "2")], ["clean", "train", "teach", "judge"]),
        ([("file", "lib.py", "1")], [("file", "b.txt", "1")], ["judge"]),
        ([("param", "seed", 1)], [("param", "threads", 1)], ["clean", "train", "teach", "judge"]),
        ([("file", "code.py", "1")], [("param", "teach", 1)], ["teach", "judge"]),
        ([("rename", "judge", "1")], [("file", "lib.py", "1")], ["judge1"]),
        ([("remove", "judge", "")], [("file", "lib.py", "1")], []),
        ([("remove", "judge", "")], [("cmd", "judge", "1")], ["judge"]),
    ],
)
def test_by_hand(ours: list[Any], theirs: list[Any], dropped: list[str]) -> None:
    assert merged(ours, theirs)[1] == dropped
    assert merged(theirs, ours)[1] == dropped


def test_stages_that_wait_for_each_other_run_again() -> None:
    one = row("one", {"b": "1"}, {}, {"a": "2"})
    two = row("two", {"a": "2"}, {}, {"b": "1"})
    three = row("three", {"b": "1"}, {}, {"c": "3"})
    assert merge({}, {"one": one}, {"two": two, "three": three}).dropped == ["one", "two", "three"]


def test_an_entry_tells_nothing_that_is_no_longer_declared() -> None:
    """Ours no longer reads b.txt; theirs changed a.txt."""
    base, ours, theirs = BASE, side([("dep", "teach", "b.txt")]), side([("file", "b.txt", "1")])
    found = merge(*map(whole_run, (base, ours, theirs)))
    assert [dep["path"] for dep in found.kept["teach"]["deps"]] == ["clean.d", "code.py"]


def test_metrics_that_git_merges_are_those_of_the_side_that_made_them_anew() -> None:
    """Theirs ran a stage again on the same inputs, and it made something else."""
    base = whole_run(BASE)
    theirs = run(BASE, base, {"judge"}, "noise")
    assert merge(base, base, theirs).kept["judge"] == theirs["judge"]
    assert merge(base, theirs, base).kept["judge"] == theirs["judge"]
