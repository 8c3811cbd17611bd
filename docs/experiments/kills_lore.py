"""Are `lore release` and `lore rollback` all or nothing where they are killed, also two at once?

    PYTHONPATH=. python docs/experiments/kills_lore.py <folder for the projects> <result.csv> [kills]

From the project's root. The project is that of tests/lore/released.py: real git with a bare remote, real
DVC with a remote of its own, and a real MLflow server on SQLite, at a free port of this machine. No model
is trained. Each kill takes the next of these acts in turn:

    release       `lore release 1.1.0 --push`, killed
    rollback      `lore rollback knowledge@v1.0.0`, killed
    two releases  two clones release one number at once, one of them is killed
    two rollbacks two clones roll back at once, one of them is killed

Half of the kills come at a moment drawn uniformly from the time that the act takes when it is left alone.
The other half come while the journal is at a step that is drawn, since most of the time passes before the
first step. In turn, the whole process group is killed, or the leader alone. `left` is what is there after
the kill. The next call of the killed clone undoes what was cut off, or says that it is complete. `after` is
what is there then.

One clone alone must be `before` or `after`. Of two clones each must be so, and what they share must be
that of one of them: the tag on the remote, MLflow's alias, and the release's note there. Otherwise the row
says `between`. Before the kills, two releases and two rollbacks run at once without a kill. Exactly one
release must succeed.
"""

import csv
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass, field
from pathlib import Path

# Set before MLflow is imported: its telemetry changes the environment in a thread, while this script copies it.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from mlflow.exceptions import MlflowException

from stages.core.mlflow import registry, tracking
from stages.core.project.errors import InputError
from tests.lore.knowledge import Row
from tests.lore.released import GOLD, HOTTER, IRON, MODEL, NEON, Released

ROOT = Path(__file__).parents[2]
RELEASE = ["release", "1.1.0", "--push"]
ROLLBACK = ["rollback", "knowledge@v1.0.0", "--reason", "iron was wrong", "--no-canaries"]
ACTS = {
    "release": (RELEASE, 1),
    "rollback": (ROLLBACK, 1),
    "two releases": (RELEASE, 2),
    "two rollbacks": (ROLLBACK, 2),
}
"""Act → command, and how many clones run it at once."""
STEPS = {"release": 4, "rollback": 3}
"""Steps of each act: see release_steps.py and rollback_steps.py."""
SHORT_STEP = 0.5
"""Seconds into a step at most that a kill waits."""
SETTLE = ["rollback", "knowledge@v9.9.9", "--reason", "there is none"]
"""A call that is refused, after it has undone what was cut off."""
ALIAS = "champion"
SERVER_PATIENCE = 120
"""Seconds that the MLflow server may take to start."""


class Shared(Released):
    """A Released project whose models lie on the MLflow server."""

    def model_of(self, identity: str, tags: dict[str, str]) -> tuple[str, str | None]:
        """Log the model as artifacts of a run, and return their address and the run."""
        local, _ = super().model_of(identity, tags)
        client = tracking.client()
        experiment = client.get_experiment_by_name("lorekeep").experiment_id
        run = client.create_run(experiment)
        client.log_artifacts(run.info.run_id, local.removeprefix("file://"), "model")
        return f"{run.info.artifact_uri}/model", run.info.run_id


@dataclass
class Trial:
    """A bare remote, and one or two clones of it, in a folder of their own."""

    folder: Path
    clones: list[Released] = field(default_factory=list)

    def shared_state(self) -> Row:
        """Return what all clones share: the remote's references, alias and notes of MLflow."""
        listed = self.clones[0].git("ls-remote", str(self.folder / "server"))
        # An annotated tag holds a date, so two clones make two objects. What it means is the same.
        meant = sorted(line for line in listed.splitlines() if "refs/tags/" not in line)
        tags = sorted(line.split("\t")[1] for line in listed.splitlines() if line.endswith("^{}"))
        return {
            "remote": meant,
            "remote tags": tags,
            "alias": registry.alias_of(MODEL, ALIAS),
            "release": list(registry.releases_of(MODEL, "1.1.0")),
            "lock": registry.holder_of(tracking.client(), f"{MODEL}.lock"),
        }

    def own_state(self, clone: Released) -> Row:
        """Return what a clone has alone. The alias is shared, and no part of it."""
        with chdir(clone.root):
            found = clone.state()
        del found["alias"]
        return found


