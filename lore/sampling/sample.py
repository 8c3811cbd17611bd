"""Read a sample of a source as `extract` and `clean` will read it, and keep both sides of every value."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from stages import clean, extract
from stages.clean.values.normalise import normalise_row
from stages.clean.values.source_forms import Forms, source_forms
from stages.clean.values.unusable import Unusable
from stages.core.project.errors import InputError
from stages.core.records import record
from stages.extract.source import SourceKind
from stages.extract.unit import Unit

Row = dict[str, Any]
LINE_ENDS_READ = 2**20
"""Bytes of a file in which the kinds of line ends are counted."""
SET_ASIDE = "set aside"


@dataclass(frozen=True)
class Reading:
    """One value as its source wrote it, and as clean reads it."""

    name: str
    """Attribute of a fact, or name of a further field."""
    written: str
    """Value and unit."""
    read: str
    """The same after `clean`. Empty: set aside."""
    reason: str
    """Reason and evidence, where it is set aside."""
    locator: str
    lang: str

    @property
    def changed(self) -> bool:
        """Whether clean writes it differently."""
        return bool(self.read) and self.read != self.written


@dataclass
class Sample:
    """The first units of a source, and what became of them."""

    source: SourceKind
    files: list[Path]
    names: record.Names = "fold"
    """How names are compared: `extract.names`."""
    units: list[Unit] = field(default_factory=list)
    is_all: bool = True
    """Whether the sample holds every unit of the source."""
    failure: str = ""
    """Why the source cannot be read further."""
    records: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)
    """What extract sets aside."""
    skipped: int = 0
    """Units that `where` leaves out."""
    facts: list[Reading] = field(default_factory=list)
    dates: list[Reading] = field(default_factory=list)
    """Further fields that clean.normalise.dates names."""
    quantities: list[Reading] = field(default_factory=list)
    """Further fields that clean.normalise.meta_units names."""


def sample_of(
    source: SourceKind,
    files: list[Path],
    root: Path,
    params: clean.Params,
    most: int | None,
    names: record.Names = "fold",
) -> Sample:
    """Read at most `most` units of a source. None: all. `names` is `extract.names`.

    A source that cannot be read gives a sample with its `failure`, and no error.
    """
    sample = Sample(source, files, names)
    if not files:
        sample.failure = (
            f"{root / source.path} is not there; put the file there or mend params.yaml"
        )
        return sample
    units = extract.units_of(source, files, root)
    try:
        # One more than wanted, to know whether there are more.
        for unit, path in islice(units, None if most is None else most + 1):
            if len(sample.units) == most:
                sample.is_all = False
                break
            sample.units.append(unit)
            take(sample, unit, path, params)
    except InputError as error:
        sample.failure = str(error)
    return sample


def take(sample: Sample, unit: Unit, path: str, params: clean.Params) -> None:
    """Add what one unit becomes to a sample."""
    if sample.source.mismatch(unit):
        sample.skipped += 1
        return
    forms = source_forms([{"name": sample.source.name} | extract.declared_forms(sample.source)])
    is_first = True
    for row in extract.records_of(unit, sample.source, path, sample.names):
        if "reason" in row:
            sample.rejected.append(row)
            continue
        filled = dict.fromkeys(record.SCHEMA.names) | {"parents": []} | row
        sample.records.append(filled)
        if is_first:  # all records of a unit have the same further fields
            add_fields(sample, filled, params, forms)
        if filled["fact"]:
            add_fact(sample, filled, params, forms)
        is_first = False


def add_fields(sample: Sample, row: Row, params: clean.Params, forms: Forms) -> None:
    """Add the readings of a record's further fields: dates and quantities."""
    settings = params.normalise
    meta = json.loads(row["meta"])
    fields = [(name, sample.dates) for name in settings.dates]
    fields += [(name, sample.quantities) for name in settings.meta_units]
    for name, readings in fields:
        if meta.get(name):
            # The field alone, so that what is wrong elsewhere in the record says nothing about it.
            alone = row | {"fact": None, "meta": json.dumps({name: meta[name]}), "text": ""}
            after, reason = normalised(alone, params, forms)
            read = json.loads(after["meta"]).get(name, "") if after else ""
            unit = settings.meta_units.get(name, "")
            shown = f"{read} {unit}".strip() if read else ""
            readings.append(Reading(name, meta[name], shown, reason, row["locator"], row["lang"]))


def add_fact(sample: Sample, row: Row, params: clean.Params, forms: Forms) -> None:
    """Add the reading of a fact's value."""
    after, reason = normalised(row | {"meta": "{}"}, params, forms)
    read = joined(after["value"], after["unit"]) if after else ""
    written = joined(row["value"], row["unit"])
    reading = Reading(row["attribute"], written, read, reason, row["locator"], row["lang"])
    sample.facts.append(reading)


def normalised(row: Row, params: clean.Params, forms: Forms) -> tuple[Row | None, str]:
    """Return a record as clean writes it, or None and the reason."""
    try:
        return normalise_row(row, params.normalise, forms), ""
    except Unusable as error:
        return None, f"{error.reason}: {error.evidence}"


def joined(value: str, unit: str | None) -> str:
    """Return a value with its unit, such as `5 mg`."""
    return f"{value} {unit}" if unit else value


def line_ends(path: Path) -> str:
    """Say how the lines of a file end, such as `LF`, or `CRLF 40, LF 2` where it is mixed."""
    with path.open("rb") as file:
        content = file.read(LINE_ENDS_READ)
    both = content.count(b"\r\n")
    counts = {
        "CRLF": both,
        "LF": content.count(b"\n") - both,
        "CR": content.count(b"\r") - both,
    }
    present = {name: count for name, count in counts.items() if count > 0}
    if len(present) == 1:
        return next(iter(present))
    return ", ".join(f"{name} {count:,}" for name, count in present.items())


def unused_columns(sample: Sample) -> list[str]:
    """Return the columns, or the paths of JSON, that no key of the mapping and no `where` names."""
    named = sample.source.map.paths() | set(sample.source.where)
    for unit in sample.units:
        if unit.cells is None:
            continue
        columns: Sequence[str] = sample.source.column_names(unit)
        if not columns and sample.source.kind in ("json", "jsonl"):
            columns = paths_of_json(unit.raw)
        if columns:
            return [name for name in columns if name not in named]
    return []


def paths_of_json(raw: str) -> list[str]:
    """Return the dotted paths of all values in a JSON object. A list ends a path."""
    try:
        document = json.loads(raw)
    except ValueError:
        return []
    paths: list[str] = []
    below: list[tuple[str, Any]] = [("", document)]
    while below:
        path, value = below.pop(0)
        if isinstance(value, dict):
            below += [(f"{path}.{name}" if path else name, part) for name, part in value.items()]
        elif path:
            paths.append(path)
    return paths
