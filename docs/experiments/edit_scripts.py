"""Random edits with injected failures: is the index what a model of the data says, and are its bytes those of a rebuild?

    PYTHONPATH=. python docs/experiments/edit_scripts.py [--scripts 1000] [--whole 100]

A script edits three files in some rounds: add, change, delete, move to another file, copy, delete one of two equal
contents, add again, rename the source. After each round the data are brought into the index. In every second round an
attempt fails first: the process is killed at a write (before, half-way or after it), the disk is full, a file may not
grow beyond a size, or the encoder raises. Then the attempt is repeated.

Three things are asked after each round. *Stale*: texts in the index that no file says any more. *Lost*: texts that a
file says and the index lacks. *Bytes*: the outputs equal those of a build in an empty folder with an empty memo. After a
failure, the former or the new index must lie there whole.

`stages.index` runs as the pipeline calls it, in a forked process, with an encoder that draws a vector by the hash of a
text. In the first --whole scripts, extract and clean run too. edit_scripts_peers.py gives the same scripts to others.
"""

import argparse
import contextlib
import errno
import hashlib
import importlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROUNDS = 6
FILES = ("a.jsonl", "b.jsonl", "c.jsonl")
SUBJECTS = tuple("iron copper neon mercury gold helium radium tungsten iodine sodium".split())
VALUES = tuple("red blue grey silver yellow none black violet".split())
FAILURES = ("kill", "disk", "size", "encoder")
MOMENTS = 90
"""A kill or a full disk strikes at one of so many moments. A run with fewer of them is not struck."""
SIZES = (40, 200, 600, 1200, 2500)
"""Largest file in bytes for the failure `size`."""
DIMENSIONS = 8
RULES = "differences: {}\nrules: []\n"
EXCLUSIONS = "facts: []\nsubjects: []\nrecords: []\nsources: []\n"
KILLED = 99


@dataclass
class World:
    """The data as somebody edits them."""

    rows: dict[str, dict[str, str]]
    """File → subject → value."""
    sources: dict[str, str]
    """File → name of its source."""
    deleted: list[tuple[str, str, str]] = field(default_factory=list)
    """Rows that were deleted: file, subject, value."""

    def documents(self) -> list[tuple[str, str, str]]:
        """Return each row as (source, subject, text), in the order of files."""
        found = []
        for name in FILES:
            for subject, value in self.rows[name].items():
                found.append((self.sources[name], subject, text_of(subject, value)))
        return found

    def copy(self) -> "World":
        """Return the same data as another object."""
        rows = {name: dict(content) for name, content in self.rows.items()}
        return World(rows, dict(self.sources), list(self.deleted))


@dataclass(frozen=True)
class Failure:
    """An injected failure."""

    kind: str
    moment: int
    """kill, disk: the moment; encoder: the text at which it raises; size: the largest file in bytes."""


@dataclass(frozen=True)
class Round:
    """What is edited, what is then true, and what fails first."""

    edits: list[str]
    world: World
    failure: Failure | None


@dataclass
class Count:
    """What was found over all scripts."""

    scripts: int = 0
    rounds: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    """Failures that ended an attempt, by kind."""
    broken: int = 0
    """Failures after which neither the former nor the new index lay there whole."""
    stale: int = 0
    lost: int = 0
    other_bytes: int = 0
    """Rounds whose outputs differ from a rebuild."""
    edits: Counter[str] = field(default_factory=Counter)


def text_of(subject: str, value: str) -> str:
    """Return the text of a row, as `extract` writes the text of a fact."""
    return f"{subject}: colour {value}"


def script(seed: int) -> list[Round]:
    """Return a random script. The same seed gives the same one, in every program that imports this."""
    draw = random.Random(f"edit script {seed}")
    world = World({name: {} for name in FILES}, {name: name[0] for name in FILES})
    for name in FILES:
        for subject in draw.sample(SUBJECTS, 4):
            world.rows[name][subject] = draw.choice(VALUES)
    rounds = [Round(["begin"], world.copy(), None)]
    for number in range(1, ROUNDS + 1):
        edits = [edit(draw, world) for _ in range(draw.randint(1, 3))]
        failure = failure_of(draw) if number % 2 else None
        rounds.append(Round(edits, world.copy(), failure))
    return rounds


def failure_of(draw: random.Random) -> Failure:
    """Return a random failure."""
    kind = draw.choice(FAILURES)
    if kind == "size":
        return Failure(kind, draw.choice(SIZES))
    if kind == "encoder":
        return Failure(kind, draw.randrange(2))
    return Failure(kind, draw.randrange(MOMENTS))


