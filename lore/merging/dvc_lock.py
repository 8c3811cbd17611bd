"""Three dvc.locks into one: which stages' entries still hold in the merged project. Works on parsed dvc.locks, reads no file.

An entry says: this command, on these inputs and settings, made these outputs. It holds where the merged project has just these.
What the merged project has is told by hashes alone: of what no stage makes, by a three-way merge of the recorded hashes; of what
a stage makes, by the entry that was kept of that stage. DVC compares every one of these hashes again, so that an entry kept in
error costs nothing but a line in `dvc status`.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Key = tuple[str, str]
"""File and key of a parameter."""

NOT_CONTENT = ("path", "size", "nfiles", "isexec")
"""Fields of a dependency or output beside its hash."""
MOST_STATES = 256
"""Choices among unequal results of the same inputs that are followed at once."""


class Mark:
    """The type of ABSENT, a value that is not there, and UNKNOWN, one that both sides changed in different ways."""


ABSENT, UNKNOWN = Mark(), Mark()


@dataclass(frozen=True)
class Merged:
    """A merged dvc.lock: the entries that hold, and the stages of which none holds, in order of the flow."""

    kept: dict[str, Row]
    dropped: list[str]


@dataclass(frozen=True)
class Entry:
    """What a dvc.lock says of one stage; hashes by path, values of parameters by file and key."""

    row: Row
    inputs: dict[str, Any]
    settings: dict[Key, Any]
    outputs: dict[str, Any]

    @classmethod
    def of(cls, row: Row) -> "Entry":
        """Parse an entry."""
        settings = {
            (file, key): value
            for file, values in (row.get("params") or {}).items()
            for key, value in values.items()
        }
        return cls(row, hashes(row.get("deps")), settings, hashes(row.get("outs")))

    def declared(self) -> dict[str, Any]:
        """What dvc.yaml said of the stage: the entry without hashes and values."""
        names: dict[str, Mapping[Any, Any]] = {
            "inputs": self.inputs,
            "settings": self.settings,
            "outputs": self.outputs,
        }
        return {"cmd": self.row.get("cmd")} | {
            kind: dict.fromkeys(found, True) for kind, found in names.items()
        }


def hashes(items: Iterable[Row] | None) -> dict[str, Any]:
    """Path → hash and its kind, of deps or outs."""
    return {
        item["path"]: {key: value for key, value in item.items() if key not in NOT_CONTENT}
        for item in items or ()
    }


def merge(base: Mapping[str, Row], ours: Mapping[str, Row], theirs: Mapping[str, Row]) -> Merged:
    """Merge the `stages` of three dvc.locks: never an entry fewer than the hashes allow."""
    return Merge(
        *({name: Entry.of(row) for name, row in side.items()} for side in (base, ours, theirs))
    ).merged()


class Merge:
    """One merge. `stages` is what the merged project declares of each stage, as `Entry.declared` has it."""

    def __init__(
        self, base: dict[str, Entry], ours: dict[str, Entry], theirs: dict[str, Entry]
    ) -> None:
        self.base, self.ours, self.theirs = self.sides = (base, ours, theirs)
        found = {name: self.declaration(name) for name in dict.fromkeys([*ours, *theirs])}
        self.names = [name for name, declared in found.items() if declared is not ABSENT]
        self.stages = {
            name: self.contradictory(name) if found[name] is UNKNOWN else found[name]
            for name in self.names
        }
        made = dict.fromkeys(out for stage in self.stages.values() for out in stage["outputs"])
        self.outs = functools.cache(lambda path: [out for out in made if touch(path, out)])
        self.source = functools.cache(lambda path: self.values(lambda entry: entry.inputs, path))
        self.setting = functools.cache(lambda key: self.values(lambda entry: entry.settings, key))

    def merged(self) -> Merged:
        """Walk the stages along the flow. Where equal inputs gave unequal outputs, follow each: one may lead to more."""
        order = in_flow_order(self.stages)
        states: list[dict[str, Row]] = [{}]
        for name in order:
            found = [(state, self.holding(name, state)) for state in states]
            grown = [state | {name: row} for state, rows in found for row in rows]
            grown += [state for state, rows in found if not rows]
            states = sorted(grown, key=len, reverse=True)[:MOST_STATES]
        kept = states[0]
        flow = dict.fromkeys([*order, *self.names])  # last those that wait for themselves
        return Merged(
            {name: kept[name] for name in self.names if name in kept},
            [name for name in flow if name not in kept],
        )

    def declaration(self, name: str) -> Any:
        """What the merged project declares of a stage: ABSENT where a side removed it, UNKNOWN where the sides contradict."""
        return three_way(
            *(side[name].declared() if name in side else ABSENT for side in self.sides)
        )

    def contradictory(self, name: str) -> dict[str, Any]:
        """A stage of which no entry can hold, with all that any side says of what it reads and makes."""
        entries = [side[name] for side in self.sides if name in side]
        inputs = {path: True for entry in entries for path in entry.inputs}
        outputs = {path: True for entry in entries for path in entry.outputs}
        return {"cmd": UNKNOWN, "inputs": inputs, "settings": {}, "outputs": outputs}

    def holding(self, name: str, kept: Mapping[str, Row]) -> list[Row]:
        """The entries of a stage that hold given those kept before it, best first; of several with equal outputs, one."""
        # Git merges the metrics that it keeps: where one side alone made them anew, it takes that side's.
        unchanged = (
            name in self.ours and name in self.base and self.ours[name].row == self.base[name].row
        )
        sides = (
            (self.theirs, self.ours, self.base)
            if unchanged
            else (self.ours, self.theirs, self.base)
        )
        rows = [side[name].row for side in sides if name in side and self.holds(name, side, kept)]
        # An entry that tells more than is declared now was made of more: it counts where there is no other.
        exact = [row for row in rows if narrowed(row, self.stages[name]) == row]
        found: list[Row] = []
        for row in exact or [narrowed(row, self.stages[name]) for row in rows]:
            if all(hashes(row.get("outs")) != hashes(other.get("outs")) for other in found):
                found.append(row)
        return found

    def holds(self, name: str, side: Mapping[str, Entry], kept: Mapping[str, Row]) -> bool:
        """Whether a side's entry has the command, inputs, settings and outputs of the merged project."""
        entry, declared = side[name], self.stages[name]
        return (
            entry.row.get("cmd") == declared["cmd"]
            and declared["outputs"].keys() <= entry.outputs.keys()
            and declared["inputs"].keys() <= entry.inputs.keys()
            and declared["settings"].keys() <= entry.settings.keys()
            and all(entry.settings[key] in self.setting(key) for key in declared["settings"])
            and all(self.fits(path, entry.inputs[path], side, kept) for path in declared["inputs"])
        )

    def fits(
        self, path: str, content: Any, side: Mapping[str, Entry], kept: Mapping[str, Row]
    ) -> bool:
        """Whether an input of a side's entry is what the merged project has at that path."""
        for out in self.outs(path):
            # A file in an output, or a folder around one, has a hash of its own: it is as on that side if the output is.
            there = content if out == path else made_on(side).get(out)
            # Two stages that make the same, each side's new name of one, are left to a person, who will keep one of them.
            if there is None or all(
                hashes(row.get("outs")).get(out) != there for row in kept.values()
            ):
                return False
        return any(inside(path, out) for out in self.outs(path)) or content in self.source(path)

    def values(self, read: Callable[[Entry], Mapping[Any, Any]], key: Any) -> list[Any]:
        """What the merged project may have of a file or parameter that no stage makes; nothing where both sides changed it.

        A side whose stages recorded several values, since only some ran again, has one of them. A side that recorded none has not
        changed it, as far as is known.
        """
        base, ours, theirs = (
            distinct(read(entry)[key] for entry in side.values() if key in read(entry))
            for side in self.sides
        )
        base = base or (theirs if not ours else ours if not theirs else [])
        ours, theirs = ours or base, theirs or base
        if max(map(len, (base, ours, theirs))) <= 1:
            found = three_way(*(values[0] if values else ABSENT for values in (base, ours, theirs)))
            return [] if found is UNKNOWN else [found]
        if same(ours, theirs) or same(theirs, base):
            return ours
        return theirs if same(ours, base) else []


