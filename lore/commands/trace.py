"""Where an answer comes from, and what a source feeds. Backward from a question in quotes or a fact id: what the models
answered, the training records, the cleaned and the extracted records with the value as it was written, the places in the raw
files, and what was rejected about the same fact, with its reason; a unit that a source's `where` skips says so. Forward from
a file or folder below data/raw (perhaps with #place), or from a record id: the same way to the answers. The beginning of an
id is enough. Nothing is checked out and no model is loaded: answers are those that `evaluate` recorded. Example: `lore trace
"At what temperature does iron melt?"`, then `lore trace data/raw/legacy.csv --rev knowledge@v1.0.0`. Exit code 0, 3 where
nothing matches, 1 for an error."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lore.lineage.graph import Lineage, Tables
    from lore.lineage.raw_location import RawFile
    from lore.versions.version import Version

NOTHING = 3
VALUES = ("version", "value", "where", "commit")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore trace`."""
    parser.add_argument(
        "what",
        metavar="WHAT",
        help="a question in quotes, a fact id, a record id, or a file below data/raw",
    )
    parser.add_argument(
        "--rev", metavar="REV", help="a branch, tag or commit; default: the files as they lie here"
    )
    parser.add_argument(
        "--all", action="store_true", help="list everything, also every wording that was trained"
    )
    parser.add_argument(
        "--versions",
        action="store_true",
        help="also: which value the fact has in each knowledge version",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON; it always holds everything"
    )


def run(options: argparse.Namespace) -> int:
    """Print the trace. Raises InputError where a part of the version cannot be read, or an id is ambiguous."""
    from lore.lineage import graph, trace_sections
    from lore.rendering import report
    from lore.versions import version

    found_in = version.workspace() if options.rev is None else version.revision(options.rev)
    tables = graph.Tables.read(found_in)
    found = graph.find(options.what, tables)
    if found is None:
        print(
            f"{options.what}: nothing in {found_in.label} matches; give a question that names a subject and an attribute as the "
            "records do, an id, or a source file below data/raw"
        )
        return NOTHING
    raw = raw_files(found, found_in)
    values = values_of(found) if options.versions else None
    if options.json:
        print(
            json.dumps(as_json(found, found_in, raw, tables, values), ensure_ascii=False, indent=2),
            flush=True,
        )
        return 0
    sections = trace_sections.sections_of(found, found_in, raw, tables, options.all)
    if values is not None:
        rows = [tuple(str(value[name]) for name in VALUES) for value in values]
        sections.append(report.Section("Versions", columns=VALUES, rows=rows))
    print(
        report.text(title(found, found_in), notes(found_in, raw, tables), sections),
        end="",
        flush=True,
    )
    return 0


def raw_files(found: "Lineage", version: "Version") -> "dict[str, RawFile]":
    """The raw files behind it, by their names below data/raw."""
    from lore.lineage import raw_location

    names = sorted({raw_location.file_of(locator) for locator in found.places()})
    return {name: raw_location.raw_file(version, name) for name in names}


def title(found: "Lineage", version: "Version") -> str:
    """What is traced, and in which version."""
    from lore.lineage import trace_sections

    head = found.head()
    about = ""
    if head and found.kind in ("fact", "record") and head["fact"]:
        about = f": {trace_sections.statement(head)}" + (
            "" if found.cleaned else ", of which no record was kept"
        )
    return f"{found.kind} {found.name}{about} · {version.label}"


def notes(version: "Version", raw: "dict[str, RawFile]", tables: "Tables") -> list[str]:
    """What a reader must know before believing the rest."""
    found = version.doubts(["data/extract", "data/clean", "data/augment", "data/evaluate"])
    if version.commit is not None:
        edited = [file.path for file in raw.values() if not file.current]
        found += [
            f"{path}: not what extract read, by dvc.lock; dvc repro reads it again"
            for path in edited
        ]
    if not tables.made:
        found.append("no training records: augment has not run; dvc repro augment makes them")
    if not tables.answers:
        found.append(
            "never evaluated, so no answer is recorded; dvc repro evaluate asks the models"
        )
    return found


def values_of(found: "Lineage") -> list[dict[str, Any]]:
    """The fact's value in each knowledge version and HEAD. Raises InputError where it is not one fact that is traced."""
    from lore.commands import versions
    from lore.comparison import facts
    from lore.versions import version
    from stages.core.project.errors import InputError

    if len(found.facts) != 1:
        raise InputError(
            f"--versions: {found.name} is not one fact; name a fact by its id or by a question"
        )
    rows = []
    for known in [*versions.tagged(), version.revision("HEAD")]:
        row = {"version": known.name, "commit": known.short, "value": "no such fact", "where": "–"}
        try:
            table = facts.read_facts(known)
        except InputError as error:
            rows.append(row | {"value": "cannot be read", "where": str(error)})
            continue
        for entry in table[table["fact"] == found.facts[0]].to_dict("records"):
            row |= {
                "value": f"{entry['value']} {entry['unit']}".strip(),
                "where": f"{entry['source']}: {entry['locator']}",
            }
        rows.append(row)
    return rows


def as_json(
    found: "Lineage",
    version: "Version",
    raw: "dict[str, RawFile]",
    tables: "Tables",
    values: list[dict[str, Any]] | None,
) -> dict[str, Any]:
    """Everything, for machines."""
    from lore.lineage.raw_location import described

    lost = {
        row["id"]: tables.disputes[row["id"]]
        for row in found.rejected
        if row["id"] in tables.disputes
    }
    return {
        "version": {"name": version.name, "commit": version.commit},
        "notes": notes(version, raw, tables),
        **asdict(found),
        "places": {locator: described(locator) for locator in found.places()},
        "raw": [asdict(file) for file in raw.values()],
        "contradictions": lost,
        "versions": values,
    }
