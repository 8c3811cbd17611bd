"""Are `lore snapshot`, `lore forget --apply` and `clean` all or nothing where they are killed, also two at once?

    PYTHONPATH=. python docs/experiments/kills_data.py <folder for the projects> <result.csv> [kills]

From the project's root. kills_lore.py does the same for `lore release` and `lore rollback`. The project has
real git and real DVC, each with a remote, and a PostgreSQL server of the installed programs. Its corpus is
small, but has enough batches that `clean` starts worker processes. Each kill takes the next of these acts:

    snapshot       `lore snapshot` of two tables of one database
    two snapshots  two of them at once in one folder
    forget         `lore forget <fact> --apply`
    two forgets    two of them at once in one folder, each of another fact
    clean          `dvc repro clean`, with two worker processes
    two cleans     two of them at once in one folder

Half of the kills come at a moment drawn uniformly from the time that the act takes when it is left alone.
The other half come just before the process renames, removes or makes a file or folder for the n-th time,
since most of the time passes before the first one. `n` is drawn from as many as there are. Of a snapshot and
an exclusion there are few, so a last round comes before each of them. In turn, the whole process group is
killed, or one process alone: the leader, of `clean` also a worker or the stage.

`left` is what is there after the kill: everything as `before`, everything as `after`, `open` or `between`.
It is `open` where a command that people use says that something is unfinished: `lore check` for a snapshot,
`dvc status` for `clean`. `next` is what is there after the next call. For a snapshot, the database is away
in that call, so that it can only finish or take back what was begun. `again` is what is there after the
same act, undisturbed.
"""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML

from lore.snapshot import unfinished
from stages.core.records.record import REJECTED, SCHEMA, fact_id, record_id, write
from tests.lore import servers

ROOT = Path(__file__).parents[2]
Row = dict[str, Any]
SUBJECTS = 1200
BATCH = 200
"""Records of a row group of the corpus, so of a batch of `clean`."""
ROWS = 2000
"""Rows of each table of the database."""
URL = "SHOP_URL"
"""Environment variable with the database's address."""
FIRST, SECOND = fact_id("metal 7", "melting point"), fact_id("metal 8", "melting point")
TABLES = ("items", "orders")
EXCLUSIONS = "data/raw/exclusions.yaml"
CLEAN = ("data/clean", "metrics/clean.json", "dvc.lock")
"""What `clean` changes."""
PATIENCE = 60
"""Seconds in which processes that outlive their leader must end."""

# Python loads a module of this name when it starts. Workers and DVC are left alone.
HOOK = '''
import atexit, os, signal, sys

LIMIT = int(os.environ.get("KILL_BEFORE", "0"))
WHOLE_GROUP = os.environ.get("KILL_GROUP") == "1"
done = 0


def counted(change):
    """Return the function, which kills this process when it is called for the n-th time."""

    def change_or_die(*arguments, **options):
        global done
        done += 1
        if done == LIMIT:
            if WHOLE_GROUP:
                os.killpg(os.getpgrp(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*arguments, **options)

    return change_or_die


def write_count():
    with open(os.environ["KILL_COUNT"], "w") as file:
        file.write(str(done))


if sys.orig_argv[1:3] in (["-m", "lore"], ["-m", "stages"]):
    if LIMIT or "KILL_COUNT" in os.environ:
        for name in ("replace", "rename", "unlink", "remove", "rmdir", "mkdir"):
            setattr(os, name, counted(getattr(os, name)))
    if "KILL_COUNT" in os.environ:
        atexit.register(write_count)
'''


def call(root: Path, *command: str) -> str:
    """Run a program in a folder and return what it prints."""
    done = subprocess.run(
        command, cwd=root, env=environment(root), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} in {root}: {done.stdout}{done.stderr}")
    return done.stdout