def start_server(folder: Path) -> subprocess.Popen[bytes]:
    """Start an MLflow server at a free port and make it the store of this process."""
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    os.environ["MLFLOW_TRACKING_URI"] = address
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        "sqlite:///mlflow.db",
        "--artifacts-destination",
        "artifacts",
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + SERVER_PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            tracking.client()
        except (OSError, InputError):
            time.sleep(0.2)
        else:
            return server
    raise SystemExit(f"the MLflow server did not start; see {folder / 'log'}")


def make(folder: Path) -> None:
    """Make the releases 1.0.0 and 1.1.0, of which the second is not tagged, and their remotes."""
    root = folder / "clone"
    made = Shared(root)
    with chdir(root):
        made.release("knowledge@v1.0.0", [IRON, GOLD], 100)
        made.release("knowledge@v1.1.0", [HOTTER, NEON], 200)
    made.git("tag", "-d", "knowledge@v1.1.0")
    made.git("tag", "-f", "-am", "first", "knowledge@v1.0.0", "knowledge@v1.0.0^{commit}")
    made.git("init", "-q", "--bare", "-b", "main", str(folder / "server"))
    made.git("remote", "add", "origin", str(folder / "server"))
    made.git("push", "-q", "--set-upstream", "origin", "main", "--tags")


def trial(template: Path, folder: Path, command: Sequence[str], count: int) -> Trial:
    """Return copies of the template to be killed in. For a rollback, the second version is released."""
    made = Trial(folder)
    shutil.copytree(template / "server", folder / "server", symlinks=True)
    for number in range(count):
        root = folder / f"clone{number}"
        shutil.copytree(template / "clone", root, symlinks=True)
        clone = Released.__new__(Released)
        clone.root = root
        clone.git("remote", "set-url", "origin", str(folder / "server"))
        clone.dvc_config(
            f"[core]\n    remote = depot\n['remote \"depot\"']\n    url = {folder / 'objects'}\n"
        )
        made.clones.append(clone)
    forget_notes()
    registry.move_alias(MODEL, ALIAS, "2" if command[0] == "rollback" else "1")
    return made


def forget_notes() -> None:
    """Remove what the trial before left in MLflow."""
    client = tracking.client()
    with suppress(MlflowException):  # there is none
        client.delete_registered_model(f"{MODEL}.lock")
    for number in registry.releases_of(MODEL, "1.1.0"):
        registry.note_release(MODEL, number, "1.1.0", None)
    if registry.mover_of(MODEL, ALIAS) is not None:
        registry.note_mover(MODEL, ALIAS, None)


