"""Forget a fact, a record, all about a subject, or a source.

Without --apply, it only reports what contains it: places in the raw data, versions, outputs,
objects of DVC's cache, MLflow's models and runs. With --apply and a --reason, its ids are written
into data/raw/exclusions.yaml, so that `clean` sets it aside from then on. With --check, after dvc
repro, it searches the outputs and asks the model, beside names that the model never saw. --check
without WHAT checks everything that is excluded. Commands for what must be deleted by hand are
printed and never run. Example: `lore forget 9076763205dc2ba9` reports, `lore forget
9076763205dc2ba9 --apply --reason "request 7"` excludes, then `dvc repro` and `lore forget --check`.
The exit code is 0; 3 if nothing matches or if --check still finds it; 1 for an error.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lore.rendering.terminal import json_text, progress, shown
from stages.core.models import variants
from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.erasure.target import Entries, Target, VersionRecords
    from lore.versions.version import Version


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore forget`."""
    parser.add_argument(
        "what",
        nargs="?",
        metavar="WHAT",
        help="a fact id, a record id (its beginning is enough), or a subject in quotes",
    )
    parser.add_argument(
        "--source", metavar="NAME", help="instead: a whole source, by its name in params.yaml"
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--apply", action="store_true", help="write the exclusion; without it nothing is changed"
    )
    action.add_argument(
        "--check",
        action="store_true",
        help="after dvc repro: prove that no output contains it, and ask the model",
    )
    parser.add_argument(
        "--reason", help="why, with --apply; it is kept in git, so it must name nobody"
    )
    parser.add_argument(
        "--model",
        choices=variants.TUNED_NAMES,
        default="train",
        help="which model --check asks; default: train",
    )
    parser.add_argument(
        "--no-ask", action="store_true", help="with --check: search only, load no model"
    )
    parser.add_argument("--all", action="store_true", help="list everything")
    parser.add_argument(
        "--json", action="store_true", help="print JSON, which always has everything"
    )


def run(options: argparse.Namespace) -> int:
    """Report, exclude or check.

    Raises InputError for what cannot be read and for a wrong choice of arguments.
    """
    from lore.erasure import excluded
    from lore.erasure.target import target_of

    require_matching_arguments(options)
    versions, broken = known_versions()
    records, notes = read_records(versions)
    notes = [*broken, *notes]
    name = options.what or options.source or str(excluded.EXCLUSIONS)
    entries = entries_named(options, records)
    if entries is None or not any(entries.values()):
        print(f"{shown(name)}: nothing that a version here states; lore trace finds ids")
        return excluded.NOTHING
    target = target_of(name, entries, records)
    if options.apply:
        print("\n".join(shown(line) for line in apply(target, options.reason)))
        return 0
    if options.check:
        return print_check(target, records, notes, options)
    return print_locations(target, versions, notes, options)


def require_matching_arguments(options: argparse.Namespace) -> None:
    """Raise InputError if the arguments do not fit together."""
    named = [name for name in (options.what, options.source) if name]
    checks_all = options.check and not named
    if len(named) != 1 and not checks_all:
        raise InputError(
            "name one thing: a fact id, a record id or a subject in quotes, or --source NAME; "
            "lore trace finds ids"
        )
    if options.apply and not (options.reason or "").strip():
        raise InputError(
            "--apply: give a --reason, such as the number of a request; "
            "it is kept in git, so it must name nobody"
        )


def known_versions() -> "tuple[list[Version], list[str]]":
    """Return the files here, HEAD and every release, the newest first, and a note per broken tag."""
    from lore.versions import tags, version

    releases, problems = tags.listed()
    return [version.workspace(), version.revision("HEAD"), *reversed(releases)], problems


def read_records(versions: "Sequence[Version]") -> "tuple[list[VersionRecords], list[str]]":
    """Return the records of each version, and a note for each version that cannot be read.

    Versions that share a table share its rows, so that a long history costs little more time and
    memory than its changes. Raises InputError if none can be read.
    """
    from lore.erasure.target import Row, VersionRecords

    records = []
    notes = []
    known: dict[str, list[Row]] = {}
    for number, version in enumerate(versions):
        progress(f"reading version {number + 1} of {len(versions)}: {version.name}")
        try:
            records.append(VersionRecords.read(version, known))
        except InputError as error:
            # The others can still be searched.
            notes.append(f"{version.label} cannot be searched: {error}")
    progress("")
    if not records:
        raise InputError("no version can be read:\n" + "\n".join(notes))
    return records, notes


