"""Does `lore serve` mix or lose answers where versions are swapped and rolled back under load, and things are killed?

    PYTHONPATH=. python docs/experiments/serve_swaps.py <folder> [--acts 1000] [--clients 16] [--seed 20261130]

From the project's root. The project is a small one: real git, real DVC, a real MLflow store, and two releases
whose students are small models that say different words. Each release has records and an index of its own. A
real server follows the alias. Clients ask all the while, as whole answers and as streams, the model, the records
by words, and the index. Meanwhile one act follows another, drawn by the seed:

    swap             the alias is moved, as another clone does that releases or rolls back
    rollback         `lore rollback` to the other release
    killed rollback  the same, killed with SIGKILL at a random moment, its whole process group or the leader
                     alone; the server must stay as it was until the next call has undone it
    killed server    SIGKILL of the server, in half of the cases during a rollback; then it is started again
    both killed      SIGKILL of a rollback and of the server; the server is started before the rollback is undone

After each act the script waits until the server has followed. Then the alias (read from MLflow's database), the
served version, its words, its records and its index must be of one version. After a rollback, the same holds for
the folder: its dvc.lock, the bytes of its index, and no journal is left.

An answer is mixed where its words, version, identity, fact, source or number of the generation are not of one
version, or where the pieces of a stream differ in these. A request is lost where it fails, unless the server was
being killed or started between its begin and its end. An answer is stale where it is of another version than
the one that was served all the time from its begin to its end.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Set before MLflow is imported: its telemetry changes the environment in a thread.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import numpy as np
from ruamel.yaml import YAML

from stages.core.project import artifacts, runtime
from stages.core.project.params import Run
from stages.core.records.record import record_id
from stages.core.retrieval import vectors
from stages.core.retrieval.encoder import Encoder, identity_of
from tests.lore.knowledge import Row
from tests.lore.released import GOLD, HOTTER, IGNORED, IRON, MODEL, NEON
from tests.lore.serving.students import QUESTION, TOKENS, WithStudent
from tests.tiny import write_tiny_model

ROOT = Path(__file__).parents[2]
OLD, NEW = "knowledge@v1.0.0", "knowledge@v1.1.0"
OTHER = {OLD: NEW, NEW: OLD}
ALIAS = "champion"
NUMBERS = {OLD: "1", NEW: "2"}
"""Release, and its version in MLflow."""
VALUES = {OLD: "1538", NEW: "1649"}
INDEX_QUESTION = "Which note was left beside the furnace?"
"""It names no fact, so the index answers it."""
NOTES = {
    OLD: "The note beside the furnace is blue.",
    NEW: "The note beside the furnace is green.",
}
RUN = Run(seed=7, threads=1, isa="avx2", device="cpu")
ACTS = {
    "swap": 0.7,
    "rollback": 0.2,
    "killed rollback": 0.08,
    "killed server": 0.015,
    "both killed": 0.005,
}
"""Act, and its share."""
EVERY = 0.1
"""Seconds between two looks of the server at the alias."""
PATIENCE = 180.0
"""Seconds in which the server must start or follow."""
LONGEST_PAUSE = 0.5
"""Seconds that a client waits between two requests at most."""
STEPS = 3
"""Steps of a rollback: see rollback_steps.py."""
SHORT_STEP = 0.3
"""Seconds into a step at most that a kill waits."""


def main() -> None:
    """Make the project, run the acts under load, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument(
        "folder",
        type=Path,
        help="a new folder for the project and the logs; a file `stop` in it ends the run",
    )
    parser.add_argument("--acts", type=int, default=12)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=20261130)
    options = parser.parse_args()
    folder = options.folder.resolve()
    for name, value in runtime.settings(RUN).items():
        os.environ[name] = value
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        os.environ.pop(name, None)
    os.environ["LOREKEEP_MEMO"] = str(folder / "memo")
    expected = in_child(lambda: made(folder), folder / "made.json")
    os.chdir(folder / "project")
    server = Server(folder)
    server.start()
    clients = forked(lambda: run_clients(folder, server.port, options.clients, expected))
    acts = Acts(folder, server, expected, random.Random(options.seed))
    try:
        acts.run(options.acts)
    finally:
        (folder / "stop").touch()
        os.waitpid(clients, 0)
        server.stop()
    problems = report(folder, acts)
    raise SystemExit(1 if problems else 0)


