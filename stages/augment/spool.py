"""Records on the disk while `augment` works, so that memory does not grow with their number.

- `Buckets`: the records of `clean` in the order of a key. Each bucket takes the keys between two boundaries, and one
  bucket at a time is read and sorted.
- `Parts`: the rows to be written. They come group by group, and each part of the output takes its own.

Both lie in the folder that the stage's output is made in, so a killed stage leaves nothing that the next one
does not remove.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Set
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.augment.fact import Row
from stages.core.records import record

BUCKET = 4096
"""Records of a bucket, on average. So many are dicts at once."""
MOST_BUCKETS = 512
"""Most buckets: each is an open file while the records are dealt out."""
SAMPLED = 64
"""One key in so many is looked at to find the boundaries of the buckets."""
FAST = pa.ipc.IpcWriteOptions(compression="lz4")
"""What is read once more and then removed is compressed by the fastest method."""


class Buckets:
    """Records in the order of a key. Those with one key keep the order in which they came."""

    def __init__(self, folder: Path, key: str, boundaries: list[str]) -> None:
        """`key`: the column, `id` or `fact`. `boundaries`: those of `boundaries_of`."""
        self.folder = folder
        self.key = key
        self.boundaries = boundaries
        self.rows = 0
        """Records taken."""
        self._files: dict[int, Any] = {}
        self._open = ExitStack()
        folder.mkdir(parents=True)

    def __enter__(self) -> Self:
        """Take records from here on."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files. From here on, records can be read."""
        self._open.close()

    def add(self, table: pa.Table) -> None:
        """Take a table of records, of the schema of all records."""
        if not len(table):
            return
        self.rows += len(table)
        # Buckets stand in the order of their keys.
        keys = table[self.key].to_pylist()
        buckets = np.array([bisect_right(self.boundaries, key) for key in keys])
        order = np.argsort(buckets, kind="stable")
        table = table.take(order)
        buckets = buckets[order]
        for bucket in np.unique(buckets):
            first, behind = np.searchsorted(buckets, [bucket, bucket + 1])
            self._file(int(bucket)).write_table(table.slice(first, behind - first))

    def groups(self) -> Iterator[list[Row]]:
        """Yield the records of each key together, in the order of the keys."""
        for table in self._tables():
            yield from self._grouped(table)

    def groups_of(self, keys: Set[str]) -> Iterator[list[Row]]:
        """Yield the records of some keys, as `groups` does."""
        wanted = pa.array(sorted(keys), type=pa.string())
        if not len(wanted):
            return
        for table in self._tables():
            yield from self._grouped(table.filter(pc.is_in(table[self.key], wanted)))

    def _tables(self) -> Iterator[pa.Table]:
        """Yield the records of each bucket, in the order of the buckets."""
        for bucket in range(len(self.boundaries) + 1):
            path = self._path(bucket)
            if path.is_file():
                with pa.ipc.open_stream(path) as file:
                    yield file.read_all()

    def _grouped(self, table: pa.Table) -> Iterator[list[Row]]:
        """Yield the records of each key of a bucket together."""
        by_key: dict[str, list[Row]] = {}
        for row in table.to_pylist():
            by_key.setdefault(row[self.key], []).append(row)
        for key in sorted(by_key):
            yield by_key[key]

    def __iter__(self) -> Iterator[Row]:
        """Yield the records in the order of their keys."""
        for group in self.groups():
            yield from group

    def _path(self, bucket: int) -> Path:
        return self.folder / f"{bucket:03d}.arrow"

    def _file(self, bucket: int) -> Any:
        """Return the open file of a bucket."""
        if bucket not in self._files:
            file = pa.ipc.new_stream(self._path(bucket), record.SCHEMA, options=FAST)
            self._files[bucket] = self._open.enter_context(file)
        return self._files[bucket]


def boundaries_of(keys: list[str]) -> list[str]:
    """Return the keys at which the next bucket begins. `keys`: one in `SAMPLED` of all."""
    step = max(1, BUCKET // SAMPLED, -(-len(keys) // MOST_BUCKETS))
    return sorted(set(sorted(keys)[step::step]))


class Parts:
    """The rows of the output by split, whether they state a fact, and kind.

    The output is sorted by split, fact, kind and locator. Rows without a fact come first. So each split has a part
    for each kind of these, and one for all rows of facts. Within a part, rows must come in the output's order:
    groups by fact or record, and `in_order` within a group.
    """

    def __init__(self, folder: Path, out: Path, schema: pa.Schema = record.SCHEMA) -> None:
        """`out` is the name that messages use."""
        self.folder = folder
        self.out = out
        self.schema = schema
        self._tables: dict[tuple[str, str, str], record.Table] = {}
        self._open = ExitStack()
        folder.mkdir(parents=True)

    def __enter__(self) -> Self:
        """Take rows from here on."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files. From here on, rows can be read."""
        self._open.close()

    def add(self, row: Row) -> None:
        """Take a row. Raises RecordError as `record.Table.add` does."""
        part = (row["split"], "fact", "") if row.get("fact") else (row["split"], "", row["kind"])
        if part not in self._tables:
            path = self.folder / f"{len(self._tables):03d}.arrow"
            file = pa.ipc.new_stream(path, self.schema, options=FAST)
            self._open.enter_context(file)
            # A stream has the one method of a Parquet writer that a table needs.
            writer = cast(pq.ParquetWriter, file)
            self._tables[part] = record.Table(self.out, self.schema, writer)
        self._tables[part].add(row)

    def end(self) -> None:
        """Write what is still in memory."""
        for table in self._tables.values():
            table.end_group()

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows of all parts, some at a time, in the output's order."""
        numbers = {part: number for number, part in enumerate(self._tables)}
        for part in sorted(self._tables):
            with pa.ipc.open_stream(self.folder / f"{numbers[part]:03d}.arrow") as file:
                for batch in file:
                    yield pa.Table.from_batches([batch])


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of one fact or record in the order of the output, within each split."""
    return sorted(rows, key=lambda row: (row["split"], row["kind"], row["locator"]))