def edit(draw: random.Random, world: World) -> str:
    """Edit the world once at random, and return the name of the edit."""
    name = draw.choice(FILES)
    other = draw.choice([one for one in FILES if one != name])
    rows = world.rows[name]
    kind = draw.choice(
        ("add", "change", "delete", "move", "copy", "delete equal", "add again", "rename")
    )
    if kind == "add":
        rows[draw.choice(SUBJECTS)] = draw.choice(VALUES)
    elif kind == "change" and rows:
        rows[draw.choice(sorted(rows))] = draw.choice(VALUES)
    elif kind == "delete" and len(rows) > 1:
        subject = draw.choice(sorted(rows))
        world.deleted.append((name, subject, rows.pop(subject)))
    elif kind == "move" and len(rows) > 1:
        subject = draw.choice(sorted(rows))
        world.rows[other][subject] = rows.pop(subject)
    elif kind == "copy" and rows:
        subject = draw.choice(sorted(rows))
        world.rows[other][subject] = rows[subject]
    elif kind == "delete equal":
        equal = sorted(rows.items() & world.rows[other].items())
        if not equal or len(rows) < 2:
            return "nothing"
        subject, value = draw.choice(equal)
        world.deleted.append((name, subject, value))
        del rows[subject]
    elif kind == "add again" and world.deleted:
        place, subject, value = world.deleted.pop()
        world.rows[place][subject] = value
    elif kind == "rename":
        # b becomes b1, then b2: another source with the same rows.
        number = int(world.sources[name][1:] or 0) + 1
        world.sources[name] = f"{name[0]}{number}"
    else:
        return "nothing"
    return kind


# What the project does with a world ---------------------------------------------------------------


def mock_encode(text: str, folder: Path, threads: int) -> str:
    """Draw a vector by the hash of a text. It has the form of `encoder.encode`."""
    import base64

    import numpy as np

    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).normal(size=DIMENSIONS)
    vector /= np.linalg.norm(vector)
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def bring_in(world: World, folder: Path, whole: bool) -> None:
    """Write the index of a world into `folder/index`: with extract and clean, or from a table of its rows."""
    from stages import index
    from stages.core.project.params import Run

    run = Run(seed=1, threads=1, isa="avx2", device="cpu", executor="local", address=None)
    if whole:
        extract_and_clean(world, folder, run)
    else:
        write_records(world, folder / "clean")
    params = index.Params(encoder=str(encoder_folder(folder)))
    index.run(params, run, folder / "clean", folder / "index", folder / "index.json")


def write_records(world: World, cleaned: Path) -> None:
    """Write a table with one record for each row of the world, as `clean` would."""
    from stages.core.records import record

    rows = []
    for source, subject, text in world.documents():
        rows.append(
            {
                "id": record.record_id(source, subject),
                "text": text,
                "lang": "en",
                "source": source,
                "locator": subject,
                "kind": "fact",
            }
        )
    record.write(cleaned / "records.parquet", rows)


def extract_and_clean(world: World, folder: Path, run: Any) -> None:
    """Write the files of a world, and run extract and clean on them."""
    import json

    from stages import clean, extract
    from stages.core.project.params import parse

    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    sources = []
    for name in FILES:
        lines = []
        for subject, value in world.rows[name].items():
            lines.append(json.dumps({"subject": subject, "value": value}) + "\n")
        (raw / name).write_text("".join(lines), encoding="utf-8")
        mapping = {"subject": "subject", "facts": [{"attribute": "colour", "value": "value"}]}
        source = {"kind": "jsonl", "name": world.sources[name], "path": name, "lang": "en"}
        sources.append(source | {"map": mapping})
    for name, content in (("rules.yaml", RULES), ("exclusions.yaml", EXCLUSIONS)):
        (folder / name).write_text(content, encoding="utf-8")
    problems: list[str] = []
    params = parse({"sources": sources, "names": "fold"}, extract.Params, "extract", problems)
    if params is None:
        raise ValueError("\n".join(problems))
    extract.run(params, run, raw, folder / "extract")
    clean.run(
        clean.Params(verify=clean.Verify(single_valued=["colour"])),
        run,
        folder / "extract",
        folder / "rules.yaml",
        folder / "exclusions.yaml",
        folder / "clean",
        folder / "clean.json",
    )


def encoder_folder(folder: Path) -> Path:
    """Return a folder that looks like a sentence encoder, the same for all runs below one folder."""
    encoder = folder.parent / "encoder"
    if not encoder.is_dir():
        encoder.mkdir()
        (encoder / "modules.json").write_text("[]")
        (encoder / "model.safetensors").write_bytes(b"")
    return encoder


def expected_texts(world: World, whole: bool) -> Counter[str]:
    """Return the texts that must be found, with how often. This is the model that the index is held against."""
    if not whole:
        return Counter(text for _, _, text in world.documents())
    # Of two sources that differ on a fact, the first one is right, and the other's row is set aside.
    winner: dict[str, str] = {}
    for _, subject, text in world.documents():
        winner.setdefault(subject, text)
    return Counter(text for _, subject, text in world.documents() if winner[subject] == text)


