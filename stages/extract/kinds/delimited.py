"""Delimited text: CSV, TSV and similar formats.

A row is one line, or several where a quoted cell holds line breaks (RFC 4180). If a quotation mark
opens a cell and no mark closes it properly, the fault belongs to its own line: that line alone is set
aside, and reading goes on with the next line. An open cell is followed for LONGEST_CELL characters, so
memory stays constant. Each line is examined at most twice, so time grows in proportion to the file.

A row that can be read in two ways is set aside. Example: `"5\\" wide"`, where the backslash may be text
or may take the meaning from the quotation mark. The setting `escape` decides.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.extract.encoding import counted, resolved
from stages.extract.lines import MARK, Line, decoded_lines, shown
from stages.extract.source import FilePath, Lang, Map, Name, SourceSettings
from stages.extract.unit import Unit

LONGEST_CELL = 2**24
"""Characters for which an open cell is followed over further lines."""
BACKSLASH = "\\"
DELIMITERS = ";\t,|"
"""Characters that usually part cells."""
EXCERPT = 80
"""Characters of a row that a message shows."""
NULL = "\\N"
"""How MySQL and PostgreSQL write a cell without a value."""
REPEATED = "repeated_header"
"""The reason of a row that holds the names of the columns again."""


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
    the bytes, and reported in `sources.json`. A byte order mark decides before both, and is skipped."""
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
    escape: Annotated[str, Field(max_length=1)] | None = None
    """Character that makes the next quotation mark, delimiter or escape character ordinary text, such as
    `'\\'`. `''`: there is none, and a backslash is ordinary text. null: not known, so a row that a
    backslash makes ambiguous is set aside."""

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield rows. A row that does not decode, or has a wrong number of fields, is rejected alone.

        Raises InputError where the header cannot be read, where the mapping names a column that the
        file has twice, and where the file has rows and none can be read.
        """
        rows = iter(self._rows(path))
        header = self._header(rows, path)
        rejections = Rejections(len(header))
        readable = 0
        width: int | None = None
        # The line that names the columns in another order, while the rows below it are read.
        other_order = ""
        for row in rows:
            position = f"L{row.number}"
            if row.fields is not None and width is None:
                width = len(header)
                if len(row.fields) != width:
                    width = self._width(path, header)
                    header = header[:width]
            reason, evidence = row.reason, row.evidence
            if row.fields is not None and width is not None:
                reason, evidence = fault_of(row, header, width)
                if reason == REPEATED:
                    other_order = position if evidence == OTHER_ORDER else ""
                elif not reason and other_order:
                    reason = "malformed"
                    evidence = f"below {other_order}, which names the columns in another order"
            if row.fields is None or reason:
                rejections.add(row, evidence)
                yield Unit(position, row.raw, None, reason, evidence)
            else:
                readable += 1
                # Cells behind the header's are empty in every row.
                fields = ["" if field == NULL else field for field in row.fields[: len(header)]]
                if MARK in row.raw:
                    # It stands where texts were put together, and is no part of a cell.
                    fields = [field.lstrip(MARK) for field in fields]
                yield Unit(position, row.raw, dict(zip(header, fields, strict=True)))
        if readable == 0 and rejections.count:
            raise InputError(f"extract: {self.name}: {path}: {rejections.message()}")

    def problems(self) -> list[str]:
        """List the problems of settings that do not fit together."""
        problems = []
        if self.delimiter in "\r\n":
            problems.append("delimiter: a line end, which ends a row; write another character")
        if self.quote and self.quote == self.delimiter:
            problems.append(
                "quote: the same as `delimiter`; write another character, or '' for none"
            )
        if self.escape and self.escape in (self.quote, self.delimiter):
            problems.append(
                "escape: the same as `quote` or `delimiter`; leave it out, "
                "a doubled quotation mark is read without it"
            )
        repeated = [
            name for name, count in Counter(self.columns or []).items() if count > 1 and name
        ]
        for name in repeated:
            problems.append(f"columns: {name!r} stands there twice; give each column its own name")
        return problems

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Count the detected encodings, where the encoding is `auto`."""
        return counted(files, self.encoding, self.lang)

    def column_names(self, unit: Unit) -> list[str]:
        """Return the names of the columns, with invisible characters shown."""
        return [shown(name) for name in unit.cells or {}]

    def _rows(self, path: Path) -> "Rows":
        """Read the rows of a file from its start, the header included."""
        encoding = resolved(self.encoding, path, self.lang)
        lines = decoded_lines(path, encoding)
        below = (line for line in lines if line.number > self.skip_lines)
        grammar = Grammar(self.delimiter, self.quote, self.escape)
        return Rows(below, encoding, grammar)

    def _header(self, rows: Iterator["Row"], path: Path) -> list[str]:
        """Return the names of the columns. Raises InputError where they cannot be used."""
        if self.columns is not None:
            return self.columns
        row = next(rows, None)
        if row is None:
            return []
        if row.fields is None:
            raise InputError(
                f"extract: {self.name}: {path}: the header, line {row.number}, cannot be read: "
                f"{row.evidence}: {excerpt(row.raw)}; mend it, "
                "or check `encoding`, `quote` and `skip_lines`"
            )
        # Invisible characters around a name come from other programs, and nobody can type them.
        header = [name.strip().strip("\ufeff\u200b\u2060").strip() for name in row.fields]
        used = self.map.paths() | self.where.keys()
        if len(header) == 1 and header[0] not in used:
            self._refuse_one_column(header[0], row.number, path)
        for name in sorted(used):
            if header.count(name) > 1:
                numbers = [number for number, other in enumerate(header, start=1) if other == name]
                listed = " and ".join(map(str, numbers))
                raise InputError(
                    f"extract: {self.name}: {path}: several columns are called {name!r} "
                    f"(columns {listed}); rename one in the file, or give all columns a name "
                    f"with `columns` and leave the header out with `skip_lines: {row.number}`"
                )
        return header

    def _refuse_one_column(self, name: str, number: int, path: Path) -> None:
        """Raise InputError where a header of one column looks like several, by another delimiter."""
        for sign in DELIMITERS:
            if sign in name and sign != self.delimiter:
                written = "'\\t'" if sign == "\t" else f"'{sign}'"
                raise InputError(
                    f"extract: {self.name}: {path}: the header, line {number}, has one column, "
                    f"{shown(name)!r}; set `delimiter: {written}`, or `skip_lines` where the header "
                    "stands further below"
                )

    def _width(self, path: Path, header: list[str]) -> int:
        """Return the number of cells of a row, where the first row and the header have unlike numbers.

        Some programs write a delimiter at the end of each row, and none at the end of the header, or
        the other way round. So the rows count where not one has as many cells as the header, more
        than half of them have one other number, and all cells without a column and all columns
        without a cell are empty. Otherwise the header counts.
        """
        widths: Counter[int] = Counter()
        rows = iter(self._rows(path))
        if self.columns is None:
            next(rows, None)
        for row in rows:
            if row.fields is None or is_header(row.fields, header):
                continue
            surplus = row.fields[len(header) :]
            if len(row.fields) == len(header) or any(cell.strip() for cell in surplus):
                return len(header)
            widths[len(row.fields)] += 1
        if not widths:
            return len(header)  # every row repeats the header
        (width, count), *_ = widths.most_common(1)
        if count <= widths.total() / 2 or any(header[width:]):
            return len(header)
        return width