def start(root: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start `lore` in a process group of its own. Equal commits get equal hashes."""
    dates = {}
    for who in ("AUTHOR", "COMMITTER"):
        dates[f"GIT_{who}_DATE"] = "2026-07-01T00:00:00Z"
    environment = os.environ | dates | {"PYTHONPATH": str(ROOT)}
    with (root.parent / f"{root.name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lore", *command],
            cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def settled(clone: Released) -> int:
    """Call `lore` until no program that outlived the kill keeps it out. Returns the number of calls."""
    for count in range(1, 101):
        start(clone.root, SETTLE).wait()
        if not (clone.root / ".git/lorekeep-journal.json").exists():
            return count
        time.sleep(0.2)
    return 0


@dataclass
class Ends:
    """The states before and after an act that nobody disturbed."""

    own: dict[str, Row]
    shared: dict[str, Row]
    seconds: float

    def called(self, made: Trial) -> str:
        """Return `before` or `after`, of two clones both words; `between` where they do not agree."""
        names = []
        for clone in made.clones:
            names.append(self.name_of(made.own_state(clone), self.own))
        shared = self.name_of(made.shared_state(), self.shared)
        # What is shared is as after the act, as soon as one of the clones is.
        expected = "after" if "after" in names else "before"
        if "between" in names or shared != expected:
            print(f"{made.folder.name}: {names}, {made.shared_state()}", flush=True)
            return "between"
        return ", ".join(names)

    def name_of(self, found: Row, ends: dict[str, Row]) -> str:
        """Return which of the two states it is."""
        for name, state in ends.items():
            if found == state:
                return name
        return "between"


def undisturbed(template: Path, folder: Path, command: Sequence[str]) -> Ends:
    """Run an act in one clone and return the states before and after it."""
    made = trial(template, folder, command, 1)
    own = {"before": made.own_state(made.clones[0])}
    shared = {"before": made.shared_state()}
    started = time.monotonic()
    code = start(made.clones[0].root, command).wait()
    seconds = time.monotonic() - started
    own["after"] = made.own_state(made.clones[0])
    shared["after"] = made.shared_state()
    if code or own["after"] == own["before"]:
        raise SystemExit(f"{' '.join(command)} fails here: see {folder}/clone0.log")
    return Ends(own, shared, seconds)


def at_once(template: Path, folder: Path, command: Sequence[str], ends: Ends) -> tuple[str, float]:
    """Run an act in two clones at once, without a kill. Returns what is there then, and seconds."""
    made = trial(template, folder, command, 2)
    started = time.monotonic()
    running = [start(clone.root, command) for clone in made.clones]
    codes = [process.wait() for process in running]
    seconds = time.monotonic() - started
    return f"{ends.called(made)} (exit codes {codes}), {seconds:.1f} s", seconds


def wait_for_step(victim: subprocess.Popen[bytes], clone: Released, step: int) -> None:
    """Wait until the journal of an act is at a step, or the act has ended."""
    journal = clone.root / ".git/lorekeep-journal.json"
    while victim.poll() is None:
        # At first there is no journal.
        with suppress(OSError, ValueError):
            if json.loads(journal.read_text())["step"] >= step:
                return
        time.sleep(0.002)


def killed(
    template: Path,
    folder: Path,
    act: str,
    moment: float,
    kill: str,
    ends: Ends,
    seconds: float | None,
) -> Row:
    """Kill one clone in an act, and return the row of the result.

    `moment` is a share of the seconds that the act takes, or without these of its steps.
    """
    command, count = ACTS[act]
    made = trial(template, folder, command, count)
    running = [start(clone.root, command) for clone in made.clones]
    victim = running[0]
    if seconds is not None:
        when = f"{moment:.2f}"
        time.sleep(moment * seconds)
    else:
        # 0.6 of four steps is step 2, of which 0.4 has passed.
        whole_steps, share = divmod(moment * STEPS[command[0]], 1)
        when = f"step {whole_steps:.0f}"
        wait_for_step(victim, made.clones[0], int(whole_steps))
        time.sleep(share * SHORT_STEP)
    if kill == "group":
        os.killpg(victim.pid, signal.SIGKILL)
    else:
        victim.kill()
    victim.wait()
    row: Row = {"act": act, "kill": kill, "when": when}
    if count == 1:
        row["left"] = ends.called(made)
    for process in running[1:]:
        row["other's exit code"] = process.wait()
    row["journal"] = (made.clones[0].root / ".git/lorekeep-journal.json").exists()
    row["calls"] = settled(made.clones[0])
    row["after"] = ends.called(made)
    return row


def run_all(folder: Path, result: Path, kills: int) -> None:
    """Run all kills, write a row each, print the sums."""
    template = folder / "template"
    make(template)
    ends = {}
    seconds = {}
    for name, command in (("release", RELEASE), ("rollback", ROLLBACK)):
        # The shorter time counts, so that few kills come too late on a busy machine.
        first = undisturbed(template, folder / f"{name}-first", command)
        ends[name] = undisturbed(template, folder / f"{name}-alone", command)
        seconds[name] = min(first.seconds, ends[name].seconds)
        print(f"{name}: {seconds[name]:.1f} s alone", flush=True)
        said, seconds[f"two {name}s"] = at_once(
            template, folder / f"{name}-twice", command, ends[name]
        )
        print(f"two {name}s at once: {said}", flush=True)
    rng = random.Random(20260701)
    rows = []
    with result.open("w", newline="", encoding="utf-8") as file:
        names = [
            "act",
            "kill",
            "when",
            "left",
            "other's exit code",
            "journal",
            "calls",
            "after",
        ]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for number in range(kills):
            act = list(ACTS)[number % len(ACTS)]
            turn = number // len(ACTS)
            kill = ("group", "leader")[turn // 2 % 2]
            duration = seconds[act] if turn % 2 else None
            place = folder / f"trial{number}"
            end = ends[ACTS[act][0][0]]
            row = killed(template, place, act, rng.random(), kill, end, duration)
            rows.append(row)
            writer.writerow(row)
            file.flush()
            if "between" not in row["after"]:
                shutil.rmtree(place)
    for act in ACTS:
        for column in ("left", "after"):
            counts = Counter(row[column] for row in rows if row["act"] == act and column in row)
            if counts:
                listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
                print(f"{act}, {column}: {listed}")
    bad = sum("between" in row["after"] for row in rows)
    print(f"between after the next call: {bad} of {len(rows)}")


def main() -> None:
    """Start the server, run everything against it, and end it."""
    folder, result = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    kills = int(sys.argv[3]) if len(sys.argv) > 3 else 40
    server = start_server(folder / "mlflow")
    try:
        run_all(folder, result, kills)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


if __name__ == "__main__":
    main()