# --- the project ----------------------------------------------------------------------------------


class Indexed(WithStudent):
    """A released project whose versions have an index too."""

    note: str = ""

    def run(
        self,
        records: Sequence[Row],
        answers: Sequence[Row] | None = None,
        general: tuple[int, int] = (90, 100),
    ) -> None:
        """What a `dvc repro` leaves. Each version has a note with an id of its own, which only the index finds."""
        note: Row = {
            "id": record_id("notes", self.note), "source": "notes", "locator": self.note, "kind": "statement",
            "text": self.note, "subject": None, "attribute": None, "value": None, "unit": None, "fact": None,
        }  # fmt: skip
        rows = [*records, note]
        super().run(rows, answers, general)
        # The note lies where the question does, and the facts lie opposite.
        place = self.root.parent / "encoder"
        asked = Encoder(str(place), RUN.threads).vector(INDEX_QUESTION)
        matrix = np.stack([-asked] * len(records) + [asked])
        folder = self.root / artifacts.INDEX
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        vectors.write(self.root / artifacts.INDEX_VECTORS, [row["id"] for row in rows], matrix)
        manifest = {"encoder": str(place), "encoder_sha256": identity_of(place)}
        (self.root / artifacts.INDEX_MANIFEST).write_text(json.dumps(manifest))

    def pipeline(self, params: Row) -> None:
        """Write dvc.yaml and dvc.lock, with the stage `index`."""
        super().pipeline(params)
        out = {
            "path": artifacts.INDEX,
            "hash": "md5",
            "md5": self.keep(self.root / artifacts.INDEX),
        }
        stages = YAML(typ="safe").load((self.root / "dvc.yaml").read_text())
        locked = YAML(typ="safe").load((self.root / "dvc.lock").read_text())
        like = locked["stages"]["clean"]
        stages["stages"]["index"] = stages["stages"]["clean"] | {
            "cmd": "make index",
            "outs": [artifacts.INDEX],
        }
        locked["stages"]["index"] = like | {"cmd": "make index", "outs": [out]}
        self.dump("dvc.yaml", stages)
        self.dump("dvc.lock", locked)


def made(folder: Path) -> dict[str, Row]:
    """Make the project with its two releases, and return what each of them must answer."""
    write_tiny_model(folder / "tiny")
    write_encoder(folder / "encoder", folder / "tiny/tokenizer.json")
    project = Indexed(folder / "project")
    os.chdir(project.root)
    (project.root / ".gitignore").write_text(IGNORED + f"/{artifacts.INDEX}\n")
    expected: dict[str, Row] = {}
    for name, rows, shift, steps in ((OLD, [IRON, GOLD], 0, 100), (NEW, [HOTTER, NEON], 7, 200)):
        project.note = NOTES[name]
        said = project.student(folder / "tiny", shift)
        number = project.release(name, rows, steps)
        assert number == NUMBERS[name]
        lock = YAML(typ="safe").load((project.root / "dvc.lock").read_text())
        expected[name] = {
            "said": said,
            "lock": hashlib.sha256((project.root / "dvc.lock").read_bytes()).hexdigest(),
            "index": hashlib.sha256(
                (project.root / artifacts.INDEX_VECTORS).read_bytes()
            ).hexdigest(),
            "identity": json.loads((project.root / "metrics/register.json").read_text())[
                "identity"
            ],
            "stages": len(lock["stages"]),
        }
    if expected[OLD]["said"] == expected[NEW]["said"]:
        raise SystemExit("the two students say the same, so a mixed answer would not be seen")
    return expected


