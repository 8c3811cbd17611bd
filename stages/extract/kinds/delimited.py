"""Delimited text: CSV, TSV and similar formats.

A row is one line, or several where a quoted cell holds line breaks (RFC 4180). If a quotation mark
opens a cell and no mark closes it properly, the fault belongs to its own line: that line alone is set
aside, and reading goes on with the next line. An open cell is followed for as many characters as the
csv module allows in one cell (131,072), so memory stays constant.
"""

import csv
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.params import STRICT
from stages.extract.encoding import resolved
from stages.extract.lines import Line, decoded_lines
from stages.extract.source import FilePath, Lang, Map, Name, SourceSettings
from stages.extract.unit import Unit


@dataclass(frozen=True, config=STRICT)
class Csv(SourceSettings):
    """Delimited text, with one header line or with given names of its columns."""

    kind: Literal["csv"]
    """Delimited text: comma, tab or another character between the cells."""
    name: Name
    path: FilePath
    lang: Lang
    map: Map
    encoding: str = "utf-8"
    """Python's name of the encoding, such as `utf-8`, `cp1252`, `gb18030` or `utf-16`. `auto`: detected in
    the bytes, and reported in `sources.json`. A byte order mark is skipped."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """One character between two cells, such as `;` or `"\\t"`."""
    skip_lines: int = 0
    """Number of lines above the header, such as a title."""
    columns: list[str] | None = None
    """Names of the columns, for a file without a header, such as `[name, value]`. null: the first line is
    the header."""
    quote: Annotated[str, Field(max_length=1)] = '"'
    """Character around cells that hold delimiters or line breaks. `''`: there is none, and a quotation mark
    is an ordinary character."""

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield rows. A row that does not decode, or has a wrong number of fields, is rejected alone."""
        header = self.columns
        encoding = self.encoding_of(path)
        lines = (line for line in decoded_lines(path, encoding) if line.number > self.skip_lines)
        for row in Rows(lines, encoding, self._dialect()):
            position = f"L{row.number}"
            if row.fields is None:
                yield Unit(position, row.raw, None, row.reason, row.evidence)
            elif header is None:
                header = [name.strip() for name in row.fields]
            elif len(row.fields) != len(header):
                evidence = f"{len(row.fields)} fields, the header has {len(header)}"
                yield Unit(position, row.raw, None, "malformed", evidence)
            else:
                yield Unit(position, row.raw, dict(zip(header, row.fields, strict=True)))

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Count the detected encodings, where the encoding is `auto`."""
        if self.encoding != "auto":
            return {}
        encodings = Counter(self.encoding_of(path) for path in files)
        return {"encodings": dict(sorted(encodings.items()))}

    def column_names(self, unit: Unit) -> list[str]:
        """Return the names of the columns."""
        return list(unit.cells or {})

    def encoding_of(self, path: Path) -> str:
        """Return the encoding of a file."""
        return resolved(self.encoding, path, self.lang)

    def _dialect(self) -> dict[str, Any]:
        """Return the options of csv.reader."""
        options: dict[str, Any] = {"delimiter": self.delimiter}
        # A blank behind a delimiter belongs to no cell: `a, "b, c"` has the two cells a and b, c.
        options["skipinitialspace"] = self.delimiter != " "
        if self.quote:
            options["quotechar"] = self.quote
        else:
            options["quoting"] = csv.QUOTE_NONE
        return options


@plain_dataclass(frozen=True)
class Row:
    """One row. A row that could not be read has no `fields`, but a `reason`."""

    number: int
    """Number of its first line."""
    raw: str
    fields: list[str] | None
    reason: str = ""
    evidence: str = ""


class Rows:
    """Iterates over the rows of lines. Empty lines between rows are skipped."""

    def __init__(self, lines: Iterator[Line], encoding: str, dialect: dict[str, Any]) -> None:
        """`dialect`: options of csv.reader."""
        self.lines = lines
        self.encoding = encoding
        self.dialect = dialect
        # Lines that were read ahead for a quoted cell which turned out not to hold them.
        self.pushed_back: deque[Line] = deque()

    def __iter__(self) -> Iterator[Row]:
        """Yield rows in their order."""
        while (line := self._next_line()) is not None:
            if line.text is None or line.text.strip():
                yield self._row_from(line)

    def _next_line(self) -> Line | None:
        if self.pushed_back:
            return self.pushed_back.popleft()
        return next(self.lines, None)

    def _row_from(self, first: Line) -> Row:
        """Read the row that begins with a line."""
        taken: list[Line] = []
        reader = csv.reader(self._feed(first, taken), **self.dialect)
        try:
            fields = next(reader)
            if reader.line_num > 1:
                # A cell was open at the end of the first line. The reader accepts any text behind
                # the mark that closes the cell. A strict reader wants the end of the cell there.
                raw_lines = [line.raw for line in taken]
                fields = next(csv.reader(raw_lines, strict=True, **self.dialect))
        except csv.Error as error:
            # Only the first line is at fault, so the others are read again as rows of their own.
            self.pushed_back.extendleft(reversed(taken[1:]))
            return self._row_of([first], None, f"a cell does not end as one: {error}")
        return self._row_of(taken, fields, "")

    def _feed(self, first: Line, taken: list[Line]) -> Iterator[str]:
        """Give the reader the first line, and further ones as it asks for them. `taken` collects them."""
        taken.append(first)
        yield first.raw
        while (line := self._next_line()) is not None:
            taken.append(line)
            yield line.raw
        # The file ends inside a cell. One more line makes the reader's line number exceed 1.
        yield ""

    def _row_of(self, lines: list[Line], fields: list[str] | None, evidence: str) -> Row:
        """Return the row of its lines."""
        number = lines[0].number
        raw = raw_text(lines)
        if any(line.text is None for line in lines):
            return Row(number, raw, None, "encoding", f"not {self.encoding}")
        if fields is None:
            return Row(number, raw, None, "malformed", evidence)
        return Row(number, raw, fields)


def raw_text(lines: list[Line]) -> str:
    """Return lines as they were read, without the end of the last one."""
    return "".join(line.raw for line in lines).rstrip("\r\n")