def fault_of(row: "Row", header: list[str], width: int) -> tuple[str, str]:
    """Return the reason and the evidence why a row that was read is set aside, or empty texts.

    `width`: the number of cells that each row has.
    """
    fields = row.fields or []
    repetition = repeated_header(fields, header)
    if repetition:
        return REPEATED, repetition
    if len(fields) != width:
        evidence = f"{len(fields)} fields, the header has {len(header)}"
        if MARK in row.raw:
            evidence += (
                "; a byte order mark (U+FEFF) stands inside, so a line end may be missing there"
            )
        return "malformed", evidence
    if row.other is not None and len(row.other) == width and row.other != fields:
        return "malformed", f"a row with two readings: {ESCAPE_IS_UNKNOWN}"
    return "", ""


NO_END = "a cell does not end as one"
OTHER_ORDER = "names the columns in another order"
ESCAPE_IS_UNKNOWN = (
    "a backslash stands before a quotation mark; set `escape: '\\'` if the mark is then text, "
    "or `escape: ''` if the backslash is text"
)


@lru_cache(maxsize=8)
def written_forms(header: tuple[str, ...]) -> frozenset[str]:
    """Return the names of columns as other programs may write them, to compare rows quickly."""
    names = [name for name in header if name]
    forms = set(names)
    for change in (str.lower, str.upper, str.title, str.capitalize):
        forms.update(map(change, names))
    return frozenset(forms)


