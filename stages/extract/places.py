"""Places of a mapping that no unit has: a renamed column, or a typing error.

A table names its columns, so a column that is not there is always refused.

JSON and XML leave out what is empty. A path that no unit has may be a typing error, or an optional field
that happens to be in no unit of this source. So it depends on what the path is for:

- `subject`, `attribute`, `value`, `text`, `question` and `answer`: refused. The mapping gives nothing,
  or less than it says.
- `unit`, `meta` and the values of `facts`: refused where the units have a name that is much like it and
  that the mapping does not use. Otherwise a warning is printed. Values without a dimension have no
  unit, and an attribute may be rare.
- `where`: refused where the units have a name that is much like it. A condition may ask for a field
  that is not there.

All units are read before the decision, and nothing has replaced the former output then.
"""

from typing import NamedTuple

from stages.core.project.errors import InputError
from stages.extract.json_values import KEY
from stages.extract.path import Gap
from stages.extract.source import SourceKind
from stages.extract.unit import Unit, nearest, paths_in

LIKE = 0.8
"""Least likeness of two names, in [0, 1], by which an optional path counts as a typing error."""
MOST_SHOWN = 8
"""Most names that a message shows."""
MOST_NAMES = 1000
"""Most names that are collected beside a path."""


class Place(NamedTuple):
    """One column or path of a mapping."""

    key: str
    """The key that names it, such as `map.meta.date`."""
    path: str


class Unseen:
    """Collects which places of a source no unit has had so far."""

    def __init__(self, source: SourceKind) -> None:
        """`source`: its mapping and `where` are looked at."""
        self.source = source
        self.places: dict[Place, Gap | None] = {}
        """Place that no unit has had → where it leaves the units. None: no unit has been looked at."""
        for key, place in source.map.places():
            for path in paths_in(place):
                self.places[Place(key, path)] = None
        self.conditions: dict[Place, Gap | None] = {}
        """The same for the paths of `where`."""
        for path in source.where:
            self.conditions[Place(f"where.{path}", path)] = None
        self.used = {place.path for place in (*self.places, *self.conditions)}
        """The paths of all places."""
        self.columns: list[str] = []
        """The columns of a table."""

    def look_for_places(self, unit: Unit) -> None:
        """Look for the mapping's places in a unit that is not skipped."""
        self._look(unit, self.places)

    def look_for_conditions(self, unit: Unit) -> None:
        """Look for the paths of `where` in a unit."""
        self._look(unit, self.conditions)

    def refuse_columns(self, unit: Unit) -> None:
        """Raise InputError for columns that a table does not have. `unit`: its first row."""
        self.look_for_places(unit)
        self.look_for_conditions(unit)
        if self.columns:
            self.refuse_or_warn()

    def refuse_or_warn(self) -> None:
        """Raise InputError for places that are wrong. Print a warning for those that may be."""
        problems, warnings = [], []
        for place, gap in (self.places | self.conditions).items():
            if gap is None:
                continue
            may_be_absent = not self.columns and is_optional(place.key)
            free_names = {name for name, path in gap.beside.items() if path not in self.used}
            typed = nearest(gap.name, free_names, LIKE)
            near = typed or nearest(gap.name, gap.beside)
            message = f"no {'column' if self.columns else 'path'} {place.path}"
            if near is not None:
                message += f"; did you mean {gap.beside[near]}? ({place.key})"
            elif KEY in gap.beside:
                message += f" ({place.key}); the name of an entry in its object is {KEY}"
            elif gap.beside and not self.columns:
                shown = sorted(gap.beside)[:MOST_SHOWN]
                message += f" ({place.key}); there are {', '.join(shown)}"
            else:
                message += f" ({place.key})"
            if not may_be_absent or typed is not None:
                problems.append(message)
            elif not place.key.startswith("where."):
                warnings.append(message)
        if problems:
            listed = f"; its columns are {', '.join(self.columns)}" if self.columns else ""
            raise InputError(
                f"extract: {self.source.name}: {'; '.join(problems)}{listed}; mend params.yaml"
            )
        for message in warnings:
            print(f"extract: {self.source.name}: warning: no unit has this: {message}")

    def _look(self, unit: Unit, places: dict[Place, Gap | None]) -> None:
        """Remove the places that a unit has. Collect the names beside the others."""
        if unit.cells is None or not places:
            return
        for name in self.source.column_names(unit):
            if name not in self.columns:
                self.columns.append(name)
        for place in list(places):
            gap = unit.gap(place.path)
            if gap is None:
                del places[place]
                continue
            before = places[place]
            if before is None or gap.depth > before.depth:
                # The unit that has most of the path tells best what is wrong with it.
                places[place] = gap._replace(beside=dict(gap.beside))
            elif gap.depth == before.depth and len(before.beside) < MOST_NAMES:
                before.beside.update(gap.beside)


def is_optional(key: str) -> bool:
    """Whether JSON and XML may leave out what a key of the mapping names."""
    return key == "map.unit" or key.startswith(("where.", "map.meta.", "map.facts."))