def environment(root: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of all commands. The programs of this Python come first."""
    folders = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    hook = root.parent / "hook"
    settings = {"PATH": folders, "PYTHONPATH": f"{hook}{os.pathsep}{ROOT}", "DVC_NO_ANALYTICS": "1"}
    return os.environ | settings | dict(more or {})


def corpus() -> list[Row]:
    """Return records: a fact and a text of each of many subjects."""
    generator = random.Random(7)
    words = [f"word{number}" for number in range(4000)]
    records = []
    for number in range(SUBJECTS):
        subject = f"metal {number}"
        value = str(300 + number)
        common = {"source": "metals", "lang": "en", "subject": subject, "meta": "{}"}
        locator = f"metals.csv#L{number}"
        fact = common | {
            "id": record_id("metals", locator),
            "locator": locator,
            "kind": "fact",
            "text": f"{subject} · melting point · {value} °C",
            "attribute": "melting point",
            "value": value,
            "unit": "°C",
            "fact": fact_id(subject, "melting point"),
        }
        locator = f"notes.md#{number}"
        text = common | {
            "id": record_id("metals", locator),
            "locator": locator,
            "kind": "statement",
            "text": f"{subject}: {' '.join(generator.choices(words, k=60))}.",
        }
        records += [fact, text]
    return records


PIPELINE: Row = {
    "stages": {
        "extract": {
            "cmd": "mkdir -p data && cp -r data/raw/records data/extract",
            "deps": ["data/raw/records"],
            "outs": ["data/extract"],
        },
        "clean": {
            "cmd": (
                "python -m stages clean data/extract data/raw/rules.yaml "
                "data/raw/exclusions.yaml data/clean metrics/clean.json"
            ),
            "deps": ["data/extract", "data/raw/rules.yaml", EXCLUSIONS],
            "params": ["clean", "run.threads"],
            "outs": ["data/clean"],
            "metrics": [{"metrics/clean.json": {"cache": False}}],
        },
    }
}


def make(folder: Path, server: servers.Server) -> None:
    """Make the project with its first version: records that were cleaned, and two snapshots."""
    root = folder / "clone"
    records = root / "data/raw/records"
    records.mkdir(parents=True)
    (folder / "hook").mkdir()
    (folder / "hook/sitecustomize.py").write_text(HOOK)
    table = pa.Table.from_pylist(corpus(), schema=SCHEMA)
    pq.write_table(table, records / "records.parquet", row_group_size=BATCH)
    write(records / "rejected.parquet", [], REJECTED)
    source = {"name": "metals", "units": SUBJECTS, "records": 2 * SUBJECTS, "rejected": 0}
    (records / "sources.json").write_text(json.dumps([source]))
    shutil.copyfile(ROOT / EXCLUSIONS, root / EXCLUSIONS)
    (root / "data/raw/rules.yaml").write_text("differences: {}\nrules: []\n")
    run = {"seed": 7, "threads": 2, "isa": "avx2", "device": "cpu"}
    dump(root / "params.yaml", {"run": run, "clean": {}, "extract": {"sources": []}})
    dump(root / "dvc.yaml", PIPELINE)
    snapshots = []
    for name in TABLES:
        query = f"SELECT * FROM {name} ORDER BY id"  # noqa: S608 - no text of others
        snapshots.append(
            {"name": name, "url_env": URL, "query": query, "key": "id", "file": f"{name}.json"}
        )
    dump(root / "data/raw/snapshots.yaml", {"snapshots": snapshots})
    (root / ".gitignore").write_text("/data/extract\n/data/clean\n.*.partial\n.memo\n__pycache__\n")
    call(root, "git", "init", "-q", "-b", "main")
    for name in ("user.name", "user.email"):
        call(root, "git", "config", name, "test")
    call(root, "dvc", "init", "-q")
    call(root, "dvc", "remote", "add", "-q", "--default", "depot", str(folder / "depot"))
    for name in TABLES:
        server.execute(
            f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, state BIGINT, note VARCHAR(80))",
            f"INSERT INTO {name} SELECT n, 0, CONCAT('a note ', n) FROM generate_series(1, {ROWS}) AS s(n)",  # noqa: S608
        )
    call(root, sys.executable, "-m", "lore", "snapshot")
    call(root, "dvc", "repro", "-q")
    call(root, "git", "add", "-A")
    call(root, "git", "commit", "-qm", "first")
    call(root, "git", "init", "-q", "--bare", "-b", "main", str(folder / "server"))
    call(root, "git", "remote", "add", "origin", str(folder / "server"))
    call(root, "git", "push", "-q", "--set-upstream", "origin", "main")
    call(root, "dvc", "push", "-q")
    # From here on a new snapshot has other rows in both files.
    for name in TABLES:
        server.execute(f"UPDATE {name} SET state = 1")  # noqa: S608


def dump(path: Path, document: Row) -> None:
    """Write a YAML file."""
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(document, stream)


@dataclass(frozen=True)
class Act:
    """Something that is killed."""

    name: str
    commands: Sequence[Sequence[str]]
    """The first one is killed. A second one begins at the same time."""

    @property
    def kind(self) -> str:
        """`snapshot`, `forget` or `clean`."""
        return self.name.removeprefix("two ").removesuffix("s")


def lore(*arguments: str) -> list[str]:
    """Return a command of lore."""
    return [sys.executable, "-m", "lore", *arguments]


def forget(fact: str) -> list[str]:
    """Return the command that excludes a fact."""
    return lore("forget", fact, "--apply", "--reason", "request 7")


REPRO = ["dvc", "repro", "--quiet", "clean"]
ACTS = (
    Act("snapshot", [lore("snapshot")]),
    Act("two snapshots", [lore("snapshot"), lore("snapshot")]),
    Act("forget", [forget(FIRST)]),
    Act("two forgets", [forget(FIRST), forget(SECOND)]),
    Act("clean", [REPRO]),
    Act("two cleans", [REPRO, REPRO]),
)


def copy_of(template: Path, folder: Path, act: Act) -> Path:
    """Return a copy of the project to be killed in. Before `clean`, a fact is excluded in it."""
    shutil.copytree(template / "hook", folder / "hook")
    root = folder / "clone"
    shutil.copytree(template / "clone", root, symlinks=True)
    if act.kind == "clean":
        call(root, *forget(FIRST))
    return root


def state(root: Path, act: Act) -> Row:
    """Return the content of all files that an act may change."""
    places = {
        "snapshot": ("data/raw", "data/snapshots"),
        "forget": ("data/raw",),
        "clean": CLEAN,
    }[act.kind]
    found: Row = {}
    for place in places:
        path = root / place
        files = [path]
        if path.is_dir():
            files = sorted(path.rglob("*"))
        for file in files:
            if file.is_file() and not file.name.endswith(".partial"):
                found[str(file.relative_to(root))] = without_time(file)
    return found


def without_time(file: Path) -> bytes:
    """Return a file's content. The record of a snapshot holds the time, which is left out."""
    lines = file.read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b'  "taken": '))