def repeated_header(fields: list[str], header: list[str]) -> str:
    """Say how a row repeats the header. Empty: it does not.

    Files that were put together have such rows.
    """
    if written_forms(tuple(header)).isdisjoint(fields):
        return ""
    cells = [folded(cell) for cell in fields]
    names = [folded(name) for name in header]
    named = len(names) - names.count("")
    if set(names).isdisjoint(cells) or named == 0:
        return ""
    pairs = zip(cells, names, strict=False)
    equal = sum(1 for cell, name in pairs if cell and cell == name)
    if equal == named:
        return "the names of the columns again"
    if named > 1 and sorted(cells) == sorted(names):
        return OTHER_ORDER
    if equal > 1 and equal * 2 > named:
        return f"{equal} of {named} names of the columns again"
    return ""


def is_header(fields: list[str], header: list[str]) -> bool:
    """Whether a row is the header again."""
    return bool(repeated_header(fields, header))


def folded(name: str) -> str:
    """Return the form in which names of columns are compared."""
    return name.strip().strip(MARK).casefold()


def excerpt(raw: str) -> str:
    """Return the beginning of a row for a message, with invisible characters shown."""
    text = shown(raw[:EXCERPT])
    return f"{text} …" if len(raw) > EXCERPT else text


class Rejections:
    """Counts rejected rows, to say why a file has no other."""

    def __init__(self, columns: int) -> None:
        """`columns`: the number of columns in the header."""
        self.columns = columns
        self.count = 0
        self.reasons: set[str] = set()
        self.widths: set[int] = set()
        self.first = ""

    def add(self, row: "Row", evidence: str) -> None:
        """Count one row."""
        self.count += 1
        self.reasons.add(row.reason)
        self.widths.add(0 if row.fields is None else len(row.fields))
        if not self.first:
            self.first = f"line {row.number}, {evidence}: {excerpt(row.raw)}"

    def message(self) -> str:
        """Say what is wrong with all rows, with the first as an example."""
        text = f"not one of {self.count:,} rows can be read ({self.first}). "
        if self.reasons == {"encoding"}:
            return text + "Set `encoding` to what the file is written in, or to auto"
        width = max(self.widths)
        if len(self.widths) == 1 and width:
            text += f"Every row has {width} cells, and the header has {self.columns}. "
        return text + "Check `delimiter`, `quote`, `escape`, `columns`, `skip_lines` and the file"


@plain_dataclass(frozen=True)
class Row:
    """One row. A row that could not be read has no `fields`, but a `reason`."""

    number: int
    """Number of its first line."""
    raw: str
    fields: list[str] | None
    reason: str = ""
    evidence: str = ""
    other: list[str] | None = None
    """The fields if a backslash is an escape character, where the settings do not say."""


class Reading(NamedTuple):
    """What was read of a text."""

    cells: list[str]
    fault: str = ""
    is_open: bool = False
    """Whether the text ends inside a cell that a quotation mark opened."""


OPEN = Reading([], is_open=True)


