"""What every kind of source may declare beside its own settings."""

from dataclasses import field

from pydantic.dataclasses import dataclass

from stages.core.project.params import STRICT
from stages.extract.unit import Unit

Scalar = str | int | float | bool | None


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Common:
    """Settings that may be left out."""

    langs: list[str] | None = None
    """With `lang: auto`: the languages that the source's texts may be in."""
    where: dict[str, Scalar | list[Scalar]] = field(default_factory=dict)
    """Column or path → what must stand there, or one of several; null: nothing. Other units are skipped."""

    def unlike(self, unit: Unit) -> str:
        """What of a unit is not as `where` asks; empty where all is, and for a unit that could not be read."""
        if unit.cells is None:
            return ""
        for path, wanted in self.where.items():
            found = unit.get(path)
            if found not in {
                form
                for value in (wanted if isinstance(wanted, list) else [wanted])
                for form in forms(value)
            }:
                return f"{path}: {found or 'nothing'}"
        return ""


def forms(value: Scalar) -> set[str | None]:
    """How a value may stand in a source: true is True in JSON as Python reads it, and true in a table."""
    if value is None:
        return {None}
    return {str(value), str(value).lower()} if isinstance(value, bool) else {str(value)}
