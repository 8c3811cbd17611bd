"""How many records of a stage are not those of its last run in this folder.

A table of digests of the last run lies beside the memo's results, never in an output: it is for the reader of a summary, and no
byte depends on it. Digests are polars' row hashes, which hold for one version of polars; after another, there is no last run.
"""

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.repeatable import memo

AT_ONCE = 1_000_000
"""Records that are compared at once."""


class Changes(NamedTuple):
    """Numbers of records, by id."""

    changed: int
    new: int
    deleted: int
    unchanged: int

    def __str__(self) -> str:
        """For a summary."""
        counts = ", ".join(f"{name} {count:,}" for name, count in self._asdict().items())
        return f"{counts} since the last run here"


def compare(stage: str, folder: Path) -> Changes | None:
    """The records and rejected records in `folder` against those of the stage's last run here, which they then are.

    None where there was none, or where the memo cannot be used. Ids count once. Memory does not grow with the number of records.
    """
    import polars
    from polars.exceptions import PolarsError

    here = hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:16]
    place = memo.folder() / "last" / here / f"{stage}-{polars.__version__}.parquet"
    found: list[Changes] = []

    def write(path: Path) -> None:
        try:
            polars.concat(
                [digests(folder / f"{name}.parquet") for name in ("records", "rejected")]
            ).sink_parquet(path)
        except PolarsError as error:  # so it calls a full disk
            raise OSError(errno.EIO, str(error)) from None
        with suppress(OSError, PolarsError):  # none yet, or damaged
            found.append(counted(place, path))

    memo.keep(place, write)
    return next(iter(found), None)


def digests(path: Path) -> Any:
    """(id, digest) of a table's records, both 64-bit hashes, as a lazy frame."""
    import polars

    rest = polars.struct(polars.exclude("id"))
    return polars.scan_parquet(path).select(id=polars.col("id").hash(), digest=rest.hash())


def counted(before: Path, now: Path) -> Changes:
    """What differs between two files of digests, a part of the ids at a time."""
    import polars

    tables = [polars.scan_parquet(path) for path in (before, now)]
    rows = max(table.select(polars.len()).collect().item() for table in tables)
    parts = 1 + rows // AT_ONCE
    total = Changes(0, 0, 0, 0)
    for part in range(parts):
        old, new = (
            table.filter(polars.col("id") % parts == part).collect().unique("id")
            for table in tables
        )
        both = old.join(new, on="id", suffix="_now")
        same = both.filter(both["digest"] == both["digest_now"]).height
        found = (both.height - same, new.height - both.height, old.height - both.height, same)
        total = Changes(*map(sum, zip(total, found, strict=True)))
    return total
