"""Is a flipped bit found by `lore diff`, `lore verify` and `lore trace`, whichever object it is in?

    PYTHONPATH=. python docs/experiments/flips.py <result.csv> [flips] [beginning of an object's name]

From the project's root. The project is small and has two versions: tables, reports, a model and a learning
curve in DVC's cache, all else in git. One bit at a drawn place of one object is flipped, as a bad disk does,
and each command is called. Then the object is mended. The objects are every file and every list of a folder
in DVC's cache, the files on disk that `lore diff` compares, the objects of git that hold what the commands
read, and the certificate of `lore verify`.

    named     the command ends with an error or exit code 3, and names the file, its hash or its path
    the same  it says what it says of the whole object
    silent    it says something else with exit code 0, and names nothing
    unnamed   it ends with an error that does not say where
    traceback

`the same` is right only where a command does not read the object. READS says which ones it reads.
"""

import contextlib
import csv
import io
import json
import os
import random
import re
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from lore.__main__ import main as lore
from lore.verification import certificate
from lore.verification.outputs import Output
from lore.versions import inputs, version
from tests.lore.commands.test_trace import GOLD, IRON, fill
from tests.lore.knowledge import IDENTITY, Project

TAG_A, TAG_B = "knowledge@v1.0.0", "knowledge@v1.1.0"
OUTS = {
    "extract": ["data/extract"],
    "clean": ["data/clean"],
    "augment": ["data/augment"],
    "train": ["models/train", "metrics/steps/train.csv"],
    "evaluate": ["data/evaluate", "metrics/evaluate.json"],
}
OBJECTS = (
    "data/extract", "data/extract/records.parquet",
    "data/clean", "data/clean/records.parquet", "data/clean/rejected.parquet",
    "data/clean/contradictions.json",
    "data/augment", "data/augment/records.parquet",
    "models/train", "models/train/adapter.safetensors", "models/train/config.json",
    "metrics/steps/train.csv",
    "data/evaluate", "data/evaluate/facts.parquet", "metrics/evaluate.json",
)  # fmt: skip
"""What DVC's cache keeps: files, and folders, which stand for the lists of their files."""
GIT_FILES = ("dvc.lock", "params.yaml", "metrics/evaluate.json", "data/raw/rules.yaml")
"""Files of git whose objects are flipped, besides the commit and its tree."""
COMMANDS: dict[str, list[str]] = {
    "diff": ["diff", TAG_A, TAG_B, "--json"],
    "diff here": ["diff", TAG_B, "--json"],
    "verify --check": ["verify", "--check", "certificate.json"],
    "verify --stored": ["verify", TAG_B, "--stored"],
    "trace": ["trace", IRON["fact"], "--rev", TAG_B, "--json"],
}
GIT_BY_DIFF_ALONE = tuple(f"git: {file}" for file in GIT_FILES if file != "dvc.lock")
DISK_FILES = ("data/clean/records.parquet", "data/evaluate/facts.parquet", "metrics/evaluate.json")
"""Files on disk that are flipped."""
TABLES = (
    "data/clean",
    "data/clean/records.parquet",
    "data/evaluate",
    "data/evaluate/facts.parquet",
)
READS: dict[str, Sequence[str]] = {
    "diff": TABLES,
    "diff here": TABLES,
    "verify --check": OBJECTS,
    "verify --stored": [name for name in OBJECTS if name != "metrics/evaluate.json"],
    "trace": (
        *TABLES, "data/extract", "data/extract/records.parquet", "data/clean/rejected.parquet",
        "data/clean/contradictions.json", "data/augment", "data/augment/records.parquet",
    ),
}  # fmt: skip
"""Command → the objects of the cache that it reads."""
CERTIFICATE = "certificate.json"
IGNORED = "".join(
    f"/{path}\n"
    for path in (
        "data/extract", "data/clean", "data/augment", "data/evaluate", "models", "metrics/steps",
        ".dvc/cache",
    )
)  # fmt: skip


def make(root: Path) -> Project:
    """Make a project with two versions, and a certificate of the second one."""
    project = Project(root)
    for tag, iron in ((TAG_A, IRON), (TAG_B, IRON | {"value": "1649"})):
        fill(project)
        project.run([iron, GOLD], None)
        (root / ".gitignore").write_text(IGNORED)
        (root / "models/train").mkdir(parents=True, exist_ok=True)
        weights = np.arange(512, dtype=np.float32) + len(tag + iron["value"])
        save_file({"weight": weights}, root / "models/train/adapter.safetensors")
        (root / "models/train/config.json").write_text(json.dumps({"rank": 8, "made by": tag}))
        (root / "metrics/steps").mkdir(parents=True, exist_ok=True)
        steps = "".join(f"{number},{1 / number:.6f}\n" for number in range(1, 40))
        (root / "metrics/steps/train.csv").write_text(f"step,loss\n{steps}")
        project.lock(OUTS)
        project.commit(tag)
    made = version.revision(TAG_B)
    outputs = []
    for path, digest in made.outs.items():
        outputs.append(Output("clean", path, digest, digest))
    certified = certificate.certify(made, list(OUTS), outputs, [])
    certificate.write(root / CERTIFICATE, certified, {"seconds": 1})
    return project


@dataclass(frozen=True)
class Answer:
    """What a command says."""

    code: int
    said: str


def answer(arguments: Sequence[str]) -> Answer:
    """Call a command in this process. A traceback has the code -1."""
    inputs.MD5_OF_BLOBS.clear()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = lore(list(arguments))
        except BaseException:  # what is looked for
            code = -1
            traceback.print_exc(file=said)
    return Answer(code, said.getvalue())


