"""Merge dvc.lock as a whole: of every stage, the entry of either side that holds in the merged project is kept, and what must
run again is named with the seconds that it took. Install it once in each clone: `lore merge-driver --install`; from then on
`git merge`, `git rebase` and `git cherry-pick` call it. `lore merge-driver --dry-run main my-branch` shows what a merge of
my-branch into main would keep, and changes nothing. After a merge: `dvc checkout --allow-missing`, then
`dvc repro`. Exit code 0 where a dvc.lock was made, 1 for an error: git then reports a conflict, and our dvc.lock stays."""

import argparse
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.merging.dvc_lock import Merged

DRIVER = "dvclock"
ATTRIBUTE = f"dvc.lock merge={DRIVER}"
SCHEMA = "2.0"
RESTORE = "restore it from an earlier commit, then dvc repro"
SIDES = ("the common ancestor", "ours", "theirs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore merge-driver`."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="as git calls it: base, ours (overwritten), theirs and perhaps the file's path; with --dry-run: two revisions",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--install",
        action="store_true",
        help="have git call it: writes .git/config and .gitattributes",
    )
    what.add_argument(
        "--dry-run",
        action="store_true",
        help="show what a merge of the revisions A and B would keep",
    )


def run(options: argparse.Namespace) -> int:
    """Install, show or merge. Raises InputError where a file or revision cannot be used."""
    if options.install and not options.files:
        print("\n".join(install()))
    elif options.dry_run and len(options.files) == 2:
        print("\n".join(foretell(*options.files)))
    elif not (options.install or options.dry_run) and len(options.files) in (3, 4):
        base, ours, theirs = map(Path, options.files[:3])
        print("\n".join(merge_files(base, ours, theirs, Path(*options.files[3:] or ["dvc.lock"]))))
    else:
        print(
            "usage: lore merge-driver --install, or --dry-run A B, or BASE OURS THEIRS [PATH] as git calls it "
            "(lore merge-driver --help)",
            file=sys.stderr,
        )
        return 2
    return 0


def install() -> list[str]:
    """Write what is missing of git's configuration, and say what was done. Raises InputError where there is no repository."""
    from lore.versions.version import git

    top = git("rev-parse", "--show-toplevel")
    if top is None:
        raise InputError("no git repository here; run from the project's root folder")
    settings = {
        f"merge.{DRIVER}.name": "keep the entries of dvc.lock that hold in the merged project",
        f"merge.{DRIVER}.driver": f"{shlex.quote(sys.executable)} -m lore merge-driver %O %A %B %P",
    }
    done = []
    for key, value in settings.items():
        if (git("config", "--local", "--get", key) or b"").decode().rstrip("\n") != value:
            configure(key, value)
            done.append(f".git/config: set {key} = {value}")
    attributes = Path(top.decode().rstrip("\n")) / ".gitattributes"
    lines = attributes.read_text(encoding="utf-8").splitlines() if attributes.is_file() else []
    if ATTRIBUTE not in [" ".join(line.split()) for line in lines]:
        attributes.write_text("\n".join([*lines, ATTRIBUTE]) + "\n", encoding="utf-8")
        done.append(
            f".gitattributes: added {ATTRIBUTE}; commit it, so that other clones have it too"
        )
    return done or ["installed already: nothing to do"]


def configure(key: str, value: str) -> None:
    """Set one value in .git/config. Raises InputError where git cannot."""
    try:
        subprocess.run(
            ["git", "config", "--local", key, value], capture_output=True, check=True, text=True
        )
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        raise InputError(
            f"git config {key}: {reason}; make .git/config writable, then run lore merge-driver --install"
        ) from None


def merge_files(base: Path, ours: Path, theirs: Path, path: Path) -> list[str]:
    """Merge three files into `ours`, and say what must run again; `path` is where the result belongs.

    Raises InputError where one is no dvc.lock; `ours` then stays as it is.
    """
    from lore.merging.dvc_lock import merge, three_way
    from stages.core.project.output import replacing

    documents = [
        document(text_of(file, f"{path} of {side}"), f"{path} of {side}")
        for file, side in zip((base, ours, theirs), SIDES, strict=True)
    ]
    found = merge(*(each.get("stages") or {} for each in documents))
    others = [
        {key: value for key, value in each.items() if key not in ("schema", "stages")}
        for each in documents
    ]
    rest = three_way(*others)
    if not isinstance(rest, dict):
        keys = ", ".join(sorted({*others[1], *others[2]}))
        raise InputError(
            f"{path}: both sides changed {keys}; git checkout --ours {path}, then dvc update and dvc repro"
        )
    merged = {"schema": SCHEMA, "stages": found.kept} | rest
    if merged != documents[1]:
        with replacing(ours) as temporary:
            temporary.write_text(as_yaml(merged), encoding="utf-8")
    return report(found, path.parent)


