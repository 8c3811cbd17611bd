"""Merge three dvc.locks into one: keep each stage's entry that still holds in the merged project.

This works on parsed dvc.locks and reads no file.

An entry says: this command, on these inputs and settings, made these outputs. It holds where the
merged project has exactly these. Hashes alone decide what the merged project has:

- A file that no stage makes has the hash that a three-way merge of the recorded hashes gives.
- A file that a stage makes has the hash in the entry that was kept of that stage.

DVC compares every one of these hashes again. An entry kept in error therefore costs nothing but a
line in `dvc status`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lore.paths import is_inside, touch

Row = Mapping[str, Any]
Key = tuple[str, str]
"""File and key of a parameter."""

NOT_CONTENT = ("path", "size", "nfiles", "isexec")
"""Fields of a dependency or output that are not its hash."""
MOST_STATES = 256
"""How many choices among unequal results of the same inputs are followed at once."""


class Mark:
    """The type of ABSENT and UNKNOWN."""


ABSENT = Mark()
"""Stands for a value that is not there."""
UNKNOWN = Mark()
"""Stands for a value that both sides changed in different ways."""


@dataclass(frozen=True)
class Merged:
    """A merged dvc.lock."""

    kept: dict[str, Row]
    """Stage → the entry that holds, in the order of dvc.yaml."""
    dropped: list[str]
    """Stages without such an entry, in the order in which they run."""


@dataclass(frozen=True)
class Entry:
    """One stage's entry in a dvc.lock."""

    row: Row
    inputs: dict[str, Any]
    """Path → hash of a dependency."""
    settings: dict[Key, Any]
    """File and key → value of a parameter."""
    outputs: dict[str, Any]
    """Path → hash of an output."""

    @classmethod
    def of(cls, row: Row) -> "Entry":
        """Parse an entry."""
        settings = {}
        for file, values in (row.get("params") or {}).items():
            for key, value in values.items():
                settings[file, key] = value
        return cls(row, hashes(row.get("deps")), settings, hashes(row.get("outs")))

    def declared(self) -> dict[str, Any]:
        """Return the declaration of the stage in dvc.yaml: the entry without hashes and values."""
        return {
            "cmd": self.row.get("cmd"),
            "inputs": dict.fromkeys(self.inputs, True),
            "settings": dict.fromkeys(self.settings, True),
            "outputs": dict.fromkeys(self.outputs, True),
        }


Side = dict[str, Entry]
"""The entries of one dvc.lock by stage."""


def hashes(items: Iterable[Row] | None) -> dict[str, Any]:
    """Return path → hash and its kind, of deps or outs: {"a.csv": {"hash": "md5", "md5": "…"}}."""
    by_path = {}
    for item in items or ():
        content = {key: value for key, value in item.items() if key not in NOT_CONTENT}
        by_path[item["path"]] = content
    return by_path


def merge(base: Mapping[str, Row], ours: Mapping[str, Row], theirs: Mapping[str, Row]) -> Merged:
    """Merge the `stages` of three dvc.locks. It keeps every entry that the hashes allow."""
    return Merge(entries(base), entries(ours), entries(theirs)).merged()


def entries(stages: Mapping[str, Row]) -> Side:
    """Parse the `stages` of one dvc.lock."""
    return {name: Entry.of(row) for name, row in stages.items()}