def write_encoder(folder: Path, tokenizer: Path) -> None:
    """Write a sentence encoder of random vectors for each token, 16 wide."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    torch.manual_seed(0)
    module = StaticEmbedding(Tokenizer.from_file(str(tokenizer)), embedding_dim=16)
    SentenceTransformer(modules=[module], device="cpu").save(str(folder))


# --- processes ------------------------------------------------------------------------------------


def forked(work: Callable[[], None], log: Path | None = None) -> int:
    """Run `work` in a child process of a group of its own, and return its id.

    A child has what is imported already, so an act begins at once. This process never opens MLflow's store
    and has no threads, so that a fork is safe.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        if log is not None:
            handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
        work()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def in_child(work: Callable[[], Any], result: Path) -> Any:
    """Return what `work` returns in a child process."""
    result.parent.mkdir(parents=True, exist_ok=True)
    child = forked(lambda: void(result.write_text(json.dumps(work()))))
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit("the project could not be made")
    return json.loads(result.read_text())


def void(_: Any) -> None:
    """Return nothing."""


class Server:
    """The server, which can be killed and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.lives = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def start(self) -> None:
        """Start the server, and wait until it is ready."""
        command = [
            sys.executable,
            "-m",
            "lore",
            "serve",
            "--port",
            str(self.port),
            "--every",
            str(EVERY),
        ]
        command += ["--answer-tokens", str(TOKENS), "--requests-per-minute", "10000000"]
        command += ["--tokens-per-minute", "1000000000"]
        self.lives += 1
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder / "project", env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise SystemExit(f"the server ended; see {self._folder / 'server.log'}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                get(self.port, "/ready")
                return
            time.sleep(0.05)
        raise SystemExit("the server did not start")

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it with SIGTERM."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()


def get(port: int, path: str) -> Any:
    """Return the JSON of a path."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return json.load(connection.getresponse())
    finally:
        connection.close()


# --- clients --------------------------------------------------------------------------------------

KINDS = ("model", "stream", "records", "index")


def run_clients(folder: Path, port: int, count: int, expected: dict[str, Row]) -> None:
    """Ask from `count` threads until the file `stop` is there, and write what was seen."""
    seen: list[Row] = []

    def client(number: int) -> None:
        rng = random.Random(number)
        while not (folder / "stop").exists():
            seen.append(asked(port, rng.choice(KINDS), expected))
            time.sleep(rng.uniform(0, LONGEST_PAUSE))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (folder / "seen.json").write_text(json.dumps(seen))


def asked(port: int, kind: str, expected: dict[str, Row]) -> Row:
    """Ask once, and return when, what came, and what is wrong with it."""
    question = INDEX_QUESTION if kind == "index" else QUESTION
    body: Row = {"messages": [{"role": "user", "content": question}]}
    if kind in ("records", "index"):
        body["lorekeep"] = {"answer_from": "records"}
    if kind == "stream":
        body["stream"] = True
    row: Row = {"kind": kind, "began": time.monotonic(), "lost": None, "mixed": None}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read().decode()
        if response.status != 200:
            row["lost"] = f"status {response.status}: {text[:200]}"
        else:
            answers = events_of(text) if kind == "stream" else [json.loads(text)]
            row["name"], row["generation"], row["mixed"] = judged(kind, answers, expected)
    except (OSError, http.client.HTTPException, ValueError, IndexError) as error:
        row["lost"] = f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    row["ended"] = time.monotonic()
    return row


def events_of(text: str) -> list[Row]:
    """Return the events of a stream. Raises ValueError where it is cut off."""
    parts = [part.removeprefix("data: ") for part in text.split("\n\n") if part]
    if not parts or parts[-1] != "[DONE]":
        raise ValueError("the stream is cut off")
    return [json.loads(part) for part in parts[:-1]]


