"""Seconds and memory that each stage took when it last ran here, from metrics/timing.json.

They are a price, never a result, so a file that cannot be read counts as no record.
"""

import json
from pathlib import Path
from typing import Any

from stages.core.project.artifacts import TIMING

Timings = dict[str, dict[str, Any]]
"""Stage → `seconds` and `peak_bytes` of its last run here."""


def timings(path: Path = Path(TIMING)) -> Timings:
    """Return seconds and memory of each stage. Entries that are no mapping are left out."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {name: entry for name, entry in document.items() if isinstance(entry, dict)}


def seconds(path: Path = Path(TIMING)) -> dict[str, float]:
    """Return the seconds that each stage took, of the stages for which a number is recorded."""
    known = {}
    for name, entry in timings(path).items():
        number = entry.get("seconds")
        if isinstance(number, int | float):
            known[name] = float(number)
    return known
