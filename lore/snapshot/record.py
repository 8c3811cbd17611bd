"""data/snapshots/<name>.json: where a snapshot comes from, for people and for git.

No stage reads it, so it may hold the time. A snapshot that has not changed keeps its time.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lore.snapshot.declaration import Snapshot
from stages.core.project.artifacts import SNAPSHOTS

RECORDS = Path(SNAPSHOTS)

Record = dict[str, Any]


def record_path(name: str) -> Path:
    """Return where the record of a snapshot stands."""
    return RECORDS / f"{name}.json"


def read_record(name: str) -> Record | None:
    """Return the record of a snapshot, or None where there is none that can be read."""
    try:
        record = json.loads(record_path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON that git can compare line by line."""
    text = json.dumps(record, ensure_ascii=False, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")


def record_of(
    snapshot: Snapshot, columns: dict[str, str], server: str, rows: int, sha256: str
) -> Record:
    """Return the record of a snapshot.

    The time is that of the former record where everything else is the same.
    """
    record = {
        "file": snapshot.file,
        "rows": rows,
        "sha256": sha256,
        "columns": columns,
        "key": snapshot.key,
        "query": snapshot.query,
        "url_env": snapshot.url_env,
        "server": server,
    }
    former = read_record(snapshot.name) or {}
    taken = former.pop("taken", None)
    if former != record or not taken:
        taken = datetime.now(UTC).isoformat(timespec="seconds")
    return record | {"taken": taken}
