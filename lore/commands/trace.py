"""Show the sources behind an answer, or the answers that a source leads to.

Backward from a question in quotes or a fact id: the answers of the models, the training records, the
cleaned and the extracted records with the value as it was written, the locators in the raw files, and
what was rejected about the same fact, with its reason. A unit that a source's `where` skips says so.
Forward from a file or folder below data/raw (perhaps with a place, such as #L5), or from a record
id: the same chain to the answers. The beginning of an id is enough. Nothing is checked out and no model is loaded: the
answers are those that `evaluate` recorded. Example: `lore trace "At what temperature does iron
melt?"`, then `lore trace data/raw/legacy.csv --rev knowledge@v1.0.0`. Exit code 0, 3 where nothing
matches, 1 for an error.
"""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stages.core.project.artifacts import AUGMENT, CLEAN, EVALUATE, EXTRACT

if TYPE_CHECKING:
    from lore.lineage.graph import Lineage, Tables
    from lore.lineage.raw_location import RawFile
    from lore.versions.version import Version

NOTHING = 3
"""Exit code where nothing matches."""
VALUES = ("version", "value", "where", "commit")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore trace`."""
    parser.add_argument(
        "what",
        metavar="WHAT",
        help="a question in quotes, a fact id, a record id, or a file below data/raw",
    )
    parser.add_argument(
        "--rev",
        metavar="REV",
        help="a release, branch, tag, commit or experiment; default: the files as they lie here",
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
    """Print the trace.

    Raises InputError where a part of the version cannot be read, or an id is ambiguous.
    """
    from lore.lineage import graph, trace_sections
    from lore.rendering import report, terminal
    from lore.versions import version

    here = version.workspace() if options.rev is None else version.revision(options.rev)
    tables = graph.Tables.read(here)
    lineage = graph.find(options.what, tables)
    if lineage is None:
        print(
            f"{terminal.shown(options.what)}: nothing in {here.label} matches; give a question that "
            "names a subject and an attribute as the records do, an id, or a source file below "
            "data/raw"
        )
        return NOTHING
    raw = raw_files(lineage, here, tables.names_with_hash)
    values = values_of(lineage) if options.versions else None
    if options.json:
        document = as_json(lineage, here, raw, tables, values)
        print(terminal.json_text(document), flush=True)
        return 0
    sections = trace_sections.sections_of(lineage, here, raw, tables, options.all)
    if values is not None:
        rows = []
        for value in values:
            rows.append(tuple(str(value[column]) for column in VALUES))
        sections.append(report.Section("Versions", columns=VALUES, rows=rows))
    text = report.text(title(lineage, here), notes(here, raw, tables), sections)
    print(text, end="", flush=True)
    return 0


def raw_files(
    lineage: "Lineage", version: "Version", names_with_hash: list[str]
) -> "dict[str, RawFile]":
    """Return the raw files behind a lineage, by their names below data/raw."""
    from lore.lineage import raw_location

    files = {raw_location.file_of(locator, names_with_hash) for locator in lineage.locators()}
    names = sorted(files)
    return {name: raw_location.raw_file(version, name) for name in names}


def title(lineage: "Lineage", version: "Version") -> str:
    """Return the heading: the thing that is traced, and the version."""
    from lore.lineage import trace_sections

    about = ""
    head = lineage.head()
    if head and lineage.kind in ("fact", "record") and head["fact"]:
        about = f": {trace_sections.statement(head)}"
        if not lineage.cleaned:
            about += ", of which no record was kept"
    return f"{lineage.kind} {lineage.name}{about} · {version.label}"


def notes(version: "Version", raw: "dict[str, RawFile]", tables: "Tables") -> list[str]:
    """Return reasons to doubt the rest, one per line."""
    lines = version.doubts([EXTRACT, CLEAN, AUGMENT, EVALUATE])
    # In the workspace, `doubts` compares the raw files with dvc.lock already.
    if version.commit is not None:
        for file in raw.values():
            if not file.current:
                lines.append(
                    f"{file.path}: not what extract read, by dvc.lock; dvc repro reads it again"
                )
    if any(file.is_cut for file in raw.values()):
        lines.append(
            "this clone is shallow, so the last change of a file may lie before its oldest commit: "
            "git fetch --unshallow brings them"
        )
    if not tables.made:
        lines.append("no training records: augment has not run; dvc repro augment makes them")
    if not tables.answers:
        lines.append(
            "never evaluated, so no answer is recorded; dvc repro evaluate asks the models"
        )
    return lines


def values_of(lineage: "Lineage") -> list[dict[str, Any]]:
    """Return the fact's value in each knowledge version and in HEAD.

    Raises InputError where not exactly one fact is traced.
    """
    from lore.comparison import facts
    from lore.versions import tags, version
    from stages.core.project.errors import InputError, LorekeepError

    if len(lineage.facts) != 1:
        raise InputError(
            f"--versions: {lineage.name} is not one fact; name a fact by its id or by a question"
        )
    (fact,) = lineage.facts
    rows: list[dict[str, Any]] = []
    releases, problems = tags.listed()
    for problem in problems:
        name, _, reason = problem.partition(" ")
        rows.append({"version": name, "commit": "–", "value": "cannot be read", "where": reason})
    for known in [*releases, version.revision("HEAD")]:
        row = {"version": known.name, "commit": known.short, "value": "no such fact", "where": "–"}
        rows.append(row)  # filled in below, if the version can be read and has the fact
        try:
            table = facts.read_facts(known)
        except LorekeepError as error:
            row["value"] = "cannot be read"
            row["where"] = str(error)
            continue
        for entry in table[table["fact"] == fact].to_dict("records"):
            row["value"] = f"{entry['value']} {entry['unit']}".strip()
            row["where"] = f"{entry['source']}: {entry['locator']}"
    return rows


def as_json(
    lineage: "Lineage",
    version: "Version",
    raw: "dict[str, RawFile]",
    tables: "Tables",
    values: list[dict[str, Any]] | None,
) -> dict[str, Any]:
    """Return everything, for machines."""
    from lore.lineage.raw_location import described

    contradictions = {}
    for row in lineage.rejected:
        if row["id"] in tables.disputes:
            contradictions[row["id"]] = tables.disputes[row["id"]]
    return {
        "version": {"name": version.name, "commit": version.commit},
        "notes": notes(version, raw, tables),
        **asdict(lineage),
        "places": {
            locator: described(locator, tables.names_with_hash) for locator in lineage.locators()
        },
        "raw": [asdict(file) for file in raw.values()],
        "contradictions": contradictions,
        "versions": values,
    }
