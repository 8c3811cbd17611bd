"""Delimited text: CSV, TSV and their kin.

A row is a line, or several where a quoted cell holds line breaks (RFC 4180). A quotation mark that opens a cell and does not
close it as one is a fault of its own line: that line alone is set aside, and reading goes on with the next. An open cell is
followed for as many characters as the csv module allows one (131,072), so memory stays constant.
"""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.params import STRICT
from stages.extract.encoding import resolved
from stages.extract.lines import Line, decoded_lines
from stages.extract.source import Common
from stages.extract.unit import Mapping, Unit


@dataclass(frozen=True, config=STRICT)
class Csv(Common):
    """Delimited text, with one header line or with names of its columns."""

    kind: Literal["csv"]
    name: str
    path: str
    lang: str
    encoding: str
    """Python's name of the encoding: utf-8, cp1252, gb18030, utf-16 …, or auto. A byte order mark is skipped."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)]
    skip_lines: int
    """Lines above the header, such as a title."""
    map: Mapping
    columns: list[str] | None = None
    """Names of the columns, for a file without a header."""
    quote: Annotated[str, Field(max_length=1)] = '"'
    """What encloses a cell that holds delimiters or line breaks; empty: nothing does, a quotation mark is a character."""

    def units(self, path: Path) -> Iterator[Unit]:
        """Rows; one that does not decode, or has another number of fields than the header, is rejected by itself."""
        header, encoding = self.columns, self.encoding_of(path)
        lines = (line for line in decoded_lines(path, encoding) if line.number > self.skip_lines)
        for row in Rows(lines, encoding, self._dialect()):
            place = f"L{row.number}"
            if row.fields is None:
                yield Unit(place, row.raw, None, row.reason, row.evidence)
            elif header is None:
                header = [name.strip() for name in row.fields]
            elif len(row.fields) != len(header):
                evidence = f"{len(row.fields)} fields, the header has {len(header)}"
                yield Unit(place, row.raw, None, "malformed", evidence)
            else:
                yield Unit(place, row.raw, dict(zip(header, row.fields, strict=True)))

    def encoding_of(self, path: Path) -> str:
        """The encoding of a file."""
        return resolved(self.encoding, path, self.lang)

    def _dialect(self) -> dict[str, Any]:
        """Options of csv.reader. A blank behind a delimiter belongs to no cell: `a, "b, c"` has two."""
        quoting = {"quotechar": self.quote} if self.quote else {"quoting": csv.QUOTE_NONE}
        return {"delimiter": self.delimiter, "skipinitialspace": self.delimiter != " "} | quoting


@plain_dataclass(frozen=True)
class Row:
    """One row; `fields` is None where it could not be read, and `reason` says why."""

    number: int
    """Of its first line."""
    raw: str
    fields: list[str] | None
    reason: str = ""
    evidence: str = ""


class Rows:
    """The rows of lines. Empty lines between rows are none."""

    def __init__(self, lines: Iterator[Line], encoding: str, dialect: dict[str, Any]) -> None:
        """`dialect`: options of csv.reader."""
        self.lines, self.encoding, self.dialect = lines, encoding, dialect
        self.back: deque[Line] = deque()  # read ahead of a row that turned out not to hold them

    def __iter__(self) -> Iterator[Row]:
        """In their order."""
        while (line := self._next()) is not None:
            if line.text is None or line.text.strip():
                yield self._row([line])

    def _next(self) -> Line | None:
        return self.back.popleft() if self.back else next(self.lines, None)

    def _row(self, taken: list[Line]) -> Row:
        """The row that begins with the one line in `taken`, which grows by the further lines of it."""
        reader = csv.reader(self._feed(taken), **self.dialect)
        try:
            fields = next(reader)
            if (
                reader.line_num > 1
            ):  # a cell was open at the end of the line: what closes it must be the end of a cell
                fields = next(csv.reader([line.raw for line in taken], strict=True, **self.dialect))
        except csv.Error as error:
            self.back.extendleft(reversed(taken[1:]))
            del taken[1:]
            return self._checked(taken, None, f"a cell does not end as one: {error}")
        return self._checked(taken, fields)

    def _feed(self, taken: list[Line]) -> Iterator[str]:
        yield taken[0].raw
        while (line := self._next()) is not None:
            taken.append(line)
            yield line.raw
        yield ""  # the file ends inside a cell: the reader's line number tells

    def _checked(self, taken: list[Line], fields: list[str] | None, evidence: str = "") -> Row:
        number, raw = taken[0].number, shown(taken)
        if any(line.text is None for line in taken):
            return Row(number, raw, None, "encoding", f"not {self.encoding}")
        return Row(number, raw, fields, "" if fields is not None else "malformed", evidence)


def shown(lines: list[Line]) -> str:
    """What was read, without the last line's end."""
    return "".join(line.raw for line in lines).rstrip("\r\n")
