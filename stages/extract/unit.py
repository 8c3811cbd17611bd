"""Units of a source, and the mapping that says what their cells mean."""

from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.params import STRICT


@plain_dataclass(frozen=True)
class Unit:
    """One row, line, item or element. `cells` is None where it could not be read; then `reason` says why."""

    place: str
    """Where it stands in the source: table/key, JSON pointer, XML path, line."""
    raw: str
    """As it was read."""
    cells: dict[str, Any] | None
    """What stands in its columns, or at the paths of its source's mapping."""
    reason: str = ""
    evidence: str = ""

    def get(self, path: str | None) -> str | None:
        """The text in a column or at a path, or None where there is none."""
        value = None if path is None or self.cells is None else self.cells.get(path)
        return None if value is None else str(value).strip() or None


@dataclass(frozen=True, config=STRICT)
class FactMapping:
    """One fact of a wide unit: the attribute's name, and where its value stands."""

    attribute: str
    value: str
    unit: str | None = None


@dataclass(frozen=True, config=STRICT)
class Mapping:
    """Which column or path means what. A key that is left out: the source has no such thing."""

    subject: str | None = None
    """Whom or what the unit is about."""
    attribute: str | None = None
    """For units of one fact: the column that names the attribute; `value` and `unit` go with it."""
    value: str | None = None
    unit: str | None = None
    facts: list[FactMapping] = Field(default_factory=list)
    """For wide units: several facts."""
    text: str | None = None
    """Free text."""
    question: str | None = None
    answer: str | None = None
    meta: dict[str, str] = Field(default_factory=dict)
    """Further fields to keep, by the name they get."""

    def paths(self) -> set[str]:
        """All columns or paths that are named."""
        alone = [
            self.subject,
            self.attribute,
            self.value,
            self.unit,
            self.text,
            self.question,
            self.answer,
        ]
        of_facts = [path for fact in self.facts for path in (fact.value, fact.unit)]
        return {path for path in (*alone, *of_facts, *self.meta.values()) if path}

    def facts_in(self, unit: Unit) -> Iterator[tuple[str, str | None, str | None, str | None]]:
        """(locator suffix, attribute, value, unit) of every fact the unit should state.

        A wide unit states the facts whose value is there; a unit of one fact states it even where its value is missing.
        """
        if self.attribute and self.value:
            yield "", unit.get(self.attribute), unit.get(self.value), unit.get(self.unit)
        for fact in self.facts:
            if value := unit.get(fact.value):
                yield f"@{fact.attribute}", fact.attribute, value, unit.get(fact.unit)