def found_texts(out: Path) -> Counter[str]:
    """Return the text of each vector of an index: that of its id, whose vector must be that of the text."""
    import base64

    import numpy as np
    import pyarrow.parquet as pq

    from stages.core.retrieval import vectors

    index = vectors.read(out / "records.faiss")
    rows = pq.read_table(out / "texts.parquet").to_pylist()
    text_of_id = {row["id"]: row["text"] for row in rows}
    ids = vectors.ids_of(index)
    if sorted(text_of_id) != ids or len(rows) != len(ids):
        raise ValueError(f"{out}: the ids of texts and vectors differ")
    found: Counter[str] = Counter()
    for name in ids:
        text = text_of_id[name]
        wanted = np.frombuffer(base64.b64decode(mock_encode(text, out, 1)), dtype="<f4")
        vector = index.reconstruct(vectors.to_number(name))
        if not np.array_equal(vector, wanted):
            raise ValueError(f"{out}: {name} has the vector of another text than {text!r}")
        # Nearest to the text must be a record of the text: this is how people find it.
        nearest = vectors.search(index, wanted, 1)[0]
        if text_of_id[nearest.record] != text:
            raise ValueError(f"{out}: {text!r} finds {text_of_id[nearest.record]!r}")
        found[text] += 1
    return found


# Failures -----------------------------------------------------------------------------------------


class Struck:
    """Strikes at the n-th moment of writing: before a call, half-way through it, or after it."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        self.left = failure.moment

    def moment(self) -> None:
        """Fail if this is the moment."""
        if self.left == 0:
            self.left = -1
            if self.failure.kind == "kill":
                os._exit(KILLED)  # nothing is cleaned up, as after SIGKILL
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.left -= 1

    def wrap(self, owner: Any, name: str, half: Callable[..., None] | None) -> None:
        """Give a function of `owner` the moments before, half-way and after."""
        original = getattr(owner, name)

        def struck(*arguments: Any, **named: Any) -> Any:
            self.moment()
            if half is not None and self.left == 0:
                half(original, *arguments, **named)
                self.moment()
            elif half is not None:
                self.left -= 1
            result = original(*arguments, **named)
            self.moment()
            return result

        setattr(owner, name, struck)


def half_file(original: Any, target: Any, *arguments: Any, **named: Any) -> None:
    """Write a file, then cut it in half."""
    original(target, *arguments, **named)
    os.truncate(target, os.path.getsize(target) // 2)


def half_index(original: Any, index: Any, target: str) -> None:
    """Write an index, then cut it in half."""
    original(index, target)
    os.truncate(target, os.path.getsize(target) // 2)


def half_table(original: Any, table: Any, target: Any, **named: Any) -> None:
    """Write a table, then cut it in half."""
    original(table, target, **named)
    os.truncate(target, os.path.getsize(target) // 2)


def half_folder(original: Any, target: Any, *arguments: Any, **named: Any) -> None:
    """Remove the first file of a folder only."""
    for path in sorted(Path(target).rglob("*"))[:1]:
        if path.is_file():
            os.unlink(path)


def strike(failure: Failure) -> None:
    """Make this process fail. It is a forked one, so nothing is undone."""
    if failure.kind == "size":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (failure.moment, failure.moment))
        return
    if failure.kind == "encoder":
        raise_from_the_encoder(failure.moment)
        return
    import faiss
    import pyarrow.parquet as pq

    struck = Struck(failure)
    struck.wrap(faiss, "write_index", half_index)
    struck.wrap(pq, "write_table", half_table)
    struck.wrap(pq.ParquetWriter, "write_table", None)
    struck.wrap(Path, "write_bytes", half_file)
    struck.wrap(Path, "write_text", half_file)
    struck.wrap(shutil, "rmtree", half_folder)
    for owner, name in ((Path, "mkdir"), (Path, "unlink"), (Path, "rename"), (os, "replace")):
        struck.wrap(owner, name, None)


def raise_from_the_encoder(texts: int) -> None:
    """Let the encoder raise after so many texts."""
    from stages.core.retrieval import encoder

    original = encoder.encode
    asked = Counter[str]()

    def failing(text: str, folder: Path, threads: int) -> str:
        asked["texts"] += 1
        if asked["texts"] > texts:
            raise RuntimeError("the encoder failed")
        return original(text, folder, threads)

    failing.__module__, failing.__qualname__ = original.__module__, original.__qualname__
    encoder.encode = failing


def attempt(world: World, folder: Path, memo: Path, whole: bool, failure: Failure | None) -> bool:
    """Bring a world in, in a forked process. Returns whether it arrived."""
    child = os.fork()
    if child == 0:
        code = 1
        errors = os.dup(2)  # for an attempt that must arrive
        try:
            silence()
            os.environ["LOREKEEP_MEMO"] = str(memo)
            if failure is not None:
                strike(failure)
            bring_in(world, folder, whole)
            code = 0
        except BaseException as error:  # a forked process must never return into the caller
            if failure is None:
                os.write(errors, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def silence() -> None:
    """Let this process print nothing."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


