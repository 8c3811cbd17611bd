"""A source: the settings that all kinds share, and the methods that every kind offers.

`SourceKind` is the protocol: `stages/extract/__init__.py` uses these members and no others.
`SourceSettings` is the base class of all kinds. It implements every method but `units`.
"""

import re
from collections.abc import Iterator
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.params import STRICT
from stages.extract.path import split_json
from stages.extract.unit import Mapping, Unit

Scalar = str | int | float | bool | None
LONGEST_NUMBER = 400
"""Most characters of a number that is compared as a number."""

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

DecimalSign = Annotated[
    Literal[".", ","] | None,
    Field(
        description="Decimal sign of the numbers in this source. With `','`, `0,005` is five thousandths. "
        "null: not declared. A number that can be read in two ways is then set aside. Numbers that JSON or a "
        "database holds as numbers keep their value."
    ),
]
ThousandsSign = Annotated[
    Literal[",", ".", " ", "'"] | None,
    Field(
        description="Sign between groups of three digits in this source. With `'.'`, `1.234` is one thousand "
        "two hundred and thirty-four. null: not declared."
    ),
]
LineBreaks = Annotated[
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

    @property
    def text_kind(self) -> str:
        """Kind of the records of texts: `statement`, or `picture` where it says what a picture shows."""

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
        """Return the first condition of `where` that a unit does not meet, or an empty text.

        Raises CellError.
        """


@dataclass(frozen=True, config=STRICT, kw_only=True)
class SourceSettings:
    """Optional settings of every kind of source."""

    langs: Langs = None
    where: Where = field(default_factory=dict)
    decimal: DecimalSign = None
    thousands: ThousandsSign = None
    lines: LineBreaks = None

    @property
    def text_kind(self) -> str:
        """Kind of the records of texts."""
        return "statement"

    def problems(self) -> list[str]:
        """List the problems of settings that do not fit together: none by default."""
        return []

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Return further entries for sources.json: none by default."""
        return {}

    def column_names(self, unit: Unit) -> list[str]:
        """Return the columns of a unit. A kind with paths has none."""
        return list(unit.cells or {}) if unit.find_gap is None else []

    def mismatch(self, unit: Unit) -> str:
        """Return the first condition of `where` that a unit does not meet, with the actual value.

        Empty: the unit meets all conditions, or it could not be read. Raises CellError.
        """
        if unit.cells is None:
            return ""
        for path, wanted in self.where.items():
            actual = unit.get(path)
            values = wanted if isinstance(wanted, list) else [wanted]
            if not any(is_written(value, actual) for value in values):
                return f"{path}: {actual or 'nothing'}"
        return ""


def wanted_paths(source: SourceKind) -> set[str]:
    """Return all columns or paths that a source's mapping and `where` name."""
    conditions = {split_json(path)[0] for path in source.where}
    return source.map.paths() | conditions


# A number as JSON writes it. Examples: 7, -0.5, 1.50, 2e-3. 007 is none: it is a code.
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,6})?")


def is_written(value: Scalar, actual: str | None) -> bool:
    """Whether a text is a way to write a value of `where`. null stands for no text.

    The JSON value true is read as the text `True`, and a table may hold `true`: both count. A number
    is the same number in another form: 1.5 is 1.50.
    """
    if value is None or actual is None:
        return value is None and actual is None
    if isinstance(value, bool):
        return actual in (str(value), str(value).lower())
    if isinstance(value, str):
        return actual == value
    if NUMBER.fullmatch(actual) is None or len(actual) > LONGEST_NUMBER:
        return actual == str(value)
    return Decimal(actual) == Decimal(str(value))