def text_of(file: Path, what: str) -> str:
    """A file's text. Raises InputError where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{what} ({file}) cannot be read: {error}; git checkout it from a commit that has it whole"
        ) from None


def document(text: str, what: str) -> dict[str, Any]:
    """A dvc.lock parsed; empty text has no stages. Raises InputError for conflict markers and for what is no dvc.lock."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from lore.versions.version import CONFLICT

    if mark := CONFLICT.search(text):
        line = text.count("\n", 0, mark.start()) + 1
        raise InputError(
            f"{what}, line {line}: conflict markers of an earlier merge were committed; on that side take one version of "
            "dvc.lock (git checkout COMMIT -- dvc.lock), dvc repro, commit, then merge again"
        )
    try:
        found = YAML(typ="safe").load(text)
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{what}: not readable as YAML: {reason}; {RESTORE}") from None
    found = {"schema": SCHEMA} if found is None else found
    stages = (
        (found.get("stages") or {})
        if isinstance(found, dict) and found.get("schema") == SCHEMA
        else None
    )
    if not isinstance(stages, dict) or not all(
        isinstance(entry, dict) for entry in stages.values()
    ):
        raise InputError(f"{what}: not a dvc.lock of schema {SCHEMA}; {RESTORE}")
    return found


def as_yaml(merged: dict[str, Any]) -> str:
    """A dvc.lock as DVC writes it."""
    from ruamel.yaml import YAML

    writer, stream = YAML(), io.StringIO()
    writer.default_flow_style = False
    writer.dump(merged, stream)
    return stream.getvalue()


def foretell(a: str, b: str) -> list[str]:
    """What a merge of the revision `b` into `a` would keep and drop. Raises InputError where one cannot be read."""
    from lore.merging.dvc_lock import merge
    from lore.versions import version

    sides = [version.revision(a), version.revision(b)]
    ancestor = version.git("merge-base", *(str(side.commit) for side in sides))
    base = version.revision(ancestor.decode().strip()).text(version.LOCK) if ancestor else None
    locks = [base or "", *(side.text(version.LOCK) or "" for side in sides)]
    names = (SIDES[0], *(side.label for side in sides))
    parsed = [
        document(text, f"dvc.lock of {name}").get("stages") or {}
        for text, name in zip(locks, names, strict=True)
    ]
    found = merge(*parsed)
    lines = [f"{sides[1].label} into {sides[0].label}"]
    for name in dict.fromkeys([*found.kept, *found.dropped]):
        lines.append(f"  {name:<12} {origin(name, found, parsed)}")
    return [*lines, *report(found, Path())]


def origin(name: str, found: "Merged", sides: list[dict[str, Any]]) -> str:
    """On which side the kept entry of a stage stands, in words."""
    from lore.merging.dvc_lock import Entry

    if name not in found.kept:
        return "runs again"
    kept = Entry.of(found.kept[name])

    def has(side: dict[str, Any]) -> bool:
        entry = Entry.of(side.get(name, {}))
        pairs = (
            (kept.inputs, entry.inputs),
            (kept.settings, entry.settings),
            (kept.outputs, entry.outputs),
        )
        return all(some.items() <= others.items() for some, others in pairs)

    _, ours, theirs = map(has, sides)
    return (
        "kept, of both"
        if ours and theirs
        else "kept, of A"
        if ours
        else "kept, of B"
        if theirs
        else "kept, of their ancestor"
    )


def report(found: "Merged", root: Path) -> list[str]:
    """How many stages must run again, and what they took when they last ran in this folder."""
    total = len(found.kept) + len(found.dropped)
    if not found.dropped:
        return [f"dvc.lock: all {total} stages hold; dvc checkout brings their outputs"]
    timing = timings(root / "metrics/timing.json")
    named = ", ".join(
        f"{name} {timing[name]:.0f} s" if name in timing else name for name in found.dropped
    )
    return [
        f"dvc.lock: {len(found.dropped)} of {total} stages must run again: {named}",
        "the outputs of the others come with dvc checkout --allow-missing; then dvc repro, which ends conflicts in metrics too",
    ]


def timings(path: Path) -> dict[str, float]:
    """Stage → seconds of its last run here, as far as they were recorded: a price, so what cannot be read is left out."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: float(entry["seconds"]) for name, entry in found.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