def entries_named(
    options: argparse.Namespace, records: "Sequence[VersionRecords]"
) -> "Entries | None":
    """Return the entries that the arguments mean, or None if nothing matches.

    Without a name, these are all entries of the exclusions file.
    """
    from lore.erasure.excluded import excluded_now
    from lore.erasure.target import entries_of

    if options.what:
        return entries_of(options.what, records)
    if not options.source:
        return excluded_now()
    for version in records:
        if any(row["source"] == options.source for row in version.source):
            return {"sources": [options.source]}
    return None


def apply(target: "Target", reason: str) -> list[str]:
    """Write the entries that are not there yet, and return lines that say what comes next.

    Raises ParamsError if the file is broken.
    """
    from lore.erasure import excluded

    with excluded.locked():
        lines = add_entries(target, reason.strip())
    path = excluded.EXCLUSIONS
    if not lines:
        return [f"{path}: all of it is excluded already; dvc repro, then lore forget --check"]
    check = f"lore forget --check {target.entries_option()}".rstrip()
    lines.append(f"next: dvc repro, git commit, then: {check}")
    return lines


def add_entries(target: "Target", reason: str) -> list[str]:
    """Add the entries that are not there yet to the exclusions file, and return a line for each.

    Raises ParamsError if the file is broken.
    """
    from ruamel.yaml.scalarstring import SingleQuotedScalarString as Quoted

    from lore.erasure import excluded
    from lore.versions import yaml_file
    from stages.clean import exclusions

    path = excluded.EXCLUSIONS
    # Read twice: by the rules of `clean`, which find mistakes, then with its comments.
    exclusions.read(path)
    document = yaml_file.read(path)
    lines = []
    for kind, ids in target.entries.items():
        present = {entry["id"] for entry in document[kind]}
        for name in ids:
            if name in present:
                continue
            # Quoted, since an id may look like a number: 12345678e1234567.
            document[kind].append({"id": Quoted(name), "reason": Quoted(reason)})
            lines.append(f"{path}: {kind}: {name} added")
    if lines:
        # An empty list is written as [], and would else grow within one line.
        for kind in exclusions.KINDS:
            document[kind].fa.set_block_style()
        yaml_file.write(path, document)
    return lines


def print_locations(
    target: "Target", versions: "Sequence[Version]", notes: list[str], options: argparse.Namespace
) -> int:
    """Search everything and print what contains the target.

    Raises InputError if an object of the cache is damaged.
    """
    from lore.erasure import forget_sections, locations
    from lore.rendering import report

    all_locations = locations.find(target, versions)
    notes = [*notes, *all_locations.damaged]
    if all_locations.note:
        notes.append(all_locations.note)
    if options.json:
        print_json(forget_sections.as_json(target, all_locations, notes))
        return 0
    sections = forget_sections.sections(all_locations, options.all)
    print(report.text(forget_sections.title(target), notes, sections))
    print("nothing was changed; --apply --reason … excludes it from now on", flush=True)
    return 0


def print_check(
    target: "Target",
    records: "list[VersionRecords]",
    notes: list[str],
    options: argparse.Namespace,
) -> int:
    """Check that the target is forgotten and print the result.

    Raises ModelError if a model that is to be asked is not there.
    """
    from lore.erasure import check
    from lore.rendering import report

    result = check.check(target, records, options.model, ask=not options.no_ask)
    notes = [*notes, *result.problems]
    if options.json:
        print_json(check.as_json(result, notes))
    else:
        sections = check.sections(result, options.all)
        print(report.text(check.title(result), notes, sections))
        print(shown(check.conclusion(result)), flush=True)
    return check.STILL_THERE if result.reasons else 0


def print_json(document: dict[str, Any]) -> None:
    """Print a document as JSON."""
    print(json_text(document), flush=True)
