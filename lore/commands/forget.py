"""Forget a fact, a record, all about a subject, or a source. Without --apply it only reports: where the raw data states it, and
which versions, outputs, objects of DVC's cache, MLflow models and runs hold it. With --apply and a --reason its ids go into
data/raw/exclusions.yaml, under which `clean` sets it aside for good; then dvc repro. With --check it searches what was made
since, and asks the model, beside names it never saw; without WHAT, for all that is excluded. What must be deleted by hand is
shown as commands and never done. Example: `lore forget 9076763205dc2ba9`, then with `--apply --reason "request 7"`, dvc repro,
`lore forget --check`. Exit code 0; 3 where nothing matches, or where --check finds it; 1 for an error."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.erasure.target import Entries, Rows, Target

EXCLUSIONS = Path("data/raw/exclusions.yaml")
NOTHING = STILL_HELD = 3
VARIANTS = ("train", "distill", "quantize", "quantize_train")


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
    act = parser.add_mutually_exclusive_group()
    act.add_argument(
        "--apply", action="store_true", help="write the exclusion; without it nothing is changed"
    )
    act.add_argument(
        "--check",
        action="store_true",
        help="after dvc repro: prove that no output holds it, and ask the model",
    )
    parser.add_argument(
        "--reason", help="why, with --apply; it is kept in git, so it must name nobody"
    )
    parser.add_argument(
        "--model",
        choices=VARIANTS,
        default="train",
        help="which model --check asks; default: train",
    )
    parser.add_argument(
        "--no-ask", action="store_true", help="with --check: search only, load no model"
    )
    parser.add_argument("--all", action="store_true", help="list everything")
    parser.add_argument(
        "--json", action="store_true", help="print JSON; it always holds everything"
    )


def run(options: argparse.Namespace) -> int:
    """Report, exclude or check. Raises InputError for what cannot be read and for a wrong choice of arguments."""
    from lore.erasure.target import target_of

    demand_sense(options)
    tables, notes = read_all()
    entries = (
        excluded_now()
        if options.check and not (options.what or options.source)
        else named(options, tables)
    )
    if entries is None or not any(entries.values()):
        print(
            f"{options.what or options.source or EXCLUSIONS}: nothing that a version here states; lore trace finds ids"
        )
        return NOTHING
    target = target_of(options.what or options.source or str(EXCLUSIONS), entries, tables)
    if options.apply:
        print("\n".join(apply(target, options.reason)))
        return 0
    if options.check:
        from lore.erasure import check

        return check.check(target, tables, notes, options)
    from lore.erasure import forget_sections

    return forget_sections.show(target, notes, options)


def demand_sense(options: argparse.Namespace) -> None:
    """Raise InputError where the arguments do not fit together."""
    if bool(options.what) + bool(options.source) != 1 and not (
        options.check and not options.what and not options.source
    ):
        raise InputError(
            "name one thing: a fact id, a record id or a subject in quotes, or --source NAME; lore trace finds ids"
        )
    if options.apply and not (options.reason or "").strip():
        raise InputError(
            "--apply: give a --reason, such as the number of a request; it is kept in git, so it must name nobody"
        )


def read_all() -> "tuple[list[Rows], list[str]]":
    """The records here, at HEAD and in every knowledge version, newest first; a note for each version that cannot be read."""
    from lore.commands import versions
    from lore.erasure.target import Rows
    from lore.versions import version

    tables, notes = [], []
    for found in [version.workspace(), version.revision("HEAD"), *reversed(versions.tagged())]:
        try:
            tables.append(Rows.read(found))
        except InputError as error:
            notes.append(f"{found.label} cannot be searched: {error}")
    if not tables:
        raise InputError("no version can be read:\n" + "\n".join(notes))
    return tables, notes


def named(options: argparse.Namespace, tables: "Sequence[Rows]") -> "Entries | None":
    """The entries that the arguments mean, or None."""
    from lore.erasure.target import entries_of

    if not options.source:
        return entries_of(options.what, tables)
    known = {row["source"] for rows in tables for row in rows.stated}
    return {"sources": [options.source]} if options.source in known else None


def excluded_now() -> "Entries":
    """All that the exclusions file names."""
    from stages.clean import exclusions

    listed = exclusions.read(EXCLUSIONS)
    return {kind: [entry.id for entry in getattr(listed, kind)] for kind in exclusions.KINDS}


def apply(target: "Target", reason: str) -> list[str]:
    """Write the entries that are not there yet, and say what comes next. Raises ParamsError where the file is broken."""
    from ruamel.yaml.scalarstring import SingleQuotedScalarString as Quoted

    from lore.commands import overlay
    from stages.clean import exclusions

    exclusions.read(EXCLUSIONS)
    document = overlay.read(EXCLUSIONS)
    lines = []
    for kind, ids in target.entries.items():
        there = {entry["id"] for entry in document[kind]}
        for name in ids:
            if name not in there:
                document[kind].append(
                    {"id": Quoted(name), "reason": Quoted(reason.strip())}
                )  # an id may look like a number
                lines.append(f"{EXCLUSIONS}: {kind}: {name} added")
    if not lines:
        return [f"{EXCLUSIONS}: all of it is excluded already; dvc repro, then lore forget --check"]
    for kind in exclusions.KINDS:
        document[kind].fa.set_block_style()
    overlay.write(EXCLUSIONS, document)
    return [
        *lines,
        f"next: dvc repro, git commit, then: lore forget --check {target.entries_option()}".rstrip(),
    ]
