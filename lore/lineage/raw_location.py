"""A record's place in its source: what a locator says in words, and what the raw file is there: its hash, its last commit."""

import re
from dataclasses import dataclass

from lore.versions.dvc_cache import md5
from lore.versions.version import Version, git

RAW = "data/raw"
BOX = re.compile(
    r"(?:page (?P<page>\d+)/)?L(?P<line>\d+)@(?P<box>-?\d+,-?\d+,-?\d+,-?\d+)(?:@(?P<part>.+))?"
)
NUMBERED = re.compile(r"\[\d+\]")
"""Which of several XML elements of one name."""
LINE = re.compile(r"L(?P<line>\d+)(?:\.\d+)?(?:@(?P<part>.+))?")
TIME = re.compile(r"t=(?P<start>[\d.]+),(?P<end>[\d.]+)(?:@(?P<part>.+))?")


@dataclass(frozen=True)
class RawFile:
    """A file below data/raw in one version."""

    path: str
    md5: str
    """Of its content; empty where neither the folder nor git has it."""
    commit: str
    """Short hash, day and subject of the last commit that touched it; empty where git does not have it."""
    current: bool
    """Whether it is what the version's `extract` read, by dvc.lock; true where dvc.lock has no hash of it alone."""


def file_of(locator: str) -> str:
    """The file that a locator points into, below data/raw."""
    return locator.partition("#")[0]


def within(locator: str, place: str) -> bool:
    """Whether a locator lies at `place`: a folder or file below data/raw, perhaps with `#` and a place in it."""
    return locator == place or (
        bool(place) and locator.startswith((f"{place}#", f"{place}/", f"{place}@"))
    )


def described(locator: str) -> str:
    """The place in words: `table properties, key 25`, `line 17`, `line 4, box 50,140,400,170`, `JSON pointer /a/3`."""
    spot = locator.partition("#")[2]
    if found := BOX.fullmatch(spot):
        page = f"page {found['page']}, " if found["page"] else ""
        return with_part(f"{page}line {found['line']}, box {found['box']}", found["part"])
    if found := LINE.fullmatch(spot):
        return with_part(f"line {found['line']}", found["part"])
    if found := TIME.fullmatch(spot):
        return with_part(f"seconds {found['start']} to {found['end']}", found["part"])
    name, _, part = spot.partition("@")
    if NUMBERED.search(name):
        return with_part(f"XML path {name}", part)
    if name.startswith("/"):
        return with_part(f"JSON pointer {name}", part)
    table, slash, key = name.rpartition("/")
    return with_part(f"table {table}, key {key}" if slash else name or "the whole file", part)


def with_part(place: str, part: str | None) -> str:
    """The place, and which of several facts of one unit stands there."""
    return f"{place}, its {part}" if part else place


def raw_file(version: Version, name: str) -> RawFile:
    """What a file below data/raw is in a version."""
    path = f"{RAW}/{name}"
    content = version.content(path)
    digest = "" if content is None else md5(content)
    read = {
        dep["path"]: str(dep.get("md5"))
        for stage in version.stages.values()
        for dep in stage.get("deps", [])
    }
    found = git("log", "-1", "--format=%h %cs %s", version.commit or "HEAD", "--", path)
    return RawFile(
        path,
        digest,
        (found or b"").decode("utf-8", "replace").strip(),
        read.get(path, digest) == digest,
    )
