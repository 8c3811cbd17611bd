"""A source: the settings that all kinds share, and the methods that every kind offers.

`SourceKind` is the protocol: `stages/extract/__init__.py` uses these members and no others.
`SourceSettings` is the base class of all kinds. It implements every method but `units`.
"""

from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.params import STRICT
from stages.extract.unit import Mapping, Unit

Scalar = str | int | float | bool | None

# Settings of every kind. The description stands in the type, because pydantic does not inherit the
# docstring of a field.
Name = Annotated[
    str,
    Field(
        description="Name of the source. Records, reports and messages show it, so no two sources "
        "have the same."
    ),
]
FilePath = Annotated[
    str,
    Field(
        description="File below `data/raw`, such as `legacy.csv`, or a pattern of several files, such as "
        "`notes/**/*.xml`. Several sources may read one file, each its own part."
    ),
]
Lang = Annotated[
    str,
    Field(
        description="Language of the texts (ISO 639-1), such as `en`. For `audio`, the spoken language. "
        "`auto`: detected in the text of each record, and `und` where it is not clear. "
        "`data/extract/sources.json` has the counts."
    ),
]
Langs = Annotated[
    list[str] | None,
    Field(
        description="With `lang: auto`: the languages that the texts may be in, such as `[en, zh]`. "
        "null: any language."
    ),
]
Where = Annotated[
    dict[str, Scalar | list[Scalar]],
    Field(
        description="Units that the source is about: column or path → the value that must stand there, "
        "or a list of allowed values. null: no value. Example: "
        "`{type: Observation, status: [final, amended], stop: null}`. Other units are skipped, which "
        "is no error. `sources.json` and `metrics/clean.json` count them, and "
        "`data/extract/skipped.parquet` lists them."
    ),
]
Map = Annotated[
    Mapping,
    Field(
        description="Columns or paths of subject, attribute, value, text and so on. Its keys are the same "
        "for every kind of source. docs/sources-and-mappings.md explains paths."
    ),
]

Decimal = Annotated[
    Literal[".", ","] | None,
    Field(
        description="Decimal sign of the numbers in this source. With `','`, `0,005` is five thousandths. "
        "null: not declared. A number that can be read in two ways is then set aside."
    ),
]
Thousands = Annotated[
    Literal[",", ".", " ", "'"] | None,
    Field(
        description="Sign between groups of three digits in this source. With `'.'`, `1.234` is one thousand "
        "two hundred and thirty-four. null: not declared."
    ),
]
Lines = Annotated[
    Literal["keep"] | None,
    Field(
        description="`keep`: the texts of this source keep their line breaks, such as rows of a table, "
        "items of a list, code and dialogues. null: `clean` joins the lines of a text."
    ),
]


class SourceKind(Protocol):
    """A source of any kind, with its settings as they stand in params.yaml."""

    @property
    def kind(self) -> str:
        """Name of the kind, as params.yaml writes it."""

    @property
    def name(self) -> str:
        """Name of the source, which locators, reports and messages show."""

    @property
    def path(self) -> str:
        """Path below the root: one file, or a pattern such as `notes/**/*.xml`."""

    @property
    def lang(self) -> str:
        """Language of the texts (ISO 639-1), or `auto`."""

    @property
    def langs(self) -> list[str] | None:
        """With `lang: auto`: the languages that may occur."""

    @property
    def map(self) -> Mapping:
        """What each column or path means."""

    @property
    def where(self) -> dict[str, Scalar | list[Scalar]]:
        """Conditions on columns or paths. A unit that does not meet them is skipped."""

    @property
    def decimal(self) -> Literal[".", ","] | None:
        """Decimal sign of the numbers, where it is declared."""

    @property
    def thousands(self) -> Literal[",", ".", " ", "'"] | None:
        """Sign between groups of three digits, where it is declared."""

    @property
    def lines(self) -> Literal["keep"] | None:
        """Whether texts keep their line breaks."""

    def units(self, path: Path) -> Iterator[Unit]:
        """Read the units of one file, in their order.

        A unit that cannot be read has a reason and no cells. Raises InputError where the whole
        file cannot be read, and ParamsError for a wrong setting.
        """

    def problems(self) -> list[str]:
        """List the problems of settings that do not fit together, each with its key."""

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Return further entries for sources.json: engine versions, or detected encodings."""

    def column_names(self, unit: Unit) -> list[str]:
        """Return the columns of a unit for an error message. Empty: the kind has no columns."""

    def mismatch(self, unit: Unit) -> str:
        """Return the first condition of `where` that a unit does not meet, or an empty text."""


@dataclass(frozen=True, config=STRICT, kw_only=True)
class SourceSettings:
    """Optional settings of every kind of source."""

    langs: Langs = None
    where: Where = field(default_factory=dict)
    decimal: Decimal = None
    thousands: Thousands = None
    lines: Lines = None

    def problems(self) -> list[str]:
        """List the problems of settings that do not fit together: none by default."""
        return []

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Return further entries for sources.json: none by default."""
        return {}

    def column_names(self, unit: Unit) -> list[str]:
        """Return the columns of a unit: none by default."""
        return []

    def mismatch(self, unit: Unit) -> str:
        """Return the first condition of `where` that a unit does not meet, with the actual value.

        Empty: the unit meets all conditions, or it could not be read.
        """
        if unit.cells is None:
            return ""
        for path, wanted in self.where.items():
            accepted: set[str | None] = set()
            for value in wanted if isinstance(wanted, list) else [wanted]:
                accepted |= accepted_texts(value)
            actual = unit.get(path)
            if actual not in accepted:
                return f"{path}: {actual or 'nothing'}"
        return ""


def accepted_texts(value: Scalar) -> set[str | None]:
    """Return the texts that count as a value of `where`.

    The JSON value true is read as the text `True`, and a table may hold `true`: both count.
    """
    if value is None:
        return {None}
    if isinstance(value, bool):
        return {str(value), str(value).lower()}
    return {str(value)}