class Merge:
    """One merge of three sides."""

    def __init__(self, base: Side, ours: Side, theirs: Side) -> None:
        self.base = base
        self.ours = ours
        self.theirs = theirs
        self.sides = (base, ours, theirs)
        self.stages: dict[str, dict[str, Any]] = {}
        """Stage → its declaration in the merged project, in the form of `Entry.declared`."""
        for name in [*ours, *theirs]:
            declared = self.declaration(name)
            if declared is UNKNOWN:
                self.stages[name] = self.contradictory(name)
            elif declared is not ABSENT:
                self.stages[name] = declared
        self.made: dict[str, None] = {}
        """Every output of the merged project. A dictionary, since that keeps the order."""
        for stage in self.stages.values():
            self.made.update(dict.fromkeys(stage["outputs"]))
        # Each of these is asked for again with every state that `merged` follows.
        self._outs: dict[str, list[str]] = {}
        self._source: dict[str, list[Any]] = {}
        self._setting: dict[Key, list[Any]] = {}

    def merged(self) -> Merged:
        """Walk the stages in the order in which they run, and keep for each an entry that holds.

        Equal inputs may have given unequal outputs on the two sides. Then each choice is followed,
        since one may let more of the later stages hold. The choice that keeps most entries wins.
        """
        order = in_flow_order(self.stages)
        states: list[dict[str, Row]] = [{}]
        for name in order:
            grown = []
            unchanged = []
            for state in states:
                rows = self.holding(name, state)
                grown += [state | {name: row} for row in rows]
                if not rows:
                    unchanged.append(state)
            # The sort is stable, so that of equal states the first one, with ours, comes first.
            states = sorted(grown + unchanged, key=len, reverse=True)[:MOST_STATES]
        kept = states[0]
        # Stages that depend on themselves are not in `order`. They come last.
        flow = dict.fromkeys([*order, *self.stages])
        return Merged(
            kept={name: kept[name] for name in self.stages if name in kept},
            dropped=[name for name in flow if name not in kept],
        )

    def declaration(self, name: str) -> Any:
        """Return the merged project's declaration of a stage.

        ABSENT: a side removed it. UNKNOWN: the sides contradict each other.
        """
        declared: list[Any] = []
        for side in self.sides:
            entry = side.get(name)
            declared.append(entry.declared() if entry else ABSENT)
        return three_way(*declared)

    def contradictory(self, name: str) -> dict[str, Any]:
        """Return a declaration that no entry fulfils, with every input and output of any side."""
        inputs: dict[str, bool] = {}
        outputs: dict[str, bool] = {}
        for side in self.sides:
            if name in side:
                inputs.update(dict.fromkeys(side[name].inputs, True))
                outputs.update(dict.fromkeys(side[name].outputs, True))
        return {"cmd": UNKNOWN, "inputs": inputs, "settings": {}, "outputs": outputs}

    def holding(self, name: str, kept: Mapping[str, Row]) -> list[Row]:
        """Return the entries of a stage that hold given those kept before it, the best first.

        Of several entries with equal outputs only the first is returned.
        """
        sides = (self.ours, self.theirs, self.base)
        if self.unchanged_by_us(name):
            # Git merges the metrics files. Where they alone changed them, git takes theirs.
            sides = (self.theirs, self.ours, self.base)
        rows = []
        for side in sides:
            if name in side and self.holds(name, side, kept):
                rows.append(side[name].row)
        narrow = [narrowed(row, self.stages[name]) for row in rows]
        # An entry with more than is declared now was made from more than now. It is the last resort.
        exact = [row for row, part in zip(rows, narrow, strict=True) if row == part]
        distinct_rows: list[Row] = []
        known: list[dict[str, Any]] = []
        for row in exact or narrow:
            outputs = hashes(row.get("outs"))
            if outputs not in known:
                known.append(outputs)
                distinct_rows.append(row)
        return distinct_rows

    def unchanged_by_us(self, name: str) -> bool:
        """Whether our entry of a stage is that of the common ancestor."""
        ours = self.ours.get(name)
        base = self.base.get(name)
        if ours is None or base is None:
            return False
        return ours.row == base.row

    def holds(self, name: str, side: Side, kept: Mapping[str, Row]) -> bool:
        """Whether a side's entry has the command, inputs, settings and outputs of the merged project."""
        entry = side[name]
        declared = self.stages[name]
        if entry.row.get("cmd") != declared["cmd"]:
            return False
        # An entry must know at least what is declared. More of it is cut off by `narrowed`.
        if not declared["outputs"].keys() <= entry.outputs.keys():
            return False
        if not declared["inputs"].keys() <= entry.inputs.keys():
            return False
        if not declared["settings"].keys() <= entry.settings.keys():
            return False
        for key in declared["settings"]:
            if entry.settings[key] not in self.setting(key):
                return False
        return all(self.fits(path, side, entry, kept) for path in declared["inputs"])

    def fits(self, path: str, side: Side, entry: Entry, kept: Mapping[str, Row]) -> bool:
        """Whether the merged project has an input as a side's entry records it."""
        content = entry.inputs[path]
        outs = self.outs(path)
        for out in outs:
            # An input inside an output, or around one, has a hash of its own. It is as on that
            # side if the output is as on that side.
            expected = content if out == path else made_on(side).get(out)
            if expected is None:
                return False
            # Several kept stages may make one output, where each side renamed its stage. Then a
            # person will keep one of them.
            made = [hashes(row.get("outs")).get(out) for row in kept.values()]
            if expected not in made:
                return False
        if any(is_inside(path, out) for out in outs):
            return True
        # No stage makes all of it, so the merged raw file must have this hash too.
        return content in self.source(path)

    def outs(self, path: str) -> list[str]:
        """Return the outputs that are a path, lie in it, or hold it."""
        if path not in self._outs:
            self._outs[path] = [out for out in self.made if touch(path, out)]
        return self._outs[path]

    def source(self, path: str) -> list[Any]:
        """Return the hashes that the merged project may have of a file that no stage makes."""
        if path not in self._source:
            sides = []
            for side in self.sides:
                recorded = [entry.inputs[path] for entry in side.values() if path in entry.inputs]
                sides.append(distinct(recorded))
            self._source[path] = merged_values(*sides)
        return self._source[path]

    def setting(self, key: Key) -> list[Any]:
        """Return the values that the merged project may have of a parameter."""
        if key not in self._setting:
            sides = []
            for side in self.sides:
                recorded = [entry.settings[key] for entry in side.values() if key in entry.settings]
                sides.append(distinct(recorded))
            self._setting[key] = merged_values(*sides)
        return self._setting[key]


