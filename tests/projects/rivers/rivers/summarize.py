"""summarize: count the long rivers among the cleaned records.

Reads data/clean/records.parquet. Writes data/summarize/rivers.json with the names of the long
rivers, and metrics/summarize.json with their number.
"""

from pathlib import Path

from pydantic.dataclasses import dataclass

from rivers.limits import is_long
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import record


@dataclass(frozen=True, config=STRICT)
class Params:
    """Settings of summarize."""

    at_least: float = 1000.0
    """Length in km from which a river is long."""


def run(params: Params, run: Run, clean: Path, out: Path, metrics: Path) -> None:
    """Write the names and the number of the long rivers."""
    names = []
    for row in record.read(clean / "records.parquet"):
        if row["attribute"] == "length" and is_long(row["value"], params.at_least):
            names.append(row["subject"])
    with replacing(out) as folder:
        folder.mkdir()
        write_json(folder / "rivers.json", sorted(names))
    write_json(metrics, {"long_rivers": len(names)})
