"""Read the tables and word lists that lie beside the code, in folders named `data`.

A table is a CSV file. A word list is a text file with words between white space. Both are UTF-8 and
begin with lines that start with `#` and say what the file holds. Reading is strict, because a
spoilt table would change results without a word.
"""

import csv
from collections.abc import Collection
from functools import cache
from pathlib import Path

from stages.core.project.errors import InputError

Row = dict[str, str]
YES_OR_NO = {"yes": True, "no": False, "": False}
"""What a cell of a column of yes and no may hold; an empty cell is no."""


@cache
def read_table(
    path: Path, columns: tuple[str, ...], may_be_empty: tuple[str, ...] = ()
) -> tuple[Row, ...]:
    """The rows of a CSV table by column name.

    Raises InputError for other columns, a row with too few or too many cells, a row that stands
    twice, an empty cell in a column that may not be empty, and blanks around a cell.
    """
    lines = _lines_without_head(path)
    reader = csv.reader(text for _, text in lines)
    header = next(reader, [])
    if header != list(columns):
        raise InputError(f"{path}: its columns are {header}; write {','.join(columns)}")
    rows: list[Row] = []
    seen: set[tuple[str, ...]] = set()
    for (number, _), cells in zip(lines[1:], reader, strict=True):
        problem = _problem_of(cells, columns, may_be_empty)
        if tuple(cells) in seen:
            problem = "this row stands in the table twice"
        if problem:
            raise InputError(f"{path}:{number}: {problem}")
        seen.add(tuple(cells))
        rows.append(dict(zip(columns, cells, strict=True)))
    return tuple(rows)


@cache
def read_mapping(path: Path, key: str, value: str) -> dict[str, str]:
    """A table of two columns as a dictionary.

    Raises InputError as `read_table` does, and for a key that stands twice.
    """
    mapping: dict[str, str] = {}
    for row in read_table(path, (key, value)):
        if row[key] in mapping:
            raise InputError(f"{path}: {key} {row[key]!r} stands in the table twice")
        mapping[row[key]] = row[value]
    return mapping


@cache
def read_words(path: Path) -> tuple[str, ...]:
    """The words of a word list, in their order.

    Raises InputError for a word that stands twice, and for an empty list.
    """
    words: list[str] = []
    for number, line in _lines_without_head(path):
        for word in line.split():
            if word in words:
                raise InputError(f"{path}:{number}: {word!r} stands in the list twice")
            words.append(word)
    if not words:
        raise InputError(f"{path}: no words; a word list holds words between white space")
    return tuple(words)


@cache
def read_lines(path: Path) -> tuple[str, ...]:
    """The lines of a text file, without blank lines and without comments on top."""
    return tuple(line for _, line in _lines_without_head(path))


def is_yes(row: Row, column: str) -> bool:
    """Whether a cell says yes. Raises InputError for another word than yes and no."""
    if row[column] not in YES_OR_NO:
        raise InputError(f"{column} is {row[column]!r} in {row}; write yes or no")
    return YES_OR_NO[row[column]]


def _lines_without_head(path: Path) -> list[tuple[int, str]]:
    """The number and the text of each line, without blank lines and without comments on top."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}; install the package again") from None
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        is_comment = line.startswith("#") and not lines
        if line.strip() and not is_comment:
            lines.append((number, line))
    return lines


def _problem_of(
    cells: list[str], columns: tuple[str, ...], may_be_empty: Collection[str]
) -> str | None:
    """What is wrong with a row, or None."""
    if len(cells) != len(columns):
        return f"{len(cells)} cells; write {len(columns)}: {','.join(columns)}"
    for name, cell in zip(columns, cells, strict=True):
        if cell != cell.strip():
            return f"{name} is {cell!r}; remove the blanks around it"
        if not cell and name not in may_be_empty:
            return f"{name} is empty"
    return None
