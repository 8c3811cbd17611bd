"""Units of a source, and the mapping that says what their cells mean."""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.params import STRICT
from stages.core.records.picture import Picture
from stages.extract.json_values import gap_in_text, text_in_text
from stages.extract.path import Gap, split_json

Place = str | int | list[str | int]
"""A column or path, or several of them whose texts are joined by a blank. A number is a position in a list."""
UnitName = Annotated[str, Field(min_length=1)] | None


class CellError(ValueError):
    """A cell cannot be read as the mapping asks for. The unit is set aside with this evidence."""


@plain_dataclass(frozen=True)
class Unit:
    """One row, line, item or element. A unit that could not be read has no `cells`, but a `reason`."""

    position: str
    """Position in its file, such as `L7`, `table/key`, a JSON pointer or `sheet[3]`."""
    raw: str
    """The unit as it was read."""
    cells: dict[str, Any] | None
    """Values by column, or by the paths of the source's mapping."""
    reason: str = ""
    """Reason of a rejection, one word: `malformed`, `encoding` …"""
    evidence: str = ""
    """Details of the reason, for a reader."""
    find_gap: Callable[[str], Gap | None] | None = field(default=None, compare=False, repr=False)
    """Says where a path leaves what the unit holds. None: the unit has columns, which `cells` names."""
    picture: Picture | None = field(default=None, repr=False)
    """The picture that the unit's text is about."""

    def get(self, place: Place | None) -> str | None:
        """Return the text at a place, or None where there is none.

        The texts of several places are joined by a blank. Those that are empty are left out. Raises
        CellError where a JSON text is asked for and there is another one.
        """
        texts = [text for text in self.parts(place) if text]
        return " ".join(texts) or None

    def parts(self, place: Place | None) -> list[str | None]:
        """Return the text at each of several places. Raises CellError."""
        return [self._text(path) for path in paths_in(place)]

    def _text(self, path: str) -> str | None:
        if self.cells is None:
            return None
        value = self.cells.get(path)
        if value is None and path not in self.cells:
            value = self._text_in_json(path)
        if value is None:
            return None
        return str(value).strip() or None

    def _text_in_json(self, path: str) -> str | None:
        """Return the text inside a JSON text, such as that at `properties.(json).mass`."""
        outside, inside = split_json(path)
        if inside is None:
            return None
        text = self._text(outside)
        if text is None:
            return None
        try:
            return text_in_text(inside, text)
        except ValueError as error:
            raise CellError(f"{outside} holds no JSON that can be used: {error}") from None

    def gap(self, path: str) -> Gap | None:
        """Return where a path or column leaves what the unit holds. None: it leads to something."""
        outside, inside = split_json(path)
        cells = self.cells or {}
        if inside is None or path in cells:
            if self.find_gap is not None:
                return self.find_gap(path)
            return None if path in cells else Gap(path, {name: name for name in cells})
        text = self.get(outside)
        if text is None:
            return self.gap(outside)
        try:
            return gap_in_text(inside, text, outside)
        except ValueError:
            return None  # the unit is set aside for it


class FactCells(NamedTuple):
    """The texts of one fact in a unit. Where one is missing, the fact cannot become a record."""

    suffix: str
    """End of the locator, which tells the facts of one unit apart."""
    attribute: str | None
    value: str | None
    unit: str | None
    """Unit of measurement."""
    empty_parts: tuple[str, ...] = ()
    """Places that are empty, although others of the same field hold a text."""


@dataclass(frozen=True, config=STRICT)
class FactMapping:
    """One of several facts in a unit."""

    attribute: str
    """Name of the attribute, such as `melting point`. It is the name itself, and no column."""
    value: Place
    """Place of its value: a column or path, or a list of them."""
    unit: Place | None = None
    """Place of the unit of measurement. null: the value has none, or it holds its unit."""
    unit_is: UnitName = None
    """The unit of measurement itself, such as `cm`, where all values have the same one. It stands in place
    of `unit`."""


