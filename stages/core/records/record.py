"""The one Record schema, its ids, and its Parquet files.

A Record is one unit of text on its way to training. A rejected record is the same row plus the phase,
the reason and the evidence. Both are plain dicts in memory and rows of Parquet on disk. Files are
deterministic (same rows, same bytes) and replace the old file in one step.
"""

import hashlib
import json
import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.core.project.errors import InputError, RecordError
from stages.core.project.output import replacing


class Record(TypedDict):
    """One row of a table of records."""

    id: str
    """16 hex digits: the hash of source and locator. It is stable when the text changes."""
    text: str
    lang: str
    """ISO 639-1; `und` where unknown."""
    source: str
    """Name of the source in params.yaml."""
    locator: str
    """Where in the source the record stands: table and key, JSON pointer, XML path, line …"""
    kind: str
    """fact, statement, qa, picture …"""
    question: str | None
    answer: str | None
    subject: str | None
    attribute: str | None
    value: str | None
    unit: str | None
    fact: str | None
    """Hash of subject and attribute; None where the record states no fact."""
    split: str | None
    """train, valid or probe: the set of wordings that the record belongs to; None before augment."""
    parents: list[str]
    """Ids of the records that this one derives from."""
    meta: str
    """JSON object: everything else the source said."""


class RejectedRecord(Record):
    """One row of a table of rejected records."""

    phase: str
    reason: str
    evidence: str


def _required(name: str) -> pa.Field:
    return pa.field(name, pa.string(), nullable=False)


SCHEMA = pa.schema(
    [
        _required("id"),
        _required("text"),
        _required("lang"),
        _required("source"),
        _required("locator"),
        _required("kind"),
        pa.field("question", pa.string()),
        pa.field("answer", pa.string()),
        pa.field("subject", pa.string()),
        pa.field("attribute", pa.string()),
        pa.field("value", pa.string()),
        pa.field("unit", pa.string()),
        pa.field("fact", pa.string()),
        pa.field("split", pa.string()),
        pa.field("parents", pa.list_(pa.string()), nullable=False),
        _required("meta"),
    ]
)
"""Columns of a `Record` on disk."""
REJECTED = (
    SCHEMA.append(_required("phase")).append(_required("reason")).append(_required("evidence"))
)
"""Columns of a `RejectedRecord` on disk."""
DEFAULTS: dict[str, Any] = {"parents": [], "meta": "{}", "lang": "und"}
"""Values of columns that a row leaves out. All other missing columns become null."""

Names = Literal["fold", "exact"]
"""How names are compared: without case and width, or as they are written."""

# A name of one word that is a symbol, where case tells one thing from another: one or two letters
# (Co, CO, m, M), letters with digits (Trp53, TRP53), a capital inside (pH, NaCl). Polars reads it, too.
SYMBOL_PATTERN = (
    r"^(?:[^\W\d_]{1,2}"  # Co
    r"|[^\W_]*(?:[^\W\d_]\d|\d[^\W\d_])[^\W_]*"  # Trp53
    r"|[A-Za-z]*[a-z][A-Z][A-Za-z]*)$"  # pH
)
SYMBOL = re.compile(SYMBOL_PATTERN)

# Superscripts and subscripts with their signs (⁰ to ₜ), and all other characters that NFKC makes
# digits of: fractions (½), numbers in circles (①) and with a full stop (⒈).
RAISED = "²³¹¼-¾⁰-ₜ⅐-⅟↉①-⒛⓪-⓿❶-➓㉑-㉟㊱-㊿"
BEHIND_A_DIGIT = re.compile(rf"(\d)([{RAISED}])")  # the 0³ of 10³
BEFORE_A_DIGIT = re.compile(rf"([{RAISED}])(\d)")  # the ³5 of ³5

GROUP = 2**23
"""Characters of a row group. A reader takes a row group as a whole."""
BATCH = 2**20
"""Characters of rows that are kept as dicts until they are turned into columns."""


def record_id(source: str, locator: str) -> str:
    """Return 16 hex digits that name a locator of a source. They do not depend on the text there."""
    return _digest("record", source, locator)


def fact_id(subject: str, attribute: str, names: Names = "fold") -> str:
    """Return 16 hex digits that name what a fact is about.

    Width and spacing of the two names do not matter, and neither does case, except in symbols and
    with `names: exact`.
    """
    return _digest("fact", compared_name(subject, names), compared_name(attribute, names))