def name_of(root: Path, act: Act, ends: Mapping[str, Row], second_done: bool) -> str:
    """Return `before`, `after`, `open` or `between`.

    `second_done`: a second exclusion succeeded at the same time, so it must be there too.
    """
    found = state(root, act)
    if act.name == "two forgets":
        if second_done and SECOND.encode() not in found[EXCLUSIONS]:
            return "between"
        # Where the second one came first, the file has other lines and means the same.
        found = without_second(found)
        ends = {name: without_second(end) for name, end in ends.items()}
    for name, end in ends.items():
        if found == end:
            return name
    return "open" if is_named_open(root, act) else "between"


def without_second(found: Row) -> Row:
    """Return a state with what the exclusions mean, but for the second fact, and their comments."""
    text = found[EXCLUSIONS].decode()
    document = YAML(typ="safe").load(text)
    document["facts"] = [entry for entry in document["facts"] if entry["id"] != SECOND]
    comments = [line for line in text.splitlines() if line.startswith("#")]
    return found | {EXCLUSIONS: (document, comments)}


def is_named_open(root: Path, act: Act) -> bool:
    """Whether a command that people use says that the act is unfinished."""
    if act.kind == "snapshot":
        with chdir(root):
            return bool(unfinished.problems())
    if act.kind == "clean":
        said = subprocess.run(
            ["dvc", "status", "clean"],
            cwd=root, env=environment(root), capture_output=True, text=True, check=False,
        )  # fmt: skip
        return said.returncode != 0 or "clean:" in said.stdout
    return False


