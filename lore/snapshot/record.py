"""data/snapshots/<name>.json: where a snapshot comes from, for people and for git. No stage reads it, so the time may stand in
it; of a snapshot that is the same as before, the time stays."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lore.snapshot.declaration import Snapshot

RECORDS = Path("data/snapshots")

Record = dict[str, Any]


def record_path(name: str) -> Path:
    """Where the record of a snapshot stands."""
    return RECORDS / f"{name}.json"


def read_record(name: str) -> Record | None:
    """The record, or None where there is none that can be read."""
    try:
        found = json.loads(record_path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def record_of(
    snapshot: Snapshot, columns: dict[str, str], server: str, rows: int, sha256: str
) -> Record:
    """What is known of a snapshot. The time is that of the former record where all else is the same."""
    record = {
        "file": snapshot.file, "rows": rows, "sha256": sha256, "columns": columns, "key": snapshot.key,
        "query": snapshot.query, "url_env": snapshot.url_env, "server": server,
    }  # fmt: skip
    former = read_record(snapshot.name) or {}
    taken = former.pop("taken", None)
    if former != record or not taken:
        taken = datetime.now(UTC).isoformat(timespec="seconds")
    return record | {"taken": taken}