def made_on(side: Mapping[str, Entry]) -> dict[str, Any]:
    """Path → hash of every output of a side, whatever the name of its stage."""
    return {path: content for entry in side.values() for path, content in entry.outputs.items()}


def three_way(base: Any, ours: Any, theirs: Any) -> Any:
    """What both sides have, or what the one side has that changed it; mappings key by key; else UNKNOWN."""
    if ours == theirs:
        return ours
    if base in (ours, theirs):
        return theirs if base == ours else ours
    if not all(isinstance(side, Mapping) for side in (base, ours, theirs)):
        return UNKNOWN
    keys = dict.fromkeys([*ours, *theirs])
    found = {
        key: three_way(*(side.get(key, ABSENT) for side in (base, ours, theirs))) for key in keys
    }
    return (
        UNKNOWN
        if UNKNOWN in found.values()
        else {key: value for key, value in found.items() if value is not ABSENT}
    )


def in_flow_order(stages: Mapping[str, Any]) -> list[str]:
    """The stages, each after those whose outputs it reads; without those that wait for themselves."""
    waiting = {
        name: {
            maker
            for maker, other in stages.items()
            if any(touch(path, out) for path in stage["inputs"] for out in other["outputs"])
        }
        for name, stage in stages.items()
    }
    order: list[str] = []
    while ready := [name for name, makers in waiting.items() if makers <= set(order)]:
        order += ready
        waiting = {name: makers for name, makers in waiting.items() if name not in ready}
    return order


def touch(path: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    return inside(path, other) or inside(other, path)


def inside(path: str, folder: str) -> bool:
    """Whether a path is the folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def distinct(values: Iterable[Any]) -> list[Any]:
    """Each value once, in order."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether both hold the same values."""
    return len(some) == len(others) and all(value in others for value in some)


def narrowed(row: Row, declared: Mapping[str, Any]) -> Row:
    """The entry with what the merged stage declares, and nothing that DVC would not check."""
    found = dict(row)
    for key, kind in (("deps", "inputs"), ("outs", "outputs")):
        if key in row:
            found[key] = [item for item in row[key] if item["path"] in declared[kind]]
    if "params" in row:
        params = {
            file: {
                key: value for key, value in values.items() if (file, key) in declared["settings"]
            }
            for file, values in row["params"].items()
        }
        found["params"] = {file: values for file, values in params.items() if values}
    return {key: value for key, value in found.items() if value or value == row[key]}
