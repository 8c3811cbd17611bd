"""Pictures on their way from `extract` to `pictures`: one Parquet file, with the pixels of each, made smaller.

A picture belongs to the record of its caption, and has its id. The pixels are kept raw (RGB, row by row),
because the bytes of a compressed picture depend on the build of the library that compressed them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stages.core.project.errors import InputError
from stages.core.project.output import replacing

PICTURE = "picture"
"""Kind of a record that says what a picture shows. It is no training text by itself."""
GROUP = 64
"""Pictures of a row group. A reader takes a row group as a whole: 12 MiB at 256 × 256 pixels."""


class Picture(NamedTuple):
    """A picture that was read."""

    path: str
    """Below the folder of the source's table, or the file's name: as the source names it."""
    sha256: str
    """Of the file, or of the pixels of a picture inside a PDF."""
    format: str
    """As Pillow names it: PNG, JPEG … PDF for a picture inside one."""
    width: int
    height: int
    """Pixels of the file, or of the picture inside a PDF."""
    columns: int
    rows: int
    """Pixels of what is kept."""
    pixels: bytes
    """RGB, 8 bits each: rows · columns · 3 bytes."""

    def fields(self) -> dict[str, Any]:
        """Return what the record of its caption says about it, as further fields."""
        return {
            "picture": self.path,
            "picture_sha256": self.sha256,
            "picture_format": self.format,
            "picture_size": f"{self.width} × {self.height}",
        }


SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("columns", pa.int32(), nullable=False),
        pa.field("rows", pa.int32(), nullable=False),
        pa.field("pixels", pa.binary(), nullable=False),
    ]
)
"""Columns of the file. `id` is that of the caption's record."""


class Table:
    """A file of pictures that is written picture by picture."""

    def __init__(self, file: pq.ParquetWriter) -> None:
        self.file = file
        self.rows: list[dict[str, Any]] = []

    def add(self, name: str, picture: Picture) -> None:
        """Take the picture of the record `name`."""
        self.rows.append({"id": name, **picture._asdict()})
        if len(self.rows) == GROUP:
            self.end_group()

    def end_group(self) -> None:
        """Write the pictures taken so far as one row group."""
        self.file.write_table(pa.Table.from_pylist(self.rows, schema=SCHEMA))
        self.rows = []


@contextmanager
def writing(path: Path) -> Iterator[Table]:
    """Yield a table of pictures to be filled. The file stands at `path` when the body ends."""
    settings = {"compression": "zstd", "version": "2.6", "data_page_version": "1.0"}
    with replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, **settings) as file:
        table = Table(file)
        yield table
        table.end_group()


def read(path: Path) -> Iterator[tuple[str, Picture]]:
    """Yield (id of the caption's record, picture). Raises InputError for a file that is no such table."""
    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.names != SCHEMA.names:
                raise InputError(
                    f"{path}: its columns are not those of a table of pictures; "
                    "make it again with dvc repro extract"
                )
            for group in range(file.num_row_groups):
                for row in file.read_row_group(group).to_pylist():
                    name = row.pop("id")
                    yield name, Picture(**row)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run the stage that writes it (dvc repro)") from None
    except (pa.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: not a Parquet file ({reason}); restore it with dvc checkout --force"
        ) from None
