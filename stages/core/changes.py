"""How many records of a stage are not those of its last run in this folder.

A table of digests of the last run lies beside the memo's results, never in an output: it is for the reader of a summary, and no
byte depends on it. Digests are polars' row hashes, which hold for one version of polars; after another, there is no last run.
"""

import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple

from stages.core import memo


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

    None where there was none, or where the memo cannot be used. Ids count once.
    """
    import polars
    from polars.exceptions import PolarsError

    here = hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:16]
    place = memo.folder() / "last" / here / f"{stage}-{polars.__version__}.parquet"
    now = polars.concat([digests(folder / f"{name}.parquet") for name in ("records", "rejected")]).unique("id")
    try:
        found = counted(polars.read_parquet(place), now)
    except (OSError, PolarsError):  # none yet, or damaged
        found = None
    memo.keep(place, now.write_parquet)
    return found


def digests(path: Path) -> Any:
    """(id, digest) of a table's records, both 64-bit hashes."""
    import polars

    rest = polars.struct(polars.exclude("id"))
    return polars.scan_parquet(path).select(id=polars.col("id").hash(), digest=rest.hash()).collect(engine="streaming")


def counted(before: Any, now: Any) -> Changes:
    """What differs between two tables of digests."""
    both = before.join(now, on="id", suffix="_now")
    same = both.filter(both["digest"] == both["digest_now"]).height
    return Changes(both.height - same, now.height - both.height, before.height - both.height, same)