def prepare(whole: bool) -> None:
    """Load the libraries and put the drawn vectors in place of the encoder, before anything is forked."""
    import faiss
    import pyarrow as pa

    from stages.core.repeatable import memo
    from stages.core.retrieval import encoder

    os.environ["TQDM_DISABLE"] = "1"
    faiss.omp_set_num_threads(1)  # threads do not survive a fork
    pa.set_cpu_count(1)
    mock_encode.__module__, mock_encode.__qualname__ = encoder.__name__, "encode"
    encoder.encode = mock_encode
    for name in loaded_by_a_build(whole):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    memo.code_of(encoder.__name__)


def loaded_by_a_build(whole: bool) -> list[str]:
    """Return the modules that a build loads. It runs in a forked process: threads of polars do not survive a fork."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with room_of(0) as room, os.fdopen(writing, "w") as names:
                silence()
                os.environ["LOREKEEP_MEMO"] = str(room / "memo")
                (room / "project").mkdir()
                bring_in(script(0)[0].world, room / "project", whole)
                names.write("\n".join(sys.modules))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        names_loaded = lines.read().split("\n")
    os.waitpid(child, 0)
    return [name for name in names_loaded if name and name != "__main__"]


def outputs(folder: Path, whole: bool) -> dict[str, bytes]:
    """Return the bytes of the outputs below a folder."""
    found = {}
    for name in ("index", "clean", "extract") if whole else ("index",):
        for path in sorted((folder / name).rglob("*")):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def of_index(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files of the index alone."""
    return {name: content for name, content in files.items() if name.startswith("index/")}


def play(seed: int, room: Path, whole: bool, count: Count) -> None:
    """Play one script and count what is wrong."""
    folder = room / "project"
    folder.mkdir()
    count.scripts += 1
    before: dict[str, bytes] = {}
    for number, step in enumerate(script(seed)):
        count.rounds += 1
        count.edits.update(step.edits)
        fresh = room / f"fresh{number}"
        fresh.mkdir()
        if not attempt(step.world, fresh, fresh / "memo", whole, None):
            raise RuntimeError(f"script {seed}, round {number}: a build in an empty folder failed")
        wanted = outputs(fresh, whole)
        if step.failure and not attempt(step.world, folder, room / "memo", whole, step.failure):
            count.struck[step.failure.kind] += 1
            served = of_index(outputs(folder, whole))
            if served not in (of_index(before), of_index(wanted)):
                count.broken += 1
        if not attempt(step.world, folder, room / "memo", whole, None):
            raise RuntimeError(f"script {seed}, round {number}: it failed without a failure")
        now = outputs(folder, whole)
        if now != wanted:
            count.other_bytes += 1
        found = found_texts(folder / "index")
        expected = expected_texts(step.world, whole)
        count.stale += (found - expected).total()
        count.lost += (expected - found).total()
        before = now
        shutil.rmtree(fresh)


@contextlib.contextmanager
def room_of(seed: int) -> Iterator[Path]:
    """Yield an empty folder for a script, and remove it."""
    with tempfile.TemporaryDirectory(prefix=f"edits{seed}-") as name:
        yield Path(name)


def main() -> None:
    """Play all scripts and print a row of the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scripts", type=int, default=1000, help="number of scripts")
    parser.add_argument("--whole", type=int, default=100, help="of them with extract and clean")
    parser.add_argument("--first", type=int, default=0, help="seed of the first script")
    options = parser.parse_args()
    prepare(options.whole > 0)
    count = Count()
    for seed in range(options.first, options.first + options.scripts):
        with room_of(seed) as room:
            play(seed, room, seed - options.first < options.whole, count)
        if sys.stderr.isatty() or seed % 100 == 99:
            print(f"{seed + 1} scripts: {row(count)}", file=sys.stderr, flush=True)
    print(
        "| scripts | rounds | failures that struck | broken after one | stale | lost | other bytes |"
    )
    print("|---|---|---|---|---|---|---|")
    print(row(count))
    print("edits:", ", ".join(f"{name} {number:,}" for name, number in sorted(count.edits.items())))


def row(count: Count) -> str:
    """Return a row of the table."""
    struck = ", ".join(f"{kind} {count.struck[kind]:,}" for kind in FAILURES)
    return (
        f"| {count.scripts:,} | {count.rounds:,} | {struck} | {count.broken:,} | {count.stale:,} "
        f"| {count.lost:,} | {count.other_bytes:,} |"
    )


if __name__ == "__main__":
    main()
