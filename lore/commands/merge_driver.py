"""Merge dvc.lock stage by stage: keep the entry of either side that holds in the merged project.

It names what must run again, with the seconds that it took. Install it once in each clone:
`lore merge-driver --install`. From then on `git merge`, `git rebase` and `git cherry-pick` call it.
Example: `lore merge-driver --dry-run main my-branch` shows which entries a merge of my-branch into
main would keep, and changes nothing. After a merge: `dvc checkout --allow-missing`, then `dvc repro`.
Exit code 0 where a dvc.lock was made, 1 for an error. Git then reports a conflict, and our dvc.lock stays.
"""

import argparse
import io
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lore.planning.timing import seconds
from lore.rendering.terminal import shown_lines
from stages.core.project import git
from stages.core.project.artifacts import LOCK_FILE, TIMING
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
        help="as git calls it: base, ours (overwritten), theirs and perhaps the file's path; "
        "with --dry-run: two revisions",
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
    files = options.files
    as_git_calls_it = not options.install and not options.dry_run
    if options.install and not files:
        printed = install()
    elif options.dry_run and len(files) == 2:
        printed = preview(files[0], files[1])
    elif as_git_calls_it and len(files) in (3, 4):
        path = files[3] if len(files) == 4 else LOCK_FILE
        printed = merge_files(Path(files[0]), Path(files[1]), Path(files[2]), Path(path))
    else:
        print(
            "usage: lore merge-driver --install, or --dry-run A B, or BASE OURS THEIRS [PATH] "
            "as git calls it (lore merge-driver --help)",
            file=sys.stderr,
        )
        return 2
    print(shown_lines("\n".join(printed)))
    return 0


def install() -> list[str]:
    """Write the missing parts of git's configuration, and return what was done.

    Raises InputError where there is no repository, or where .git/config cannot be written.
    """
    top = git.read_text("rev-parse", "--show-toplevel")
    if top is None:
        raise InputError("no git repository here; run from the project's root folder")
    python = shlex.quote(sys.executable)
    settings = {
        f"merge.{DRIVER}.name": "keep the entries of dvc.lock that hold in the merged project",
        f"merge.{DRIVER}.driver": f"{python} -m lore merge-driver %O %A %B %P",
    }
    done = []
    for key, value in settings.items():
        if git.read_text("config", "--local", "--get", key) != value:
            git.call(
                "config",
                "--local",
                key,
                value,
                remedy="make .git/config writable, then run lore merge-driver --install",
            )
            done.append(f".git/config: set {key} = {value}")

    attributes = Path(top) / ".gitattributes"
    lines = []
    if attributes.is_file():
        lines = attributes.read_text(encoding="utf-8").splitlines()
    # Git takes any number of blanks between the words of a line.
    known = [" ".join(line.split()) for line in lines]
    if ATTRIBUTE not in known:
        attributes.write_text("\n".join([*lines, ATTRIBUTE]) + "\n", encoding="utf-8")
        done.append(
            f".gitattributes: added {ATTRIBUTE}; commit it, so that other clones have it too"
        )
    return done or ["installed already: nothing to do"]


def merge_files(base: Path, ours: Path, theirs: Path, path: Path) -> list[str]:
    """Merge three files into `ours`, and return a report of the stages that must run again.

    `path` is where the result belongs. Raises InputError where a file is no dvc.lock. `ours` then
    stays as it is.
    """
    from lore.merging.dvc_lock import merge, three_way
    from stages.core.project.output import replacing

    documents = []
    for file, side in zip((base, ours, theirs), SIDES, strict=True):
        what = f"{path} of {side}"
        documents.append(document(text_of(file, what), what))
    stages = [each.get("stages") or {} for each in documents]
    merged = merge(*stages)

    # A dvc.lock may hold more than stages, such as data sets that dvc.yaml declares.
    others = []
    for each in documents:
        others.append({key: each[key] for key in each if key not in ("schema", "stages")})
    rest = three_way(*others)
    if not isinstance(rest, dict):
        keys = ", ".join(sorted({*others[1], *others[2]}))
        raise InputError(
            f"{path}: both sides changed {keys}; git checkout --ours {path}, "
            "then dvc update and dvc repro"
        )

    result = {"schema": SCHEMA, "stages": merged.kept} | rest
    if result != documents[1]:
        with replacing(ours) as temporary:
            temporary.write_text(as_yaml(result), encoding="utf-8")
    return report(merged, path.parent)