@dataclass(frozen=True)
class Flipped:
    """An object that is flipped."""

    name: str
    path: Path
    words: Sequence[str]
    """A message that holds one of these names it."""


def cached(project: Project) -> list[Flipped]:
    """Return the objects of DVC's cache of the second version."""
    made = version.revision(TAG_B)
    found = []
    for name in OBJECTS:
        digest = made.outs.get(name)
        if digest is None:
            folder, _, file = name.rpartition("/")
            digest = made.cache.listing(made.outs[folder], folder)[file]
        path = project.cached(digest)
        place = f"{digest[:2]}/{digest[2:]}"
        found.append(Flipped(name, path, [name, place]))
    return found


def of_git(project: Project) -> list[Flipped]:
    """Return the objects of git that hold the commit, its tree and some of its files."""
    names = {"git: commit": f"{TAG_B}^{{commit}}", "git: tree": f"{TAG_B}^{{tree}}"}
    for file in GIT_FILES:
        names[f"git: {file}"] = f"{TAG_B}:{file}"
    found = []
    for name, revision in names.items():
        digest = project.git("rev-parse", revision).strip()
        path = project.root / ".git/objects" / digest[:2] / digest[2:]
        words = [digest, "git fsck", "damaged"]
        found.append(Flipped(name, path, words))
    return found


def on_disk(project: Project) -> list[Flipped]:
    """Return the files that `lore diff` reads where one of the versions is that of the files here."""
    found = []
    for name in DISK_FILES:
        folder = name.rpartition("/")[0] if name.startswith("data/") else name
        words = [f"not as in dvc.lock: {folder};", f"{name} of workspace"]
        found.append(Flipped(f"disk: {name}", project.root / name, words))
    return found


def verdict(whole: Answer, flipped: Answer, words: Sequence[str]) -> str:
    """Return in a word what a command made of a flipped bit."""
    if flipped.code == -1:
        return "traceback"
    if flipped == whole:
        return "the same"
    is_named = any(word in flipped.said for word in words)
    if flipped.code in (1, 3) and flipped.code != whole.code:
        return "named" if is_named else "unnamed"
    was_said = any(word in whole.said for word in words)
    return "named" if is_named and not was_said else "silent"


def is_right(command: str, name: str, found: str) -> bool:
    """Whether a command may have this verdict on an object."""
    if found == "named":
        return True
    is_read = name in READS[command] or name.startswith("git: ")
    if name.startswith("disk: "):
        is_read = command == "diff here"
    if name in GIT_BY_DIFF_ALONE:
        is_read = command.startswith("diff")
    if name == CERTIFICATE:
        return found == "the same"  # where it says what the check does not compare
    return found == "the same" and not is_read


def flip(content: bytes, generator: random.Random) -> bytes:
    """Return the bytes with one bit flipped."""
    changed = bytearray(content)
    changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    return bytes(changed)


def tried(target: Flipped, flips: int, wholes: dict[str, Answer]) -> list[tuple[str, str, str]]:
    """Flip bits of an object and return (object, command, verdict) for each command that may see them."""
    generator = random.Random(f"flips {target.name}")
    content = target.path.read_bytes()
    mode = target.path.stat().st_mode
    found = []
    for number in range(flips):
        target.path.chmod(0o644)
        target.path.write_bytes(flip(content, generator))
        for command, arguments in COMMANDS.items():
            if target.name == CERTIFICATE and command != "verify --check":
                continue
            given = answer(arguments)
            word = verdict(wholes[command], given, target.words)
            found.append((target.name, command, word))
            if not is_right(command, target.name, word):
                said = re.sub(r"\s+", " ", given.said)[-400:]
                print(f"{target.name}, flip {number}, {command}: {word}: {said}", flush=True)
        target.path.write_bytes(content)
        target.path.chmod(mode)
    return found


def main() -> None:
    """Flip bits in each object, write a row per object and command, print the sums."""
    result = Path(sys.argv[1]).resolve()
    flips = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    beginning = sys.argv[3] if len(sys.argv) > 3 else ""
    os.environ.update(IDENTITY)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        root.mkdir()
        with contextlib.chdir(root):
            run(root, result, flips, beginning)


def run(root: Path, result: Path, flips: int, beginning: str) -> None:
    """Do all of it in a new project in this folder."""
    project = make(root)
    wholes = {name: answer(arguments) for name, arguments in COMMANDS.items()}
    for name, whole in wholes.items():
        if whole.code:
            raise SystemExit(f"{name} fails on whole objects: {whole.said}")
    targets = [*cached(project), *on_disk(project), *of_git(project)]
    targets.append(Flipped(CERTIFICATE, root / CERTIFICATE, [CERTIFICATE]))
    targets = [target for target in targets if target.name.startswith(beginning)]
    found = []
    for target in targets:
        of_target = tried(target, flips, wholes)
        found += of_target
        words: dict[str, Counter[str]] = {}
        for _, command, word in of_target:
            words.setdefault(command, Counter())[word] += 1
        listed = []
        for command, counts in words.items():
            listed.append(f"{command}: {', '.join(f'{w} {n}' for w, n in counts.items())}")
        print(f"{target.name}: {'; '.join(listed)}", flush=True)
    with result.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["object", "command", "verdict", "flips"])
        for (name, command, word), number in Counter(found).items():
            writer.writerow([name, command, word, number])
    wrong = [row for row in found if not is_right(row[1], row[0], row[2])]
    print(f"{len(found):,} answers to flipped bits, {len(wrong)} of them wrong")


if __name__ == "__main__":
    main()