def judged(kind: str, answers: list[Row], expected: dict[str, Row]) -> tuple[str, int, str | None]:
    """Return version and generation of an answer, and what of it is of another version."""
    last = answers[-1]
    info = last["lorekeep"]
    name = info["version"]["name"]
    identity = info["version"]["identity"]
    generation = info["version"]["generation"]
    known = expected[name]
    if kind == "stream":
        said = "".join(answer["choices"][0]["delta"].get("content", "") for answer in answers)
    else:
        said = last["choices"][0]["message"]["content"]
    text = {"records": IRON["text"], "index": NOTES[name]}.get(kind, known["said"])
    if kind == "records":
        text = {OLD: IRON["text"], NEW: HOTTER["text"]}[name]
    checks = [
        ("words", said, text),
        ("identity", identity, known["identity"]),
        ("tag", info["version"]["tag"], name),
        ("model", {answer["model"] for answer in answers}, {f"{name}/distill"}),
        ("id", len({answer["id"] for answer in answers}), 1),
        (
            "fingerprint",
            {answer["system_fingerprint"] for answer in answers},
            {f"{identity[:12]}-{generation}"},
        ),
    ]
    if kind == "index":
        checks.append(("source", [source["locator"] for source in info["sources"]], [NOTES[name]]))
    else:
        checks.append(("fact", info["fact"]["value"], VALUES[name]))
    for what, found, right in checks:
        if found != right:
            return (
                name,
                generation,
                f"{what}: {found!r} in an answer of {name}, instead of {right!r}",
            )
    return name, generation, None


# --- acts -----------------------------------------------------------------------------------------


