"""How many records of a stage differ from those of its last run in this folder.

A table of digests of the last run lies beside the memo's results, never in an output. It is for the
reader of a summary, and no byte of an output depends on it. Digests are polars' row hashes, which hold
for one version of polars only: after an update of polars there is no last run.
"""

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.repeatable import memo

AT_ONCE = 1_000_000
"""Records that are compared at once, which bounds the memory."""


class Changes(NamedTuple):
    """Numbers of records, by id."""

    changed: int
    new: int
    deleted: int
    unchanged: int

    def __str__(self) -> str:
        """For a summary: `changed 1, new 20, deleted 0, unchanged 3,411 since the last run here`."""
        counts = [f"{name} {count:,}" for name, count in self._asdict().items()]
        return f"{', '.join(counts)} since the last run here"


def compare(stage: str, folder: Path) -> Changes | None:
    """Compare the records and rejected records in `folder` with those of the stage's last run here.

    Afterwards those in `folder` are the last run's. Returns None where there was no last run, or where
    the memo cannot be used. An id counts once. Memory does not grow with the number of records.
    """
    import polars
    from polars.exceptions import PolarsError

    this_project = hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:16]
    name = f"{stage}-{polars.__version__}.parquet"
    last_run = memo.folder() / "last" / this_project / name
    changes: Changes | None = None

    def write_and_compare(path: Path) -> None:
        nonlocal changes
        tables = [digests(folder / "records.parquet"), digests(folder / "rejected.parquet")]
        try:
            polars.concat(tables).sink_parquet(path)
        except PolarsError as error:  # such as a full disk
            raise OSError(errno.EIO, str(error)) from None
        with suppress(OSError, PolarsError):  # there is no last run, or its table is damaged
            changes = counted(last_run, path)

    memo.keep(last_run, write_and_compare)
    return changes


def digests(path: Path) -> Any:
    """Return (id, digest) of a table's records, both as 64-bit hashes, in a lazy frame."""
    import polars

    all_but_id = polars.struct(polars.exclude("id"))
    return polars.scan_parquet(path).select(id=polars.col("id").hash(), digest=all_but_id.hash())


def counted(before: Path, now: Path) -> Changes:
    """Count the differences between two files of digests.

    The ids are split into parts by their remainder, and one part is in memory at a time.
    """
    import polars

    old_table = polars.scan_parquet(before)
    new_table = polars.scan_parquet(now)
    rows = max(
        old_table.select(polars.len()).collect().item(),
        new_table.select(polars.len()).collect().item(),
    )
    parts = 1 + rows // AT_ONCE
    changed = added = deleted = unchanged = 0
    for part in range(parts):
        in_part = polars.col("id") % parts == part
        old = old_table.filter(in_part).collect().unique("id")
        new = new_table.filter(in_part).collect().unique("id")
        both = old.join(new, on="id", suffix="_now")
        same = both.filter(both["digest"] == both["digest_now"]).height
        changed += both.height - same
        added += new.height - both.height
        deleted += old.height - both.height
        unchanged += same
    return Changes(changed, added, deleted, unchanged)