class Grammar:
    """How a row is divided into cells."""

    def __init__(self, delimiter: str, quote: str, escape: str | None) -> None:
        """Each is one character. `quote` and `escape` may be empty. `escape` None: not known."""
        self.delimiter = delimiter
        self.quote = quote
        self.escape = escape or ""
        # An escaped quotation mark, which has two readings while the escape character is unknown.
        self.uncertain = BACKSLASH + quote if quote and escape is None else ""
        # A blank behind a delimiter belongs to no cell: `a, "b, c"` has the two cells a and b, c.
        self.blank = "" if delimiter == " " else " "
        end, mark, sign = map(re.escape, (delimiter, quote, self.escape))
        blanks = f"{self.blank}*+" if self.blank else ""
        # Blanks and the quotation mark that opens a cell. (?!) fits nothing: there is no such mark.
        self.opening = re.compile(f"{blanks}{mark or '(?!)'}")
        # The text up to the mark that closes a cell. Example: in `say ""hi"" ",x` the text `say ""hi"" `.
        if sign:
            inside = f"(?:[^{mark}{sign}]++|{sign}[{mark}{sign}]|{sign}|{mark}{mark})*+"
        else:
            inside = f"[^{mark}]*+(?:{mark}{mark}[^{mark}]*+)*+"
        self.inside = re.compile(inside if mark else "(?!)")
        # The closing mark, blanks, and the delimiter or the end of the row.
        self.closing = re.compile(f"{mark}{blanks}(?:({end})|\\Z)")
        # A cell without quotation marks around it, up to the delimiter.
        if sign:
            plain = f"(?:[^{end}{sign}]++|{sign}[{end}{mark}{sign}]|{sign})*+"
        else:
            plain = f"[^{end}]*+"
        self.plain = re.compile(plain)
        # An escaped character (group 1), or a doubled quotation mark (group 2).
        escaped = f"{sign}([{end}{mark}{sign}])" if sign else "(?!)()"
        doubled = f"{mark}({mark})" if mark else "(?!)()"
        self.escaped = re.compile(escaped)
        self.written = re.compile(f"{escaped}|{doubled}")

        self.dialect: dict[str, Any] = {
            "delimiter": delimiter,
            "skipinitialspace": bool(self.blank),
        }
        self.dialect |= {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}

    def with_backslash(self) -> "Grammar":
        """Return the same grammar with the backslash as its escape character."""
        return Grammar(self.delimiter, self.quote, BACKSLASH)

    def read(self, text: str, *, is_open: bool = False) -> Reading:
        """Read the cells of a text without its line end. `is_open`: it begins inside a cell."""
        if (
            text
            and not is_open
            and not self.escape
            and not (self.uncertain and self.uncertain in text)
        ):
            cells = self._read_quickly(text)
            if cells is not None:
                return Reading(cells)
        return self._read_step_by_step(text, is_open=is_open)

    def _read_quickly(self, text: str) -> list[str] | None:
        """Read the cells of a usual row, as the csv module does. None: it is not usual."""
        try:
            return next(csv.reader([text], strict=True, **self.dialect), None)
        except csv.Error:
            return None

    def _read_step_by_step(self, text: str, *, is_open: bool) -> Reading:
        """Read the cells of a text, and say what is wrong with it."""
        cells: list[str] = []
        position = 0
        while True:
            if not is_open:
                opening = self.opening.match(text, position)
                if opening is None:
                    plain = self.plain.match(text, position)
                    assert plain is not None  # it fits an empty text too
                    fault = self._fault_of_plain(plain[0])
                    if fault:
                        return Reading(cells, fault)
                    cells.append(self.escaped.sub(r"\1", plain[0].lstrip(self.blank)))
                    position = plain.end() + 1
                    if plain.end() == len(text):
                        return Reading(cells)
                    continue
                position = opening.end()
            quoted = self.inside.match(text, position)
            assert quoted is not None  # it fits an empty text too
            position = quoted.end()
            if position == len(text):
                return Reading(cells, is_open=True)
            closing = self.closing.match(text, position)
            if closing is None:
                behind = shown(text[position + 1 : position + 11])
                return Reading(
                    cells,
                    f"{NO_END}: cell {len(cells) + 1} goes on "
                    f"behind its closing quotation mark with {behind!r}",
                )
            cells.append(self.written.sub(r"\1\2", quoted[0]))
            position = closing.end()
            if closing[1] is None:
                return Reading(cells)
            is_open = False

    def _fault_of_plain(self, cell: str) -> str:
        """Say what is wrong with a cell without quotation marks around it, or return an empty text."""
        if "\r" in cell or "\n" in cell:
            return "a line end (CR) stands in a cell without quotation marks"
        if self.uncertain and self.uncertain in cell:
            return f"a cell has two readings: {ESCAPE_IS_UNKNOWN}"
        signs = len(cell) - len(cell.rstrip(self.escape)) if self.escape else 0
        if signs % 2:
            return "the row ends with the escape character, so it may go on in the next line"
        return ""


