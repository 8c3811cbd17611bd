"""Units of a source, and the mapping that says what their cells mean."""

from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.params import STRICT


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

    def get(self, path: str | None) -> str | None:
        """Return the text in a column or at a path, or None where there is none."""
        if path is None or self.cells is None:
            return None
        value = self.cells.get(path)
        if value is None:
            return None
        return str(value).strip() or None


class FactCells(NamedTuple):
    """The texts of one fact in a unit. Where one is missing, the fact cannot become a record."""

    suffix: str
    """End of the locator, which tells the facts of one unit apart."""
    attribute: str | None
    value: str | None
    unit: str | None
    """Unit of measurement."""


@dataclass(frozen=True, config=STRICT)
class FactMapping:
    """One of several facts in a unit."""

    attribute: str
    """Name of the attribute, such as `melting point`. It is the name itself, and no column."""
    value: str
    """Column or path of its value."""
    unit: str | None = None
    """Column or path of the unit of measurement. null: the value has none, or it holds its unit."""
    unit_is: Annotated[str, Field(min_length=1)] | None = None
    """The unit of measurement itself, such as `cm`, where all values have the same one. It stands in place
    of `unit`."""


@dataclass(frozen=True, config=STRICT)
class Mapping:
    """The meaning of columns or paths. A key may be left out where the source has no such thing."""

    subject: str | None = None
    """Column or path of the subject: the thing or person that the unit is about."""
    attribute: str | None = None
    """For one fact per unit: the column or path that names the attribute. It needs `value` too."""
    value: str | None = None
    """For one fact per unit: the column or path of the value."""
    unit: str | None = None
    """For one fact per unit: the column or path of the unit of measurement."""
    unit_is: Annotated[str, Field(min_length=1)] | None = None
    """For one fact per unit: the unit of measurement itself, such as `cm`, in place of `unit`."""
    facts: list[FactMapping] = Field(default_factory=list)
    """For several facts per unit, such as `[{attribute: discoverer, value: discovery.by.name}]`."""
    text: str | None = None
    """Column or path of a free text."""
    question: str | None = None
    """Column or path of the question of a question–answer pair. It needs `answer` too."""
    answer: str | None = None
    """Column or path of the answer of a question–answer pair."""
    meta: dict[str, str] = Field(default_factory=dict)
    """Further fields to keep: new name → column or path, such as `{temperature: state@temperature}`."""

    def paths(self) -> set[str]:
        """Return all columns or paths that the mapping names."""
        named = [self.subject, self.attribute, self.value, self.unit]
        named += [self.text, self.question, self.answer]
        for fact in self.facts:
            named += [fact.value, fact.unit]
        named += self.meta.values()
        return {path for path in named if path}

    def problems(self) -> list[str]:
        """List the settings that do not fit together, each with its key."""
        problems = []
        if self.unit and self.unit_is:
            problems.append("map: `unit` and `unit_is` exclude each other; keep one of them")
        if self.unit_is and not self.value:
            problems.append(
                "map.unit_is: there is no `value` that has this unit; put it beside one"
            )
        for number, fact in enumerate(self.facts):
            if fact.unit and fact.unit_is:
                problems.append(
                    f"map.facts.{number}: `unit` and `unit_is` exclude each other; keep one of them"
                )
        return problems

    def facts_in(self, unit: Unit) -> Iterator[FactCells]:
        """Yield the facts of a unit.

        A unit of several facts states those whose value is present. A unit of one fact always
        states it, so that a missing value is reported.
        """
        if self.attribute and self.value:
            attribute, value = unit.get(self.attribute), unit.get(self.value)
            yield FactCells("", attribute, value, unit.get(self.unit) or self.unit_is)
        for fact in self.facts:
            value = unit.get(fact.value)
            if value:
                measure = unit.get(fact.unit) or fact.unit_is
                yield FactCells(f"@{fact.attribute}", fact.attribute, value, measure)
