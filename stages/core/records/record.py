"""The one Record schema, its ids, and its Parquet files.

A Record is one unit of text on its way to training. A Rejected record is the same row plus the phase, the
reason and the evidence. Both are plain dicts in memory and rows of Parquet on disk; files are written
deterministically (same rows, same bytes) and replace the old file in one step.
"""

import hashlib
import json
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.core.project.errors import InputError, RecordError
from stages.core.project.output import replacing

SCHEMA = pa.schema(
    [
        pa.field(
            "id", pa.string(), nullable=False
        ),  # hash of source and locator: stable when the text changes
        pa.field("text", pa.string(), nullable=False),
        pa.field("lang", pa.string(), nullable=False),  # ISO 639-1, "und" where unknown
        pa.field("source", pa.string(), nullable=False),  # name of the source in params
        pa.field(
            "locator", pa.string(), nullable=False
        ),  # table and key, JSON pointer, XML path, line …
        pa.field("kind", pa.string(), nullable=False),  # fact, statement, qa, caption …
        pa.field("question", pa.string()),
        pa.field("answer", pa.string()),
        pa.field("subject", pa.string()),
        pa.field("attribute", pa.string()),
        pa.field("value", pa.string()),
        pa.field("unit", pa.string()),
        pa.field(
            "fact", pa.string()
        ),  # hash of subject and attribute; null where the record states no fact
        pa.field(
            "split", pa.string()
        ),  # train, valid or probe: which set of wordings; null before augment
        pa.field(
            "parents", pa.list_(pa.string()), nullable=False
        ),  # ids of the records this one derives from
        pa.field(
            "meta", pa.string(), nullable=False
        ),  # JSON object: everything else the source said
    ]
)
REJECTED = (
    SCHEMA.append(pa.field("phase", pa.string(), nullable=False))
    .append(pa.field("reason", pa.string(), nullable=False))
    .append(pa.field("evidence", pa.string(), nullable=False))
)

GROUP, BATCH = 2**23, 2**20
"""Characters of a row group, which is read as a whole, and of the rows that are held as they are until they go into columns."""


def record_id(source: str, locator: str) -> str:
    """16 hex digits naming the place a record came from; they do not change when the text there does."""
    return _digest("record", source, locator)


def fact_id(subject: str, attribute: str) -> str:
    """16 hex digits naming what a fact is about. Case, width and spacing of the two names do not matter."""
    return _digest("fact", fold(subject), fold(attribute))


def fold(text: str) -> str:
    """NFKC, case-folded, single-spaced: the form in which names are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def fact_text(subject: str, attribute: str, value: str, unit: str | None) -> str:
    """The plain sentence-less text of a fact: `iron: melting point 1538 °C`."""
    return f"{subject}: {attribute} {value}" + (f" {unit}" if unit else "")


def to_meta(values: Mapping[str, Any]) -> str:
    """The `meta` column: a JSON object with sorted keys."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True)


class Table:
    """A Parquet file of records that takes one row after the other, or many at once, and holds few of them.

    Row groups end where the text in them reaches a size, so they depend on the rows alone.
    """

    def __init__(self, path: Path, schema: pa.Schema, file: pq.ParquetWriter) -> None:
        """`path`: what messages name."""
        self.path, self.schema, self.file = path, schema, file
        self.rows = 0
        """Rows taken so far."""
        self.batch: list[dict[str, Any]] = []
        self.group: list[pa.RecordBatch] = []
        self.batch_size = self.group_size = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row. Missing columns become null, `parents` [], `meta` {}. Raises RecordError as `write` does."""
        filled = {"parents": [], "meta": "{}", "lang": "und"} | dict(row)
        if unknown := filled.keys() - set(self.schema.names):
            raise RecordError(
                f"{self.path}: row {self.rows}: unknown column {', '.join(sorted(unknown))}"
            )
        if missing := [
            f.name for f in self.schema if not f.nullable and filled.get(f.name) is None
        ]:
            raise RecordError(
                f"{self.path}: row {self.rows}: {', '.join(missing)} must not be empty"
            )
        self.rows += 1
        self.batch.append(filled)
        self.batch_size += sum(len(value) for value in filled.values() if isinstance(value, str))
        if self.group_size + self.batch_size >= GROUP:
            self.end_group()
        elif self.batch_size >= BATCH:
            self._end_batch()

    def extend(self, rows: Any) -> None:
        """Take many rows: an Arrow table, or what makes one, as polars' frames do. Raises RecordError on another schema."""
        self._end_batch()
        try:
            table = pa.table(rows).select(self.schema.names).cast(self.schema)
        except (KeyError, ValueError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise RecordError(f"{self.path}: {error}") from None
        self.rows += len(table)
        ends = [0, *pc.cumulative_sum(characters(table)).to_pylist()]
        start = 0
        while start < len(table):
            stop = min(
                len(table), bisect_left(ends, ends[start] + GROUP - self.group_size, start + 1)
            )
            self.group += table.slice(start, stop - start).to_batches()
            self.group_size += ends[stop] - ends[start]
            if self.group_size >= GROUP:
                self.end_group()
            start = stop

    def end_group(self) -> None:
        """Write what has been taken as one row group."""
        self._end_batch()
        table = pa.Table.from_batches(self.group, schema=self.schema)
        self.file.write_table(table.combine_chunks())
        self.group, self.group_size = [], 0

    def _end_batch(self) -> None:
        try:
            self.group.append(pa.RecordBatch.from_pylist(self.batch, schema=self.schema))
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
            raise RecordError(f"{self.path}: {error}") from None
        self.group_size += self.batch_size
        self.batch, self.batch_size = [], 0


def characters(table: pa.Table) -> pa.Array:
    """How much text each row holds, as `Table` counts it."""
    total = pa.array([0] * len(table), type=pa.int64())
    for name in table.schema.names:
        if pa.types.is_string(table.schema.field(name).type):
            lengths = pc.fill_null(pc.utf8_length(table[name]), 0)
            total = pc.add(total, lengths.combine_chunks().cast(pa.int64()))
    return total


@contextmanager
def writing(path: Path, schema: pa.Schema = SCHEMA) -> Iterator[Table]:
    """A file of records to be written bit by bit; it stands at `path` when the body ends, and not at all where that raises."""
    settings = {"compression": "zstd", "version": "2.6", "data_page_version": "1.0"}
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, **settings) as file:
        table = Table(path, schema, file)
        yield table
        if table.batch or table.group or not table.rows:
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
    """Read rows written by `write`. Raises InputError where there is no such file, RecordError on another schema."""
    with opened(path, schema) as file:
        rows: list[dict[str, Any]] = file.read().to_pylist()
    return rows


@contextmanager
def opened(
    path: Path, schema: pa.Schema = SCHEMA, footer: pq.FileMetaData | None = None
) -> Iterator[pq.ParquetFile]:
    """A file of records to be read batch by batch, `footer` if that is known; the body does nothing else. Raises as `read`."""
    try:
        with pq.ParquetFile(path, metadata=footer) as file:
            if file.schema_arrow.names != schema.names:
                raise RecordError(
                    f"{path}: columns {file.schema_arrow.names} are not those of the schema {schema.names}"
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
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]