@dataclass(frozen=True, config=STRICT)
class Mapping:
    """The meaning of columns or paths. A key may be left out where the source has no such thing.

    A place is a column or path, or a list of them, whose texts are joined by a blank.
    """

    subject: Place | None = None
    """Place of the subject: the thing or person that the unit is about. `[brand, model]` joins two."""
    attribute: Place | None = None
    """For one fact per unit: the place of the attribute's name. It needs `value` too."""
    value: Place | None = None
    """For one fact per unit: the place of the value."""
    unit: Place | None = None
    """For one fact per unit: the place of the unit of measurement."""
    unit_is: UnitName = None
    """For one fact per unit: the unit of measurement itself, such as `cm`, in place of `unit`."""
    facts: list[FactMapping] = Field(default_factory=list)
    """For several facts per unit, such as `[{attribute: discoverer, value: discovery.by.name}]`."""
    text: Place | None = None
    """Place of a free text."""
    question: Place | None = None
    """Place of the question of a question–answer pair. It needs `answer` too."""
    answer: Place | None = None
    """Place of the answer of a question–answer pair."""
    meta: dict[str, Place] = Field(default_factory=dict)
    """Further fields to keep: new name → place, such as `{temperature: state@temperature}`."""

    def places(self) -> Iterator[tuple[str, Place]]:
        """Yield each place with the key that names it, such as (`map.facts.0.value`, `hardness`)."""
        for key in ("subject", "attribute", "value", "unit", "text", "question", "answer"):
            place = getattr(self, key)
            if place is not None:
                yield f"map.{key}", place
        for number, fact in enumerate(self.facts):
            yield f"map.facts.{number}.value", fact.value
            if fact.unit is not None:
                yield f"map.facts.{number}.unit", fact.unit
        for name, place in self.meta.items():
            yield f"map.meta.{name}", place

    def paths(self) -> set[str]:
        """Return all columns or paths that the mapping names. Of a JSON text, return its place."""
        paths = set()
        for _, place in self.places():
            for path in paths_in(place):
                outside, _ = split_json(path)
                paths.add(outside)
        return paths

    def problems(self) -> list[str]:
        """List the settings that do not fit together, each with its key."""
        problems = []
        if self.unit is not None and self.unit_is is not None:
            problems.append("map: `unit` and `unit_is` exclude each other; keep one of them")
        if self.unit_is is not None and self.value is None:
            problems.append(
                "map.unit_is: there is no `value` that has this unit; put it beside one"
            )
        for number, fact in enumerate(self.facts):
            if fact.unit is not None and fact.unit_is is not None:
                problems.append(
                    f"map.facts.{number}: `unit` and `unit_is` exclude each other; keep one of them"
                )
        for key, place in self.places():
            if place == [] or "" in paths_in(place):
                problems.append(f"{key}: names no place; name a column or path, or remove the key")
        return problems

    def facts_in(self, unit: Unit) -> Iterator[FactCells]:
        """Yield the facts of a unit.

        A unit of several facts states those whose value is present. A unit of one fact always
        states it, so that a missing value is reported. A value or unit of several places needs all
        of them. The locator of an attribute that the mapping names again has its number: `@use`,
        `@use:2`. Raises CellError.
        """
        if self.attribute is not None and self.value is not None:
            attribute = whole(unit.parts(self.attribute))
            yield fact_of("", attribute, self.value, self.unit, self.unit_is, unit)
        times: Counter[str] = Counter()
        for fact in self.facts:
            # Its place in the mapping counts, so that an empty column before it changes no locator.
            times[fact.attribute] += 1
            if any(unit.parts(fact.value)):
                number = times[fact.attribute]
                suffix = f"@{fact.attribute}" if number == 1 else f"@{fact.attribute}:{number}"
                yield fact_of(suffix, fact.attribute, fact.value, fact.unit, fact.unit_is, unit)


def fact_of(
    suffix: str,
    attribute: str | None,
    value_place: Place,
    unit_place: Place | None,
    unit_name: str | None,
    unit: Unit,
) -> FactCells:
    """Return a fact of a unit, with the unit of measurement from a place or by its name."""
    values, measures = unit.parts(value_place), unit.parts(unit_place)
    empty = empty_parts(value_place, values) + empty_parts(unit_place, measures)
    return FactCells(suffix, attribute, whole(values), whole(measures) or unit_name, empty)


def empty_parts(place: Place | None, parts: list[str | None]) -> tuple[str, ...]:
    """Return the columns or paths that are empty, where others of the same field hold a text."""
    if not any(parts):
        return ()
    named = zip(paths_in(place), parts, strict=True)
    return tuple(path for path, part in named if not part)


def whole(parts: list[str | None]) -> str | None:
    """Join the texts of several places, or return None where one of them is empty."""
    texts = [part for part in parts if part]
    if len(texts) < len(parts):
        return None
    return " ".join(texts) or None


def paths_in(place: Place | None) -> list[str]:
    """Return the columns or paths of a place."""
    if place is None:
        return []
    several = place if isinstance(place, list) else [place]
    return [str(path) for path in several]


# Everything but letters and digits: `melting_point` and `Melting Point` differ in nothing else.
SIGNS = re.compile(r"[\W_]+")


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the name that is most like another one, or None. Case and signs do not matter.

    `cutoff`: least likeness in [0, 1], as difflib measures it.
    """
    by_plain_name = {SIGNS.sub("", other).casefold(): other for other in sorted(names)}
    plain_name = SIGNS.sub("", name).casefold()
    close = difflib.get_close_matches(plain_name, by_plain_name, n=1, cutoff=cutoff)
    return by_plain_name[close[0]] if close else None
