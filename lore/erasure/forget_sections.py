"""The report of `lore forget`: what contains a target, and what to delete by hand."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lore.erasure import purge
from lore.erasure.locations import CachedObject, Locations, ModelVersion, VersionLocations
from lore.erasure.scan import ScanResult
from lore.erasure.target import Target
from lore.rendering import report

Cells = list[tuple[str, ...]]
LISTED = 10
"""Rows of a section that are shown unless all are asked for."""


def title(target: Target) -> str:
    """Return what is to be forgotten, in numbers."""
    line = f"to forget: {target.name}: {len(target.facts):,} facts, {len(target.records):,} records"
    if target.kept:
        line += f"; {len(target.kept):,} facts stay, since another source states them"
    return line


def as_json(target: Target, locations: Locations, notes: list[str]) -> dict[str, Any]:
    """Return everything, for machines."""
    versions = []
    for each in locations.versions:
        files = {path: asdict(result) for path, result in each.matches.items()}
        versions.append({"version": each.version.name, "files": files, "missing": each.missing})
    objects = []
    for cached in locations.objects:
        objects.append(
            {
                "object": str(cached.path),
                "rows": cached.result.matches,
                "named_by": cached.named_by,
            }
        )
    raw = [asdict(each) for each in locations.raw]
    models = [asdict(model) for model in locations.models]
    return {
        "name": target.name,
        "entries": target.entries,
        "facts": sorted(target.facts),
        "records": sorted(target.records),
        "stay": target.kept,
        "notes": notes,
        "raw": raw,
        "versions": versions,
        "cache": objects,
        "models": models,
        "runs": match_counts(locations.runs),
        "git": match_counts(locations.git_files),
        "purge": list(purge.commands(locations)),
        "limits": list(purge.LIMITS),
    }


def match_counts(results: Mapping[Any, ScanResult]) -> dict[str, int]:
    """Return path → number of matches."""
    counts = {}
    for path, result in results.items():
        counts[str(path)] = result.matches
    return counts


def sections(locations: Locations, everything: bool) -> list[report.Section]:
    """Return the sections of the report, each with at most LISTED rows unless all are asked for."""
    most = None if everything else LISTED
    workspace = locations.versions[0]
    return [
        section(
            "Places in the raw data",
            ("file", "location", "record"),
            [(each.file, each.location, each.record) for each in locations.raw],
            most,
        ),
        section(
            "Outputs here",
            ("file", "rows", "such as"),
            file_rows(workspace.matches),
            most,
        ),
        section(
            "Versions",
            ("version", "files that contain it", "not kept here"),
            [version_row(each) for each in locations.versions],
            most,
        ),
        section(
            "Objects of DVC's cache",
            ("object", "rows", "content of"),
            [object_row(cached) for cached in locations.objects],
            most,
        ),
        section(
            "MLflow's model versions",
            ("model", "version of", "trained on it"),
            [model_row(model) for model in locations.models],
            most,
        ),
        section(
            "Files of MLflow's runs",
            ("file", "rows", "such as"),
            file_rows(locations.runs),
            most,
        ),
        section(
            "Other files of git here",
            ("file", "lines", "such as"),
            file_rows(locations.git_files),
            most,
        ),
        report.Section(
            "To do by hand after the exclusion has run; lore never does it",
            shortened(list(purge.commands(locations)), most),
        ),
        report.Section("Limits", purge.LIMITS),
    ]


def section(
    heading: str, columns: tuple[str, ...], rows: Cells, most: int | None
) -> report.Section:
    """Return a section with a count in its heading, and a line about the rows left out."""
    lines = tuple(report.left_out(heading.lower(), len(rows), most))
    return report.Section(f"{heading}: {len(rows):,}", lines, columns, rows[:most])


def shortened(commands: list[str], most: int | None) -> tuple[str, ...]:
    """Return the commands; of many objects to remove, only the first `most`."""
    # The cache may have thousands of objects, while the other commands are few.
    lines = []
    removed = 0
    hidden = 0
    for line in commands:
        if line.startswith("rm "):
            removed += 1
            if most is not None and removed > most:
                hidden += 1
                continue
        lines.append(line)
    if hidden:
        lines.append(f"# {hidden:,} more objects, listed with --all")
    return tuple(lines)


def file_rows(results: Mapping[Any, ScanResult]) -> Cells:
    """Return the rows of files that contain the target, each with its first match."""
    rows: Cells = []
    for path, result in results.items():
        rows.append((str(path), f"{result.matches:,}", result.sample))
    return rows


def version_row(each: VersionLocations) -> tuple[str, ...]:
    """Return the row of a version, with the number of matches in each file."""
    matches = [f"{path} {result.matches:,}" for path, result in each.matches.items()]
    if matches:
        contains_it = ", ".join(matches)
    elif each.files:
        contains_it = "nothing found"
    else:
        contains_it = "nothing kept here"
    return each.version.label, contains_it, ", ".join(each.missing)


def object_row(cached: CachedObject) -> tuple[str, ...]:
    """Return the row of an object of DVC's cache."""
    named_by = ", ".join(cached.named_by)
    if not named_by:
        named_by = "no version searched: an experiment, another branch or an old run"
    return str(cached.path), f"{cached.result.matches:,}", named_by


def model_row(model: ModelVersion) -> tuple[str, ...]:
    """Return the row of a model version."""
    trained = {True: "yes", False: "no", None: "unknown"}[model.trained_on_it]
    versions = ", ".join(model.versions) or "no version searched"
    return f"{model.model} version {model.number}", versions, trained
