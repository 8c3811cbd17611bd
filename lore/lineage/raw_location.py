"""Locators: the spot of a record in a raw file, in words, and the state of that file.

A locator is a file below data/raw, perhaps with `#` and a spot in it: `elements.sql#properties/25`,
`uses.jsonl#L12@use`. The part after the last `@` tells several facts of one unit apart. The name of a
file may hold a `#` itself, as in `a#1.csv#L3`. Such files are known by `names_with_hash`.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lore.versions.dvc_cache import md5, md5_of_file
from lore.versions.dvc_private import FOLDER_HASH
from lore.versions.version import Version
from stages.core.project import git
from stages.core.project.artifacts import RAW

# A line that OCR read, with its box in pixels or points, perhaps of one page of several:
# `L4@50,140,400,170`, `page 2/L4@-10,140,400,170@density`.
BOX = re.compile(
    r"(?:page (?P<page>\d+)/)?L(?P<line>\d+)@(?P<box>-?\d+,-?\d+,-?\d+,-?\d+)(?:@(?P<part>.+))?"
)
# A line of a text file, perhaps one of several parts of it: `L12`, `L12.2@text`.
LINE = re.compile(r"L(?P<line>\d+)(?:\.\d+)?(?:@(?P<part>.+))?")
# A span of a recording in seconds: `t=0.0,4.2@text`.
TIME = re.compile(r"t=(?P<start>[\d.]+),(?P<end>[\d.]+)(?:@(?P<part>.+))?")
# The number of an XML element among those of one name: the `[3]` of `/sheets/sheet[3]`.
NUMBERED = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class RawFile:
    """A file below data/raw in one version."""

    path: str
    md5: str
    """Of its content. Empty where neither the folder nor git has the file."""
    commit: str
    """Short hash, day and subject of the last commit that changed it. Empty where git has none."""
    current: bool
    """Whether `extract` read this content, by dvc.lock. True where dvc.lock has no hash of it."""
    is_cut: bool = False
    """Whether the commit is the oldest of a shallow clone, so that it need not have changed the file."""


def names_with_hash(version: Version) -> list[str]:
    """Return the files below data/raw whose path holds a `#`, the longest first."""
    start = f"{RAW}/"
    if version.commit is None:
        found = [path.as_posix() for path in walked(Path(RAW))]
    else:
        found = [*version.files]
        for pointer in version.pointers:
            found.append(pointer.path)
            is_folder = pointer.digest.endswith(FOLDER_HASH)
            if is_folder and version.cache.has(pointer.digest):
                listing = version.cache.listing(pointer.digest, pointer.path)
                found += [f"{pointer.path}/{name}" for name in listing]
    below = [name.removeprefix(start) for name in found if name.startswith(start)]
    return sorted((name for name in below if "#" in name), key=len, reverse=True)


def walked(folder: Path) -> Iterable[Path]:
    """Yield the files of a folder, in no order."""
    for parent, _, files in os.walk(folder):
        for name in files:
            yield Path(parent) / name


def file_of(locator: str, names: Iterable[str] = ()) -> str:
    """Return the file that a locator points into, below data/raw.

    `names` are the files that may have a `#` in their path, the longest first.
    """
    for name in names:
        if locator == name or locator.startswith(f"{name}#"):
            return name
    file, _, _ = locator.partition("#")
    return file


def spot_of(locator: str, names: Iterable[str] = ()) -> str:
    """Return what follows the file and its `#` in a locator: `properties/25`. Empty: the whole file."""
    return locator.removeprefix(file_of(locator, names)).removeprefix("#")


def within(locator: str, outer: str, names: Iterable[str] = ()) -> bool:
    """Whether a locator is `outer` or lies in it.

    `outer` is a locator itself, or a folder below data/raw: `scans/a.png#L4@1,2,3,4` lies within
    `scans`, `scans/a.png` and `scans/a.png#L4`. `names` are those of `file_of`.
    """
    if locator == outer:
        return True
    if not outer:
        return False
    file = file_of(locator, names)
    if file == outer or file.startswith(f"{outer}/"):
        return True
    # A file called `a` is no place in `a#1.csv`, so `outer` must reach into the file itself.
    return outer.startswith(f"{file}#") and locator.startswith((f"{outer}/", f"{outer}@"))


def described(locator: str, names: Iterable[str] = ()) -> str:
    """Return the spot in its file in words. `names` are those of `file_of`.

    Examples: `table properties, key 25`, `line 17`, `line 4, box 50,140,400,170`,
    `JSON pointer /a/3`, `the whole file`.
    """
    spot = spot_of(locator, names)
    box = BOX.fullmatch(spot)
    if box:
        page = f"page {box['page']}, " if box["page"] else ""
        return with_part(f"{page}line {box['line']}, box {box['box']}", box["part"])
    line = LINE.fullmatch(spot)
    if line:
        return with_part(f"line {line['line']}", line["part"])
    time = TIME.fullmatch(spot)
    if time:
        return with_part(f"seconds {time['start']} to {time['end']}", time["part"])
    name, _, part = spot.partition("@")
    if NUMBERED.search(name):
        name = f"XML path {name}"
    elif name.startswith("/"):
        name = f"JSON pointer {name}"
    elif "/" in name:
        table, _, key = name.rpartition("/")
        name = f"table {table}, key {key}"
    return with_part(name or "the whole file", part)


def with_part(spot: str, part: str | None) -> str:
    """Return the spot, and which of several facts of one unit is meant."""
    return f"{spot}, its {part}" if part else spot


def raw_file(version: Version, name: str) -> RawFile:
    """Return the state of a raw file in a version. `name` is its path below data/raw."""
    path = f"{RAW}/{name}"
    digest = digest_of(version, path)
    recorded = digest
    for stage in version.stages.values():
        for dep in stage.get("deps", []):
            if dep["path"] == path:
                recorded = str(dep.get("md5"))
    # Of a file that DVC keeps, git has the history of its pointer.
    pointer = version.pointer_to(path)
    in_git = pointer.file if pointer else path
    commit, is_cut = last_commit(version, in_git)
    return RawFile(path=path, md5=digest, commit=commit, current=recorded == digest, is_cut=is_cut)


def digest_of(version: Version, path: str) -> str:
    """Return the hash of a file: in the workspace of what lies there, else as git or DVC keeps it.

    Empty where none is known.
    """
    if version.commit is None and Path(path).is_file():
        return md5_of_file(Path(path))
    content = version.content(path)
    if content is not None:
        return md5(content)
    pointer = version.pointer_to(path)
    if pointer is None:
        return ""
    if pointer.path == path:
        return pointer.digest
    if not version.cache.has(pointer.digest):
        return ""
    listing = version.cache.listing(pointer.digest, f"the list of {pointer.path}")
    return listing.get(path.removeprefix(f"{pointer.path}/"), "")


def last_commit(version: Version, path: str) -> tuple[str, bool]:
    """Return hash, day and subject of the last commit that changed a file, and whether it is cut.

    It is cut where the commit is the oldest of a shallow clone: git then calls every file changed.
    """
    start = version.commit or "HEAD"
    printed = git.read("log", "-1", "--format=%H %h %cs %s", start, "--", path)
    # The subject of a commit may be in any encoding.
    full, _, commit = (printed or b"").decode("utf-8", "replace").strip().partition(" ")
    return commit, bool(full) and full in cut_commits()


def cut_commits() -> set[str]:
    """Return the oldest commits of a shallow clone, whose parents it lacks. Empty for a whole one."""
    if not git.is_shallow():
        return set()
    location = git.read_text("rev-parse", "--git-path", "shallow")
    if location is None or not Path(location).is_file():
        return set()
    return set(Path(location).read_text(encoding="ascii").split())
