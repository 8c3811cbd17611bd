"""Take a snapshot of a live database: the rows of a query become a file below data/raw, which git or DVC versions as any source.
Nothing else asks a database, so an old version never sees today's rows. data/raw/snapshots.yaml declares the snapshots
(scenarios/database has one ready to use); the database's URL stands in an environment variable. Example:
`export SHOP_URL='postgresql://…'`, `lore snapshot --dry-run` (what has changed?), `lore snapshot`, then `dvc repro`."""

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stages.core.project.errors import InputError, ParamsError

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
    """Take the snapshots, one database after the other. Raises InputError where a database failed, after the others are done."""
    from lore.snapshot.declaration import declared
    from lore.snapshot.taking import locked, take

    with locked():
        taken, failures = [], []
        for group in by_database(chosen(declared(), options.names)):
            try:
                taken += take(group, options.dry_run)
            except InputError as error:
                failures.append(str(error))
    if options.json:
        print(json.dumps([one.row() for one in taken], ensure_ascii=False, indent=2), flush=True)
    elif taken:
        print("\n".join(report(taken, options.dry_run)), flush=True)
    if failures:
        raise InputError("\n".join(failures))
    return 0


def chosen(snapshots: "list[Snapshot]", names: list[str]) -> "list[Snapshot]":
    """Those of the names, in the order of the file. Raises ParamsError for names that are not declared."""
    import difflib

    known = [one.name for one in snapshots]
    if unknown := [name for name in names if name not in known]:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"declared are {', '.join(known)}"
        raise ParamsError(f"{', '.join(unknown)}: no snapshot in data/raw/snapshots.yaml; {hint}")
    return [one for one in snapshots if not names or one.name in names]


def by_database(snapshots: "list[Snapshot]") -> "list[list[Snapshot]]":
    """The snapshots of each environment variable."""
    groups: dict[str, list[Snapshot]] = {}
    for one in snapshots:
        groups.setdefault(one.url_env, []).append(one)
    return list(groups.values())


def report(taken: "list[Taken]", dry_run: bool) -> Iterator[str]:
    """What was read and what has changed, and the next step."""
    for one in taken:
        changes, snapshot = one.changes, one.snapshot
        yield f"{snapshot.name}: {one.rows:,} rows of {one.server} → {snapshot.path}"
        yield from (f"  ! {note}" for note in one.notes)
        yield (
            f"  changed {changes.changed:,}, new {changes.new:,}, deleted {changes.deleted:,}, same {changes.same:,}"
            if one.former and changes.compared
            else f"  new {one.rows:,}"
        )
        if one.former and changes.compared:
            yield from (
                f"  {kind}: {', '.join(keys)}{more(one, kind)}"
                for kind, keys in changes.keys.items()
                if keys
            )
    if dry_run:
        yield "dry run: nothing was written"
    elif any(one.differs for one in taken):
        unread = [str(one.snapshot.path) for one in taken if not is_source(one.snapshot)]
        if unread:
            yield f"next: make {', '.join(unread)} a source in params.yaml and dvc.yaml (lore overlay; scenarios/database)"
        yield f"next: git diff --stat; dvc repro{' extract' if unread else ''}; git add -A; git commit"
    else:
        yield "nothing has changed"


def more(one: "Taken", kind: str) -> str:
    """How many keys of a kind are not shown."""
    hidden = getattr(one.changes, kind) - len(one.changes.keys[kind])
    return f" and {hidden:,} more" if hidden else ""


def is_source(snapshot: "Snapshot") -> bool:
    """Whether a source of params.yaml reads the snapshot's file."""
    from pathlib import Path

    from lore.snapshot.declaration import RAW
    from stages.core.project.params import read_yaml

    section: Any = read_yaml(Path("params.yaml")).get("extract") or {}
    return any(snapshot.path in RAW.glob(source["path"]) for source in section.get("sources", []))