def merged_values(base: list[Any], ours: list[Any], theirs: list[Any]) -> list[Any]:
    """Return the values that a three-way merge of recorded values allows. None: both sides changed it.

    A side has several values where its stages recorded different ones, since only some ran again.
    The side then has one of them. A side without values has not changed it, as far as is known.
    """
    if not base:
        if not ours:
            base = theirs
        elif not theirs:
            base = ours
    ours = ours or base
    theirs = theirs or base
    if len(base) <= 1 and len(ours) <= 1 and len(theirs) <= 1:
        single = [values[0] if values else ABSENT for values in (base, ours, theirs)]
        value = three_way(*single)
        return [] if value is UNKNOWN else [value]
    if same(ours, theirs) or same(theirs, base):
        return ours
    if same(ours, base):
        return theirs
    return []


def made_on(side: Side) -> dict[str, Any]:
    """Return path → hash of every output of a side."""
    outputs = {}
    for entry in side.values():
        outputs.update(entry.outputs)
    return outputs


def three_way(base: Any, ours: Any, theirs: Any) -> Any:
    """Return the value that both sides have, or that of the one side which changed it.

    Mappings are merged key by key. UNKNOWN: both sides changed it in different ways.
    """
    if ours == theirs:
        return ours
    if base == ours:
        return theirs
    if base == theirs:
        return ours
    if not all(isinstance(side, Mapping) for side in (base, ours, theirs)):
        return UNKNOWN
    merged = {}
    for key in dict.fromkeys([*ours, *theirs]):
        sides = [side.get(key, ABSENT) for side in (base, ours, theirs)]
        value = three_way(*sides)
        if value is UNKNOWN:
            return UNKNOWN
        if value is not ABSENT:
            merged[key] = value
    return merged


def in_flow_order(stages: Mapping[str, Any]) -> list[str]:
    """Return the stages, each after those whose outputs it reads.

    Stages that depend on themselves, directly or not, are left out.
    """
    waiting = {name: makers(stage, stages) for name, stage in stages.items()}
    order: list[str] = []
    while True:
        ready = [name for name, needed in waiting.items() if needed <= set(order)]
        if not ready:
            return order
        order += ready
        for name in ready:
            del waiting[name]


def makers(stage: Mapping[str, Any], stages: Mapping[str, Any]) -> set[str]:
    """Return the stages that make an input of `stage`, or a part of one."""
    names = set()
    for name, other in stages.items():
        for out in other["outputs"]:
            if any(touch(path, out) for path in stage["inputs"]):
                names.add(name)
    return names


def distinct(values: Iterable[Any]) -> list[Any]:
    """Return each value once, in order. The values need not be hashable."""
    seen: list[Any] = []
    for value in values:
        if value not in seen:
            seen.append(value)
    return seen


def same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether both hold the same values."""
    return len(some) == len(others) and all(value in others for value in some)


def narrowed(row: Row, declared: Mapping[str, Any]) -> Row:
    """Return the entry with the inputs, settings and outputs that the merged stage declares."""
    narrow = dict(row)
    for key, kind in (("deps", "inputs"), ("outs", "outputs")):
        if key in row:
            narrow[key] = [item for item in row[key] if item["path"] in declared[kind]]
    if "params" in row:
        params = {}
        for file, values in row["params"].items():
            left = {
                key: value for key, value in values.items() if (file, key) in declared["settings"]
            }
            if left:
                params[file] = left
        narrow["params"] = params
    # A field that has become empty is left out, as DVC does.
    return {key: value for key, value in narrow.items() if value or value == row[key]}