def fold(text: str) -> str:
    """Return the form in which names are compared: NFKC, case-folded, single-spaced.

    A superscript beside a digit stays apart from it: 10³ becomes 10^3, and CO₂ becomes co2.
    """
    if not text.isascii():
        text = apart_from_digits(text)
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def compared_name(text: str, names: Names = "fold") -> str:
    """Return the form in which names of subjects and attributes are compared.

    It is `fold`, but case counts in a symbol (`SYMBOL`): CO and Co are two. With `exact`, case and
    width count in every name, and the form is NFC, single-spaced.
    """
    if names == "exact":
        return " ".join(unicodedata.normalize("NFC", text).split())
    apart = apart_from_digits(text)
    compatible = " ".join(unicodedata.normalize("NFKC", apart).split())
    return compatible if SYMBOL.search(compatible) else compatible.casefold()


def apart_from_digits(text: str) -> str:
    """Return the text with ^ between a digit and a sign that NFKC would glue to it.

    10³ becomes 10^³, which NFKC makes 10^3. Without ^ it would be 103. In the same way 1½ becomes 1^½.
    """
    text = BEHIND_A_DIGIT.sub(r"\1^\2", text)
    return BEFORE_A_DIGIT.sub(r"\1^\2", text)


def fact_text(subject: str, attribute: str, value: str, unit: str | None) -> str:
    """Return the plain text of a fact: `iron: melting point 1538 °C`."""
    text = f"{subject}: {attribute} {value}"
    if unit:
        text += f" {unit}"
    return text


