"""Take in what is new: the records and the index at once, the weights where it is worth it.

1. `dvc repro index` reads the sources, cleans the records and writes the index. From here on
   `lore ask --retrieve` answers with the new facts.
2. The facts are compared with those that the present model was trained on.
3. Where enough of them differ (--least-facts), `dvc repro` trains, evaluates and judges the gates. With
   --continue the adapter of the committed version goes on learning; else it is trained anew from the base.

Nothing is released: `lore release` does that. Every step is a stage of DVC, so a killed update is continued by the
same command. With --watch it waits for changes in data/raw and starts again. It then keeps the libraries and the
encoder loaded, so that a changed record is in the index after few seconds. Example: `lore update --least-facts 10`.
Exit code 0, 1 where a stage or a gate fails.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, get_args

from lore.rendering.terminal import shown
from lore.updating.rules import When, decide
from lore.updating.warm import Warm, is_possible
from stages.core.project import artifacts
from stages.core.project.errors import InputError, LorekeepError

if TYPE_CHECKING:
    from lore.updating.changes import Changes
    from lore.versions.dvc_private import Runner

LISTED = 8
"""Facts of each kind that are listed."""
LEAST_FACTS = 1
QUIET = 0.2
"""Seconds without a further change before an update begins. A file that is written for longer is read again."""
LEAST_WAIT = 0.1
"""Shortest time in seconds between two looks."""
Snapshot = Mapping[Path, tuple[int, int]]
"""File → its size in bytes and its time of change in nanoseconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore update`."""
    parser.add_argument(
        "--train", choices=get_args(When), default="auto",
        help="auto: train where enough facts differ; always; never. Default: auto",
    )  # fmt: skip
    parser.add_argument(
        "--least-facts", type=positive, default=LEAST_FACTS, metavar="N",
        help=f"with auto: train where at least so many facts differ. Default: {LEAST_FACTS}",
    )  # fmt: skip
    parser.add_argument(
        "--continue", dest="go_on", action="store_true",
        help="go on from the adapter of HEAD (train.continue_from), which is faster than training anew",
    )  # fmt: skip
    parser.add_argument(
        "--watch", type=seconds, metavar="SECONDS",
        help=f"look at {artifacts.RAW} every so many seconds, and update when a file changed",
    )  # fmt: skip


def positive(text: str) -> int:
    """Return a whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small; write 1 or more")
    return value


def seconds(text: str) -> float:
    """Return a number of seconds that is not too small."""
    value = float(text)
    if not value >= LEAST_WAIT:
        raise argparse.ArgumentTypeError(f"{text} is too small; write {LEAST_WAIT} or more")
    return value


def run(options: argparse.Namespace) -> int:
    """Update once, or again and again with --watch.

    Raises InputError where the cache lacks the trained facts, or --continue has no version to go on from.
    """
    if not options.watch:
        return update(options, repro)
    warm = Warm() if is_possible() else None
    while True:
        before = snapshot(Path(artifacts.RAW))
        if warm is None:
            code = reported(options, repro)
        else:
            code = warm.call(partial(update_in_child, options))
            # While nothing waits for an answer, what the stages needed is loaded for the next time.
            warm.load()
        result = "done" if code == 0 else "failed; what was served before stays"
        print(f"update {result}; waiting for changes in {artifacts.RAW}", flush=True)
        wait_for_change(Path(artifacts.RAW), before, options.watch)
        if warm is not None and not warm.is_current():
            print("code or settings changed; starting again", flush=True)
            start_again(options)


def reported(options: argparse.Namespace, bring_in: Callable[[str], bool]) -> int:
    """Update, and print an error of the data: the next change may mend it."""
    try:
        return update(options, bring_in)
    except LorekeepError as error:
        print(f"{type(error).__name__}: {shown(str(error))}", file=sys.stderr)
        return 1


def update_in_child(options: argparse.Namespace, runner: "Runner") -> int:
    """Update in a forked process, where `runner` runs the stages up to the index."""
    from lore.versions import dvc_private

    def bring_in(stage: str) -> bool:
        return dvc_private.repro([stage], runner) == 0

    return reported(options, bring_in)


def start_again(options: argparse.Namespace) -> NoReturn:
    """Replace this process by a new one of the same command, in the project's root."""
    command = [sys.executable, "-m", "lore", "update", "--watch", str(options.watch)]
    command += ["--train", options.train, "--least-facts", str(options.least_facts)]
    if options.go_on:
        command.append("--continue")
    os.execv(sys.executable, command)  # noqa: S606  its own command, without a shell


def update(options: argparse.Namespace, bring_in: Callable[[str], bool]) -> int:
    """Bring records and index up to date by `bring_in`, then perhaps the weights."""
    from lore.updating import changes

    # Asked first: what the model holds must not depend on what runs below.
    trained = changes.trained_facts() if options.train == "auto" else {}
    if options.go_on:
        continued = commit_to_continue()
    if not bring_in(stage_of_index()):
        return 1
    if options.train == "auto":
        differ = changes.compare(trained, changes.known_facts())
        print_changes(differ)
    else:
        differ = changes.Changes()
    decision = decide(differ, options.train, options.least_facts)
    if not decision.train:
        print(f"not trained: {decision.why}")
        return 0

    print(f"training: {decision.why}", flush=True)
    if options.go_on:
        set_continue_from(continued)
    if not repro():
        print(
            "the new model was not registered; the released version stays as it is. "
            "lore diff HEAD shows what differs",
            file=sys.stderr,
        )
        return 1
    print(
        "trained, evaluated and registered; lore diff HEAD compares, then git commit and lore release"
    )
    return 0


def stage_of_index() -> str:
    """Return the stage up to which records are brought up to date: `index`, or `clean` without one."""
    from lore.versions.version import workspace

    pipeline = workspace().document(artifacts.PIPELINE) or {}
    return "index" if "index" in pipeline.get("stages", {}) else "clean"


def repro(*stages: str) -> bool:
    """Run `dvc repro`, and return whether it succeeded. Its output goes to the terminal."""
    command = [sys.executable, "-m", "dvc", "repro", *stages]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode == 0


def commit_to_continue() -> str:
    """Return the commit whose adapter goes on learning: HEAD.

    Raises InputError where the adapter of HEAD is not the one that lies here.
    """
    from lore.versions.version import revision, workspace

    head = revision("HEAD")
    if artifacts.TRAIN not in head.outs:
        raise InputError(
            "--continue: HEAD holds no trained model; run dvc repro and commit it, or leave "
            "--continue out"
        )
    if workspace().outs.get(artifacts.TRAIN) != head.outs[artifacts.TRAIN]:
        raise InputError(
            "--continue: dvc.lock names another adapter than HEAD; commit it first, so that a "
            "version holds it"
        )
    return str(head.commit)


def set_continue_from(commit: str) -> None:
    """Write train.continue_from into params.yaml, whose comments stay."""
    from lore.versions import yaml_file

    path = Path(artifacts.PARAMS)
    document = yaml_file.read(path)
    document["train"]["continue_from"] = commit
    yaml_file.write(path, document)
    print(f"train.continue_from: {commit}")


def print_changes(changes: "Changes") -> None:
    """Print how many facts differ from the trained ones, and the first of each kind."""
    print(
        f"facts since the model was trained: {len(changes.added):,} added, "
        f"{len(changes.changed):,} changed, {len(changes.removed):,} removed; {changes.same:,} the same"
    )
    lines = [f"+ {fact.shown()}" for fact in changes.added.values()]
    for before, after in changes.changed.values():
        lines.append(f"~ {before.shown()} → {after.value} {after.unit or ''}".rstrip())
    lines += [f"- {fact.shown()}" for fact in changes.removed.values()]
    for line in lines[:LISTED]:
        print(f"  {shown(line)}")
    if len(lines) > LISTED:
        print(f"  and {len(lines) - LISTED:,} more")


def snapshot(folder: Path) -> Snapshot:
    """Return size and time of change of every file below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        try:
            status = path.stat()
        except OSError:  # it went away between the two looks
            continue
        if path.is_file():
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


def wait_for_change(folder: Path, before: Snapshot, seconds: float) -> None:
    """Return when a file below the folder is not as before, and nothing changed for QUIET seconds."""
    while snapshot(folder) == before:
        time.sleep(seconds)
    latest = snapshot(folder)
    while True:
        time.sleep(QUIET)
        now = snapshot(folder)
        if now == latest:
            return
        latest = now