class Rows:
    """Iterates over the rows of lines. Empty lines between rows are skipped."""

    def __init__(self, lines: Iterator[Line], encoding: str, grammar: Grammar) -> None:
        """`encoding`: its name for messages."""
        self.lines = lines
        self.encoding = encoding
        self.grammar = grammar
        self.with_backslash = grammar.with_backslash() if grammar.uncertain else None
        # Lines that were read ahead for an open cell. Read as lines inside a cell, all but the last
        # leave it open. `self.last` is the reading of the last, or OPEN. What a line inside a cell
        # does to it depends on no line before, so each line is read so once, for all cells that
        # are open there. This keeps the time linear.
        self.ahead: deque[Line] = deque()
        self.characters_ahead = 0
        self.last = OPEN

    def __iter__(self) -> Iterator[Row]:
        """Yield rows in their order."""
        while (line := self._next_line()) is not None:
            # A file that was appended to another one begins with a byte order mark.
            raw = line.raw.lstrip(MARK)
            if line.text is None or raw.strip():
                yield self._row_from(line._replace(raw=raw))

    def _next_line(self) -> Line | None:
        if not self.ahead:
            return next(self.lines, None)
        line = self.ahead.popleft()
        self.characters_ahead -= len(line.raw)
        if not self.ahead:
            self.last = OPEN
        return line

    def _row_from(self, first: Line) -> Row:
        """Read the row that begins with a line."""
        reading = self.grammar.read(without_end(first.raw))
        if reading.is_open:
            return self._row_of_several_lines(first)
        return self._row_of([first], reading)

    def _row_of_several_lines(self, first: Line) -> Row:
        """Read the row whose first line ends inside a cell."""
        if self.with_backslash and self.grammar.uncertain in first.raw:
            other = self.with_backslash.read(without_end(first.raw))
            if not other.fault and not other.is_open:
                return self._row_of(
                    [first], Reading([], f"a cell has two readings: {ESCAPE_IS_UNKNOWN}")
                )
        fault = self._read_ahead()
        if fault:
            # Only the first line is at fault. The others are read again as rows of their own.
            if not fault.startswith(NO_END):
                fault = f"{NO_END}: {fault}"
            return self._row_of([first], Reading([], fault))
        taken = [first, *self.ahead]
        self.ahead.clear()
        self.characters_ahead = 0
        self.last = OPEN
        whole = "".join(line.raw for line in taken)
        return self._row_of(taken, self.grammar.read(without_end(whole)))

    def _read_ahead(self) -> str:
        """Read lines up to the one that closes an open cell. Return the fault, or an empty text."""
        while self.last.is_open:
            if self.characters_ahead > LONGEST_CELL:
                return f"it is still open after {LONGEST_CELL:,} characters"
            line = next(self.lines, None)
            if line is None:
                return "the file ends inside it"
            self.ahead.append(line)
            self.characters_ahead += len(line.raw)
            self.last = self.grammar.read(without_end(line.raw), is_open=True)
        if not self.last.fault:
            return ""
        return f"{self.last.fault} in line {self.ahead[-1].number}"

    def _row_of(self, lines: list[Line], reading: Reading) -> Row:
        """Return the row of its lines."""
        number = lines[0].number
        raw = without_end("".join(line.raw for line in lines))
        if any(line.text is None for line in lines):
            return Row(number, raw, None, "encoding", f"not {self.encoding}")
        if "\0" in raw:
            evidence = "holds a NUL character (U+0000), which is no text"
            return Row(number, raw, None, "malformed", evidence)
        if reading.fault:
            evidence = reading.fault
            if (
                self.grammar.uncertain
                and self.grammar.uncertain in raw
                and "escape" not in evidence
            ):
                evidence += f"; {ESCAPE_IS_UNKNOWN}"
            return Row(number, raw, None, "malformed", evidence)
        other = None
        if self.with_backslash and self.grammar.uncertain in raw:
            escaped = self.with_backslash.read(raw)
            if not escaped.fault and not escaped.is_open:
                other = escaped.cells
        return Row(number, raw, reading.cells, other=other)


def without_end(text: str) -> str:
    """Return lines as they were read, without the end of the last one."""
    return text.rstrip("\r\n")