def start(root: Path, command: Sequence[str], **more: str) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own."""
    with (root.parent / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=root, env=environment(root, more), stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


@dataclass
class Alone:
    """An act that nobody disturbed."""

    ends: dict[str, Row]
    """The states before and after it."""
    seconds: float
    changes: int
    """How often it renames, removes or makes a file or folder."""


def undisturbed(template: Path, folder: Path, act: Act) -> Alone:
    """Run an act and return its ends, its time and the number of its changes."""
    root = copy_of(template, folder, act)
    before = state(root, act)
    count = folder / "count"
    started = time.monotonic()
    code = start(root, act.commands[0], KILL_COUNT=str(count)).wait()
    seconds = time.monotonic() - started
    after = state(root, act)
    if code or after == before:
        raise SystemExit(f"{act.name} fails here: see {folder}/log")
    return Alone({"before": before, "after": after}, seconds, int(count.read_text()))


def victim_of(leader: subprocess.Popen[bytes], kill: str) -> int | None:
    """Return the process to be killed: the leader, or a worker of `clean`, or None without one."""
    if kill != "worker":
        return leader.pid
    with suppress(psutil.Error):
        for process in psutil.Process(leader.pid).children(recursive=True):
            if "--multiprocessing-fork" in process.cmdline():
                return process.pid
    return None


def killed_at_a_moment(leader: subprocess.Popen[bytes], kill: str, seconds: float) -> str:
    """Kill after so many seconds. A worker is waited for. Returns what was killed."""
    time.sleep(seconds)
    victim = victim_of(leader, kill)
    while victim is None and leader.poll() is None:
        time.sleep(0.01)
        victim = victim_of(leader, kill)
    with suppress(ProcessLookupError):
        if kill == "group":
            os.killpg(leader.pid, signal.SIGKILL)
        elif victim is not None and leader.poll() is None:
            os.kill(victim, signal.SIGKILL)
    return kill


def survivors(root: Path) -> int:
    """Return the number of processes that still work in a folder after a while."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = 0
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                found += Path(process.cwd()) == root
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def next_call(root: Path, act: Act) -> None:
    """Do what a person does next."""
    if act.kind == "snapshot":
        # The database is away.
        start(root, act.commands[0], **{URL: "postgresql://nobody:x@127.0.0.1:1/shop"}).wait()
    if act.kind == "clean":
        # The two lines of `make` about files that DVC writes in place.
        rwlock = root / ".dvc/tmp/rwlock"
        if rwlock.is_file() and not rwlock.stat().st_size:
            rwlock.unlink()
        if not (root / "dvc.lock").stat().st_size:
            call(root, "git", "checkout", "--quiet", "--", "dvc.lock")
        start(root, act.commands[0]).wait()