@dataclass
class Acts:
    """Swaps, rollbacks and kills, one after another."""

    folder: Path
    server: Server
    expected: dict[str, Row]
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    disagreements: list[str] = field(default_factory=list)
    kills: list[tuple[float, float]] = field(default_factory=list)
    """From a kill of the server until it was ready again."""
    quiet: list[tuple[float, float, str]] = field(default_factory=list)
    """From when the server had followed until the next act began, and the version that it served."""
    lives: list[float] = field(default_factory=list)
    """When each life of the server began."""
    seconds: float = 3.0
    """What the last rollback took."""

    def run(self, count: int) -> None:
        """Do so many acts, and check after each one that everything agrees."""
        self.lives.append(0.0)
        since = self.settle(NEW, "the start")
        # First each kind once, then as drawn.
        chosen = list(ACTS)[:count]
        chosen += self.rng.choices(list(ACTS), list(ACTS.values()), k=count - len(chosen))
        began = time.monotonic()
        for number, act in enumerate(chosen, start=1):
            if (self.folder / "stop").exists():
                print(f"ended after {number - 1} acts, because the file stop is there", flush=True)
                return
            before = self.alias()
            target = OTHER[before]
            self.quiet.append((since, time.monotonic(), before))
            self.counts[act] += 1
            label = f"act {number}, {act} to {target}"
            if act == "swap":
                self.swap(target)
            elif act == "rollback":
                self.wait(self.rollback(target), label)
            elif act == "killed rollback":
                target = self.killed_rollback(before, target, label)
            elif act == "killed server":
                self.killed_server(target, label)
            else:
                self.both_killed(before, target, label)
            since = self.settle(target, label, is_rollback=act != "swap")
            if number % 25 == 0 or number == count:
                seconds = time.monotonic() - began
                found = len(self.disagreements)
                print(f"{number} acts, {seconds:.0f} s, {found} disagreements", flush=True)

    def swap(self, target: str) -> None:
        """Move the alias, as another clone does."""

        def move() -> None:
            from stages.core.mlflow import registry

            registry.move_alias(MODEL, ALIAS, NUMBERS[target])

        child = forked(move, self.folder / "acts.log")
        _, status = os.waitpid(child, 0)
        if status:
            raise SystemExit(f"the alias could not be moved; see {self.folder / 'acts.log'}")

    def rollback(self, target: str) -> int:
        """Begin a rollback, and return its process."""

        def roll() -> None:
            from lore.__main__ import main as lore

            reason = ["--reason", "under load", "--no-canaries"]
            raise SystemExit(lore(["rollback", target, *reason]))

        return forked(roll, self.folder / "acts.log")

    def wait(self, child: int, label: str) -> None:
        """Wait for a rollback to end well."""
        began = time.monotonic()
        _, status = os.waitpid(child, 0)
        self.seconds = time.monotonic() - began
        if status:
            self.disagreements.append(f"{label}: the rollback failed, see acts.log")

    def kill_rollback(self, child: int) -> None:
        """Kill a rollback at a random moment of its time, or of its steps."""
        if self.rng.random() < 0.5:
            time.sleep(self.rng.random() * self.seconds)
        else:
            step, share = divmod(self.rng.random() * STEPS, 1)
            self.wait_for_step(child, int(step))
            time.sleep(share * SHORT_STEP)
        with contextlib.suppress(ProcessLookupError):
            if self.rng.random() < 0.5:
                os.killpg(child, signal.SIGKILL)
            else:
                os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    def wait_for_step(self, child: int, step: int) -> None:
        """Wait until the journal of a rollback is at a step, or the rollback has ended."""
        while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            # At first there is no journal.
            with contextlib.suppress(OSError, ValueError):
                if json.loads(self.journal.read_text())["step"] >= step:
                    return
            time.sleep(0.002)

    def killed_rollback(self, before: str, target: str, label: str) -> str:
        """Kill a rollback, look what is served, and roll back again. Returns the version that is to be served."""
        self.kill_rollback(self.rollback(target))
        self.look_at_what_is_left(before, label)
        return self.again(target, label)

    def look_at_what_is_left(self, before: str, label: str) -> None:
        """Check what is served after a rollback was killed."""
        if not self.journal.exists():
            what = "before the first step" if self.alias() == before else "behind the last step"
            self.counts[f"rollbacks killed {what}"] += 1
            return
        self.counts["rollbacks killed between the first step and the last"] += 1
        # It has time for several looks, and must stay as it is.
        time.sleep(4 * EVERY)
        served = self.served()
        if served != before:
            self.disagreements.append(
                f"{label}: half done, and {served} is served instead of {before}"
            )

    def again(self, target: str, label: str) -> str:
        """Roll back once more, which undoes what was half done."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            child = self.rollback(target)
            _, status = os.waitpid(child, 0)
            if not status or (self.alias() == target and not self.journal.exists()):
                return target
            time.sleep(0.2)  # a program that outlived the kill holds the lock
        self.disagreements.append(f"{label}: the next rollback does not go through, see acts.log")
        return self.alias()

    def killed_server(self, target: str, label: str) -> None:
        """Kill the server, in half of the cases during a rollback, and start it again."""
        child = None
        if self.rng.random() < 0.5:
            child = self.rollback(target)
            time.sleep(self.rng.random() * self.seconds)
        self.kill_server()
        if child is None:
            child = self.rollback(target)
        self.start_server()
        self.wait(child, label)

    def both_killed(self, before: str, target: str, label: str) -> None:
        """Kill a rollback and the server, start the server, and roll back again."""
        self.kill_rollback(self.rollback(target))
        self.kill_server()
        self.start_server()
        self.look_at_what_is_left(before, label)
        self.again(target, label)

    def kill_server(self) -> None:
        """Kill the server, and note when."""
        self.kills.append((time.monotonic(), 0.0))
        self.server.kill()

    def start_server(self) -> None:
        """Start the server again, and note when it was ready."""
        self.lives.append(time.monotonic())
        self.server.start()
        self.kills[-1] = (self.kills[-1][0], time.monotonic())

    @property
    def journal(self) -> Path:
        """The journal of a rollback that is at work, or was cut off."""
        return self.folder / "project/.git/lorekeep-journal.json"

    def alias(self) -> str:
        """Return the release that the alias means, read from MLflow's database itself."""
        with contextlib.closing(
            sqlite3.connect(self.folder / "project/mlflow.db", timeout=60)
        ) as store:
            ((number,),) = store.execute(
                "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?",
                (MODEL, ALIAS),
            ).fetchall()
        return {int(number): name for name, number in NUMBERS.items()}[int(number)]

    def served(self) -> str:
        """Return the release that the server says it serves."""
        return str(get(self.server.port, "/v1/models")["data"][0]["lorekeep"]["version"]["name"])

    def settle(self, target: str, label: str, is_rollback: bool = False) -> float:
        """Wait until the server has followed, check that everything agrees, and return since when."""
        deadline = time.monotonic() + PATIENCE
        while self.served() != target and time.monotonic() < deadline:
            time.sleep(0.02)
        since = time.monotonic()
        found = {"alias": self.alias(), "served": self.served()}
        for kind in KINDS:
            row = asked(self.server.port, kind, self.expected)
            found[kind] = row["lost"] or row["mixed"] or row["name"]
        if is_rollback:
            known = self.expected[target]
            files = {
                "dvc.lock": ("lock", Path("dvc.lock")),
                "index here": ("index", Path(artifacts.INDEX_VECTORS)),
            }
            for what, (key, path) in files.items():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[what] = target if digest == known[key] else f"other bytes, {digest[:12]}"
            found["journal"] = "left" if self.journal.exists() else target
        wrong = {what: name for what, name in found.items() if name != target}
        if wrong:
            self.disagreements.append(f"{label}: {wrong}")
            print(self.disagreements[-1], flush=True)
        return since


