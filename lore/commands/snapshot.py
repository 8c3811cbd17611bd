"""Take a snapshot of a live database: the rows of a query become a file below data/raw.

Git or DVC versions the file as any other source. Nothing else asks a database, so an old version never
sees today's rows. data/raw/snapshots.yaml declares the snapshots (scenarios/database has one ready to
use). The database's URL is in an environment variable. Example:
`export SHOP_URL='postgresql://…'`, `lore snapshot --dry-run` (what has changed?), `lore snapshot`,
then `dvc repro`.
"""

import argparse
import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.project.artifacts import PARAMS, SNAPSHOT_DECLARATION
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import read_yaml

if TYPE_CHECKING:
    from lore.snapshot.declaration import Snapshot
    from lore.snapshot.taking import Taken


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore snapshot`."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="snapshots to take; all where none is named"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="read everything and say what has changed; write nothing",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = (
        "Snapshots of one database are read in one transaction and renewed together or not at all. "
        "Undo: git checkout data/raw data/snapshots."
    )


def run(options: argparse.Namespace) -> int:
    """Take the snapshots, one database after the other.

    Raises InputError where a database failed, after the others are done.
    """
    from lore.snapshot import placing
    from lore.snapshot.declaration import declared
    from lore.snapshot.taking import locked, take

    taken = []
    failures = []
    with locked():
        finished = [] if options.dry_run else placing.finish()
        if finished and not options.json:
            print(f"an earlier call was cut off, now complete: {', '.join(finished)}", flush=True)
        snapshots = chosen(declared(), options.names)
        for group in by_database(snapshots):
            try:
                taken += take(group, options.dry_run)
            except InputError as error:
                failures.append(str(error))
    if options.json:
        rows = [one.row() for one in taken]
        print(json.dumps(rows, ensure_ascii=False, indent=2), flush=True)
    elif taken:
        print("\n".join(report(taken, options.dry_run)), flush=True)
    if failures:
        raise InputError("\n".join(failures))
    return 0


def chosen(snapshots: "list[Snapshot]", names: list[str]) -> "list[Snapshot]":
    """Return the snapshots of these names, in the order of the file. Without names: all.

    Raises ParamsError for names that are not declared.
    """
    if not names:
        return snapshots
    known = [one.name for one in snapshots]
    unknown = [name for name in names if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"declared are {', '.join(known)}"
        raise ParamsError(f"{', '.join(unknown)}: no snapshot in {SNAPSHOT_DECLARATION}; {hint}")
    return [one for one in snapshots if one.name in names]


def by_database(snapshots: "list[Snapshot]") -> "list[list[Snapshot]]":
    """Return the snapshots in groups, one for each environment variable."""
    groups: dict[str, list[Snapshot]] = {}
    for one in snapshots:
        groups.setdefault(one.url_env, []).append(one)
    return list(groups.values())


def report(taken: "list[Taken]", dry_run: bool) -> Iterator[str]:
    """Yield the lines of the report: rows, differences from the former snapshot, the next step."""
    for one in taken:
        yield f"{one.snapshot.name}: {one.rows:,} rows of {one.server} → {one.snapshot.path}"
        for note in one.notes:
            yield f"  ! {note}"
        yield from changes_of(one)
    if dry_run:
        yield "dry run: nothing was written"
        return
    if not any(one.differs for one in taken):
        yield "nothing has changed"
        return
    unread = [str(one.snapshot.path) for one in taken if not is_source(one.snapshot)]
    command = "dvc repro"
    if unread:
        yield (
            f"next: make {', '.join(unread)} a source in params.yaml and dvc.yaml "
            "(lore overlay; scenarios/database)"
        )
        command = "dvc repro extract"
    yield f"next: git diff --stat; {command}; git add -A; git commit"


def changes_of(one: "Taken") -> Iterator[str]:
    """Yield how a snapshot differs from the former one: numbers, and the first keys of each kind."""
    changes = one.changes
    if not one.former or not changes.compared:
        yield f"  new {one.rows:,}"
        return
    yield (
        f"  changed {changes.changed:,}, new {changes.new:,}, deleted {changes.deleted:,}, "
        f"same {changes.same:,}"
    )
    totals = {"changed": changes.changed, "new": changes.new, "deleted": changes.deleted}
    for kind, total in totals.items():
        keys = changes.keys[kind]
        if not keys:
            continue
        hidden = total - len(keys)
        more = f" and {hidden:,} more" if hidden else ""
        yield f"  {kind}: {', '.join(keys)}{more}"


def is_source(snapshot: "Snapshot") -> bool:
    """Whether a source of params.yaml reads the snapshot's file."""
    from lore.snapshot.declaration import RAW

    section: Any = read_yaml(Path(PARAMS)).get("extract") or {}
    sources = section.get("sources", [])
    return any(snapshot.path in RAW.glob(source["path"]) for source in sources)