def killed(template: Path, folder: Path, act: Act, alone: Alone, turn: int, share: float) -> Row:
    """Kill an act once, and return the row of the result. `share` is that of its time or changes."""
    root = copy_of(template, folder, act)
    by_change = turn % 2 == 1
    if by_change:
        kill = ("group", "stage" if act.kind == "clean" else "leader")[turn // 2 % 2]
        number = 1 + int(share * alone.changes)
        when = f"change {number} of {alone.changes}"
        settings = {"KILL_BEFORE": str(number), "KILL_GROUP": str(int(kill == "group"))}
        leader = start(root, act.commands[0], **settings)
    else:
        kinds = ("group", "leader", "worker") if act.kind == "clean" else ("group", "leader")
        kill = kinds[turn // 2 % len(kinds)]
        when = f"{share:.2f}"
        leader = start(root, act.commands[0])
    others = [start(root, command) for command in act.commands[1:]]
    if not by_change:
        killed_at_a_moment(leader, kill, share * alone.seconds)
    row: Row = {"act": act.name, "kill": kill, "when": when, "exit code": leader.wait()}
    for other in others:
        row["other's exit code"] = other.wait()
    row["survivors"] = survivors(root)
    second_done = row.get("other's exit code") == 0
    row["left"] = name_of(root, act, alone.ends, second_done)
    next_call(root, act)
    row["next"] = name_of(root, act, alone.ends, second_done)
    row["again code"] = start(root, act.commands[0]).wait()
    row["again"] = name_of(root, act, alone.ends, second_done)
    return row


COLUMNS = (
    "act", "kill", "when", "exit code", "other's exit code", "survivors", "left", "next",
    "again code", "again",
)  # fmt: skip


def is_right(row: Row) -> bool:
    """Whether nothing was left between, and nobody worked on."""
    left_whole = row["left"] != "between"
    next_whole = row["next"] in ("before", "after")
    arrived = row["again"] == "after" and row["again code"] == 0
    nobody_works = not row["survivors"]
    return left_whole and next_whole and arrived and nobody_works


def drawn(kills: int) -> Iterator[tuple[Act, int, float]]:
    """Yield act, turn and share of so many kills, each act in turn."""
    generator = random.Random(20260701)
    for number in range(kills):
        yield ACTS[number % len(ACTS)], number // len(ACTS), generator.random()


def every_change(alone: Mapping[str, Alone]) -> Iterator[tuple[Act, int, float]]:
    """Yield a kill before each change of a snapshot and of an exclusion, of which there are few."""
    for act in ACTS:
        if act.name in ("snapshot", "forget"):
            changes = alone[act.kind].changes
            for number in range(changes):
                yield act, 1, (number + 0.5) / changes


def run_all(folder: Path, result: Path, kills: int, server: servers.Server) -> None:
    """Run all kills, write a row each, print the sums."""
    template = folder / "template"
    template.mkdir(parents=True)
    make(template, server)
    alone = {}
    for act in ACTS:
        if len(act.commands) == 1:
            alone[act.kind] = undisturbed(template, folder / f"{act.name}-alone", act)
            measured = alone[act.kind]
            print(f"{act.name}: {measured.seconds:.1f} s, {measured.changes} changes", flush=True)
    rows = []
    with result.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for number, (act, turn, share) in enumerate([*drawn(kills), *every_change(alone)]):
            place = folder / f"trial{number}"
            row = killed(template, place, act, alone[act.kind], turn, share)
            rows.append(row)
            writer.writerow(row)
            file.flush()
            print(", ".join(f"{name} {row[name]}" for name in COLUMNS if name in row), flush=True)
            if is_right(row):
                shutil.rmtree(place)
    for act in ACTS:
        for column in ("left", "next", "again"):
            counts = Counter(row[column] for row in rows if row["act"] == act.name)
            listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
            print(f"{act.name}, {column}: {listed}")
    print(f"wrong: {sum(not is_right(row) for row in rows)} of {len(rows)}")


def main() -> None:
    """Start the server, run everything against it, and end it."""
    folder, result = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    kills = int(sys.argv[3]) if len(sys.argv) > 3 else 36
    server = servers.postgresql()
    try:
        os.environ[URL] = server.url().render_as_string(hide_password=False)
        run_all(folder, result, kills, server)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