def to_meta(values: Mapping[str, Any]) -> str:
    """Return the `meta` column: a JSON object with sorted keys."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True)


class Table:
    """A Parquet file of records that is written row by row, or many rows at once, in little memory.

    Row groups end where the text in them reaches a size, so they depend on the rows alone.
    """

    def __init__(self, path: Path, schema: pa.Schema, file: pq.ParquetWriter) -> None:
        """`path` is the name that messages use."""
        self.path = path
        self.schema = schema
        self.file = file
        self.rows = 0
        """Rows taken so far."""
        self.batch: list[dict[str, Any]] = []
        """Rows that are still dicts."""
        self.group: list[pa.RecordBatch] = []
        """Rows of the current row group that are columns already."""
        self.batch_size = 0
        self.group_size = 0
        """Characters in `batch` and in `group`."""

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row. Missing columns become null, `parents` [], `meta` {}. Raises RecordError as `write` does."""
        filled = DEFAULTS | dict(row)
        unknown = filled.keys() - set(self.schema.names)
        if unknown:
            names = ", ".join(sorted(unknown))
            raise RecordError(f"{self.path}: row {self.rows}: unknown column {names}")
        missing = []
        for field in self.schema:
            if not field.nullable and filled.get(field.name) is None:
                missing.append(field.name)
        if missing:
            names = ", ".join(missing)
            raise RecordError(f"{self.path}: row {self.rows}: {names} must not be empty")

        self.rows += 1
        self.batch.append(filled)
        for value in filled.values():
            if isinstance(value, str):
                self.batch_size += len(value)
        if self.group_size + self.batch_size >= GROUP:
            self.end_group()
        elif self.batch_size >= BATCH:
            self._end_batch()

    def extend(self, rows: Any) -> None:
        """Take many rows: an Arrow table, or a frame that converts to one, such as polars'.

        Raises RecordError on another schema.
        """
        self._end_batch()
        try:
            table = pa.table(rows).select(self.schema.names).cast(self.schema)
        except (KeyError, ValueError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise RecordError(f"{self.path}: {error}") from None
        self.rows += len(table)

        # ends[i] is the number of characters in the rows before row i: rows of 5, 3 and 4
        # characters give [0, 5, 8, 12]. A row group takes rows until it holds GROUP characters. Its
        # last row is the first one whose end reaches that limit, which a binary search finds.
        ends = [0, *pc.cumulative_sum(characters(table)).to_pylist()]
        start = 0
        while start < len(table):
            room = GROUP - self.group_size
            stop = bisect_left(ends, ends[start] + room, start + 1)
            stop = min(len(table), stop)
            self.group += table.slice(start, stop - start).to_batches()
            self.group_size += ends[stop] - ends[start]
            if self.group_size >= GROUP:
                self.end_group()
            start = stop

    def end_group(self) -> None:
        """Write the rows taken so far as one row group."""
        self._end_batch()
        table = pa.Table.from_batches(self.group, schema=self.schema)
        self.file.write_table(table.combine_chunks())
        self.group = []
        self.group_size = 0

    def _end_batch(self) -> None:
        try:
            columns = pa.RecordBatch.from_pylist(self.batch, schema=self.schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
            raise RecordError(f"{self.path}: {error}") from None
        self.group.append(columns)
        self.group_size += self.batch_size
        self.batch = []
        self.batch_size = 0


def characters(table: pa.Table) -> pa.Array:
    """Return the number of characters of text in each row, as `Table.add` counts them."""
    total = pa.array([0] * len(table), type=pa.int64())
    for field in table.schema:
        if pa.types.is_string(field.type):
            lengths = pc.fill_null(pc.utf8_length(table[field.name]), 0)
            total = pc.add(total, lengths.combine_chunks().cast(pa.int64()))
    return total


@contextmanager
def writing(path: Path, schema: pa.Schema = SCHEMA) -> Iterator[Table]:
    """Yield a table to be filled. The file stands at `path` when the body ends; if it raises, nothing changes."""
    settings = {"compression": "zstd", "version": "2.6", "data_page_version": "1.0"}
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, **settings) as file:
        table = Table(path, schema, file)
        yield table
        rest = table.batch or table.group
        if rest or not table.rows:
            table.end_group()


def write(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema = SCHEMA) -> int:
    """Write rows as Parquet and return their number. Missing columns become null, `parents` [], `meta` {}.

    Raises RecordError for an unknown column, a wrong type, or null where the schema forbids it.
    """
    with writing(path, schema) as table:
        for row in rows:
            table.add(row)
    return table.rows


def read(path: Path, schema: pa.Schema = SCHEMA) -> list[dict[str, Any]]:
    """Read rows written by `write`.

    Raises InputError where there is no such file, RecordError where it has another schema.
    """
    with opened(path, schema) as file:
        rows: list[dict[str, Any]] = file.read().to_pylist()
    return rows


def read_records(path: Path) -> list[Record]:
    """Read records, typed. Raises as `read` does."""
    return cast(list[Record], read(path))


def repeated_ids(files: Mapping[Path, pa.Schema]) -> dict[str, int]:
    """Return the ids that stand more than once in these files together, and how often.

    The time is linear but for one sort of numbers. Memory holds 8 bytes a row. Raises as `read` does.
    """
    import numpy as np
    import polars as pl

    hashes = [np.zeros(0, dtype=np.uint64)]
    for ids in _ids(files):
        hashes.append(ids.hash(seed=20).to_numpy())
    ordered = np.sort(np.concatenate(hashes))
    # Sorted, equal hashes are neighbours: of [3, 7, 7, 9] the second 7 is like the one before it.
    suspects = pl.Series(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]))
    counts: Counter[str] = Counter()
    if len(suspects):
        for ids in _ids(files):
            counts.update(ids.filter(ids.hash(seed=20).is_in(suspects.implode())))
    # Two ids may have one hash by chance, so they are counted themselves.
    return {name: count for name, count in counts.items() if count > 1}


def _ids(files: Mapping[Path, pa.Schema]) -> Iterator[Any]:
    """Yield the ids of the files, row group by row group, as columns of polars."""
    import polars as pl

    for path, schema in files.items():
        with opened(path, schema) as file:
            for group in range(file.num_row_groups):
                yield pl.Series(file.read_row_group(group, columns=["id"])["id"])


@contextmanager
def opened(
    path: Path, schema: pa.Schema = SCHEMA, footer: pq.FileMetaData | None = None
) -> Iterator[pq.ParquetFile]:
    """Open a file of records, to be read batch by batch. `footer` saves a look at the file's end.

    Only read in the body: an OSError there is taken for a damaged file. Raises as `read` does.
    """
    try:
        with pq.ParquetFile(path, metadata=footer) as file:
            names = file.schema_arrow.names
            if names != schema.names:
                raise RecordError(
                    f"{path}: columns {names} are not those of the schema {schema.names}"
                )
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run the stage that writes it (dvc repro)") from None
    except (pa.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: not a Parquet file ({reason}); restore it with dvc checkout --force"
        ) from None


def _digest(*parts: str) -> str:
    """The first 16 hex digits of the SHA-256 over the parts, separated by a character that no name has."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]