def text_of(file: Path, what: str) -> str:
    """Return a file's text. Raises InputError where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{what} ({file}) cannot be read: {error}; "
            "git checkout it from a commit that has it whole"
        ) from None


def document(text: str, what: str) -> dict[str, Any]:
    """Parse a dvc.lock. Empty text has no stages.

    Raises InputError for conflict markers, and for text that is no dvc.lock.
    """
    from ruamel.yaml import YAML

    from lore.versions.version import CONFLICT
    from stages.core.project.params import NO_YAML

    marker = CONFLICT.search(text)
    if marker:
        line = text.count("\n", 0, marker.start()) + 1
        raise InputError(
            f"{what}, line {line}: conflict markers of an earlier merge were committed; on that "
            "side take one version of dvc.lock (git checkout COMMIT -- dvc.lock), dvc repro, "
            "commit, then merge again"
        )
    try:
        parsed = YAML(typ="safe").load(text)
    except RecursionError:
        raise InputError(f"{what}: nested too deep to be a dvc.lock; {RESTORE}") from None
    except NO_YAML as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{what}: not readable as YAML: {reason}; {RESTORE}") from None
    if parsed is None:
        return {"schema": SCHEMA}
    if not is_lock(parsed):
        raise InputError(f"{what}: not a dvc.lock of schema {SCHEMA}; {RESTORE}")
    lock: dict[str, Any] = parsed
    return lock


def is_lock(parsed: Any) -> bool:
    """Whether a parsed file is a dvc.lock of the schema that is known here."""
    if not isinstance(parsed, dict) or parsed.get("schema") != SCHEMA:
        return False
    stages = parsed.get("stages") or {}
    if not isinstance(stages, dict):
        return False
    return all(isinstance(name, str) and is_entry(entry) for name, entry in stages.items())


def is_entry(entry: Any) -> bool:
    """Whether a stage's entry has the form that DVC writes: a command, lists of files, settings by file."""
    if not isinstance(entry, dict):
        return False
    for files in (entry.get("deps"), entry.get("outs")):
        if files is None:
            continue
        if not isinstance(files, list):
            return False
        for file in files:
            if not isinstance(file, dict) or not isinstance(file.get("path"), str):
                return False
    params = entry.get("params")
    if params is None:
        return True
    if not isinstance(params, dict):
        return False
    return all(
        isinstance(name, str) and isinstance(values, dict) for name, values in params.items()
    )


def as_yaml(lock: dict[str, Any]) -> str:
    """Return a dvc.lock as DVC writes it."""
    from ruamel.yaml import YAML

    writer = YAML()
    writer.default_flow_style = False
    stream = io.StringIO()
    writer.dump(lock, stream)
    return stream.getvalue()


def preview(a: str, b: str) -> list[str]:
    """Return a report of the entries that a merge of revision `b` into `a` would keep and drop.

    Raises InputError where a revision cannot be read.
    """
    from lore.merging.dvc_lock import merge
    from lore.versions import version

    ours = version.revision(a)
    theirs = version.revision(b)
    ancestor = git.read_text("merge-base", str(ours.commit), str(theirs.commit))
    if ancestor is None and git.is_shallow():
        # Without the ancestor every entry would seem to be changed on both sides.
        version.merge_base(ours, theirs)
    base = version.revision(ancestor).text(LOCK_FILE) if ancestor else None
    locks = [
        (SIDES[0], base),
        (ours.label, ours.text(LOCK_FILE)),
        (theirs.label, theirs.text(LOCK_FILE)),
    ]
    sides = []
    for name, text in locks:
        lock = document(text or "", f"dvc.lock of {name}")
        sides.append(lock.get("stages") or {})
    merged = merge(*sides)
    printed = [f"{theirs.label} into {ours.label}"]
    for stage in dict.fromkeys([*merged.kept, *merged.dropped]):
        printed.append(f"  {stage:<12} {origin(stage, merged, sides)}")
    return [*printed, *report(merged, Path())]


def origin(stage: str, merged: "Merged", sides: list[dict[str, Any]]) -> str:
    """Say which side the kept entry of a stage comes from. `sides` are base, ours and theirs."""
    if stage not in merged.kept:
        return "runs again"
    _, ours, theirs = [has(side, stage, merged.kept[stage]) for side in sides]
    if ours and theirs:
        return "kept, of both"
    if ours:
        return "kept, of A"
    if theirs:
        return "kept, of B"
    return "kept, of their ancestor"


def has(side: dict[str, Any], stage: str, row: Mapping[str, Any]) -> bool:
    """Whether a side recorded all inputs, settings and outputs of an entry."""
    from lore.merging.dvc_lock import Entry

    kept = Entry.of(row)
    recorded = Entry.of(side.get(stage, {}))
    return (
        kept.inputs.items() <= recorded.inputs.items()
        and kept.settings.items() <= recorded.settings.items()
        and kept.outputs.items() <= recorded.outputs.items()
    )


def report(merged: "Merged", root: Path) -> list[str]:
    """Return which stages must run again, with the seconds of their last run in `root`."""
    total = len(merged.kept) + len(merged.dropped)
    if not total:
        return ["dvc.lock: neither side has a stage in it, so nothing is kept; dvc repro makes it"]
    if not merged.dropped:
        return [f"dvc.lock: all {total} stages hold; dvc checkout brings their outputs"]
    known = seconds(root / TIMING)
    named = []
    for stage in merged.dropped:
        named.append(f"{stage} {known[stage]:.0f} s" if stage in known else stage)
    number = len(merged.dropped)
    return [
        f"dvc.lock: {number} of {total} stages must run again: {', '.join(named)}",
        "the outputs of the others come with dvc checkout --allow-missing; "
        "then dvc repro, which ends conflicts in metrics too",
    ]