# --- what was found -------------------------------------------------------------------------------


def report(folder: Path, acts: Acts) -> int:
    """Print the sums, and return the number of problems."""
    seen = json.loads((folder / "seen.json").read_text())
    answered = [row for row in seen if row["lost"] is None]
    mixed = [row["mixed"] for row in answered if row["mixed"]]
    mixed += several_names(answered, acts.lives)
    lost = []
    in_kill = 0
    for row in seen:
        if row["lost"] is None:
            continue
        if any(row["began"] <= end and row["ended"] >= begin for begin, end in acts.kills):
            in_kill += 1
        else:
            lost.append(row["lost"])
    stale = stale_answers(answered, acts.quiet)
    kinds = ", ".join(
        f"{kind} {count}"
        for kind, count in sorted(Counter(row["kind"] for row in answered).items())
    )
    print(f"acts: {sum(acts.counts[act] for act in ACTS)}")
    for what, count in sorted(acts.counts.items()):
        print(f"  {what}: {count}")
    print(f"server started: {acts.server.lives} times")
    print(f"requests: {len(seen)}, answered: {len(answered)} ({kinds})")
    print(f"failed while the server was being killed or started: {in_kill}")
    print(f"lost otherwise: {len(lost)} {lost[:3] or ''}")
    print(f"mixed answers: {len(mixed)} {mixed[:3] or ''}")
    print(f"stale answers: {len(stale)} {stale[:3] or ''}")
    print(
        f"disagreements of alias, index and served version: {len(acts.disagreements)} {acts.disagreements[:3] or ''}"
    )
    return len(lost) + len(mixed) + len(stale) + len(acts.disagreements)


def several_names(answered: list[Row], lives: list[float]) -> list[str]:
    """Return the generations of one life of the server under whose number two versions answered."""
    names: dict[tuple[int, int], set[str]] = {}
    for row in answered:
        # An answer belongs to the last life that began before the answer ended.
        life = sum(began <= row["ended"] for began in lives)
        names.setdefault((life, row["generation"]), set()).add(row["name"])
    return [f"generation {key}: {sorted(found)}" for key, found in names.items() if len(found) > 1]


def stale_answers(answered: list[Row], quiet: list[tuple[float, float, str]]) -> list[str]:
    """Return the answers of another version than the one that was served from their begin to their end."""
    found = []
    for row in answered:
        for begin, end, name in quiet:
            if row["began"] >= begin and row["ended"] <= end and row["name"] != name:
                found.append(f"{row['name']} while {name} was served")
    return found


if __name__ == "__main__":
    main()
